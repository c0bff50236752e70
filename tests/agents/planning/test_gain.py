"""What a hop is expected to bring: the general formula."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from snakegym.agents.planning.gain import FormulaGain
from snakegym.agents.planning.state import PlanState


def test_a_good_model_gains_less_and_what_was_just_trained_brings_nothing(
    frozen_process: Callable[..., tuple],
) -> None:
    controller, _ = frozen_process(nodes=4, middle=3)
    state = PlanState.of(controller.view()).take(np.array([0, 0]))
    labels = state.view.nodes.labels
    state = replace(state, metric=np.array([0.2, 0.9]), recent_labels=np.stack([labels[1], labels[1]]))
    expected = FormulaGain().expected(state)
    assert expected.shape == (2, 4, 3)
    others = [0, 2, 3]
    assert (expected[0, others] > expected[1, others]).all()
    np.testing.assert_allclose(expected[:, 1], 0.0, atol=1e-6)


def test_formula_by_hand(frozen_process: Callable[..., tuple]) -> None:
    controller, _ = frozen_process(nodes=3, middle=2)
    view = controller.view()
    divergence = np.array([0.0, 0.2, 0.4])
    nodes = replace(
        view.nodes,
        divergence=divergence,
        samples=np.array([10, 10, 40]),
        last_gain=np.array([0.0, 0.1, 0.0]),
    )
    state = PlanState.of(replace(view, nodes=nodes, metric=0.5))
    model = FormulaGain(ceiling=1.0, rate=0.2, size=0.5, saturation=0.2, forgetting=0.1, memory=0.5)
    novelty = 1 - np.exp(-divergence / 0.2)
    by_hand = 0.2 * 0.5 * np.sqrt([0.5, 0.5, 2.0]) * novelty - 0.1 * divergence * 0.25 + [0.0, 0.05, 0.0]
    np.testing.assert_allclose(model.expected(state)[0], np.stack([by_hand, by_hand], axis=1))
