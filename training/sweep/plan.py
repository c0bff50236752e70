"""From the parameters of a sweep to the options of a training, and whether all of them are possible."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from typing import Any

import tyro

from snakegym.agents.algorithms import takes_masks
from snakegym.errors import SnakegymError
from snakegym.training.arguments import SECTIONS, as_we_write, kinds_of
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.logged import METRIC_NAMES, SUMMARY_NAMES
from snakegym.training.repeated import refuse_repeated
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.sweep.sweepfile import Sweep

OURS = ("out", "resume", "labels", "ppo", "track", "wandb", "config")
"""Options of a training that a sweep sets itself."""
DEFAULT_METRIC = "validation/best_return"
MOST_EXAMPLES = 100
"""Values of a parameter that are tried before anything starts."""


def metric_of(sweep: Sweep) -> tuple[str, bool]:
    """What trials are compared by, and whether more of it is better."""
    return (DEFAULT_METRIC, True) if sweep.metric is None else (sweep.metric, sweep.maximize)


def training_of(sweep: Sweep, values: Mapping[str, Any]) -> TrainConfig:
    """The options of a trial's training.

    Args:
        sweep: whose trial it is.
        values: of the parameters, by name.

    Raises:
        SnakegymError: a value is none that its option can have, or an option is given twice.
    """
    words = [*sweep.arguments, *(f"--{name}={value}" for name, value in values.items())]
    refuse_repeated(words, TrainConfig)
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            config = tyro.cli(
                TrainConfig, args=as_we_write(words, TrainConfig), config=(tyro.conf.OmitArgPrefixes,)
            )
    except SystemExit:
        line = " ".join(said.getvalue().translate(dict.fromkeys(map(ord, "│╭╮╰╯─"), " ")).split())
        raise SnakegymError(f"{' '.join(words)}: no options of `snakegym train`: {line[:300]}") from None
    config.validate()
    return config


def check(sweep: Sweep, origin: str) -> None:
    """Whether every parameter is an option of a training that takes its values, and the metric is known.

    Raises:
        SnakegymError: which is not.
    """
    try:
        kinds = kinds_of(TrainConfig)
        for parameter in sweep.parameters:
            name = parameter.name.replace("-", "_").removeprefix("ppo.")
            if name in OURS or name.startswith("wandb_"):
                raise SnakegymError(
                    f"parameters.{parameter.name}: found an option that the sweep sets itself"
                )
            if name not in kinds and name.partition(".")[0] not in SECTIONS:
                raise SnakegymError(
                    f"parameters.{parameter.name}: unknown, expected an option of `snakegym train`, or a "
                    f"field of the scenario that begins with one of {', '.join(SECTIONS)}"
                )
        _check_values(sweep)
    except SnakegymError as error:
        raise SnakegymError(f"{origin}: {error}") from None


def _check_values(sweep: Sweep) -> None:
    base = {p.name: p.examples()[0] for p in sweep.parameters}
    tried: set[tuple[str, tuple[str, ...]]] = set()
    for parameter in sweep.parameters:
        for value in parameter.examples()[:MOST_EXAMPLES]:
            config = training_of(sweep, base | {parameter.name: value})
            if (config.scenario, config.set) not in tried:
                scenario_of(config.scenario, config.skip_bad_traces, config.trace_format, config.set)
                tried.add((config.scenario, config.set))
            takes_masks(config.algo)
            _check_metric(sweep, config.algo)


def _check_metric(sweep: Sweep, algo: str) -> None:
    metric, _ = metric_of(sweep)
    known = metric in (*METRIC_NAMES, *SUMMARY_NAMES) or (metric.startswith("train/") and ":" in algo)
    if not known:
        close = [name for name in METRIC_NAMES if name.rpartition("/")[2] == metric.rpartition("/")[2]]
        expected = " or ".join(close) or "one of docs/tracking.md, such as validation/best_return"
        raise SnakegymError(f"metric.name: found '{metric}', which no training logs, expected {expected}")
    if sweep.stopping is not None and metric in SUMMARY_NAMES:
        raise SnakegymError(
            f"metric.name: found '{metric}', which is known at the end alone, expected "
            "validation/best_return for early_terminate"
        )
