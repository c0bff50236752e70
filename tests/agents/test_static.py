"""Static plans once and then follows, whatever happens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.gain import FormulaGain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.static import PATIENCE, StaticScheduler
from snakegym.control.forecast import forecast
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import ProcessView
from snakegym.scenario import load_scenario


def static() -> StaticScheduler:
    scheduler = StaticScheduler(load_scenario("default"), FormulaGain(), ForecastOutlook())
    scheduler.reset(0)
    return scheduler


def after(view: ProcessView, hop: Assignment) -> ProcessView:
    """What the scheduler looks at changes as after a hop that trained the layer."""
    times = view.layers.times_trained + (np.arange(view.n_middle) == hop.layer)
    return replace(view, layers=replace(view.layers, times_trained=times), hops=view.hops + 1)


def without(view: ProcessView, *pairs: Assignment) -> ProcessView:
    legal = view.legal.copy()
    for pair in pairs:
        legal[pair.node, pair.layer] = False
    return replace(view, legal=legal)


def test_follows_its_plan_on_the_network_and_finishes(frozen_process: Any) -> None:
    controller, executor = frozen_process(4, 3)
    scheduler = static()
    planned, done = scheduler.plan(controller.view()), []
    while (choice := scheduler.schedule(controller.view())) is not FINISH:
        job = controller.dispatch(choice)
        controller.complete(job.id, executor.run(job))
        done.append(choice)
    assert done == planned
    assert len(planned) > 3


def test_keeps_to_the_plan_though_the_network_changes(view: ProcessView) -> None:
    scheduler = static()
    first = scheduler.schedule(view)
    assert isinstance(first, Assignment)
    slow = replace(view.nodes, peak_flops=view.nodes.peak_flops[::-1] / 10)
    changed = replace(after(view, first), nodes=slow)
    second = scheduler.schedule(changed)
    assert second == scheduler.plan(view)[1]
    assert second != static().schedule(changed)


def test_what_is_not_legal_comes_later_in_the_cycle(view: ProcessView) -> None:
    scheduler = static()
    plan = scheduler.plan(view)
    blocked = without(view, plan[0])
    assert scheduler.schedule(blocked) != plan[0], "planned on another view"
    scheduler.reset(0)
    assert scheduler.schedule(view) == plan[0]
    view = after(view, plan[0])
    assert scheduler.schedule(without(view, plan[1])) == plan[2]
    assert scheduler.schedule(after(view, plan[2])) == plan[1]


def test_waits_for_a_while_and_then_gives_the_layer_to_the_fastest(view: ProcessView) -> None:
    scheduler = static()
    plan = scheduler.plan(view)
    scheduler.schedule(view)
    blocked = without(after(view, plan[0]), *(hop for hop in plan if hop.layer != plan[0].layer))
    legal = blocked.legal.copy()
    legal[:, plan[0].layer] = False
    blocked = replace(blocked, legal=legal)
    assert [scheduler.schedule(blocked) for _ in range(PATIENCE)] == [None] * PATIENCE
    choice = scheduler.schedule(blocked)
    assert isinstance(choice, Assignment)
    layer = plan[1].layer
    time_s = np.where(legal[:, layer], forecast(blocked).time_s[:, layer], np.inf)
    assert choice == Assignment(int(time_s.argmin()), layer)
    assert scheduler.schedule(after(view, choice)) == plan[2], "the planned hop is done with"


def test_a_hop_that_trained_nothing_is_tried_again(view: ProcessView) -> None:
    scheduler = static()
    first = scheduler.schedule(view)
    assert scheduler.schedule(replace(view, hops=view.hops + 1)) == first


@pytest.mark.parametrize("metric", [0.99])
def test_finishes_at_once_where_nothing_is_to_be_gained(view: ProcessView, metric: float) -> None:
    assert static().schedule(replace(view, metric=metric)) is FINISH
