"""Scores between two references, in one scenario and over several."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from snakegym.training.analysis.averages import average, average_bands
from snakegym.training.analysis.groups import Groups, Runs
from snakegym.training.analysis.intervals import (
    Band,
    Estimate,
    iqm,
    normalised,
    probability_of_improvement,
    profile,
)
from snakegym.training.analysis.scores import Lead, Tally, overall, standing

WORLD = np.random.default_rng(5).normal(size=12)
"""What the episodes have in common."""


def record(total: float) -> Any:
    """An episode of that return; the higher it is, the more it cost."""
    return {"total_reward": total, "test_accuracy": 0.5, "time_s": total, "energy_j": total, "n_bytes": total}


def groups(**returns: ArrayLike) -> Groups:
    """Schedulers with these returns, [episodes] or [training seeds, episodes]."""
    return {
        label.replace("_", " "): Runs(
            [[record(x) for x in row] for row in np.atleast_2d(values)],
            np.ndim(values) == 2,
        )
        for label, values in returns.items()
    }


class TestOneScenario:
    """0 is one reference, 1 the other, and what lies between them a share."""

    @pytest.mark.parametrize("episodes", [12, 4])
    def test_the_references_are_0_and_1_for_certain(self, episodes: int) -> None:
        zero, one = WORLD[:episodes], WORLD[:episodes] + 2 + 0.1 * WORLD[:episodes] ** 2
        for values, expected in ((zero, 0.0), (one, 1.0)):
            score = normalised(values, zero, one)
            assert score is not None
            assert (score.value, score.low, score.high) == (expected, expected, expected)

    @pytest.mark.parametrize("episodes", [12, 4])
    def test_known_scores(self, episodes: int) -> None:
        zero = WORLD[:episodes]
        for share in (-0.5, 0.25, 1.5):
            score = normalised(zero + 4 * share, zero, zero + 4)
            assert score is not None
            assert score.value == pytest.approx(share)
            assert (score.low, score.high) == (pytest.approx(share), pytest.approx(share))
        one_more = np.arange(episodes, dtype=float)
        score = normalised(zero + one_more, zero, zero + 4)
        assert score is not None
        assert score.value == pytest.approx(float(iqm(one_more)) / 4)
        assert score.kind == ("bootstrap" if episodes >= 8 else "t")

    def test_no_scale_no_scores(self) -> None:
        noise = np.random.default_rng(1).normal(size=12)
        assert normalised(WORLD, WORLD, WORLD + noise) is None, "the references are not told apart"
        assert normalised(WORLD, WORLD, WORLD - 1) is None, "the upper one is below"
        assert normalised(WORLD, WORLD, WORLD) is None
        found = standing(groups(a=WORLD, b=WORLD + noise, c=WORLD + 3), "a", "b")
        assert (found.scores, found.episodes) == ({}, {})
        assert found.leads["total_reward"].best == "c"

    def test_a_badly_known_scale_widens_the_interval(self) -> None:
        rough = np.random.default_rng(2).normal(2, 1.5, 12)
        sharp, blurred = (normalised(WORLD + 1, WORLD, WORLD + gap) for gap in (2.0, rough))
        assert sharp is not None
        assert blurred is not None
        assert sharp.high == pytest.approx(sharp.low)
        assert blurred.high - blurred.low > 0.2  # type: ignore[operator]

    @settings(max_examples=25, deadline=None)
    @given(
        shift=st.floats(-5, 5),
        scale=st.floats(0.1, 10),
        seed=st.integers(0, 99),
        episodes=st.sampled_from([3, 9]),
        seeds=st.sampled_from([1, 2]),
    )
    def test_the_unit_of_returns_does_not_matter(
        self, shift: float, scale: float, seed: int, episodes: int, seeds: int
    ) -> None:
        rng = np.random.default_rng(seed)
        zero = rng.normal(size=episodes)
        one, own = zero + rng.uniform(1, 2, episodes), rng.normal(size=(seeds, episodes))
        before = normalised(own, zero, one)
        after = normalised(shift + scale * own, shift + scale * zero, shift + scale * one)
        assert (before is None) == (after is None)
        if before is not None and after is not None:
            for a, b in ((before.value, after.value), (before.low, after.low), (before.high, after.high)):
                assert a == pytest.approx(b, abs=1e-6)

    def test_intervals_hold_the_true_score(self) -> None:
        rng, held = np.random.default_rng(3), 0
        for _ in range(200):
            world = rng.normal(size=10)
            own, one = world + rng.normal(0.5, 0.3, 10), world + rng.normal(1, 0.3, 10)
            score = normalised(own, world, one)
            assert score is not None
            assert score.low is not None
            assert score.high is not None
            held += score.low <= 0.5 <= score.high
        assert held >= 180

    def test_who_is_told_apart(self) -> None:
        noise = np.random.default_rng(4).normal(size=12)
        found = standing(groups(zero=WORLD, near=WORLD + 0.1 * noise, one=WORLD + 2), "zero", "one")
        assert found.even("zero") == ["near"]
        assert found.even("one") == []
        assert found.leads["total_reward"].best == "one"
        few = standing(groups(zero=WORLD[:5], near=WORLD[:5], one=WORLD[:5] + 2), "zero", "one")
        assert few.even("one") == ["zero", "near"], "five values tell nothing apart"

    def test_costs_are_better_the_smaller_they_are(self) -> None:
        noise = 0.1 * np.random.default_rng(6).normal(size=12)
        found = standing(groups(zero=WORLD, near=WORLD + noise, one=WORLD + 2), "zero", "one").leads
        assert found["total_reward"] == Lead("one", [])
        assert sorted([found["time_s"].best, *found["time_s"].even]) == ["near", "zero"]
        assert sorted([found["test_accuracy"].best, *found["test_accuracy"].even]) == ["near", "one", "zero"]

    def test_the_best_score_and_the_best_return_may_be_others(self) -> None:
        zero = np.arange(12) * 10.0
        often = zero + 1  # more than zero in every episode
        rarely = zero + 8 * (zero == 60)  # more return in the middle half, in a single episode
        rarely[[4, 5, 7]] += 0.9
        found = standing(groups(zero=zero, often=often, rarely=rarely), "zero", "often")
        assert found.leads["score"].best == "often"
        assert max(found.scores, key=lambda label: found.scores[label].value) == "often"
        assert found.leads["total_reward"].best == "rarely"

    def test_the_best_knows_no_future(self) -> None:
        found = standing(groups(zero=WORLD, mine=WORLD + 1, **{"seer_†": WORLD + 2}), "zero", "seer †")
        assert found.leads["total_reward"] == Lead("mine", [])


class TestSeveralScenarios:
    """Each counts alike."""

    def test_scores_are_averaged(self) -> None:
        one = standing(groups(zero=WORLD, mine=WORLD + 1, one=WORLD + 4), "zero", "one")
        other = standing(groups(zero=WORLD, mine=WORLD + 9, one=WORLD + 10), "zero", "one")
        found = overall([one, other], ["zero", "mine", "one"])
        assert found.scores["mine"].value == pytest.approx((0.25 + 0.9) / 2)
        assert found.scores["zero"].value == 0
        assert found.scores["one"].value == 1
        assert found.tallies["mine"]["zero"] == Tally(2, 0, 0)
        assert found.tallies["mine"]["one"] == Tally(0, 0, 2)
        assert found.improvement["mine"]["one"].value == 0

    def test_who_did_not_play_everywhere_has_no_score_over_all(self) -> None:
        one = standing(groups(zero=WORLD, mine=WORLD + 1, one=WORLD + 4), "zero", "one")
        other = standing(groups(zero=WORLD, one=WORLD + 10), "zero", "one")
        found = overall([one, other], ["zero", "mine", "one"])
        assert set(found.scores) == set(found.profiles) == {"zero", "one"}
        assert found.tallies["mine"]["zero"] == Tally(1, 0, 0)

    def test_a_scenario_without_a_scale_counts_in_no_score(self) -> None:
        one = standing(groups(zero=WORLD, mine=WORLD + 1, one=WORLD + 4), "zero", "one")
        other = standing(groups(zero=WORLD, mine=WORLD - 1, one=WORLD), "zero", "one")
        found = overall([one, other], ["zero", "mine", "one"])
        assert found.scores["mine"].value == pytest.approx(0.25)
        assert found.tallies["mine"]["zero"] == Tally(1, 0, 1)
        assert overall([other], ["zero", "mine", "one"]).scores == {}

    def test_known_profiles(self) -> None:
        steps = np.arange(12) / 6 - 1  # -1 … 0.83: ten of twelve are above -0.8
        found = overall(
            [standing(groups(zero=WORLD, mine=WORLD + steps, one=WORLD + 1), "zero", "one")], ["mine"]
        )
        shares = dict(zip(np.round(found.thresholds, 6), found.profiles["mine"].value, strict=True))
        for threshold, share in shares.items():
            assert share == np.mean(steps >= threshold - 1e-12), threshold
        assert min(shares.values()) == 0
        assert max(shares.values()) > 0.9


def test_known_probabilities_of_improvement() -> None:
    assert probability_of_improvement([1, 2, 3, 4], [0, 3, 3, 5]).value == 1.5 / 4, "ties count half"
    both = [[1, 2], [3, 4]], [[2, 2], [0, 9]]  # seeds; every one meets every other one of the same episode
    expected = np.mean([(0 + 1 + 1 + 1) / 4, (0.5 + 0 + 1 + 0) / 4])
    assert probability_of_improvement(*both).value == expected


def test_known_averages_of_independent_estimates() -> None:
    two = [Estimate(1.0, 0.0, 3.0, "bootstrap", 20), Estimate(3.0, 2.0, 5.0, "bootstrap", 9)]
    found = average(two)
    assert (found.value, found.kind, found.units) == (2.0, "bootstrap", 9)
    assert (found.low, found.high) == (pytest.approx(2 - 2**0.5 / 2), pytest.approx(2 + 8**0.5 / 2))
    assert average(two[:1]) == two[0]
    assert average([*two, Estimate(5.0)]) == Estimate(3.0, units=1)
    assert average([two[0], Estimate(1.0, 0.0, 2.0, "t", 3)]).kind == "t"


def test_known_averages_of_curves() -> None:
    points = np.array([0.0, 2.0])
    one, other = profile([1, 2, 3, 4], points), profile([0, 0, 0, 4], points)
    found = average_bands([one, other])
    assert found.value.tolist() == [1.0, (0.75 + 0.25) / 2]
    assert found.low is not None
    assert one.low is not None
    assert found.low[1] > one.low[1] - 0.5, "narrower than either"
    assert average_bands([one, Band(points, None, None)]).low is None
