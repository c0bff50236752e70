"""Trained policies as schedulers: same decisions, and damaged or foreign runs are refused."""

from __future__ import annotations

import base64
import io
import json
import random
import shutil
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from gymnasium.wrappers import FilterObservation
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import DQN
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.save_util import load_from_zip_file

from snakegym.agents.algorithms import ALGORITHMS, make_algorithm, settings_of
from snakegym.agents.learned import LearnedScheduler
from snakegym.agents.registry import make_scheduler
from snakegym.agents.trained.config import read_config
from snakegym.control.records import Assignment
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario, load_scenario

SCENARIO = load_scenario("default")


def save_run(folder: Path, name: str, where: str = "best.zip", **settings: Any) -> Any:
    algorithm = make_algorithm(name, SerpentineEnv(SCENARIO), 0, settings)
    (folder / "checkpoints").mkdir(parents=True)
    algorithm.save(folder / where)
    (folder / "config.json").write_text(json.dumps(config_of(name, **settings)))
    return algorithm


def config_of(name: str, **settings: Any) -> dict[str, Any]:
    """What a training writes."""
    codec = SerpentineEnv(SCENARIO).codec
    return {
        "algo": name,
        "seed": 0,
        "run_id": "0",
        "masked": name == "maskable-ppo",
        "ppo": settings_of(name, 1, settings),
        "sizes": {"nodes": codec.n_nodes, "layers": codec.n_middle, "actions": codec.n_actions},
        "versions": {"snakegym": "0.1.0"},
        "scenario": SCENARIO.model_dump(mode="json"),
    }


def changed(section: str, **values: Any) -> Scenario:
    dump = SCENARIO.model_dump()
    dump[section].update(values)
    return Scenario.model_validate(dump)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    save_run(folder, "maskable-ppo")
    return folder


@pytest.mark.parametrize("policy", ["pairwise", "mlp"])
@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_decides_as_the_algorithm_that_was_saved(name: str, policy: str, tmp_path: Path) -> None:
    algorithm = save_run(tmp_path / "a-run", name, "checkpoints/latest.zip", policy=policy)
    scheduler = make_scheduler(str(tmp_path / "a-run"), SCENARIO)
    env = SerpentineEnv(SCENARIO)
    observation, _ = env.reset(seed=1)
    scheduler.reset(0)
    state, begins = None, np.array([True])
    for _ in range(4):
        view = env.view()
        masks = {"action_masks": env.action_masks()} if name == "maskable-ppo" else {}
        action, state = algorithm.predict(observation, state, begins, deterministic=True, **masks)
        begins = np.array([False])
        choice = scheduler.schedule(view)
        assert choice == env.codec.decode(int(action), view)
        if name != "ppo" and (masks or policy == "pairwise"):
            assert env.action_masks()[int(action)]
        observation, *_ = env.step(int(action))


def test_leaves_global_random_generators_alone(run: Path) -> None:
    def state() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = state()
    LearnedScheduler(run, SCENARIO).reset(5)
    assert state() == before


def test_a_policy_for_another_scenario_is_said(run: Path) -> None:
    other = SCENARIO.model_copy(update={"name": "other"})
    with pytest.warns(SnakegymWarning, match=r"trained on scenario 'default', and used on 'other'"):
        LearnedScheduler(run, other)


def test_each_of_the_scenarios_of_a_run_is_its_own(copy: Path, recwarn: pytest.WarningsRecorder) -> None:
    config = json.loads((copy / "config.json").read_text())
    crowd = load_scenario("crowd")
    config["scenario"] = {"name": "both", "each_of": [config["scenario"], crowd.model_dump(mode="json")]}
    (copy / "config.json").write_text(json.dumps(config))
    for scenario in (SCENARIO, crowd):
        LearnedScheduler(copy, scenario)
    assert not [w for w in recwarn if issubclass(w.category, SnakegymWarning)]
    with pytest.warns(SnakegymWarning, match=r"on scenario 'default', 'crowd', and used on 'tidal'"):
        LearnedScheduler(copy, load_scenario("tidal"))


