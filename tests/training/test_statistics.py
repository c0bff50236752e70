import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.statistics import estimate, iqm, paired_difference, spread

finite = st.floats(-1e6, 1e6)


def test_interquartile_mean_drops_a_quarter_at_each_end() -> None:
    assert iqm(np.array([1000.0, 2, 3, -1000])) == 2.5
    assert iqm(np.arange(8.0)) == pytest.approx(3.5)
    assert iqm(np.array([7.0])) == 7


def test_interval_agrees_with_the_normal_one_for_many_values() -> None:
    values = np.random.default_rng(1).normal(10, 2, size=400)
    e = estimate(values.tolist())
    # The interquartile mean of a normal sample has about 1.1 times the standard error of the mean.
    expected = 1.96 * 1.1 * 2 / 400**0.5
    assert e.low is not None
    assert e.high is not None
    assert (e.high - e.low) / 2 == pytest.approx(expected, rel=0.25)
    assert e.low < e.value < e.high


def test_one_episode_has_no_interval_and_equal_ones_have_an_empty_one() -> None:
    assert estimate([3.0]).low is None
    e = estimate([2.0] * 5)
    assert (e.value, e.low, e.high) == (2, 2, 2)


@given(st.lists(finite, min_size=1, max_size=12))
def test_estimates_repeat_and_stay_within_the_values(values: list[float]) -> None:
    e = estimate(values)
    assert e == estimate(values)
    slack = 1e-9 * max(map(abs, values))
    assert min(values) - slack <= e.value <= max(values) + slack
    if e.low is not None and e.high is not None:
        assert min(values) - slack <= e.low <= e.high <= max(values) + slack


def test_nothing_and_nan_are_refused() -> None:
    for values in ([], [1.0, float("nan")]):
        with pytest.raises(ValueError, match="finite"):
            estimate(values)


def test_pairing_removes_what_the_episodes_share() -> None:
    base = np.random.default_rng(0).normal(0, 100, size=10)
    e = paired_difference((base + 1).tolist(), base.tolist())
    assert e.value == pytest.approx(1)
    assert e.excludes_zero
    assert not paired_difference(base.tolist(), base.tolist()).excludes_zero


def test_spread_tells_groups_from_noise() -> None:
    rng = np.random.default_rng(0)
    groups, noise = rng.normal(0, 3, size=(4000, 1)), rng.normal(0, 1, size=(4000, 5))
    both = spread(groups + noise)
    assert both.between == pytest.approx(3, rel=0.1)
    assert both.within == pytest.approx(1, rel=0.1)
    assert both.share_between == pytest.approx(0.9, abs=0.02)
    assert spread(noise).share_between < 0.01
    assert spread(np.zeros((2, 2))).share_between == 0
