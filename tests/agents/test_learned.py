"""Trained policies as schedulers: same decisions, and damaged or foreign runs are refused."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.agents.algorithms import ALGORITHMS, make_algorithm
from snakegym.agents.learned import LearnedScheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario, load_scenario

SCENARIO = load_scenario("default")


def save_run(folder: Path, name: str, where: str = "best.zip", **settings: Any) -> Any:
    algorithm = make_algorithm(name, SerpentineEnv(SCENARIO), 0, settings)
    (folder / "checkpoints").mkdir(parents=True)
    algorithm.save(folder / where)
    config = {"algo": name, "scenario": SCENARIO.model_dump(mode="json")}
    (folder / "config.json").write_text(json.dumps(config))
    return algorithm


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
    for _ in range(4):
        view = env.view()
        masks = {"action_masks": env.action_masks()} if name == "maskable-ppo" else {}
        action, _ = algorithm.predict(observation, deterministic=True, **masks)
        choice = scheduler.schedule(view)
        assert choice == env.codec.decode(int(action), view)
        assert not masks or choice is None or view.legal[choice.node, choice.layer]
        observation, *_ = env.step(int(action))


def test_leaves_global_random_generators_alone(run: Path) -> None:
    def state() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002

    before = state()
    LearnedScheduler(run, SCENARIO).reset(5)
    assert state() == before


def test_scenario_of_another_name_is_refused(run: Path) -> None:
    other = SCENARIO.model_copy(update={"name": "other"})
    with pytest.raises(SnakegymError, match=r"'default'.*'other'"):
        LearnedScheduler(run, other)


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


@pytest.mark.parametrize(
    "other",
    [changed("network", nodes=5), changed("process", layer_order="serpentine")],
    ids=["nodes", "order"],
)
def test_scenario_of_another_size_is_refused(run: Path, other: Scenario) -> None:
    with pytest.raises(SnakegymError, match=r"best\.zip: trained for .*64 actions, expected"):
        LearnedScheduler(run, other)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7, 0.999])
def test_truncated_checkpoint_is_refused(run: Path, tmp_path: Path, keep: float) -> None:
    content = (run / "best.zip").read_bytes()
    (tmp_path / "best.zip").write_bytes(content[: int(keep * len(content))])
    (tmp_path / "config.json").write_text((run / "config.json").read_text())
    with pytest.raises(SnakegymError, match=r"best\.zip: truncated or corrupt"):
        LearnedScheduler(tmp_path, SCENARIO)


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
        ('{"algo": "ppo", "scenario": {"name": "default"}}', r"no weights, expected best\.zip"),
        ('{"algo": "sarsa", "scenario": {"name": "default"}}', "unknown algorithm 'sarsa'"),
    ],
)
def test_folders_that_are_no_runs_are_refused(tmp_path: Path, config: str | None, message: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(SnakegymError, match=message):
        make_scheduler(str(tmp_path), SCENARIO)
