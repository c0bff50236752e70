"""Hostile input of all kinds: an answer in one line or a right result, in time.

`make fuzz` tries thousands of cases; here it is a few. What is found becomes a test where it belongs.
"""

from __future__ import annotations

import os
import shutil
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.network.traces.catalogue import scan
from snakegym.scenario import load_scenario, parse_scenario
from snakegym.training.cli import main

CASES = int(os.environ.get("SNAKEGYM_FUZZ", "8"))
"""Files of runs of each kind; twice as many command lines, eight times as many scenarios and traces."""
pytestmark = pytest.mark.slow


def fuzz(times: int) -> settings:
    """So many times CASES, each in time."""
    return settings(
        max_examples=times * CASES,
        deadline=timedelta(seconds=20),
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, 1e-308, 1e-300, 1e300, 1.7e308, 0.5, -0.0]),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["", ".", "../..", "~nouser/x", "$\\frac$", "nan", "a:b", "__import__", "\x00", "default"]
    ),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
TOKENS = st.sampled_from(
    [
        *b" 0 -1 nan inf 1e309 1e-320 99999999999999999999 0x1F 1970-01-01 True null".split(b" "),
        *(b'"', b"{", b"[", b"&a [*a]", b": ", b"- ", b"\t", b";", b",", b"\n", b"\x00", b"\xff\xfe"),
    ]
)


TINY = (Path(__file__).parents[1] / "tiny.yaml").read_text()


def one_line(error: SnakegymError) -> None:
    assert "\n" not in str(error), error
    assert str(error).strip()


