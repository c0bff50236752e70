"""Greedy looks at every legal pair of node and layer, and at the chance that a hop is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.agents.planning.endings import FURTHER
from snakegym.agents.planning.forecasts import Hazards, RecentRates
from snakegym.agents.planning.greedy import GreedyScheduler
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.search import Settings, search
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import forecast, price
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import load_scenario

SCENARIO = load_scenario("default")


@dataclass
class Given:
    """The gains of all pairs, always the same."""

    gain: Floats

    def expected(self, state: PlanState) -> Floats:
        return np.broadcast_to(self.gain, (len(state), *self.gain.shape))


class Dangerous(RecentRates):
    """Node 1 drops out all the time."""

    def hazards(self, view: ProcessView) -> Hazards:
        often = np.where(np.arange(view.n_nodes) == 1, 10.0, 0.0)
        return Hazards(often, often)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000))
def test_takes_the_pair_that_promises_most(view: ProcessView, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gain = rng.normal(0, 0.02, view.legal.shape)
    seen = replace(view, legal=rng.random(view.legal.shape) < 0.5)
    hop = forecast(view)
    reward = view.objective.gain * gain - price(view.objective, hop.time_s, hop.energy_j, hop.n_bytes)
    reward = np.where(seen.legal, reward, -np.inf)
    choice = GreedyScheduler(SCENARIO, Given(gain)).schedule(seen)
    best = Assignment(*(int(i) for i in np.unravel_index(reward.argmax(), reward.shape)))
    walk = Settings(width=1, horizon=FURTHER, patience=FURTHER)
    pays = search(PlanState.of(seen), Given(gain), ForecastOutlook(), walk).value > 0
    assert pays or reward.max() <= 0
    assert choice == (best if pays else FINISH)


@dataclass
class Later:
    """Nothing in this cycle; in the next one the first hop brings so much, and what follows nothing."""

    gain: float

    def expected(self, state: PlanState) -> Floats:
        first = (state.cycle == state.view.cycle + 1) & ~state.trained_in_cycle.any(axis=1)
        return np.where(first[:, None, None], self.gain, 0.0) * np.ones(state.view.legal.shape)


@pytest.mark.parametrize("left", [1, 2, 3])
def test_it_goes_on_where_what_follows_makes_up_for_it(view: ProcessView, left: int) -> None:
    """As long as the next cycle's first hop pays for all those that lead to it, and not a bit longer."""
    trained = np.arange(view.n_middle) < view.n_middle - left
    layers = replace(view.layers, trained_in_cycle=trained, open=~trained)
    seen = replace(view, layers=layers, legal=view.legal & ~trained)
    walk = Settings(width=1, horizon=left + 1, patience=left + 1)
    plan = search(PlanState.of(seen), Later(1.0), ForecastOutlook(), walk)
    assert len(plan.hops) == left + 1
    pays_from = 1.0 - plan.value / view.objective.gain
    assert GreedyScheduler(SCENARIO, Later(pays_from * 1.01)).schedule(seen) == plan.hops[0].assignment
    assert GreedyScheduler(SCENARIO, Later(pays_from * 0.99)).schedule(seen) is FINISH


def test_what_is_likely_to_be_lost_is_worth_less(view: ProcessView) -> None:
    gain = np.zeros(view.legal.shape)
    gain[1], gain[3] = 0.2, 0.1
    chosen = GreedyScheduler(SCENARIO, Given(gain)).schedule(view)
    careful = GreedyScheduler(SCENARIO, Given(gain), ForecastOutlook(Dangerous())).schedule(view)
    assert [c.node for c in (chosen, careful) if isinstance(c, Assignment)] == [1, 3]
