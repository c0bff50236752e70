"""Hops are tried on copies: what they bring is known, the process stays as it is, the future unknown."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

from snakegym.agents.planning.forecasts import RecentRates
from snakegym.agents.planning.search import Settings
from snakegym.agents.planning.state import PlanState
from snakegym.agents.yardsticks.oracle import OracleScheduler, Trials
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import Floats
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import Scenario
from snakegym.training.episodes.play import play_scheduler

ALL = Trials(first=100, kept=1, second=1, beyond=Settings(1, 1))


class Nothing:
    """Expects no gain from any hop."""

    def expected(self, state: PlanState) -> Floats:
        return np.zeros((len(state), state.view.n_nodes, state.view.n_middle))


@pytest.fixture(scope="module")
def small(of_few_hops: Callable[[int, int], Scenario]) -> Scenario:
    return of_few_hops(4, 3)


def test_the_hop_that_really_brings_most_is_found(small: Scenario) -> None:
    """Though the gain model expects nothing of any; free of charge, so that gains alone count."""
    free = small.objective.model_copy(update={"time": 0.0, "energy": 0.0, "n_bytes": 0.0})
    env = SerpentineEnv(small.model_copy(update={"objective": free}), split="validation")
    env.reset(seed=1)
    scheduler = OracleScheduler(env.scenario, Nothing(), RecentRates(), ALL)
    scheduler.watch(env)
    before = copy.deepcopy(env.view())
    choice = scheduler.schedule(env.view())
    assert env.controller.history == []
    np.testing.assert_array_equal(env.view().held, before.held)
    gains = {}
    for node, layer in np.argwhere(before.legal).tolist():
        trial = copy.deepcopy(env)
        trial.step_as(Assignment(node, layer))
        gains[Assignment(node, layer)] = trial.controller.metric - before.metric
    assert isinstance(choice, Assignment)
    assert gains[choice] == max(gains.values())


def test_ends_where_even_true_gains_do_not_pay(small: Scenario) -> None:
    dear = small.objective.model_copy(update={"time": 1e4})
    env = SerpentineEnv(small.model_copy(update={"objective": dear}), split="validation")
    env.reset(seed=1)
    scheduler = OracleScheduler(env.scenario, Nothing(), RecentRates(), ALL)
    scheduler.watch(env)
    assert scheduler.schedule(env.view()) is FINISH


def test_episodes_are_repeatable(small: Scenario) -> None:
    env = SerpentineEnv(small, split="validation")
    scheduler = OracleScheduler(small, trials=Trials(first=3, kept=2, second=2))
    first, second = (play_scheduler(env, scheduler, 0, 5) for _ in range(2))
    assert first == second
    assert first["hops"] > 0
