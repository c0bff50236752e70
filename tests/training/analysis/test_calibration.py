"""How often the intervals hold the true value, simulated: what 95 % means at small numbers.

Coverage may fall short of 95 % by 2 points for normal and 5 points for skewed values, beside the noise of the
simulation (twice its standard error). Too often is allowed: few training seeds are treated with caution.
"""

from functools import cache

import numpy as np
import pytest
from scipy import stats

from snakegym.training.analysis import intervals, spread
from snakegym.training.analysis.intervals import (
    ENOUGH,
    LEVEL,
    Estimate,
    Floats,
    estimate,
    mean,
    paired_difference,
    probability_of_improvement,
    ratio_of_means,
    share,
)

RNG = np.random.default_rng
SHORT = {"normal": 0.02, "exponential": 0.05, "lognormal": 0.05}
"""By how much coverage may fall short."""
TRIALS, BOOTSTRAPS = 400, 150


def draw(kind: str, rng: np.random.Generator, size: tuple[int, ...]) -> Floats:
    """Values of standard deviation 1 and mean 0."""
    if kind == "normal":
        return rng.normal(size=size)
    if kind == "exponential":
        return rng.exponential(size=size) - 1
    return (rng.lognormal(size=size) - np.exp(0.5)) / np.sqrt((np.e - 1) * np.e)


def coverage(estimates: list[Estimate], truth: float) -> float:
    held = [e.low <= truth <= e.high for e in estimates if e.low is not None and e.high is not None]
    assert len(held) == len(estimates)
    return float(np.mean(held))


def least(short: float, trials: int = TRIALS) -> float:
    return LEVEL - short - 2 * (LEVEL * (1 - LEVEL) / trials) ** 0.5


def middle(values: Floats) -> float:
    return float(intervals.iqm(values.ravel()))


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage does not depend on them beyond this many; time does."""
    monkeypatch.setattr(spread, "RESAMPLES", 1000)


@pytest.mark.parametrize("kind", SHORT)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 7, 8, 20])
def test_episodes_of_one_scheduler(kind: str, n: int) -> None:
    rng, trials = RNG(n), TRIALS if n < ENOUGH else BOOTSTRAPS
    found = [estimate(draw(kind, rng, (n,))) for _ in range(trials)]
    assert {e.kind for e in found} == {"t" if n < ENOUGH else "bootstrap"}
    assert coverage(found, true_middle(kind, (1.0, 0.0, 0.0))) >= least(SHORT[kind], trials)


SPREADS = [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (3.0, 1.0, 1.0), (1.0, 0.0, 0.1)]
"""Standard deviation between training seeds, between episodes, and of what is left."""


def crossed(
    kind: str, rng: np.random.Generator, seeds: int, episodes: int, spread: tuple[float, float, float]
) -> Floats:
    """A table [seeds, episodes]."""
    of_seed, of_episode, left = spread
    return (
        of_seed * draw(kind, rng, (seeds, 1))
        + of_episode * draw(kind, rng, (1, episodes))
        + left * draw(kind, rng, (seeds, episodes))
    )


@cache
def true_middle(kind: str, spread: tuple[float, float, float]) -> float:
    rng = RNG(0)
    return middle(np.sum([s * draw(kind, rng, (300_000,)) for s in spread], axis=0))


@pytest.mark.parametrize("kind", ["normal", "exponential"])
@pytest.mark.parametrize(("seeds", "episodes"), [(2, 20), (3, 5), (8, 12)])
@pytest.mark.parametrize("spread", SPREADS)
def test_training_seeds_crossed_with_episodes(
    kind: str, seeds: int, episodes: int, spread: tuple[float, float, float]
) -> None:
    rng = RNG(seeds * episodes)
    trials = TRIALS if min(seeds, episodes) < ENOUGH else BOOTSTRAPS
    found = [estimate(crossed(kind, rng, seeds, episodes, spread), trained=True) for _ in range(trials)]
    assert coverage(found, true_middle(kind, spread)) >= least(SHORT[kind], trials)


@pytest.mark.parametrize("kind", ["normal", "exponential"])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_trained_scheduler_against_a_rule(kind: str, seeds: int) -> None:
    """What the episodes share, three times the rest, cancels; that seeds differ remains."""
    rng, found = RNG(seeds), []
    for _ in range(TRIALS):
        common = 3 * draw(kind, rng, (1, 20))
        rule = common + draw("normal", rng, (1, 20))
        found.append(paired_difference(common + crossed(kind, rng, seeds, 20, (1, 0, 1)), rule, trained=True))
    left = [draw(k, RNG(i), (300_000,)) for i, k in enumerate((kind, kind, "normal"))]
    assert coverage(found, middle(np.sum(left, axis=0))) >= least(SHORT[kind])
    assert not any(e.is_clear for e in found)


def test_two_trained_schedulers() -> None:
    rng = RNG(0)
    spread = (1.0, 1.0, 1.0)
    found = [
        paired_difference(
            crossed("normal", rng, 3, 20, spread),
            crossed("normal", rng, 2, 20, spread),
            trained=True,
            baseline_trained=True,
        )
        for _ in range(TRIALS)
    ]
    assert coverage(found, 0) >= least(SHORT["normal"])


@pytest.mark.parametrize("n", [2, 4, 7, 8, 20])
def test_stars_by_chance_are_rare(n: int) -> None:
    rng = RNG(n)
    trials = TRIALS if n < ENOUGH else BOOTSTRAPS
    stars = [paired_difference(rng.normal(size=n), rng.normal(size=n)).is_clear for _ in range(trials)]
    assert np.mean(stars) <= (0 if n < ENOUGH else 1 - least(0, trials))


@pytest.mark.parametrize("n", [2, 5, 8, 20])
@pytest.mark.parametrize("chance", [0.1, 0.5, 0.95])
def test_shares_and_probabilities_of_improvement(n: int, chance: float) -> None:
    rng = RNG(n)
    won = [(rng.random(n) < chance).astype(float) for _ in range(TRIALS)]
    assert coverage([share(w, 0.5) for w in won], chance) >= least(0)
    assert coverage([probability_of_improvement(w, np.full(n, 0.5)) for w in won], chance) >= least(0)


@pytest.mark.parametrize(("seeds", "episodes"), [(2, 20), (3, 20), (5, 20), (8, 8)])
@pytest.mark.parametrize("spread", SPREADS)
def test_probabilities_of_improvement_of_trained_schedulers(
    seeds: int, episodes: int, spread: tuple[float, float, float]
) -> None:
    rng = RNG(seeds)
    threshold = 0.7 * float(np.hypot.reduce(spread))
    truth = float(stats.norm.sf(0.7))
    found = [
        probability_of_improvement(
            crossed("normal", rng, seeds, episodes, spread), np.full(episodes, threshold), trained=True
        )
        for _ in range(TRIALS)
    ]
    assert coverage(found, truth) >= least(SHORT["exponential"])


@pytest.mark.parametrize("n", [2, 3, 5, 10])
def test_means_and_ratios_of_normal_values(n: int) -> None:
    rng = RNG(n)
    assert coverage([mean(rng.normal(size=n)) for _ in range(TRIALS)], 0) >= least(SHORT["normal"])
    found = []
    for _ in range(TRIALS):
        seed = rng.normal(size=n)
        normal = 0.9 + 0.02 * seed
        found.append(ratio_of_means(0.88 + 0.02 * seed + 0.01 * rng.normal(size=n), normal))
    assert coverage(found, 0.88 / 0.9) >= least(SHORT["normal"])
