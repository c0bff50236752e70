"""A fitted network: its numbers by hand, and the bounds that keep a plan from running away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from snakegym.agents.planning.fitted.features import FEATURES, features
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.agents.planning.state import PlanState


def test_numbers_by_hand(model: FittedGain) -> None:
    x = np.linspace(-4, 4, len(FEATURES))
    h = np.clip(x, -3, 3)
    h = np.tanh(np.tanh(h @ model.weights[0] + model.biases[0]) @ model.weights[1] + model.biases[1])
    wide = replace(model, lowest=-9.0, highest=9.0, ceiling=1e3)
    np.testing.assert_allclose(wide.of(x), h @ model.weights[2] + model.biases[2])


def test_standardised_features_count(model: FittedGain) -> None:
    x = np.random.default_rng(1).normal(size=(2, 4, len(FEATURES)))
    moved = replace(model, mean=np.full(len(FEATURES), 2.0), scale=np.full(len(FEATURES), 3.0), ceiling=1e3)
    np.testing.assert_allclose(moved.of(2 + 3 * x), replace(model, ceiling=1e3).of(x))


@pytest.mark.parametrize("seed", range(4))
def test_a_plan_of_the_best_hops_stays_below_the_ceiling(
    frozen_process: Callable[..., tuple], model: FittedGain, seed: int
) -> None:
    controller, _ = frozen_process(nodes=4, middle=3, seed=seed)
    state, zero = PlanState.of(controller.view()), np.zeros(1)
    for _ in range(30):
        expected = model.expected(state)
        assert expected.shape == (1, 4, 3)
        assert expected.min() >= -0.1
        assert expected.max() <= 0.3
        node, layer = np.unravel_index(np.argmax(expected[0]), (4, 3))
        state = state.after(
            np.array([node]), np.array([layer]), time_s=zero, energy_j=zero, gain=expected[:, node, layer]
        )
        assert state.metric[0] <= 0.9 + 1e-9
    np.testing.assert_array_equal(features(state)[0, :, 0], state.metric[0])
