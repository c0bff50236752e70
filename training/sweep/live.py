"""The table of a sweep while it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from snakegym.training.show.tables import plain_table
from snakegym.training.sweep.trial import News, Task
from snakegym.training.sweep.trials import Trials

SHOWN = 20
"""Trials in the live table: the last ones."""


class Board:
    """Shows what trials do: a table that is alive on a terminal, a line an event elsewhere.

    Args:
        trials: of the sweep.
        total: how many there are to be.
        metric: what is shown of each.
    """

    def __init__(self, trials: Trials, total: int, metric: str) -> None:
        self._trials, self._total, self._metric = trials, total, metric
        self._news: dict[Task, News] = {}
        self._console = Console(file=sys.stderr)  # this one: trainings here print elsewhere
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The table is there in this block."""
        if not self._console.is_terminal:
            yield
            return
        with Live(
            self._table(), console=self._console, redirect_stdout=False, redirect_stderr=False, transient=True
        ) as self._live:
            yield
        self._live = None

    def hear(self, news: News) -> None:
        """Take up what a worker says."""
        began = news.task not in self._news
        if news.state == "running" and news.value is None and not began:
            return
        self._news[news.task] = news
        if self._live is not None:
            self._live.update(self._table())
        elif began or news.state != "running":
            value = "" if news.value is None else f", {self._metric} {news.value:.4g}"
            self._console.print(f"{_name(news.task)}: {news.state}{value}", highlight=False, markup=False)

    def _table(self) -> Table:
        done = sum(n.state != "running" for n in self._news.values())
        table = plain_table(f"{done} of {self._total} trials have ended here")
        for title in ("Trial", "State", "Steps", self._metric, "Settings"):
            table.add_column(escape(title))
        for task, news in [*self._news.items()][-SHOWN:]:
            proposal = self._trials.proposal(task.number)
            settings = brief(proposal.parameters) if proposal else ""
            value = "" if news.value is None else f"{news.value:.4g}"
            steps = f"{news.timesteps:,}" if news.timesteps else ""
            table.add_row(_name(task), news.state, steps, value, escape(settings))
        return table


def brief(parameters: Mapping[str, object]) -> str:
    """Settings in a line."""
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in parameters.items()
    )


def _name(task: Task) -> str:
    return f"trial {task.number}" + ("" if task.fresh is None else f", fresh seed {task.fresh}")
