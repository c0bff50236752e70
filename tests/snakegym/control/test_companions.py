"""Who trains together in CS mode: by the scenario's rule, or as the scheduler says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snakegym.control.forecast import companions, forecast, forecast_team
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, load_scenario


def test_the_most_divergent_nodes_go_along(start):
    controller, _ = start("cs", parallel=3, companions="divergent")
    view = controller.view()
    view = replace(view, nodes=replace(view.nodes, divergence=np.array([0.1, 0.7, 0.2, 0.7])))
    assert companions(view, 1, 0) == (3, 2)
    assert companions(view, 0, 0) == (1, 3), "the lower index first where two diverge alike"
    illegal = view.legal.copy()
    illegal[1, 0] = False
    assert companions(replace(view, legal=illegal), 3, 0) == (2, 0)
    unreachable = view.nodes.availability * (np.arange(4) != 3)
    nodes = replace(view.nodes, availability=unreachable, mean_availability=unreachable)
    assert companions(replace(view, nodes=nodes), 1, 0) == (2, 0), "nobody waits for ever"


@pytest.mark.parametrize("rule", ["shortest", "divergent"])
@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_forecast_is_exact_with_either_rule(start, hop, rule, k):
    controller, executor = start("cs", parallel=k, companions=rule)
    for node, layer in [(0, 0), (1, 2), (3, 1), (0, 1), (2, 2), (2, 0)]:
        view = controller.view()
        expected, team = forecast(view), (node, *companions(view, node, layer))
        done = hop(controller, executor, node, layer)
        assert tuple(part.node for part in done.parts) == team
        named = forecast_team(view, team, layer)
        for cost in ("time_s", "energy_j", "n_bytes"):
            assert getattr(done.costs, cost) == pytest.approx(getattr(expected, cost)[node, layer], rel=1e-9)
            assert getattr(named, cost) == pytest.approx(getattr(done.costs, cost), rel=1e-9)


@pytest.mark.parametrize("along", [(), (3,), (3, 1)])
def test_a_scheduler_may_name_all(start, along):
    controller, executor = start("cs", parallel=3)
    expected = forecast_team(controller.view(), (0, *along), 2)
    job = controller.dispatch(Assignment(0, 2, along))
    done = controller.complete(job.id, executor.run(job))
    assert tuple(part.node for part in done.parts) == (0, *along)
    assert done.costs.time_s == pytest.approx(expected.time_s, rel=1e-9)
    again, _ = start("cs", parallel=3)
    again.restore(controller.checkpoint())
    assert again.history == controller.history


@pytest.mark.parametrize(
    "along", [(0,), (1, 1), (1, 2, 3), (4,), (-1,)], ids=["itself", "twice", "many", "none", "negative"]
)
def test_companions_that_cannot_go_along_are_refused(start, along):
    controller, _ = start("cs", parallel=3)
    with pytest.raises(SnakegymError, match=r"is not legal now: expected at most 2 companions"):
        controller.dispatch(Assignment(0, 2, along))
    controller.dispatch(Assignment(0, 2, (1,)))  # nothing is under way after a refusal


def test_a_companion_needs_to_be_legal_on_that_layer(start):
    controller, _ = start("cs", parallel=2)
    legal = controller.view().legal.copy()
    legal[1, 2] = False
    controller._view = replace(controller.view(), legal=legal)
    with pytest.raises(SnakegymError, match="expected at most 1 companions"):
        controller.dispatch(Assignment(0, 2, (1,)))


def test_nobody_goes_along_in_p2p_mode(start):
    controller, _ = start("p2p")
    with pytest.raises(SnakegymError, match="expected at most 0 companions"):
        controller.dispatch(Assignment(0, 2, (1,)))


def test_the_rule_is_one_of_those_there_are():
    data = load_scenario("default").model_dump()
    data["process"]["companions"] = "divergent"
    controller, _ = load_service(Scenario.model_validate(data)).start(np.random.default_rng(0))
    assert controller.view().companions == "divergent"
    data["process"]["companions"] = "friends"
    with pytest.raises(ValueError, match="companions"):
        Scenario.model_validate(data)
