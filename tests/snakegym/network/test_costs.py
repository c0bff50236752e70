import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.network import costs


def test_training_flops_by_hand():
    forward = [10, 20, 30, 40]
    # forward 100; activation gradients through layers 1, 2, 3; weight gradients of 0, 2, 3
    assert costs.training_flops(forward, {0, 2, 3}) == 100 + 90 + 80
    # nothing below the last layer is needed
    assert costs.training_flops(forward, [3]) == 100 + 0 + 40
    assert costs.training_flops(forward, [2, 3]) == 100 + 40 + 70


@given(st.lists(st.floats(1, 1e9), min_size=1, max_size=12), st.data())
def test_training_costs_between_one_and_three_forward_passes(forward, data):
    trained = data.draw(st.sets(st.integers(0, len(forward) - 1), min_size=1))
    flops, whole = costs.training_flops(forward, trained), costs.training_flops(forward, range(len(forward)))
    assert sum(forward) <= flops * (1 + 1e-12)
    assert flops <= whole * (1 + 1e-12)
    assert whole == pytest.approx(3 * sum(forward) - forward[0])


@pytest.mark.parametrize(("optimizer", "copies"), [("sgd", 1), ("rmsprop", 2), ("adam", 3)])
def test_memory_by_hand(optimizer, copies):
    weights, activations = [100, 200, 300], [1, 2, 4]
    assert costs.hop_memory(weights, activations, {1, 2}, 8, optimizer) == 600 + copies * 500 + 8 * 6
    assert costs.hop_memory(weights, activations, {0, 2}, 8, optimizer) == 600 + copies * 400 + 8 * 7
    busy = costs.hop_memory(weights, activations, {0, 2}, 8, optimizer, scratch_bytes=50)
    assert busy == 600 + copies * 400 + 8 * 7 + 50


def test_deeper_layers_need_less_memory_and_fewer_flops():
    flops = [costs.training_flops([1.0] * 6, {k, 5}) for k in range(5)]
    memory = [costs.hop_memory([1.0] * 6, [1.0] * 6, {k, 5}, 4, "adam") for k in range(5)]
    assert flops == sorted(flops, reverse=True)
    assert memory == sorted(memory, reverse=True)
    np.testing.assert_allclose(np.diff(flops), -1)
    np.testing.assert_allclose(np.diff(memory), -4)


def test_times_broadcast_and_know_zero():
    bytes_, rate = np.array([[0.0], [1000.0]]), np.array([0.0, 8000.0])
    np.testing.assert_array_equal(costs.air_time(bytes_, rate), [[0, 0], [np.inf, 1]])
    np.testing.assert_array_equal(costs.transfer_time(bytes_, rate, 0.5), [[0, 0], [np.inf, 1.5]])
    np.testing.assert_array_equal(costs.compute_time(6e6, [1e6, 2e6], [0.5, 0.0]), [12, np.inf])
    assert costs.compute_time(6e6, 1e6, 0.5) == 12


def test_energies_by_hand():
    assert costs.compute_energy(0.5, costs.busy_time(6e6, 2e6)) == 1.5
    assert costs.radio_energy(0.25, 8) == 2


def test_a_radio_of_no_power_costs_nothing_however_long():
    for power, seconds, expected in ((0.0, math.inf, 0.0), (0.0, 5.0, 0.0), (2.0, 3.0, 6.0)):
        assert costs.radio_energy(power, seconds) == expected
        assert isinstance(costs.radio_energy(power, seconds), float)
        assert costs.compute_energy(power, seconds) == expected
    found = costs.radio_energy(np.array([0.0, 1.0, 0.0]), np.array([math.inf, math.inf, 1.0]))
    assert found.tolist() == [0.0, math.inf, 0.0]
    assert costs.radio_energy(np.array([[0.0], [2.0]]), np.array([math.inf, 1.0])).tolist() == [
        [0.0, 0.0],
        [math.inf, 2.0],
    ]