def test_another_scenario_of_the_same_name_is_said(run: Path, recwarn: pytest.WarningsRecorder) -> None:
    LearnedScheduler(run, SCENARIO)
    LearnedScheduler(run, SCENARIO.model_copy(update={"summary": "in other words"}))
    assert not [w for w in recwarn if issubclass(w.category, SnakegymWarning)]
    with pytest.warns(
        SnakegymWarning, match=r"another scenario called 'default': field 'data\.alpha' was .*"
    ):
        LearnedScheduler(run, changed("data", alpha=7.5))
    with pytest.warns(SnakegymWarning, match="and 1 more"):
        LearnedScheduler(run, changed("learning", epochs=9, batch_size=7, learning_rate=0.5, clip_norm=7))


OTHER_SIZES = pytest.mark.parametrize(
    "other",
    [
        changed("network", nodes=5),
        changed("network", nodes=23),
        changed("process", layer_order="serpentine"),
        load_scenario("large"),
    ],
    ids=["fewer", "more", "order", "large"],
)


@OTHER_SIZES
@pytest.mark.filterwarnings("ignore::snakegym.errors.SnakegymWarning")
def test_a_pairwise_policy_decides_for_any_number_of_nodes_and_layers(run: Path, other: Scenario) -> None:
    scheduler, env = LearnedScheduler(run, other), SerpentineEnv(other)
    env.reset(seed=0)
    for _ in range(3):
        choice = scheduler.schedule(env.view())
        assert not isinstance(choice, Assignment) or env.view().legal[choice.node, choice.layer]
        env.step_as(choice)


@OTHER_SIZES
def test_an_mlp_policy_of_another_size_is_refused(tmp_path: Path, other: Scenario) -> None:
    save_run(tmp_path / "mlp", "maskable-ppo", policy="mlp")
    with pytest.raises(SnakegymError, match=r"best\.zip: an mlp policy for 9 nodes, .*65 actions, expected"):
        LearnedScheduler(tmp_path / "mlp", other)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.999])
def test_truncated_checkpoint_is_refused(run: Path, tmp_path: Path, keep: float) -> None:
    content = (run / "best.zip").read_bytes()
    (tmp_path / "best.zip").write_bytes(content[: int(keep * len(content))])
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(SnakegymError, match=r"best\.zip: truncated or corrupt"):
        LearnedScheduler(tmp_path, SCENARIO)


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    """A run folder of one's own."""
    return Path(shutil.copytree(run, tmp_path / "copy"))


