"""What a sweep found: the best settings, all trials, what mattered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from snakegym import __version__
from snakegym.errors import SnakegymError
from snakegym.training.arguments import document_of
from snakegym.training.report.page import render_page
from snakegym.training.report.pictures import drawn
from snakegym.training.runs.conventions import REQUEST_FILES
from snakegym.training.runs.folder import write_json, write_text
from snakegym.training.show.figures import save
from snakegym.training.show.tables import NONE, Cell, Table
from snakegym.training.sweep import pictures
from snakegym.training.sweep.live import brief
from snakegym.training.sweep.parameters import names
from snakegym.training.sweep.plan import metric_of, training_of
from snakegym.training.sweep.search import Seen, importances
from snakegym.training.sweep.sweepfile import Sweep
from snakegym.training.sweep.trials import Proposal, Result, Trials

FILES = (
    "sweep.json",
    "best.yaml",
    "summary.json",
    "importance.png",
    "parallel.png",
    "front.png",
    "report.html",
    *REQUEST_FILES,
    "trials",
)
"""Names in a sweep's folder."""
APART = ("resume", "track")
"""Options of a trial that are none of its settings."""


@dataclass(frozen=True)
class Ended:
    """A trial that is over."""

    proposal: Proposal
    result: Result
    fresh: tuple[float, ...] = ()
    """What its settings came to on fresh seeds."""

    @property
    def score(self) -> float | None:
        """What it is judged by: the mean on fresh seeds where there are any."""
        return sum(self.fresh) / len(self.fresh) if self.fresh else self.result.value


def ended(trials: Trials) -> list[Ended]:
    """All trials that are over. Raises SnakegymError for a damaged file."""
    found = []
    for number in trials.numbers():
        proposal, result = trials.proposal(number), trials.result(number)
        if proposal is not None and result is not None:
            found.append(Ended(proposal, result))
    return found


def ranked(found: Sequence[Ended], maximize: bool) -> list[Ended]:
    """Those that may be called best, the best first; those stopped early only if there are no others."""
    scored = [e for e in found if e.score is not None]
    whole = [e for e in scored if e.result.state == "finished"] or scored
    return sorted(whole, key=lambda e: (e.score or 0.0) * (-1 if maximize else 1))


def write(folder: Path, sweep: Sweep, seed: int, found: Sequence[Ended], about: Mapping[str, Any]) -> Ended:
    """Write all files; the best trial.

    Raises:
        SnakegymError: no trial came to a value.
    """
    metric, maximize = metric_of(sweep)
    order = ranked(found, maximize)
    if not order:
        why = next((e.result.message for e in found if e.result.message), "none was run")
        raise SnakegymError(f"{folder}: no trial reported '{metric}': {why}")
    best = order[0]
    document = document_of(replace(training_of(sweep, best.proposal.parameters), out=None))
    document = {name: v for name, v in document.items() if name not in APART and not name.startswith("wandb")}
    header = f"# Best of {len(found)} trials of the sweep '{sweep.name}' by {metric}: {best.score:.6g}\n"
    write_text(folder / "best.yaml", header + yaml.safe_dump(document, sort_keys=False))
    shares = importances(sweep, [_seen(e) for e in found], seed)
    summary = {
        "snakegym": __version__,
        "sweep": sweep.name,
        "method": sweep.method,
        "metric": metric,
        "goal": "maximize" if maximize else "minimize",
        **about,
        "best": best.proposal.number,
        "importance": shares,
        "trials": [_plain(e) for e in found],
    }
    write_json(folder / "summary.json", summary)
    figures = {"importance": pictures.importance(shares, metric)}
    valued = [e for e in found if e.score is not None]
    figures["parallel"] = pictures.parallel(
        [p for p in sweep.parameters if p.kind != "constant"],
        [e.proposal.parameters for e in valued],
        [float(e.score or 0.0) for e in valued],
        metric,
        valued.index(best),
    )
    figures["front"] = pictures.front({e.proposal.number: e.result.measures for e in found})
    for name, figure in figures.items():
        save(figure, folder / f"{name}.png")
    write_text(folder / "report.html", _page(sweep, found, figures, shares))
    return best


TITLES = {
    "importance": ("What mattered", "The share of the variance of the metric that each parameter explains."),
    "parallel": ("All trials", "A line a trial, coloured by the metric; the best is thick."),
    "front": (
        "Accuracy against costs",
        "The best model of each trial on validation episodes; no other beats those on the line.",
    ),
}


def _page(
    sweep: Sweep, found: Sequence[Ended], figures: Mapping[str, Figure], shares: Mapping[str, float]
) -> str:
    shown = table(sweep, found)
    words = {
        "importance": ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) or "too few trials",
        "parallel": f"{len(found)} trials; the table has the numbers",
        "front": ", ".join(
            f"trial {e.proposal.number}: {e.result.measures['accuracy']:.1%}"
            for e in found
            if e.result.measures
        ),
    }
    drawings = [drawn(*TITLES[name], words[name], figure) for name, figure in figures.items()]
    return render_page(f"Sweep '{sweep.name}'", [], [shown], drawings, command="sweep")


def table(sweep: Sweep, found: Sequence[Ended]) -> Table:
    """Every trial in a row, the best first."""
    metric, maximize = metric_of(sweep)
    order = ranked(found, maximize)
    rest = [e for e in found if e not in order]
    rows = [
        (
            str(e.proposal.number),
            [
                Cell(e.result.state),
                Cell(_number(e.result.value)),
                Cell(_number(e.score) if e.fresh else NONE),
                Cell(brief({name: e.proposal.parameters[name] for name in names(sweep.parameters)})),
            ],
        )
        for e in [*order, *rest]
    ]
    note = "The first is the best; fresh seeds are those that it was not chosen by." if order else ""
    return Table(
        f"Sweep '{sweep.name}'", note, ["Trial", "State", metric, "on fresh\nseeds", "Settings"], rows
    )


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.4g}"


def _seen(e: Ended) -> Seen:
    return Seen(e.proposal.variables, (), e.result.value, True)


def _plain(e: Ended) -> dict[str, Any]:
    return {
        "trial": e.proposal.number,
        "parameters": e.proposal.parameters,
        **e.result.model_dump(),
        "fresh": list(e.fresh),
    }
