"""What hops will really cost is what the simulator comes to, outages included."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import pytest

from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.yardsticks.truth import TrueOutlook
from snakegym.control.records import Assignment
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import Scenario, load_scenario


def outages(mode: str, evaluation: str, **rules: object) -> Scenario:
    """Links that are often away for longer than the timeout, and a small model on many nodes."""
    fields = load_scenario("default").model_dump()
    fields["network"].update(mode=mode, timeout_s=4.0, nodes=7)
    fields["network"]["traces"]["generator"] = {"outage_weight": 1.5, "good_s": 10.0, "fair_s": 5.0}
    fields["network"]["devices"] = fields["network"]["devices"][:2]
    fields["process"].update(evaluation=evaluation, **rules)
    return Scenario.model_validate(fields)


@pytest.mark.parametrize(
    "scenario",
    [
        load_scenario("default"),
        outages("p2p", "node"),
        outages("p2p", "pce"),
        outages("cs", "node"),
    ],
    ids=["default", "p2p", "pce", "cs"],
)
def test_agrees_with_the_simulator(scenario: Scenario) -> None:
    env = SerpentineEnv(scenario, split="validation")
    env.reset(seed=5)
    outlook, rng = TrueOutlook(env.controller.network), np.random.default_rng(0)
    interrupted = compared = 0
    for _ in range(6):
        view = env.view()
        costs = outlook.hop_costs(PlanState.of(view))
        for node, layer in np.argwhere(view.legal).tolist():
            job = copy.deepcopy(env.controller).dispatch(Assignment(node, layer))
            phases = env.executor.lce.plan(job)
            time_s = costs.time_s[0, node, layer]
            if phases.late:
                assert time_s == np.inf
                continue
            spent = phases.costs
            assert time_s == pytest.approx(spent.time_s, rel=1e-6)
            assert costs.energy_j[0, node, layer] == pytest.approx(spent.energy_j, rel=1e-6)
            assert costs.node_energy_j[0, node, layer] == pytest.approx(phases.node_energy_j, rel=1e-6)
            assert (costs.delivered[0, node, layer] == 1) or phases.interrupted is not None
            interrupted += phases.interrupted is not None
            compared += 1
        pairs = np.argwhere(view.legal)
        action = env.codec.encode(Assignment(*rng.choice(pairs).tolist()) if len(pairs) else None)
        if env.step(action)[2]:
            break
    assert compared > 20
    assert interrupted or (scenario.name == "default" and scenario.network.timeout_s == 10)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_is_the_forecast_where_rates_never_change(frozen_process: Callable[..., tuple], mode: str) -> None:
    controller, _ = frozen_process(nodes=4, middle=3, mode=mode)
    truth, guess = TrueOutlook(controller.network), ForecastOutlook()
    state = PlanState.of(controller.view()).take(np.array([0, 0]))
    for nodes in ([0, 2], [2, 1], [1, 3]):
        at = np.array(nodes), np.array([0, 1])
        found, expected = truth.hop_costs(state), guess.hop_costs(state)
        for name, values in vars(found).items():
            np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-7, err_msg=name)
        b = np.arange(2)
        state = state.after(
            *at, time_s=found.time_s[b, *at], energy_j=found.energy_j[b, *at], gain=np.zeros(2)
        )


def test_a_node_that_will_be_away_cannot_begin(frozen_process: Callable[..., tuple]) -> None:
    env = SerpentineEnv(outages("cs", "node"), split="validation")
    env.reset(seed=1)
    outlook, state = TrueOutlook(env.controller.network), PlanState.of(env.view())
    for later in range(0, 100, 7):
        then = state.after(
            np.array([0]),
            np.array([0]),
            time_s=np.array([float(later)]),
            energy_j=np.zeros(1),
            gain=np.zeros(1),
        )
        up = env.controller.network.measure(float(later), 0.0).up
        begins = np.isfinite(outlook.hop_costs(then).time_s[0]).any(axis=1)
        assert not (begins & ~up).any()