def rewrite(path: Path, compress: bool = False, **members: bytes) -> None:
    """Replace members of a checkpoint; names are written with `_` for `.`."""
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content |= {name.replace("_pth", ".pth"): data for name, data in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def torch_file(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def weights(path: Path) -> dict[str, torch.Tensor]:
    with zipfile.ZipFile(path) as archive:
        found: dict[str, torch.Tensor] = torch.load(io.BytesIO(archive.read("policy.pth")), weights_only=True)
    return found


def test_nothing_that_is_pickled_beside_the_weights_runs(copy: Path) -> None:
    proof = copy / "proof"
    pickled = base64.b64encode(cloudpickle.dumps(Malicious(proof))).decode()
    data = json.dumps({"policy_class": {":type:": "x", ":serialized:": pickled}}).encode()
    rewrite(copy / "best.zip", data=data)
    scheduler = LearnedScheduler(copy, SCENARIO)
    env = SerpentineEnv(SCENARIO)
    env.reset(seed=0)
    scheduler.schedule(env.view())
    assert not proof.exists()
    with suppress(Exception):
        load_from_zip_file(copy / "best.zip")
    assert proof.exists(), "the pickle does what it shall when SB3 loads it"


@pytest.mark.parametrize("where", ["instead", "among"])
def test_nothing_that_is_pickled_among_the_weights_runs(copy: Path, where: str) -> None:
    proof = copy / "proof"
    evil: Any = Malicious(proof)
    state = {**weights(copy / "best.zip"), "evil": evil} if where == "among" else evil
    rewrite(copy / "best.zip", policy_pth=torch_file(state))
    with pytest.raises(SnakegymError, match=r"best\.zip: found the object .* in policy\.pth"):
        LearnedScheduler(copy, SCENARIO)
    assert not proof.exists()


def test_objects_that_pytorch_takes_for_harmless_are_refused(copy: Path) -> None:
    class Huge:
        def __reduce__(self) -> Any:
            return bytearray, (2**40,)

    rewrite(copy / "best.zip", policy_pth=torch_file({"huge": Huge()}))
    with pytest.raises(SnakegymError, match="bytearray"):
        LearnedScheduler(copy, SCENARIO)


def test_a_file_that_unpacks_to_more_than_a_policy_is_refused(copy: Path) -> None:
    rewrite(copy / "best.zip", compress=True, policy_pth=bytes(2**26))
    with pytest.raises(SnakegymError, match=f"policy.pth of {2**26} bytes, more than"):
        LearnedScheduler(copy, SCENARIO)


def test_a_file_within_the_file_that_unpacks_to_more_is_refused(copy: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**26))
    rewrite(copy / "best.zip", policy_pth=inner.getvalue())
    with pytest.raises(SnakegymError, match=r"policy\.pth that unpacks to more"):
        LearnedScheduler(copy, SCENARIO)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"policy": "mlp"}, "weights of another algorithm or policy: it has '.*', expected .* tensors"),
        ({"width": 32}, r"weights of another shape: '.*' is \(32, .*\), expected \(64, "),
    ],
)
def test_weights_of_another_network_are_called_so(
    copy: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    save_run(tmp_path / "other", "maskable-ppo", **settings)
    shutil.copy(tmp_path / "other" / "best.zip", copy / "best.zip")
    with pytest.raises(SnakegymError, match=message):
        LearnedScheduler(copy, SCENARIO)


def test_weights_of_another_algorithm_are_called_so(copy: Path) -> None:
    env = Monitor(FilterObservation(SerpentineEnv(SCENARIO), ["process"]))
    DQN("MultiInputPolicy", env, buffer_size=1).save(copy / "best.zip")
    with pytest.raises(SnakegymError, match=r"weights of another algorithm or policy: it .* 'action_net"):
        LearnedScheduler(copy, SCENARIO)


def test_a_policy_of_another_algorithm_is_called_so(copy: Path) -> None:
    rewrite(copy / "best.zip", **{"snakegym.json": b'{"algo": "ppo"}'})
    with pytest.raises(SnakegymError, match=r"best\.zip: holds a policy of 'ppo', expected .*maskable"):
        LearnedScheduler(copy, SCENARIO)


def test_weights_that_are_no_numbers_are_refused(copy: Path) -> None:
    state = weights(copy / "best.zip")
    state["value_net.bias"] = state["value_net.bias"] * torch.nan
    rewrite(copy / "best.zip", policy_pth=torch_file(state))
    with pytest.raises(SnakegymError, match=r"'value_net\.bias' .* no finite numbers"):
        LearnedScheduler(copy, SCENARIO)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"timesteps,episodes\n", "found no zip archive"),
        (torch_file({}), r"no policy\.pth in it"),
    ],
)
def test_what_is_no_checkpoint_is_called_so(copy: Path, content: bytes, message: str) -> None:
    (copy / "best.zip").write_bytes(content)
    with pytest.raises(SnakegymError, match=rf"best\.zip: .*{message}.* expected a checkpoint"):
        LearnedScheduler(copy, SCENARIO)


@given(
    field=st.sampled_from(sorted(config_of("ppo"))),
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=5,
    ),
)
def test_a_config_of_any_shape_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, field: str, value: Any
) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.json").write_text(json.dumps(config_of("ppo") | {field: value}))
    try:
        read_config(folder)
    except SnakegymError as error:
        assert f"'{field}" in str(error)  # noqa: PT017 - a run may be fine, too


