import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.network.network import Network, NodeProfile, constant_network, draw_network
from snakegym.network.records import PCE
from snakegym.network.traces.library import load_library
from snakegym.network.traces.trace import LinkTrace, Trace, TraceLibrary
from snakegym.scenario import DeviceConfig, load_scenario

PROFILE = NodeProfile("node", 1e6, 2e6, 2.0, 0.5)


@pytest.fixture(scope="module")
def config():
    return load_scenario("default").network


@pytest.fixture(scope="module")
def library(config):
    return load_library(config.traces)


def test_the_same_seed_draws_the_same_network(config, library):
    def drawn(seed):
        network = draw_network(config, library, np.random.default_rng(seed))
        values = network.measure(17.0, 60)
        return (
            network.compute_names,
            network.link_names,
            values.uplink_bps.tolist(),
            network.peak_flops.tolist(),
        )

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_traces_are_drawn_without_replacement_while_there_are_enough(config, library):
    network = draw_network(config.model_copy(update={"nodes": 80}), library, np.random.default_rng(0))
    assert len(set(network.compute_names)) == len(set(network.link_names)) == 80
    crowd = draw_network(config.model_copy(update={"nodes": 170}), library, np.random.default_rng(0))
    counts = [crowd.link_names.count(t.name) for t in library.links]
    assert set(counts) == {2, 3}


def test_devices_are_drawn_by_share(config, library):
    base = config.devices[0]
    devices = (
        base.model_copy(update={"name": "rare", "share": 1.0, "peak_flops": 1.0}),
        base.model_copy(update={"name": "common", "share": 3.0, "battery_j": 50.0}),
    )
    many = config.model_copy(update={"nodes": 1000, "devices": devices})
    network = draw_network(many, library, np.random.default_rng(0))
    rare = network.peak_flops == 1.0
    assert rare.mean() == pytest.approx(0.25, abs=0.04)
    assert [p.name == "rare" for p in network.profiles] == rare.tolist()
    np.testing.assert_array_equal(network.battery_j, np.where(rare, np.inf, 50.0))


def test_profile_of_a_device():
    device = DeviceConfig(
        name="d", peak_flops=1, memory_bytes=2, compute_power_w=3, radio_power_w=4, battery_j=5
    )
    assert NodeProfile.of(device) == NodeProfile("d", 1, 2, 3, 4, 5)


def two_nodes():
    link = LinkTrace("l", Trace("u", [0, 10], [100, 300], 20), Trace("d", [0, 10], [1000, 0], 20), 0.07)
    other = LinkTrace("o", Trace("u", [0], [50]), Trace("d", [0], [60]))
    return Network(
        [PROFILE, PROFILE],
        [Trace("a", [0, 5], [1, 0.5], 20), Trace("b", [0], [0.25])],
        [link, other],
        compute_offsets_s=[5, 0],
        link_offsets_s=[0, 3],
        rtt_s=0.2,
    )


def test_measurements_by_hand():
    network = two_nodes()
    start = network.measure(0.0, 60)
    np.testing.assert_array_equal(start.availability, [0.5, 0.25])
    np.testing.assert_array_equal(start.mean_availability, [0.5, 0.25])  # nothing else is known yet
    np.testing.assert_array_equal(start.uplink_bps, [100, 50])
    now = network.measure(15.0, 60)  # the window is cut at 0
    np.testing.assert_array_equal(now.availability, [1, 0.25])
    np.testing.assert_array_equal(now.uplink_bps, [300, 50])
    np.testing.assert_array_equal(now.downlink_bps, [0, 60])
    np.testing.assert_allclose(now.mean_availability, [0.5, 0.25])
    np.testing.assert_allclose(now.mean_uplink_bps, [(1000 + 1500) / 15, 50])
    np.testing.assert_allclose(now.mean_downlink_bps, [10000 / 15, 60])
    np.testing.assert_allclose(network.measure(15.0, 2.0).mean_uplink_bps, [300, 50])


def test_the_windows_behind_by_hand():
    network = two_nodes()
    start = network.measure(0.0, 60)  # nothing but the present is known
    np.testing.assert_array_equal(start.past_uplink_bps, [[100] * 4, [50] * 4])
    np.testing.assert_array_equal(start.past_up, np.ones((2, 4)))
    now = network.measure(22.0, 8)  # windows end at -2 (before the start), 6, 14 and 22
    np.testing.assert_allclose(now.past_uplink_bps, [[100, 100, 200, 250], [50] * 4])
    np.testing.assert_allclose(now.past_downlink_bps, [[1000, 1000, 500, 250], [60] * 4])
    np.testing.assert_allclose(now.past_up, [[1, 1, 0.5, 0.25], [1] * 4])
    np.testing.assert_allclose(now.past_availability, [[0.5, 0.5, 0.5, 0.5 + 0.5 * 5 / 8], [0.25] * 4])
    np.testing.assert_array_equal(now.past_availability[:, -1], now.mean_availability)
    np.testing.assert_array_equal(now.past_uplink_bps[:, -1], now.mean_uplink_bps)


