"""What intervals claim; how often they hold is in test_calibration."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from snakegym.training.analysis.intervals import (
    ENOUGH,
    Estimate,
    describe,
    estimate,
    iqm,
    mean,
    mean_and_half,
    paired_difference,
    probability_of_improvement,
    profile,
    ratio_of_means,
    share,
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
@example([-924205.5767570201] * 9)
@example([0.0] * 6 + [-794102.2149304351] * 3)
def test_estimates_repeat_and_stay_within_the_values(values: list[float]) -> None:
    e = estimate(values)
    assert e == estimate(values)
    assert min(values) <= e.value <= max(values)
    if e.low is not None and e.high is not None:
        assert e.low <= e.high
        if e.kind == "bootstrap":
            assert min(values) <= e.low <= e.high <= max(values)
        else:
            assert e.low <= e.value <= e.high


@given(st.lists(finite, min_size=1, max_size=12))
def test_the_kind_says_how_much_there_was(values: list[float]) -> None:
    kind = None if len(values) == 1 else "t" if len(values) < ENOUGH else "bootstrap"
    e = estimate(values)
    assert (e.kind, e.units, e.low is None) == (kind, len(values), kind is None)


def test_few_values_are_never_a_clear_difference() -> None:
    for n in range(1, 12):
        e = paired_difference([10.0 + 0.01 * i for i in range(n)], [0.0] * n)
        assert e.excludes_zero == (n > 1)
        assert e.is_clear == (n >= ENOUGH)


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

    @pytest.mark.parametrize(("seeds", "episodes"), [(4, 6), (12, 12)])
    def test_identical_seeds_say_no_more_than_one(self, seeds: int, episodes: int) -> None:
        values = np.random.default_rng(0).normal(size=(1, episodes))
        alone, together = estimate(values), estimate(np.repeat(values, seeds, axis=0))
        assert _width(together) == pytest.approx(_width(alone), rel=0.1)
        assert together.kind == alone.kind

    def test_few_seeds_are_few_values_however_many_episodes_they_play(self) -> None:
        rng = np.random.default_rng(0)
        values, rule = rng.normal(5, 0.1, size=(3, 50)), rng.normal(0, 0.1, size=(1, 50))
        for e in (
            estimate(values),
            paired_difference(values, rule),
            paired_difference(rule, values),
            probability_of_improvement(values, rule),
        ):
            assert (e.units, e.kind == "bootstrap", e.is_clear) == (3, False, False)
        assert estimate(rng.normal(size=(8, 50))).kind == "bootstrap"

    def test_one_seed_is_one_value_though_there_is_an_interval_over_episodes(self) -> None:
        episodes = np.random.default_rng(0).normal(5, 0.1, size=20)
        rule, policy = estimate(episodes), estimate(episodes, trained=True)
        assert (rule.low, rule.high) == (policy.low, policy.high)
        assert (rule.units, policy.units) == (20, 1)
        nothing = np.zeros(20)
        assert paired_difference(episodes, nothing).is_clear
        assert not paired_difference(episodes, nothing, trained=True).is_clear
        assert not paired_difference(nothing, episodes, baseline_trained=True).is_clear
        assert share(episodes, 0, trained=True).units == 1

    def test_three_seeds_on_one_episode_are_three_seeds(self) -> None:
        values = np.array([1.0, 2.0, 4.0])
        one_each = estimate(values[:, None])
        assert (one_each.low, one_each.high) == (estimate(values).low, estimate(values).high)

    def test_the_baselines_seeds_are_averaged(self) -> None:
        baseline = np.array([[1.0, 2, 3], [3, 4, 5]])
        e = paired_difference(baseline.mean(axis=0), baseline)
        assert e.value == pytest.approx(0)
        assert not e.excludes_zero


class TestProbabilityOfImprovement:
    def test_it_is_the_share_of_won_episodes_and_ties_count_half(self) -> None:
        assert probability_of_improvement([1, 2, 3, 4], [0, 2, 4, 3]).value == pytest.approx(2.5 / 4)
        assert probability_of_improvement([1, 1], [1, 1]).value == 0.5
        assert probability_of_improvement([1], [1]) == Estimate(0.5)

    def test_two_wins_of_two_prove_little(self) -> None:
        e = probability_of_improvement([1, 2], [0, 0])
        assert (e.value, e.high, e.kind) == (1, 1, "binomial")
        assert e.low == pytest.approx(0.025**0.5)  # Clopper and Pearson, two of two

    def test_agreeing_seeds_count_by_themselves(self) -> None:
        won = probability_of_improvement(np.ones((3, 100)), np.zeros(100))
        assert won.low == pytest.approx(0.025 ** (1 / 3))

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


class TestMeans:
    def test_a_mean_has_students_interval_at_any_size(self) -> None:
        values = [1.0, 2.0, 4.0]
        e = mean(values)
        assert (e.value, e.kind) == (pytest.approx(7 / 3), "t")
        # Standard deviation 1.5275 over the root of 3, times the 97.5 % quantile at 2 degrees of freedom.
        assert _width(e) / 2 == pytest.approx(4.3027 * 1.5275 / 3**0.5, rel=1e-4)
        assert mean(np.arange(100.0)).kind == "t"

    def test_pages_print_it_with_half_its_width(self) -> None:
        assert mean_and_half([0.01, 0.02, 0.04], 100) == "2.3 ± 3.8"
        assert mean_and_half([0.5], digits=2, sign="+") == "+0.50"

    def test_a_ratio_of_pairs_has_no_spread_where_they_agree(self) -> None:
        normal = np.linspace(0.8, 0.95, 10)
        same = ratio_of_means(normal * 0.9, normal)
        assert (same.value, same.low, same.high) == pytest.approx((0.9, 0.9, 0.9))
        noisy = ratio_of_means(normal * (0.9 + 0.05 * np.array([1, -1] * 5)), normal)
        assert noisy.low is not None
        assert noisy.high is not None
        assert noisy.low < noisy.value < noisy.high
        assert noisy.high - noisy.low < 0.1
        assert ratio_of_means([2.0], [4.0]) == Estimate(0.5)


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ((1,), "no interval: one value each"),
        ((3,), "95 % interval by Student's t (t: fewer than 8 episodes or training seeds)"),
        ((9, 1), "95 % percentile-bootstrap interval"),
        ((9, 3), "95 % percentile-bootstrap interval; those marked t by Student's t (fewer than 8 episodes"),
    ],
)
def test_captions_name_what_there_is(sizes: tuple[int, ...], said: str) -> None:
    assert describe(estimate(np.arange(float(n))) for n in sizes).startswith(said)


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


def _width(e: Estimate) -> float:
    assert e.low is not None
    assert e.high is not None
    return e.high - e.low
