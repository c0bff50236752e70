"""A plan's state follows the Process Controller exactly where hops are delivered as planned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment

FOLLOWED = (
    "clock_s",
    "energy_j",
    "holder",
    "lacking",
    "lacking_pce",
    "trained_in_cycle",
    "cycle",
    "hops",
    "metric",
    "recent_labels",
    "visits",
    "times_trained",
    "node_gain",
    "layer_gain",
    "pair_gain",
    "last_hop",
)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize(
    ("layer_order", "trains", "lora"),
    [
        ("free", "both-ends", None),
        ("reverse", "both-ends", None),
        ("free", "last", None),
        ("free", "middle", None),
        ("free", "middle", {"rank": "speed", "ranks": [1, 3]}),
        ("free", "both-ends", {"rank": 5}),
    ],
)
def test_follows_the_process(
    frozen_process: Callable[..., tuple],
    mode: str,
    layer_order: str,
    trains: str,
    lora: dict[str, Any] | None,
) -> None:
    controller, executor = frozen_process(4, 3, mode, layer_order, trains=trains, lora=lora)
    rng = np.random.default_rng(1)
    plan = PlanState.of(controller.view())
    for _ in range(8):
        legal = plan.take(np.array([0])).legal[0]
        np.testing.assert_array_equal(legal, controller.view().legal)
        node, layer = (int(i) for i in rng.choice(np.argwhere(legal)))
        job = controller.dispatch(Assignment(node, layer))
        hop = controller.complete(job.id, executor.run(job))
        plan = plan.after(
            np.array([node]),
            np.array([layer]),
            time_s=np.array([hop.costs.time_s]),
            energy_j=np.array([hop.costs.energy_j]),
            gain=np.array([hop.gain]),
        )
        real = PlanState.of(controller.view())
        for name in FOLLOWED:
            np.testing.assert_allclose(getattr(plan, name), getattr(real, name), atol=1e-12, err_msg=name)
        np.testing.assert_allclose(plan.divergence, real.divergence, atol=1e-7)
        np.testing.assert_allclose(plan.missing_bytes[0], controller.view().nodes.missing_bytes)


def test_plans_do_not_touch_each_other(frozen_process: Callable[..., tuple]) -> None:
    controller, _ = frozen_process(nodes=3, middle=3)
    both = PlanState.of(controller.view()).take(np.array([0, 0]))
    zeros = np.zeros(2)
    went = both.after(
        np.array([0, 2]), np.array([1, 0]), time_s=zeros, energy_j=zeros, gain=np.array([0.1, 0.2])
    )
    np.testing.assert_array_equal(went.holder, [0, 2])
    np.testing.assert_array_equal(went.visits, [[1, 0, 0], [0, 0, 1]])
    np.testing.assert_array_equal(went.open_layers, [[True, False, True], [False, True, True]])
    np.testing.assert_array_equal(both.visits, np.zeros((2, 3)))
