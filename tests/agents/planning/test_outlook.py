"""What planned hops cost: exactly what the simulator charges, as far as the rates are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.agents.planning.outlook import ForecastOutlook, HopCosts
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView

RULES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["p2p", "cs"]),
        "layer_order": st.sampled_from(["free", "serpentine", "reverse"]),
        "seed": st.integers(0, 50),
    }
)


def assert_as_forecast(found: HopCosts, view: ProcessView) -> None:
    expected = forecast(view)
    for name in ("time_s", "energy_j", "n_bytes", "node_energy_j"):
        np.testing.assert_allclose(getattr(found, name)[0], getattr(expected, name), rtol=1e-12, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(RULES, st.sampled_from(["node", "pce", "observer"]), st.booleans())
def test_of_the_view_itself_is_the_controllers_forecast(
    frozen_process: Callable[..., tuple], rules: dict, evaluation: str, out_of_reach: bool
) -> None:
    controller, executor = frozen_process(nodes=4, middle=3, **rules)
    for node in (2, 0, 1):
        view = replace(controller.view(), evaluation=evaluation)
        if out_of_reach:
            nothing = np.zeros(view.n_nodes)
            nodes = replace(view.nodes, downlink_bps=nothing, mean_downlink_bps=nothing)
            view = replace(view, nodes=nodes)
        assert_as_forecast(ForecastOutlook().hop_costs(PlanState.of(view)), view)
        job = controller.dispatch(Assignment(node, controller.view().next_layer))
        controller.complete(job.id, executor.run(job))


@pytest.mark.parametrize("parallel", [2, 3])
def test_with_companions_too(frozen_process: Callable[..., tuple], parallel: int) -> None:
    view = frozen_process(5, 3, mode="cs", parallel=parallel)[0].view()
    state = PlanState.of(view)
    assert_as_forecast(ForecastOutlook().hop_costs(state), view)
    both = ForecastOutlook().hop_costs(state.take(np.array([0, 0])))
    np.testing.assert_array_equal(both.time_s[1], forecast(view).time_s)


@settings(max_examples=10, deadline=None)
@given(RULES)
def test_a_plan_costs_what_it_said_where_rates_do_not_change(
    frozen_process: Callable[..., tuple], rules: dict
) -> None:
    controller, executor = frozen_process(nodes=4, middle=3, **rules)
    rng = np.random.default_rng(rules["seed"])
    state, outlook, plan = PlanState.of(controller.view()), ForecastOutlook(), []
    for _ in range(7):
        node, layer = (int(i) for i in rng.choice(np.argwhere(state.legal[0])))
        costs = outlook.hop_costs(state)
        time_s, energy_j, n_bytes = (a[:, node, layer] for a in (costs.time_s, costs.energy_j, costs.n_bytes))
        plan.append((Assignment(node, layer), time_s[0], energy_j[0], n_bytes[0]))
        at = np.array([node]), np.array([layer])
        state = state.after(*at, time_s=time_s, energy_j=energy_j, gain=np.zeros(1))
    for assignment, *said in plan:
        job = controller.dispatch(assignment)
        hop = controller.complete(job.id, executor.run(job))
        np.testing.assert_allclose([hop.costs.time_s, hop.costs.energy_j, hop.costs.n_bytes], said)
