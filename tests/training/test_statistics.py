import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snakegym.training.analysis.statistics import (
    Estimate,
    estimate,
    front,
    iqm,
    paired_difference,
    probability_of_improvement,
    profile,
    share,
    spread,
)

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
@example([-924205.5767570201] * 3)
def test_estimates_repeat_and_stay_within_the_values(values: list[float]) -> None:
    e = estimate(values)
    assert e == estimate(values)
    assert min(values) <= e.value <= max(values)
    if e.low is not None and e.high is not None:
        assert min(values) <= e.low <= e.high <= max(values)


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


class TestTrainingSeeds:
    """Tables [training seeds, episodes]."""

    def test_a_single_seed_is_as_without(self) -> None:
        values = np.random.default_rng(0).normal(size=9)
        assert estimate(values[None]) == estimate(values)

    def test_differences_between_seeds_widen_the_interval(self) -> None:
        episodes = np.random.default_rng(0).normal(0, 0.1, size=10)
        seeds = np.array([-1.0, 0, 1])[:, None]
        alone, together = estimate(np.tile(episodes, (3, 1))), estimate(seeds + episodes)
        assert _width(together) > 3 * _width(alone)

    def test_identical_seeds_say_no_more_than_one(self) -> None:
        episodes = np.random.default_rng(0).normal(size=(1, 12))
        assert _width(estimate(np.repeat(episodes, 4, axis=0))) == pytest.approx(
            _width(estimate(episodes)), rel=0.1
        )

    def test_the_baselines_seeds_are_averaged(self) -> None:
        baseline = np.array([[1.0, 2, 3], [3, 4, 5]])
        e = paired_difference(baseline.mean(axis=0), baseline)
        assert e.value == pytest.approx(0)
        assert not e.excludes_zero


class TestProbabilityOfImprovement:
    def test_it_is_the_share_of_won_episodes_and_ties_count_half(self) -> None:
        assert probability_of_improvement([1, 2, 3, 4], [0, 2, 4, 3]).value == pytest.approx(2.5 / 4)
        assert probability_of_improvement([1, 1], [1, 1]) == Estimate(0.5, 0.5, 0.5)
        assert probability_of_improvement([1, 2], [0, 0]) == Estimate(1, 1, 1)

    def test_it_is_that_of_the_pairs_of_seeds(self) -> None:
        rng = np.random.default_rng(0)
        own, other = rng.integers(0, 4, size=(3, 6)), rng.integers(0, 4, size=(2, 6))
        pairs = [(np.sign(x - y) + 1) / 2 for x in own for y in other]
        assert probability_of_improvement(own, other).value == pytest.approx(np.mean(pairs))

    def test_both_directions_add_up(self) -> None:
        rng = np.random.default_rng(0)
        own, other = rng.normal(size=(2, 8)), rng.normal(size=(1, 8))
        there, back = probability_of_improvement(own, other), probability_of_improvement(other, own)
        assert there.value + back.value == pytest.approx(1)


class TestProfile:
    def test_it_is_the_share_that_reaches_the_threshold(self) -> None:
        band = profile([[1.0, 2], [3, 4]], [0, 2, 3.5, 5])
        assert band.value.tolist() == [1, 0.75, 0.25, 0]

    @given(st.lists(finite, min_size=2, max_size=8), st.lists(finite, min_size=1, max_size=6))
    @settings(max_examples=20, deadline=None)
    def test_it_falls_and_lies_in_its_band(self, values: list[float], thresholds: list[float]) -> None:
        band = profile(values, sorted(thresholds))
        assert band.low is not None
        assert band.high is not None
        assert (np.diff(band.value) <= 0).all()
        assert (band.low <= band.value + 1e-12).all()
        assert (band.value <= band.high + 1e-12).all()

    def test_what_never_happened_is_never_reached(self) -> None:
        assert share([-np.inf, -10.0], -1e9).value == 0.5
        assert share([1.0], 0).low is None


class TestFront:
    def test_dominated_points_are_left_out_and_equals_kept(self) -> None:
        assert front([1, 2, 3, 2], [1, 2, 1, 2]).tolist() == [True, True, False, True]

    @given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
    def test_there_is_always_one_and_the_rest_is_dominated_by_it(self, points: list[tuple[int, int]]) -> None:
        best = front(*zip(*points, strict=True))
        chosen = [p for p, on in zip(points, best, strict=True) if on]
        assert chosen
        for cost, value in points:
            assert any(c <= cost and v >= value for c, v in chosen)


def _width(e: Estimate) -> float:
    assert e.low is not None
    assert e.high is not None
    return e.high - e.low
