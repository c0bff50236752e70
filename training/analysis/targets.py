"""Time to a target accuracy: when an episode gets there, and which never do."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snakegym.training.analysis.groups import Groups, Runs, table
from snakegym.training.analysis.intervals import Estimate, estimate, iqm, share
from snakegym.training.analysis.spread import Floats
from snakegym.training.episodes.play import EpisodeRecord


@dataclass(frozen=True)
class TimeToTarget:
    """How often and how soon a scheduler reaches the target."""

    share: Estimate
    """Of the episodes that reach it within the time budget, in [0, 1]."""
    time_s: Estimate
    """Interquartile mean in simulated seconds; an episode that never gets there counts with the budget."""

    @property
    def is_bound(self) -> bool:
        """Whether episodes that never get there are within the middle half: the true time is longer."""
        return self.share.value < 0.75


def time_to_target(runs: Runs, target: float, budget_s: float) -> TimeToTarget:
    """How often and how soon the validation accuracy reaches `target`, in (0, 1]."""
    times = reach_times(runs, target, budget_s)
    return TimeToTarget(
        share(-times, -budget_s, trained=runs.trained),
        estimate(np.minimum(times, budget_s), trained=runs.trained),
    )


def reach_times(runs: Runs, target: float, budget_s: float) -> Floats:
    """When the target is reached, [training seeds, episodes], seconds; infinite if not within the budget."""
    times = np.array([[_reach_time(e, target) for e in episodes] for episodes in runs.seeds])
    return np.where(times <= budget_s, times, np.inf)


def default_target(groups: Groups, baseline: str) -> float:
    """What the baseline reaches at the end (interquartile mean), in whole percent, rounded down."""
    reached = float(iqm(table(groups[baseline], "validation_accuracy").ravel()))
    return max(1, math.floor(reached * 100)) / 100


def _reach_time(episode: EpisodeRecord, target: float) -> float:
    if episode["initial_accuracy"] >= target:
        return 0.0
    for hop in episode["trace"]:
        if hop["metric"] >= target:
            return hop["start_s"] + hop["receive_s"] + hop["compute_s"] + hop["send_s"]
    return math.inf
