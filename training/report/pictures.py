"""The pictures of a report page, each with its numbers in words for who cannot see it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO

from matplotlib.figure import Figure

from snakegym.training.analysis.groups import flat
from snakegym.training.analysis.read import Evaluation
from snakegym.training.analysis.summary import Analysis
from snakegym.training.show import plots, summary_plots
from snakegym.training.show.evaluation import COSTS, unit_columns
from snakegym.training.show.figures import draw_png
from snakegym.training.show.gantt import gantt
from snakegym.training.show.tables import Column, interval, kinds, number

DPI = 110


@dataclass(frozen=True)
class Picture:
    """A picture that is part of the page."""

    title: str
    text: str
    """What it shows and how to read it."""
    alt: str
    """Its content in words."""
    png: str
    """Base64."""


def section_pictures(evaluation: Evaluation, analysis: Analysis) -> Iterator[Picture]:
    """All pictures of one evaluation."""
    columns = {column.key: column for column in unit_columns(analysis.summary, analysis.metric)}
    yield from _of_accuracy(analysis, columns)
    yield from _of_comparison(evaluation, analysis, columns)
    yield from _of_episodes(evaluation, analysis, columns)


def _of_accuracy(analysis: Analysis, columns: Mapping[str, Column]) -> Iterator[Picture]:
    records, summary, metric = flat(analysis.groups), analysis.summary, analysis.metric
    yield drawn(
        f"{metric.capitalize()} over time",
        f"Median validation {metric} over simulated time; the band is the middle half of the episodes.",
        f"Validation {metric} at the end: " + _values(analysis, columns["validation_accuracy"]),
        plots.accuracy_over_time(records, metric),
    )
    yield drawn(
        "Returns",
        f"Gain in {metric} minus costs, in reward units. Dots are episodes; mark and bar are the "
        f"interquartile mean and its {kinds(summary)}.",
        "Return: " + _values(analysis, columns["total_reward"]),
        plots.returns(records, {label: m["total_reward"] for label, m in summary.items()}),
    )


def _of_comparison(
    evaluation: Evaluation, analysis: Analysis, columns: Mapping[str, Column]
) -> Iterator[Picture]:
    summary, metric = analysis.summary, analysis.metric
    yield drawn(
        "Performance profiles",
        "The share of episodes that end with at least this much; a curve above another one is better "
        "everywhere. Bands are pointwise 95 % intervals, exact binomial.",
        f"Test {metric}: " + _values(analysis, columns["test_accuracy"]),
        summary_plots.profiles(analysis.groups, metric),
    )
    yield drawn(
        f"{metric.capitalize()} against costs",
        f"Interquartile means, {kinds(summary)}. Filled marks on the grey line are the best trade-offs; "
        f"at hollow ones another scheduler has at least that {metric} for at most the cost.",
        "; ".join(f"{columns[key].title}: {_values(analysis, columns[key])}" for key in COSTS),
        summary_plots.fronts(summary, list(columns.values()), metric),
    )
    yield drawn(
        f"Time to {analysis.target:.0%}",
        f"The share of episodes whose validation {metric} has been that high. Bands are pointwise 95 % "
        "intervals, exact binomial.",
        _each(analysis, lambda label: f"{analysis.time_to_target[label].share.value:.0%} of the episodes"),
        summary_plots.reached(
            analysis.groups, analysis.target, float(evaluation.scenario["process"]["budget"]["time_s"])
        ),
    )


def _of_episodes(
    evaluation: Evaluation, analysis: Analysis, columns: Mapping[str, Column]
) -> Iterator[Picture]:
    records = flat(analysis.groups)
    yield drawn(
        "What the gain cost",
        f"Mean reward terms: the diamond is the gain in {analysis.metric}, the bars what is taken off for "
        "costs.",
        "Return: " + _values(analysis, columns["total_reward"]),
        plots.cost_breakdown(records),
    )
    yield drawn(
        "Who did what when",
        "The first episode of each scheduler, with its first training seed. Colours are layers, pale while "
        "the node still receives; the line is the process's end, dashed where the scheduler finished it. The "
        "rows go from small to large devices, and the strip on the left has the layers that each has the "
        "memory for.",
        _each(analysis, lambda label: f"{records[label][0]['hops']} hops in the first episode"),
        gantt(records, evaluation.terrain, analysis.metric),
    )


def drawn(title: str, text: str, alt: str, figure: Figure) -> Picture:
    """A figure as a part of the page; `alt` is its content in words."""
    buffer = BytesIO()
    draw_png(figure, buffer, DPI)
    png = base64.b64encode(buffer.getvalue()).decode()
    return Picture(title, text, f"{title}. {alt}".replace("\n", " "), png)


def _each(analysis: Analysis, say: Callable[[str], str]) -> str:
    return ", ".join(f"{label} {say(label)}" for label in analysis.groups) + "."


def _values(analysis: Analysis, column: Column) -> str:
    def say(label: str) -> str:
        e = analysis.summary[label][column.key]
        bounds = interval(e, column)
        return number(e, column) + (f" ({bounds})" if bounds else "")

    return _each(analysis, say)
