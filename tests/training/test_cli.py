import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from snakegym.errors import SnakegymWarning
from snakegym.scenario import list_scenarios, load_scenario, parse_scenario
from snakegym.training.cli import plain_warnings

Run = Callable[..., tuple[int, str, str]]
EVALUATE = ("evaluate", "--scheduler", "random", "--out", "out")


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["train"],
        ["evaluate"],
        ["report"],
        ["compare"],
        ["experiment"],
        ["sweep"],
        ["scenarios"],
        ["scenarios", "list"],
        ["scenarios", "check"],
        ["scenarios", "show"],
        ["traces"],
        ["traces", "convert"],
    ],
)
def test_every_command_explains_itself(snakegym: Run, command: list[str]) -> None:
    status, out, _ = snakegym(*command, "--help")
    assert status == 0
    assert f"usage: {' '.join(['snakegym', *command])} [-h]" in out


@pytest.mark.parametrize("command", [["evaluate"], ["experiment"], ["scenarios", "check"]])
def test_help_calls_nothing_a_default_that_is_none(snakegym: Run, command: list[str]) -> None:
    assert "default: None" not in " ".join(snakegym(*command, "--help")[1].split())


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom snakegym.training.cli import main\n"
        "try: main(['train', '--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'stable_baselines3', 'wandb', 'scipy', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=root, stdout=subprocess.DEVNULL)


def test_scenarios_are_listed_one_a_line(snakegym: Run) -> None:
    status, out, _ = snakegym("scenarios")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == list(list_scenarios())


def test_the_list_may_be_asked_for_by_name(snakegym: Run) -> None:
    assert snakegym("scenarios", "list")[1] == snakegym("scenarios")[1]


def test_a_shown_scenario_is_the_same_scenario(snakegym: Run) -> None:
    _, out, _ = snakegym("scenarios", "show", "default")
    assert parse_scenario(out, "shown") == load_scenario("default")
    assert yaml.safe_load(out)["name"] == "default"


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("scenarios", "show", "nowhere"), "unknown scenario 'nowhere'"),
        (("scenarios", "check", "missing.yaml"), "missing.yaml"),
        (("train", "--out", "out", "--scenario", "nowhere"), "unknown scenario 'nowhere'"),
        (("train", "--out", "out", "--timesteps", "0"), "--timesteps: found 0"),
        (("train", "--out", "out", "--algo", "sac"), "unknown algorithm 'sac'"),
        (("train", "--out", "out", "--ppo.gamma", "0.9", "--gamma=0.8"), "--gamma: found it twice"),
        (("train", "--out", "out", "--n-envs", "5000"), "--n-envs: found 5000, expected at most 4,096"),
        (("train", "--out", "out", "--batch-size", "1"), "--batch-size: found 1, which leaves one"),
        (("train", "--out", "out", "--n-steps", "65"), "one of the 65 steps of a rollout (--n-steps)"),
        (("train", "--out", "out", "--learning-rate", "inf"), "--learning-rate: found inf"),
        (("train", "--out", "out", "--seed", "-1"), "--seed: found -1"),
        (("train", "--out", "out", "--traces", "nowhere"), "nowhere"),
        (("train", "--out", "out", "--n-envs", "3", "--n-steps", "16"), "--n-steps: found 16"),
        (("train", "--out", "out", "--gamma", "7"), "--gamma: found 7"),
        (("train", "--out", "out", "--resume"), "no config.json"),
        (("evaluate", "--out", "out"), "--scheduler"),
        ((*EVALUATE, "--episodes", "0"), "--episodes: found 0"),
        ((*EVALUATE, "--jobs", "0"), "--jobs: found 0"),
        ((*EVALUATE, "--scenario", "nowhere"), "unknown scenario 'nowhere'"),
        ((*EVALUATE, "--scheduler", "genius"), "unknown scheduler 'genius'"),
        ((*EVALUATE, "--scheduler", "random"), "random twice"),
        ((*EVALUATE, "--scheduler", "empty"), "empty: found no config.json"),
        ((*EVALUATE, "--traces", "nowhere"), "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    snakegym: Run, tmp_path: Path, command: tuple[str, ...], named: str
) -> None:
    (tmp_path / "empty").mkdir()
    status, _, err = snakegym(*command)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command",
    [
        ("evaluate", "--split", "tset"),
        ("train", "--wandb", "on"),
        ("fly",),
        ("scenarios", "fly"),
        ("traces", "fly"),
    ],
)
def test_unknown_choices_are_refused_by_the_parser(snakegym: Run, command: tuple[str, ...]) -> None:
    status, _, err = snakegym(*command)
    assert status == 2
    assert command[-1] in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_what_cannot_be_printed_is_one_line() -> None:
    command = [sys.executable, "-m", "snakegym.training.cli", "scenarios"]
    with Path("/dev/full").open("w") as full:
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (run.returncode, run.stderr) == (2, "error: No space left on device\n")


def test_whoever_reads_may_stop_reading() -> None:
    command = f"{sys.executable} -m snakegym.training.cli scenarios show default | true"
    run = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


def test_our_own_warnings_name_no_place_in_the_code() -> None:
    usual = warnings.formatwarning
    with plain_warnings():
        assert (
            warnings.formatwarning("a file is bad", SnakegymWarning, "x.py", 7) == "warning: a file is bad\n"
        )
        theirs = warnings.formatwarning("odd", UserWarning, "x.py", 7)
    assert warnings.formatwarning is usual
    assert theirs == usual("odd", UserWarning, "x.py", 7)


def test_a_name_that_no_encoding_has_letters_for_is_printed_somehow(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "snakegym.training.cli", "traces", "generate", "--links", "1"]
    strict = os.environ | {"PYTHONIOENCODING": "utf-8:strict"}
    run = subprocess.run(
        [*command, "--out", b"o\xff"], cwd=tmp_path, env=strict, capture_output=True, text=True
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "written to o\\udcff" in run.stdout
    assert [os.fsencode(p.name) for p in tmp_path.iterdir()] == [b"o\xff"]