def test_corrupt_checkpoint_is_refused(run: Path, tmp_path: Path) -> None:
    content = bytearray((run / "best.zip").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64)
    (tmp_path / "best.zip").write_bytes(content)
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(SnakegymError, match=r"best\.zip: truncated or corrupt"):
        LearnedScheduler(tmp_path, SCENARIO)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, r"no config\.json"),
        ("{", r"config\.json: cannot read"),
        ("[]", "'algo' and 'scenario'"),
        ('{"algo": "ppo"}', "'algo' and 'scenario'"),
        (json.dumps(config_of("ppo")), r"no weights, expected best\.zip"),
        ('{"algo": "ppo", "scenario": {"name": "default"}}', "older version of snakegym"),
    ],
)
def test_folders_that_are_no_runs_are_refused(tmp_path: Path, config: str | None, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(SnakegymError, match=message):
        make_scheduler(str(tmp_path), SCENARIO)


def test_a_config_that_says_something_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"algo": "ppo", "algo": "maskable-ppo", "scenario": {}}')
    with pytest.raises(SnakegymError, match=r"config\.json: cannot read the config of the run.*'algo' twice"):
        LearnedScheduler(tmp_path, load_scenario("default"))


@pytest.mark.parametrize("name", ["dqn", "recurrent-ppo"])
def test_what_is_said_of_views_is_what_is_done_in_them(name: str, tmp_path: Path) -> None:
    algorithm = save_run(tmp_path / "a-run", name)
    if name == "recurrent-ppo":
        algorithm.policy.lstm_actor.lstm.weight_hh_l0.data.mul_(50.0)
        algorithm.policy.action_net.score.weight.data.mul_(100.0)
        algorithm.save(tmp_path / "a-run" / "best.zip")
    scheduler, env = LearnedScheduler(tmp_path / "a-run", SCENARIO), SerpentineEnv(SCENARIO)
    env.reset(seed=0)
    scheduler.reset(0)
    encoded, masks, memories, done = [], [], [], []
    for _ in range(8):
        encoded.append(scheduler.encode(env.view()))
        masks.append(scheduler.mask(env.view()))
        memories.append(scheduler.memory)
        done.append(env.codec.encode(scheduler.schedule(env.view())))
        env.step(int(np.flatnonzero(masks[-1])[0]))
    told = scheduler.log_probabilities(
        {key: np.stack([one[key] for one in encoded]) for key in encoded[0]},
        np.stack(masks),
        tuple(np.concatenate(parts, axis=1) for parts in zip(*memories, strict=True)),
    )
    assert told.argmax(axis=1).tolist() == done
    assert np.exp(told).sum(axis=1) == pytest.approx(np.ones(8))
    assert np.exp(told[~np.stack(masks)]).sum() == 0


def test_a_policy_with_a_memory_remembers_an_episode_and_no_more(tmp_path: Path) -> None:
    algorithm = save_run(tmp_path / "a-run", "recurrent-ppo")
    algorithm.policy.lstm_actor.lstm.weight_hh_l0.data.mul_(50.0)
    algorithm.policy.action_net.score.weight.data.mul_(100.0)
    algorithm.save(tmp_path / "a-run" / "best.zip")
    scheduler, fresh = (LearnedScheduler(tmp_path / "a-run", SCENARIO) for _ in range(2))

    def decide(again: bool) -> tuple[list[Any], list[Any]]:
        """Decisions of an episode, and those of one who forgets all before each of them."""
        env = SerpentineEnv(SCENARIO)
        env.reset(seed=0)
        scheduler.reset(0)
        decided, forgetful = [], []
        for _ in range(12):
            fresh.reset(0)
            forgetful.append(fresh.schedule(env.view()))
            decided.append(scheduler.schedule(env.view()))
            env.step_as(decided[-1])
        return decided, forgetful

    first, forgetful = decide(False)
    assert first != forgetful
    assert decide(True)[0] == first