def test_link_and_compute_both_have_to_be_up():
    link = LinkTrace("l", Trace("u", [0], [100]), Trace("d", [0, 5], [1000, 0], 10))
    half = Network([PROFILE], [Trace("a", [0, 4], [1, 0], 8)], [link])
    np.testing.assert_allclose(half.measure(160.0, 40).past_up, [[0.25] * 4])


def test_arrays_are_read_only_and_named():
    network = two_nodes()
    assert (network.compute_names, network.link_names) == (("a", "b"), ("l", "o"))
    np.testing.assert_array_equal(network.rtt_s, [0.07, 0.2])
    measured = network.measure(3.0, 10)
    past = measured.past_uplink_bps, measured.past_up
    for array in (network.peak_flops, network.rtt_s, measured.availability, measured.mean_uplink_bps, *past):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 7


def test_round_trips_and_rates_between_ends():
    network = two_nodes()
    assert network.link_rtt_s(0, 1) == pytest.approx(0.27)
    assert network.link_rtt_s(1, PCE) == 0.2
    assert network.link_rtt_s(PCE, 0) == 0.07
    assert next(network.link_course(0, 1).segments(0.0)) == (10, 60)
    assert next(network.link_course(0, PCE).segments(4.0)) == (6, 100)
    assert next(network.link_course(PCE, 0).segments(4.0)) == (6, 1000)
    assert next(network.compute_course(0).segments(1.0)) == (14, 0.5)


def test_copies_share(config, library):
    network = draw_network(config, library, np.random.default_rng(0))
    assert copy.deepcopy(network) is network
    assert copy.copy(network) is network


@given(st.integers(0, 1000), st.floats(0, 1e5), st.floats(0.1, 1e3))
def test_measurements_agree_with_the_segments(seed, time, window):
    scenario = load_scenario("default").network
    network = draw_network(scenario, load_library(scenario.traces), np.random.default_rng(seed))
    measured = network.measure(time, window)
    for node in range(network.n_nodes):
        assert next(network.compute_course(node).segments(time))[1] == measured.availability[node]
        assert next(network.link_course(node, PCE).segments(time))[1] == measured.uplink_bps[node]
        assert next(network.link_course(PCE, node).segments(time))[1] == measured.downlink_bps[node]
    assert (measured.mean_availability >= 0).all()
    assert (measured.mean_availability <= 1).all()


@pytest.mark.parametrize("time", [1e15, 1e30, 1e300])
def test_measurements_stay_within_the_traces_however_late_it_is(time):
    measured = two_nodes().measure(time, 60)
    assert np.isfinite(measured.mean_uplink_bps).all()
    assert (measured.mean_uplink_bps <= [300, 50]).all()
    assert (measured.mean_downlink_bps <= [1000, 60]).all()
    assert (measured.mean_availability <= 1).all()
    assert ((measured.past_up >= 0) & (measured.past_up <= 1)).all()
    assert set(measured.uplink_bps) <= {100.0, 300.0, 50.0}


def test_constant_networks_broadcast():
    network = constant_network([PROFILE] * 3, 0.5, [1, 2, 3], 7, rtt_s=0.1)
    for time in (0.0, 1e6):
        measured = network.measure(time, 10)
        np.testing.assert_array_equal(measured.availability, [0.5] * 3)
        np.testing.assert_allclose(measured.mean_uplink_bps, [1, 2, 3])
        np.testing.assert_array_equal(measured.downlink_bps, [7] * 3)
    np.testing.assert_array_equal(network.rtt_s, [0.1] * 3)


def test_networks_need_nodes_and_traces(config):
    with pytest.raises(SnakegymError, match="found 0 profiles"):
        Network([], [], [])
    with pytest.raises(SnakegymError, match="found 1 profiles, 0 compute traces and 0 link traces"):
        Network([PROFILE], [], [])
    with pytest.raises(SnakegymError, match="found 0 link and 0 compute traces"):
        draw_network(config, TraceLibrary((), ()), np.random.default_rng(0))
