"""What is known of nodes by what they say, and by what hops took."""

from __future__ import annotations

import numpy as np
import pytest

from snakegym.cluster.monitor import FIRST_RATE_BPS, SILENCE_S, MeasuredNodes
from snakegym.cluster.statements import LEAST_SHARE, Beat, Means, Report
from snakegym.network.records import PCE


def sat() -> MeasuredNodes:
    monitor = MeasuredNodes(3)
    monitor.sit(0, Means("a", 1e9, 5e9))
    monitor.sit(1, Means("b", 2e9, 1e9))
    return monitor


def test_nobody_is_up_who_was_not_heard_of() -> None:
    monitor = sat()
    assert not monitor.measure(0.0, 10.0).up.any()
    monitor.beat(0, 1.0, Beat("x", 0.5))
    assert monitor.measure(1.0, 10.0).up.tolist() == [True, False, False]
    assert monitor.measure(1.0 + SILENCE_S, 10.0).up[0]
    late = monitor.measure(1.1 + SILENCE_S, 10.0)
    assert not late.up.any()
    assert late.availability[0] == 0
    assert (monitor.memory_bytes == [1e9, 2e9, 0]).all()


def test_windows_have_the_means_of_what_was_said_in_them() -> None:
    monitor = sat()
    for second in range(1, 41):
        monitor.beat(0, float(second), Beat("x", 0.25 if second <= 20 else 0.75))
    found = monitor.measure(40.0, 10.0)
    np.testing.assert_allclose(found.past_availability[0], [0.25, 0.25, 0.75, 0.75])
    np.testing.assert_allclose(found.mean_availability[0], 0.75)
    np.testing.assert_allclose(found.past_up[0], [1, 1, 1, 1], atol=0.11)
    assert (found.past_up[1:] == 0).all()
    monitor.beat(0, 60.0, Beat("x", 0.75))
    assert monitor.measure(60.0, 20.0).past_up[0, -1] < 0.5, "it was silent for most of the window"


def test_rates_and_speed_are_measured() -> None:
    monitor = sat()
    for seat in (0, 1):
        monitor.beat(seat, 1.0, Beat("x", 0.5))
    assert (monitor.measure(1.0, 5.0).uplink_bps[:2] == FIRST_RATE_BPS).all()
    monitor.moved(0, 1, 1e6, 2.0)
    monitor.moved(PCE, 0, 1e6, 4.0)
    monitor.moved(0, 1, 10.0, 1e-6)
    found = monitor.measure(1.0, 5.0)
    assert (found.uplink_bps[0], found.downlink_bps[1], found.downlink_bps[0]) == (4e6, 4e6, 2e6)
    monitor.trained(0, 1e9, Report(1, 3, 0.5, None, 0, 0.0, 2.0, 0.0, "x"), 2.0)
    assert monitor.peak_flops.tolist() == [1e9, 1e9, 1.0], "half of it was free"


def test_what_was_free_is_that_of_the_time_asked_for() -> None:
    monitor = MeasuredNodes(1)
    monitor.sit(0, Means("a", 1e9, 1e9))
    assert monitor.free(0, 0.0, 1.0) == 1.0, "nothing was heard of it"
    for at, share in ((1.0, 0.2), (2.0, 0.4), (3.0, 0.6), (4.0, 0.8)):
        monitor.beat(0, at, Beat("x", share))
    assert monitor.free(0, 1.0, 3.0) == pytest.approx(0.5), "after the first, up to the last"
    assert monitor.free(0, 2.1, 2.9) == 0.4, "between two beats"
    assert monitor.free(0, 0.0, 0.5) == 0.2, "before the first"
    assert monitor.free(0, 5.0, 6.0) == 0.8, "after the last"


def test_another_life_shows_and_who_is_banned_stays_away() -> None:
    monitor = sat()
    assert not monitor.beat(0, 1.0, Beat("x", 0.5))
    assert monitor.beat(0, 2.0, Beat("y", 0.0))
    assert monitor.measure(2.0, 5.0).availability[0] == LEAST_SHARE
    monitor.gone(0, 3.0)
    monitor.beat(0, 2.5, Beat("y", 0.5))
    assert not monitor.alive(0, 3.0), "that is from before"
    monitor.beat(0, 3.5, Beat("y", 0.5))
    assert monitor.alive(0, 3.5)
    monitor.ban(0)
    assert not monitor.alive(0, 3.5)
    monitor.sit(2, Means("a", 1.0, 1.0))
    monitor.beat(2, 2.0, Beat("z", 1.0))
    assert not monitor.alive(2, 2.0), "on another seat, too"


@pytest.mark.parametrize("value", [-3.0, 7.0])
def test_shares_are_shares(value: float) -> None:
    monitor = sat()
    monitor.beat(0, 1.0, Beat("x", value))
    assert 0 < monitor.measure(1.0, 5.0).availability[0] <= 1


def test_what_is_long_past_is_forgotten_and_the_rest_stays() -> None:
    monitor, once = sat(), MeasuredNodes(1)
    once.sit(0, Means("a", 1e9, 5e9))
    share = np.random.default_rng(0).uniform(0.1, 1, 20_000)
    for second, free in enumerate(share):
        monitor.beat(0, float(second), Beat("x", free))
        if second >= 19_000:
            once.beat(0, float(second), Beat("x", free))
    one, other = monitor.measure(19_999.0, 200.0), once.measure(19_999.0, 200.0)
    np.testing.assert_allclose(one.past_availability[0], other.past_availability[0])
    assert one.availability[0] == share[-1]
    assert len(monitor._seats[0].past.rows) < 5000
