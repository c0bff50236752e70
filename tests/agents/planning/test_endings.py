"""Whoever waits for a node that is away does so for as long as its return is worth, and not for ever."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snakegym.agents.planning.endings import Patience, worth_waiting_for
from snakegym.agents.planning.gain import FormulaGain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.registry import make_scheduler
from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.scenario import load_scenario

PLANNERS = (
    "greedy",
    "lookahead",
    "evolutionary",
    "milp",
    "milp-sequential",
    "static",
    "most-data+stop",
    "oort+stop",
)
GAINS, OUTLOOK = FormulaGain(), ForecastOutlook()


def away(view: ProcessView) -> ProcessView:
    """Node 2 went away with the model: nobody can go on."""
    reachable = np.arange(view.n_nodes) != 2
    nodes = replace(view.nodes, reachable=reachable, uplink_bps=np.where(reachable, 1e6, 0.0))
    return replace(view, nodes=nodes, holder=2, legal=np.zeros_like(view.legal))


def later(view: ProcessView, waits: int) -> ProcessView:
    """After so many waits; the recent means of whoever is away have gone to 0."""
    nodes = view.nodes
    gone = np.where(nodes.reachable, 1.0, 0.0 if waits * view.wait_s > 60 else 0.5)
    means = {
        name: getattr(nodes, name) * gone
        for name in ("mean_uplink_bps", "mean_downlink_bps", "mean_availability")
    }
    clock_s = view.clock_s + waits * view.wait_s
    return replace(view, clock_s=clock_s, waits=view.waits + waits, nodes=replace(nodes, **means))


def price_of(view: ProcessView, waits: int) -> float:
    return float(view.objective.prices()[0] * waits * view.wait_s)


@pytest.mark.filterwarnings("ignore::snakegym.errors.SnakegymWarning")
@pytest.mark.parametrize("name", PLANNERS)
def test_nobody_waits_for_ever_for_a_holder_that_is_away(view: ProcessView, name: str) -> None:
    """Budgets are out of reach here, so that no clock ends it."""
    if name == "evolutionary":
        pytest.importorskip("pymoo")
    scheduler = make_scheduler(name, load_scenario("default"))
    scheduler.reset(0)
    assert isinstance(scheduler.schedule(view), Assignment)  # static plans
    before, decisions = away(replace(view, hops=1)), list[Decision]()
    while FINISH not in decisions and len(decisions) < 2000:
        decisions.append(scheduler.schedule(later(before, len(decisions))))
    waits = len(decisions) - 1
    assert decisions == [None] * waits + [FINISH]
    worth = worth_waiting_for(before, GAINS, OUTLOOK)
    assert waits > 10, "what is to come is worth some waiting"
    assert price_of(view, waits) <= worth < price_of(view, waits + 2)


def test_the_more_is_to_come_the_longer_it_is_waited_for(view: ProcessView) -> None:
    waits = []
    for metric in (0.1, 0.5, 0.8, 0.94):
        patience, seen = Patience(), away(replace(view, metric=metric))
        n = 0
        while patience.wait_or_finish(later(seen, n), GAINS, OUTLOOK) is None:
            n += 1
        waits.append(n)
    assert waits == sorted(waits, reverse=True)
    assert waits[0] > waits[-1] == 0


def test_who_came_back_may_be_waited_for_again(view: ProcessView) -> None:
    patience, seen = Patience(), away(view)
    while patience.wait_or_finish(seen, GAINS, OUTLOOK) is None:
        seen = later(seen, 1)
    assert patience.wait_or_finish(seen, GAINS, OUTLOOK) is FINISH
    assert patience.wait_or_finish(replace(seen, hops=seen.hops + 1), GAINS, OUTLOOK) is None
    patience.reset()
    assert patience.wait_or_finish(seen, GAINS, OUTLOOK) is None


def test_a_node_that_comes_and_goes_is_not_waited_for_for_ever(view: ProcessView) -> None:
    """Others are in reach and pay no more; it was there in each window, and never when one looked."""
    reachable = np.arange(view.n_nodes) != 2
    legal = view.legal & reachable[:, None]
    seen = replace(view, nodes=replace(view.nodes, reachable=reachable), legal=legal)
    worth = worth_waiting_for(seen, GAINS, OUTLOOK)
    patience, n = Patience(), 0
    while patience.wait_or_finish(replace(seen, clock_s=n * view.wait_s), GAINS, OUTLOOK) is None:
        n += 1
    assert n > 0
    assert price_of(view, n) <= worth < price_of(view, n + 1) + 1e-9


def test_no_wait_beyond_the_budget(view: ProcessView) -> None:
    seen = away(view)
    left_s = view.wait_s + view.objective.nominal.time_s
    for budget_s, decision in ((left_s + 1, None), (left_s - 1, FINISH)):
        short = replace(seen, budget=seen.budget.model_copy(update={"time_s": seen.clock_s + budget_s}))
        assert Patience().wait_or_finish(short, GAINS, OUTLOOK) is decision


def test_nobody_is_waited_for_whose_battery_is_flat(view: ProcessView) -> None:
    flat = replace(view.nodes, battery=np.zeros(view.n_nodes), battery_j=np.zeros(view.n_nodes))
    seen = away(replace(view, nodes=flat))
    assert Patience().wait_or_finish(seen, GAINS, OUTLOOK) is FINISH
