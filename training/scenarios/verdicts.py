"""What the measurements say of a scenario: one question, one answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from snakegym.scenario import Scenario, score_name
from snakegym.training.analysis.intervals import LEVEL, estimate
from snakegym.training.analysis.variance import Shares
from snakegym.training.episodes.play import EpisodeRecord

REACHES = 0.8
"""Of the accuracy of central training: what round robin should see at the end of its budget."""
DIFFERENCE = 0.05
"""Accuracy by which the best and the worst rule should differ, beyond their intervals."""
NOISE = 0.1
"""Share of the variance of a hop's reward that may lie between repetitions."""
LAYERS_MATTER = 0.3
"""Share that that should come from the layer, and from which node trains which."""
FACTOR = 2.0
"""How far a nominal cost may be off."""


@dataclass(frozen=True)
class Verdict:
    """One question with its measured answer."""

    good: bool
    text: str
    required: bool = True
    """Whether a scenario that fails here fails as a whole."""


def verdicts(
    scenario: Scenario, records: dict[str, list[EpisodeRecord]], parts: Shares, central: float
) -> list[Verdict]:
    """What the measurements say.

    All are required but that the fixed rules differ: that asks about five rules, which may be alike, and not
    about the problem.
    """
    metric = score_name(scenario.data.dataset)
    return [
        _learnable(records["serpentine"], central, metric),
        _signal(parts),
        _layers_matter(parts),
        *_nominal_verdicts(scenario, records),
        _decisions_matter(records, metric),
    ]


def accuracy(episodes: Sequence[EpisodeRecord]) -> float:
    """Mean validation accuracy at the end."""
    return float(np.mean([e["validation_accuracy"] for e in episodes]))


def _learnable(episodes: Sequence[EpisodeRecord], central: float, metric: str) -> Verdict:
    start, end = float(np.mean([e["initial_accuracy"] for e in episodes])), accuracy(episodes)
    return Verdict(
        end >= REACHES * central,
        f"it can be learned: from {start:.0%}, round robin comes to {end:.1%} validation {metric} within its "
        f"budget, {end / max(central, 1e-9):.0%} of the {central:.1%} of central training (expected "
        f"{REACHES:.0%} or more)",
    )


def _decisions_matter(records: dict[str, list[EpisodeRecord]], metric: str) -> Verdict:
    ranked = sorted(records, key=lambda name: _accuracy(records[name]))
    worst, best = ranked[0], ranked[-1]
    differences = [
        b["validation_accuracy"] - w["validation_accuracy"]
        for b, w in zip(records[best], records[worst], strict=True)
    ]
    # These two were picked as they differ most: the confidence has to hold for every pair at once.
    pairs = len(ranked) * (len(ranked) - 1) / 2
    difference = estimate(differences, level=1 - (1 - LEVEL) / pairs)
    found = "one episode tells nothing" if difference.low is None else f"found {100 * difference.low:.1f}"
    return Verdict(
        difference.low is not None and difference.low >= DIFFERENCE,
        f"decisions matter: {best} ends {100 * difference.value:.1f} points of {metric} above {worst} "
        f"(expected {100 * DIFFERENCE:.0f} or more with {LEVEL:.0%} confidence, {found})",
        required=False,
    )


def _accuracy(episodes: Sequence[EpisodeRecord]) -> float:
    return estimate([e["validation_accuracy"] for e in episodes]).value


def _signal(found: Shares) -> Verdict:
    return Verdict(
        found.variance > 0 and found.repetition <= NOISE,
        f"a hop's reward is more than noise: {found.repetition:.1%} of its variance lies between repetitions "
        f"(expected {NOISE:.0%} or less)",
    )


def _layers_matter(found: Shares) -> Verdict:
    share = found.layer + found.both
    return Verdict(
        share >= LAYERS_MATTER,
        f"layers matter: {share:.1%} of the variance of a hop's reward comes from the layer "
        f"({found.layer:.1%}) and from which node trains which ({found.both:.1%}) (expected "
        f"{LAYERS_MATTER:.0%} or more)",
    )


def _nominal_verdicts(scenario: Scenario, records: dict[str, list[EpisodeRecord]]) -> list[Verdict]:
    result = []
    for key, stated, measured, unit in nominal_costs(scenario, records["serpentine"]):
        result.append(
            Verdict(
                1 / FACTOR <= measured / stated <= FACTOR,
                f"objective.nominal.{key}: {stated:g} {unit} in the scenario, {measured:.4g} under "
                f"round robin (expected within a factor of {FACTOR:g})",
            )
        )
    return result


def nominal_costs(
    scenario: Scenario, episodes: Sequence[EpisodeRecord]
) -> list[tuple[str, float, float, str]]:
    """Field, what the scenario states, mean of the hops, unit."""
    hops = [hop for episode in episodes for hop in episode["trace"]]
    nominal = scenario.objective.nominal
    times = [h["receive_s"] + h["compute_s"] + h["send_s"] for h in hops]
    measured = (times, [h["energy_j"] for h in hops], [h["n_bytes"] for h in hops])
    fields = (
        ("time_s", nominal.time_s, "s"),
        ("energy_j", nominal.energy_j, "J"),
        ("n_bytes", nominal.n_bytes, "B"),
    )
    return [
        (key, stated, float(np.mean(m)) if m else 0.0, unit)
        for (key, stated, unit), m in zip(fields, measured, strict=True)
    ]