@st.composite
def mutated(draw: st.DrawFn, original: bytes) -> bytes:
    """A few cuts, doublings and foreign tokens in what was right."""
    data = original
    for _ in range(draw(st.integers(1, 4))):
        a = draw(st.integers(0, len(data)))
        b = min(len(data), a + draw(st.sampled_from([0, 0, 1, 2, 5, 20, 200])))
        put = draw(st.one_of(TOKENS, st.just(data[a:b] * 2), st.binary(max_size=4)))
        data = data[:a] + put + data[b:]
    return data[: draw(st.sampled_from([len(data)] * 4 + [len(data) // 2]))]


# --- scenarios -----------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    children = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


def near(value: Any) -> st.SearchStrategy[Any]:
    """What might well be accepted: another size of a number, another of a few words."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int | float):
        factors = st.sampled_from([0, 0.01, 0.1, 0.5, 2, 3, 10, 100, 1e4])
        return factors.map(lambda factor: type(value)(value * factor))
    return st.sampled_from(
        ["cs", "p2p", "free", "reverse", "random", "iid", "sgd", "vgg", "pce", "observer", 1, None]
    )


@st.composite
def scenarios(draw: st.DrawFn) -> str:
    data = load_scenario(draw(st.sampled_from(["default", "tidal", "flaky", "crowd"]))).model_dump(
        mode="json"
    )
    for _ in range(draw(st.integers(1, 2))):
        *path, last = draw(st.sampled_from(places(data)))
        parent = data
        try:
            for key in path:
                parent = parent[key]
            parent[last] = draw(st.one_of(VALUES, *[near(parent[last])] * 3))
        except (TypeError, KeyError, IndexError):  # what was there has been replaced
            continue
    return yaml.safe_dump(data, allow_unicode=True)


@fuzz(8)
@given(text=scenarios(), seed=st.integers(0, 2**31))
def test_scenarios(text: str, seed: int) -> None:
    play(text, seed)


@fuzz(8)
@given(
    data=mutated(yaml.safe_dump(load_scenario("flaky").model_dump(mode="json")).encode()),
    seed=st.integers(0, 99),
)
def test_texts_of_scenarios(data: bytes, seed: int) -> None:
    play(data.decode("utf-8", "replace"), seed)


def play(text: str, seed: int) -> None:
    try:
        env = SerpentineEnv(parse_scenario(text, "fuzzed.yaml"))
    except SnakegymError as error:
        return one_line(error)
    event("plays")
    observation, info = env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        assert env.observation_space.contains(observation)
        numbers = [v for v in info.values() if isinstance(v, float)]
        assert np.isfinite(numbers).all(), info
        legal = np.flatnonzero(env.action_masks())
        observation, reward, terminated, truncated, info = env.step(rng.choice(legal))
        assert np.isfinite(reward)
        if terminated or truncated:
            break


# --- traces --------------------------------------------------------------------------------------

LINK = "time_s,downlink_mbps,uplink_mbps\n" + "".join(f"{t},{20 + t % 7},{5 + t % 3}\n" for t in range(40))
COMPUTE = "time_s,cpu_available_fraction\n" + "".join(f"{300 * t},{0.1 * (t % 10):.1f}\n" for t in range(40))
MAHIMAHI = "".join(f"{12 * t}\n" for t in range(40))


@pytest.mark.parametrize(
    ("name", "text"), [("link/a.csv", LINK), ("compute/a.csv", COMPUTE), ("a.up", MAHIMAHI)]
)
@fuzz(8)
@given(data=st.data())
def test_traces(name: str, text: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("trace")
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data.draw(mutated(text.encode())))
    catalogue = scan(folder)
    for refused in catalogue.refused:
        assert refused.reason.strip()
        assert "\n" not in refused.reason
    for _, recording in catalogue.recordings():
        assert np.isfinite(recording.times_s).all()
        assert (np.diff(recording.times_s) > 0).all()
        for values in recording.columns.values():
            assert np.isfinite(values).all()
            assert (np.asarray(values) >= 0).all()
    shutil.rmtree(folder)


# --- command lines -------------------------------------------------------------------------------

NUMBERS = ["0", "1", "2", "-1", "nan", "inf", "1e400", "x", "", "0x1", "1_0", "True", "65"]
OPTIONS: dict[str, dict[str, list[str]]] = {
    "train": {
        "--timesteps": ["16", "0", "-5", "nan", "x"],
        "--n-steps": ["8", *NUMBERS],
        "--batch-size": ["8", *NUMBERS],
        "--n-envs": ["1", "2", "0", "x"],
        "--learning-rate": ["1e-3", *NUMBERS],
        "--gamma": NUMBERS,
        "--clip-range": NUMBERS,
        "--algo": ["ppo", "maskable-ppo", "sarsa", "a:b", ""],
        "--eval-episodes": ["1", "0", "x"],
        "--seed": NUMBERS,
    },
    "evaluate": {
        "--scheduler": ["greedy", "serpentine", "random", "nobody", "nofile.py:X", ".", ""],
        "--episodes": ["1", "2", "0", "x"],
        "--split": ["test", "train", "prod"],
        "--seed": NUMBERS,
        "--jobs": ["1", "0", "x"],
        "--traces": ["", ".", "~nouser/x", "/dev/zero", "nowhere"],
        "--layer-order": ["free", "serpentine", "upside-down"],
    },
    "benchmark": {
        "--scheduler": ["greedy", "a=random", "nobody", "a=", "x-*", ".", ""],
        "--one": ["greedy", "serpentine", "nobody", "a", ""],
        "--episodes": ["1", "2", "0", "x"],
        "--split": ["test", "prod"],
        "--seed": NUMBERS,
        "--jobs": ["1", "0", "x"],
    },
    "explain": {
        "": ["random", "serpentine", "nobody", ".", ""],
        "--baseline": ["random", "greedy", "nobody", ""],
        "--episodes": ["1", "0", "x"],
        "--states": NUMBERS,
        "--repetitions": ["1", "0", "x"],
        "--seed": NUMBERS,
    },
    "scenarios check": {"--episodes": ["1", "0", "x"], "--seed": NUMBERS, "--split": ["test", "prod"]},
    "traces inspect": {"": [".", "nowhere", "/dev/zero", "", "~nouser"]},
    "report": {"": ["nowhere", ".", ""], "--out": ["x.html", "", "."]},
}
SCENARIOS = [
    "tiny.yaml",
    "tiny.yaml",
    "tiny.yaml",
    "default.yaml",
    "/dev/zero",
    "",
    ".",
    "nope",
    "~nouser/a.yaml",
]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(list(OPTIONS)))
    words = command.split()
    for option, values in OPTIONS[command].items():
        needed = option in (
            "--timesteps",
            "--eval-episodes",
            "--episodes",
            "--jobs",
            "--scheduler",
            "--one",
            "",
        )
        if needed or draw(st.integers(0, 3)) == 0:
            words += [option, draw(st.sampled_from(values))] if option else [draw(st.sampled_from(values))]
    if command in ("train", "evaluate", "benchmark", "explain"):
        words += [
            "--scenario",
            draw(st.sampled_from(SCENARIOS)),
            "--out",
            draw(st.sampled_from(["out", "", "f/x"])),
        ]
    if command == "scenarios check":
        words.append(draw(st.sampled_from(SCENARIOS)))
    if command == "train":
        words += ["--wandb", "disabled"]
    return draw(st.permutations(words)) if draw(st.integers(0, 9)) == 0 else words


def answer(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Run the command: it ends well, or with 2 and an explanation."""
    capsys.readouterr()
    status = 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SnakegymWarning)
            main(args)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 0
    error = capsys.readouterr().err
    assert status in (0, 1, 2), (args, status)
    assert "Traceback" not in error
    assert status == 0 or error.strip(), args


@fuzz(2)
@given(words=command_lines())
def test_command_lines(
    words: list[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("command")
    monkeypatch.chdir(folder)
    (folder / "f").write_text("a file")
    (folder / "tiny.yaml").write_text(TINY)
    answer(words, capsys)
    shutil.rmtree(folder)


# --- files of runs -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small scenario, a training run and an evaluation."""
    folder = tmp_path_factory.mktemp("finished")
    scenario = folder / "tiny.yaml"
    scenario.write_text(TINY)
    short = [
        "--timesteps",
        "8",
        "--n-steps",
        "8",
        "--batch-size",
        "8",
        "--n-epochs",
        "1",
        "--eval-episodes",
        "1",
        "--wandb",
        "disabled",
    ]
    main(["train", "--scenario", str(scenario), "--out", str(folder / "run"), *short])
    schedulers = ["--scheduler", "random", "--scheduler", str(folder / "run")]
    where = ["--scenario", str(scenario), "--out", str(folder / "evaluation")]
    main(["evaluate", *schedulers, *where, "--episodes", "2", "--jobs", "1"])
    return folder


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("evaluation/evaluation.json", "report evaluation --out page.html"),
        ("evaluation/traces.json", "report evaluation --out page.html"),
        ("run/config.json", "evaluate --scheduler run --scenario tiny.yaml --episodes 1 --jobs 1 --out new"),
        ("run/best.zip", "evaluate --scheduler run --scenario tiny.yaml --episodes 1 --jobs 1 --out new"),
        ("run/config.json", "train --scenario tiny.yaml --resume --timesteps 8 --wandb disabled --out run"),
        (
            "run/checkpoints/latest.zip",
            "train --scenario tiny.yaml --resume --timesteps 8 --wandb disabled --out run",
        ),
    ],
)
@fuzz(1)
@given(data=st.data())
def test_files_of_runs(
    name: str,
    command: str,
    finished: Path,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path_factory.mktemp("files") / "copy"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    path = folder / name
    path.write_bytes(data.draw(mutated(path.read_bytes())))
    answer(command.split(), capsys)
    shutil.rmtree(folder.parent)
