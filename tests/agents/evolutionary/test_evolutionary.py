"""Plans bred with pymoo: legal, no worse than greed in the model, and a front without dominated plans."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.agents.evolutionary.genes import Genome
from snakegym.agents.evolutionary.genetic import POSITIONS, EvolutionaryScheduler, front
from snakegym.agents.planning.gain import FormulaGain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import follow, walk_on
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario

GAINS, OUTLOOK = FormulaGain(), ForecastOutlook()


def evolutionary(seed: int = 0) -> EvolutionaryScheduler:
    scheduler = EvolutionaryScheduler(load_scenario("default"), GAINS, OUTLOOK)
    scheduler.reset(seed)
    return scheduler


@given(seed=st.integers(0, 2**32 - 1), trained=st.sets(st.integers(0, 3), max_size=3), n=st.integers(1, 12))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_genome_is_a_possible_plan(view: ProcessView, seed: int, trained: set[int], n: int) -> None:
    layers = replace(view.layers, trained_in_cycle=np.isin(np.arange(4), list(trained)))
    state = PlanState.of(replace(view, layers=layers, legal=view.legal & ~layers.trained_in_cycle))
    genome = Genome.of(state, n)
    plan = genome.plan(np.random.default_rng(seed).random(genome.n_genes))
    assert len(plan) == n
    assert np.isfinite(follow(state, [plan], GAINS, OUTLOOK).reward).all()
    assert genome.plan(genome.genes(plan)) == plan


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_no_worse_than_greed_in_the_model(frozen_process: Any, mode: str) -> None:
    better = []
    for seed in range(4):
        state = PlanState.of(frozen_process(5, 4, mode, seed=seed)[0].view())
        greedy = walk_on(state, GAINS, OUTLOOK, at_most=POSITIONS)
        found = follow(state, [evolutionary().plan(state)], GAINS, OUTLOOK).reward.max()
        assert found >= sum(greedy.rewards) - 1e-9
        better.append(found > sum(greedy.rewards) + 1e-3)
    assert any(better)


def test_global_generators_are_left_alone(view: ProcessView) -> None:
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first = evolutionary(3).plan(PlanState.of(view))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002
    assert evolutionary(3).plan(PlanState.of(view)) == first


def test_front_goes_from_nothing_to_the_best_without_a_dominated_plan(view: ProcessView) -> None:
    state = PlanState.of(view)
    found = front(state, GAINS, OUTLOOK, hops=12, seed=0)
    cost, metric = (np.array([getattr(c, name) for c in found]) for name in ("cost", "metric"))
    assert (np.diff(cost) > 0).all()
    assert (np.diff(metric) > 0).all()
    assert found[0].plan == ()
    assert found[0].metric == pytest.approx(view.metric)
    assert found[0].cost == 0.0
    greedy = walk_on(state, GAINS, OUTLOOK, at_most=12)
    spent = view.objective.gain * (greedy.states[-1].metric[0] - view.metric) - sum(greedy.rewards)
    assert max(metric[cost <= spent + 1e-9]) >= 0.98 * greedy.states[-1].metric[0]
    for compromise in found[:: max(1, len(found) // 5)]:
        done = follow(state, [compromise.plan], GAINS, OUTLOOK)
        assert done.metric[0, -1] == pytest.approx(compromise.metric)


def test_without_pymoo_it_says_what_to_install(view: ProcessView, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [m for m in sys.modules if m.split(".")[0] == "pymoo"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymoo", None)
    with pytest.raises(SnakegymError, match=r"pymoo.*pip install 'snakegym\[evolutionary\]'"):
        evolutionary().schedule(view)
