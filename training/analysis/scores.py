"""Scores: returns between two references, in a scenario and over several; who is told apart from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from snakegym.training.analysis.averages import average, average_bands
from snakegym.training.analysis.groups import MARK, Groups, table
from snakegym.training.analysis.intervals import (
    Band,
    Estimate,
    estimate,
    iqm,
    normalised,
    paired_difference,
    probability_of_improvement,
    profile,
)
from snakegym.training.analysis.spread import Floats
from snakegym.training.analysis.summary import against, every_pair

MEASURE = "total_reward"
RANKED = {MEASURE: 1, "test_accuracy": 1, "time_s": -1, "energy_j": -1, "n_bytes": -1}
"""Measures by which there is a best scheduler: 1 where more is better, -1 where less is."""
Pairs = Mapping[str, Mapping[str, Estimate]]
"""Row, column."""


@dataclass(frozen=True)
class Lead:
    """Who is best in a measure, of those who know only what a scheduler can know."""

    best: str
    even: Sequence[str]
    """Those that are not told apart from the best."""


@dataclass(frozen=True)
class Standing:
    """What a scenario says about its schedulers' returns."""

    gap: Estimate
    """By how much the upper reference returns more than the lower one."""
    scores: Mapping[str, Estimate]
    """0 and 1 are the references' returns; nothing where the upper is not clearly above the lower one."""
    episodes: Mapping[str, Floats]
    """The same of every episode, [training seeds, episodes]."""
    difference: Pairs
    """Of returns, episode by episode: the row's minus the column's."""
    improvement: Pairs
    """Probability that the row returns more than the column."""
    leads: Mapping[str, Lead]
    """Of every measure of RANKED, and of the score."""

    def even(self, label: str) -> list[str]:
        """Those that a scheduler is not told apart from."""
        return [other for other, e in self.difference[label].items() if not e.is_clear]


@dataclass(frozen=True)
class Tally:
    """In how many scenarios a scheduler is clearly better than another, not told apart, clearly worse."""

    better: int
    even: int
    worse: int


@dataclass(frozen=True)
class Overall:
    """What several scenarios say together, each counting alike."""

    scores: Mapping[str, Estimate]
    """Mean over the scenarios that have scores, of those who played in all of these."""
    profiles: Mapping[str, Band]
    """Share of episodes that reach each of `thresholds`, of the same."""
    thresholds: Floats
    improvement: Pairs
    """Mean over the scenarios in which both played."""
    tallies: Mapping[str, Mapping[str, Tally]]
    """Row, column: in the scenarios in which both played."""


def standing(groups: Groups, zero: str, one: str) -> Standing:
    """Scores and pairs of a scenario.

    Args:
        groups: of every scheduler its episodes.
        zero: label of the reference whose return is 0.
        one: of the one whose return is 1.
    """
    returns = {label: table(runs, MEASURE) for label, runs in groups.items()}
    lower, upper = returns[zero], returns[one]
    gap = paired_difference(upper, lower, trained=groups[one].trained, baseline_trained=groups[zero].trained)
    scores = {
        label: score
        for label, runs in groups.items()
        if (score := normalised(returns[label], lower, upper, trained=runs.trained))
    }
    scale = estimate(upper.mean(axis=0) - lower.mean(axis=0)).value
    return Standing(
        gap,
        scores,
        {label: (returns[label] - lower.mean(axis=0)) / scale for label in scores},
        every_pair(groups, paired_difference),
        every_pair(groups, probability_of_improvement),
        {
            "score": _lead(groups, MEASURE, 1, lower.mean(axis=0)),
            **{measure: _lead(groups, measure, sign) for measure, sign in RANKED.items()},
        },
    )


def _lead(groups: Groups, measure: str, sign: int, zero: Floats | float = 0.0) -> Lead:
    """The best by the interquartile mean of what is above `zero` [episodes]."""
    free = [label for label in groups if not label.endswith(MARK)] or list(groups)
    best = max(free, key=lambda label: sign * float(iqm((table(groups[label], measure) - zero).ravel())))
    others = against(groups, best, paired_difference, (measure,))
    return Lead(best, [label for label, found in others.items() if not found[measure].is_clear])


def overall(standings: Sequence[Standing], labels: Sequence[str], points: int = 240) -> Overall:
    """What the scenarios say together about these schedulers."""
    scored = [s for s in standings if s.scores]
    everywhere = [label for label in labels if scored and all(label in s.scores for s in scored)]
    thresholds = _thresholds([s.episodes[label] for s in scored for label in everywhere], points)
    pairs = [(row, column) for row in labels for column in labels if row != column]
    improvement: dict[str, dict[str, Estimate]] = {label: {} for label in labels}
    tallies: dict[str, dict[str, Tally]] = {label: {} for label in labels}
    for row, column in pairs:
        both = [s for s in standings if row in s.difference and column in s.difference[row]]
        if both:
            improvement[row][column] = average([s.improvement[row][column] for s in both])
            tallies[row][column] = _tally([s.difference[row][column] for s in both])
    return Overall(
        {label: average([s.scores[label] for s in scored]) for label in everywhere},
        {
            label: average_bands([profile(s.episodes[label], thresholds) for s in scored])
            for label in everywhere
        },
        thresholds,
        improvement,
        tallies,
    )


def _tally(differences: Sequence[Estimate]) -> Tally:
    better = sum(e.is_clear and e.value > 0 for e in differences)
    worse = sum(e.is_clear and e.value < 0 for e in differences)
    return Tally(better, len(differences) - better - worse, worse)


def _thresholds(scores: Sequence[Floats], points: int) -> Floats:
    """From where hardly any episode lies below to the highest."""
    if not scores:
        return np.linspace(0, 1, points)
    flat = np.concatenate([s.ravel() for s in scores])
    low, high = float(np.quantile(flat, 0.01)), float(flat.max())
    return np.linspace(min(low, 0.0), max(high, 1.0) + 0.02, points)
