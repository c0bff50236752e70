"""From the episodes of an evaluation to numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from snakegym.scenario import score_name
from snakegym.training.analysis.groups import (
    Groups,
    Records,
    Training,
    choose_baseline,
    group,
    label_of,
    table,
)
from snakegym.training.analysis.intervals import (
    Estimate,
    estimate,
    paired_difference,
    probability_of_improvement,
)
from snakegym.training.analysis.targets import TimeToTarget, default_target, time_to_target

MEASURES = (
    "total_reward",
    "test_accuracy",
    "validation_accuracy",
    "time_s",
    "energy_j",
    "n_bytes",
    "hops",
    "interruptions",
)
PAIRED = ("total_reward", "test_accuracy")
Summary = dict[str, dict[str, Estimate]]


@dataclass(frozen=True)
class Analysis:
    """What an evaluation says about its schedulers; training seeds count as one scheduler."""

    groups: Groups
    baseline: str
    summary: Summary
    """Interquartile means of MEASURES."""
    difference: Summary
    """Of PAIRED to the baseline's, episode by episode."""
    improvement: Summary
    """Probability of being above the baseline in PAIRED."""
    target: float
    """Validation accuracy."""
    time_to_target: Mapping[str, TimeToTarget]
    metric: str = "accuracy"
    """What accuracies are called: `score` where samples are texts."""


def analyse(
    records: Records,
    trained: Mapping[str, Training],
    scenario: Mapping[str, Any],
    target: float | None = None,
    baseline: str | None = None,
) -> Analysis:
    """All numbers of an evaluation; the same for the same episodes.

    Args:
        records: the episodes of every scheduler.
        trained: how those were trained that were.
        scenario: as JSON data.
        target: validation accuracy to time; default: the scenario's, else what the baseline reaches.
        baseline: the scheduler to compare with, as it was asked for; default: as `choose_baseline` says.
    """
    groups = group(records, trained)
    baseline = choose_baseline(groups) if baseline is None else label_of(baseline, records, groups)
    return analyse_groups(groups, baseline, scenario, target)


def analyse_groups(
    groups: Groups, baseline: str, scenario: Mapping[str, Any], target: float | None = None
) -> Analysis:
    """As `analyse`, of episodes whose training seeds are taken together already; `baseline` is a label."""
    process = scenario["process"]
    target = target or process.get("target") or default_target(groups, baseline)
    return Analysis(
        groups,
        baseline,
        summarise(groups),
        against(groups, baseline, paired_difference),
        against(groups, baseline, probability_of_improvement),
        target,
        {k: time_to_target(runs, target, process["budget"]["time_s"]) for k, runs in groups.items()},
        score_name(scenario["data"]["dataset"]),
    )


def summarise(groups: Groups) -> Summary:
    """Interquartile mean and interval of every measure of every scheduler."""
    return {
        label: {name: estimate(table(runs, name), trained=runs.trained) for name in MEASURES}
        for label, runs in groups.items()
    }


def against(
    groups: Groups,
    baseline: str,
    statistic: Callable[..., Estimate],
    measures: Sequence[str] = PAIRED,
) -> Summary:
    """All other schedulers compared with one by `paired_difference` or `probability_of_improvement`."""
    base = groups[baseline]
    return {
        label: {
            name: statistic(
                table(runs, name),
                table(base, name),
                trained=runs.trained,
                baseline_trained=base.trained,
            )
            for name in measures
        }
        for label, runs in groups.items()
        if label != baseline
    }


def every_pair(
    groups: Groups, statistic: Callable[..., Estimate], measure: str = "total_reward"
) -> dict[str, dict[str, Estimate]]:
    """Every scheduler (outer label) compared with every other one (inner label) in one measure."""
    against_each = {column: against(groups, column, statistic, (measure,)) for column in groups}
    return {
        row: {column: against_each[column][row][measure] for column in groups if column != row}
        for row in groups
    }
