"""The policy that ships with snakegym."""

from __future__ import annotations

import json
import warnings
import zipfile
from pathlib import Path

import pytest

from snakegym.agents.protocol import Scheduler
from snakegym.agents.reference import FOLDER
from snakegym.agents.registry import make_scheduler
from snakegym.agents.trained.config import read_config, scenarios_of
from snakegym.control.records import Assignment
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymWarning
from snakegym.scenario import load_scenario
from snakegym.training.learn import presets

TRAINED = tuple(scenario["name"] for scenario in scenarios_of(read_config(FOLDER)))


def played(env: SerpentineEnv, scheduler: Scheduler, episodes: int) -> list[float]:
    """Returns of these episodes."""
    returns = []
    for seed in range(episodes):
        env.reset(seed=seed)
        scheduler.reset(seed)
        total, over = 0.0, False
        while not over:
            _, reward, terminated, truncated, _ = env.step(env.codec.encode(scheduler.schedule(env.view())))
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    return returns


@pytest.mark.parametrize("name", TRAINED)
def test_it_was_trained_on_scenarios_as_they_ship(name: str, request: pytest.FixtureRequest) -> None:
    """One that changes needs another policy: `snakegym train --preset reference`."""
    own = Path(str(presets.OWN)) / f"{name}.yaml"
    scenario = load_scenario(own if own.is_file() else name)
    if scenario.network.traces.source == "folder":
        folder = request.getfixturevalue("shared_data")
        request.getfixturevalue("monkeypatch").setenv("SNAKEGYM_DATA", str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error", SnakegymWarning)
        make_scheduler("reference", scenario)


@pytest.mark.parametrize("nodes", [5, 33])
def test_it_knows_what_it_is_doing_at_any_size(nodes: int) -> None:
    scenario = load_scenario("default")
    network = scenario.network.model_copy(update={"nodes": nodes})
    env = SerpentineEnv(scenario.model_copy(update={"network": network}), split="validation")
    with pytest.warns(SnakegymWarning, match=r"another scenario called 'default': field 'network\.nodes'"):
        scheduler = make_scheduler("reference", env.scenario)
    env.reset(seed=0)
    scheduler.reset(0)
    decisions = []
    for _ in range(6):
        view = env.view()
        decision = scheduler.schedule(view)
        decisions.append(decision)
        assert isinstance(decision, Assignment)
        assert view.legal[decision.node, decision.layer]
        env.step(env.codec.encode(decision))
    assert len({*decisions}) > 1


def test_it_is_better_than_a_good_rule() -> None:
    env = SerpentineEnv("default", split="validation")
    reference, oort = make_scheduler("reference", env.scenario), make_scheduler("oort", env.scenario)
    assert min(played(env, reference, 4)) > max(played(env, oort, 2))


def test_nobody_learns_where_it_was_made() -> None:
    assert "/" not in (FOLDER / "config.json").read_text(encoding="utf-8")


def test_nothing_that_could_run_is_in_its_file() -> None:
    with zipfile.ZipFile(FOLDER / "best.zip") as archive:
        assert sorted(archive.namelist()) == ["policy.pth", "snakegym.json"]
    assert json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))["masked"] is True
    assert (FOLDER / "model_card.md").is_file()
