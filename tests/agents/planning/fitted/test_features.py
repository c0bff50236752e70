"""What a model of gains knows of a hop, followed through plans."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from snakegym.agents.planning.fitted.features import FEATURES, features, who_trains
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment


def column(state: PlanState, name: str) -> np.ndarray:
    return features(state)[:, :, FEATURES.index(name)]


def test_a_planned_hop_leads_where_it_was_said_to_lead(frozen_process: Callable[..., tuple]) -> None:
    controller, _ = frozen_process(nodes=4, middle=3)
    state = PlanState.of(controller.view()).take(np.array([0, 0]))
    node, zeros = np.array([1, 3]), np.zeros(2)
    said = column(state, "imbalance_after")[[0, 1], node]
    gain = np.array([0.3, -0.2])
    state = state.after(node, np.array([0, 2]), time_s=zeros, energy_j=zeros, gain=gain)
    np.testing.assert_allclose(column(state, "imbalance"), np.repeat(said[:, None], 4, axis=1), atol=1e-7)
    np.testing.assert_allclose(column(state, "novelty"), state.divergence, atol=1e-7)
    np.testing.assert_allclose(column(state, "node_gain"), [[0, 0.3, 0, 0], [0, 0, 0, -0.2]])
    np.testing.assert_allclose(column(state, "since_node"), [[2, 0.1, 2, 2], [2, 2, 2, 0.1]])
    np.testing.assert_allclose(column(state, "metric")[:, 0], state.metric)


def test_plans_are_told_apart(frozen_process: Callable[..., tuple]) -> None:
    controller, _ = frozen_process(nodes=3, middle=2)
    one = PlanState.of(controller.view())
    zeros = np.zeros(2)
    two = one.take(np.array([0, 0])).after(
        np.array([0, 2]), np.array([1, 1]), time_s=zeros, energy_j=zeros, gain=np.array([0.1, 0.2])
    )
    for i in (0, 1):
        np.testing.assert_allclose(features(two)[i], features(two.take(np.array([i])))[0], atol=1e-12)


@pytest.mark.parametrize("k", [2, 3])
def test_nodes_that_train_in_parallel_are_taken_together(
    frozen_process: Callable[..., tuple], k: int
) -> None:
    for node in range(5):
        controller, executor = frozen_process(nodes=5, middle=3, mode="cs", parallel=k)
        view = controller.view()
        (labels,), (samples,) = who_trains(PlanState.of(view))
        job = controller.dispatch(Assignment(node, view.next_layer))
        parts = [part.node for part in controller.complete(job.id, executor.run(job)).parts]
        assert len(parts) == k
        assert samples[node] == view.nodes.samples[parts].sum()
        weights = view.nodes.samples[parts]
        np.testing.assert_allclose(
            labels[node], np.average(view.nodes.labels[parts], axis=0, weights=weights)
        )
