"""What was played in each scenario, and what all of it says."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from snakegym.training.analysis.groups import Groups
from snakegym.training.analysis.read import Evaluation
from snakegym.training.analysis.scores import Overall, Standing, overall, standing
from snakegym.training.analysis.summary import Analysis, analyse_groups
from snakegym.training.benchmark.pieces import Latency


@dataclass(frozen=True)
class Scene:
    """What was played in a scenario."""

    evaluation: Evaluation
    groups: Groups
    places: Mapping[str, Sequence[str]]
    """Of every scheduler, by its label, its runs."""
    latencies: Mapping[str, Sequence[Latency]]
    """Of every scheduler, by its label, how long its decisions took in each episode."""

    @property
    def name(self) -> str:
        """Of the scenario."""
        return str(self.evaluation.scenario["name"])


@dataclass(frozen=True)
class BenchmarkResult:
    """What came out of a benchmark."""

    folder: Path
    """Where its files lie."""
    references: tuple[str, str]
    """Labels of those whose returns are the scores 0 and 1."""
    standings: Mapping[str, Standing]
    """Of every scenario: scores and pairs."""
    analyses: Mapping[str, Analysis]
    """Of every scenario: means, intervals, comparisons with the lower reference, time to the target."""
    overall: Overall
    """All scenarios together."""

    @property
    def labels(self) -> list[str]:
        """All schedulers, in the order in which they were asked for."""
        return list(self.overall.tallies)

    @property
    def ranking(self) -> list[str]:
        """The same by their scores over all scenarios; those without one come last, as they were asked."""
        scores = self.overall.scores
        return sorted(self.labels, key=lambda label: -scores[label].value if label in scores else math.inf)


def analyse_all(folder: Path, scenes: Sequence[Scene], references: tuple[str, str]) -> BenchmarkResult:
    """From episodes to numbers; the same for the same episodes."""
    standings = {s.name: standing(s.groups, *references) for s in scenes}
    labels = list(dict.fromkeys(label for s in scenes for label in s.groups))
    return BenchmarkResult(
        folder,
        references,
        standings,
        {s.name: analyse_groups(s.groups, references[0], s.evaluation.scenario) for s in scenes},
        overall(list(standings.values()), labels),
    )
