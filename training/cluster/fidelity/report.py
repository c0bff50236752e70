"""Simulated beside measured: numbers, tables, and the picture."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from snakegym.control.records import Hop
from snakegym.training.cluster.fidelity.plan import Plan
from snakegym.training.cluster.fidelity.records import Measured, Run
from snakegym.training.cluster.fidelity.simulation import hops_of, own_decisions, same_decisions
from snakegym.training.cluster.hosting import Event
from snakegym.training.runs.folder import write_json, write_text
from snakegym.training.show.figures import colour_of, new_figure, save
from snakegym.training.show.tables import Cell, Table, as_markdown, console, print_tables

LEAST_S = 0.05
"""Phases of less on both sides are not compared: what is next to nothing may be off by any factor."""
TENTH = 0.9


@dataclass(frozen=True)
class Pair:
    """A hop, simulated and measured. Seconds, bytes, joules."""

    hop: int
    node: int
    layer: int
    duration_s: tuple[float, float]
    """Simulated, measured, as all of these; measured from one decision to the next, deciding included."""
    transfer_s: tuple[float, float]
    compute_s: tuple[float, float]
    n_bytes: tuple[float, float]
    energy_j: tuple[float, float]
    metric: tuple[float, float]


@dataclass(frozen=True)
class Whole:
    """A process, by the scheduler's own decisions."""

    hops: int
    time_s: float
    energy_j: float
    n_bytes: float
    metric: float
    """Validation accuracy at its end."""
    gained: float
    """Return: accuracy gained minus costs, as the scenario prices them."""


@dataclass(frozen=True)
class Finding:
    """What came of one scheduler."""

    pairs: Sequence[Pair]
    same_s: float
    """The real decisions simulated one after the other: the sum of their durations."""
    simulated: Whole
    measured: Whole
    wire_bytes: float
    """What went over the nodes' links, headers and Ray's own talk included; a transfer counts once."""


def report(measured: Measured, plan: Plan, out: Path) -> None:
    """Simulate what was measured; write JSON, tables and a picture, and print the tables."""
    found = {name: find(plan, name, run) for name, run in measured.runs.items()}
    tables = [of_hops(found, plan.compute), of_processes(found)]
    write_json(out / "fidelity.json", {name: asdict(finding) for name, finding in found.items()}, indent=None)
    write_text(out / "fidelity.md", "\n".join(map(as_markdown, tables)))
    save(picture(found), out / "fidelity.png")
    print_tables(console(), tables)


def find(plan: Plan, scheduler: str, run: Run) -> Finding:
    """Simulate a run twice: with its decisions, and with those that the scheduler takes in the simulation."""
    simulated, real = same_decisions(plan, run), hops_of(run)
    own = own_decisions(plan, scheduler, run)
    spent = (own.time_s, own.energy_j, own.n_bytes)
    last = real[-1]
    really = (last["clock_s"], sum(e["energy_j"] for e in real), sum(e["n_bytes"] for e in real))
    before = own.start_metric
    return Finding(
        [_pair(hop, event) for hop, event in zip(simulated, real, strict=True) if event["delivered"]],
        sum(hop.phases.duration_s for hop in simulated),
        Whole(len(own.hops), *spent, own.metric, _return(plan, own.metric - before, spent)),
        Whole(len(real), *really, last["metric"], _return(plan, last["metric"] - before, really)),
        sum(sum(both) for both in run.wire_bytes) / (2 if plan.mode == "p2p" else 1),  # links on the way
    )


def of_hops(found: Mapping[str, Finding], compute: str) -> Table:
    """How far hops are off, by scheduler and in all."""
    every = {name: finding.pairs for name, finding in found.items()}
    if len(every) > 1:
        every["all"] = [pair for pairs in every.values() for pair in pairs]
    note = (
        "Simulated against measured, the same decisions, each hop from when the real one began: differences "
        "as shares of what was measured, median [90 % are within]; beside: what a real hop takes beside "
        "transfer and computing, median; bytes and accuracies: hops in which they are the same. Compute "
        f"is held back by a {compute}."
    )
    head = ["", "hops", "duration", "transfer", "computing", "energy", "beside, ms", "bytes", "accuracy"]
    return Table("Hops", note, head, [(name, _of_hops(pairs)) for name, pairs in every.items()])


def of_processes(found: Mapping[str, Finding]) -> Table:
    """Whole processes, and the order of their schedulers."""
    by_time, by_return = _places(found, "time_s", falling=False), _places(found, "gained", falling=True)
    rows = [
        (
            name,
            [
                _both(f.simulated.hops, f.measured.hops),
                _both(f.simulated.time_s, f.measured.time_s, ".1f"),
                Cell(f"{f.same_s:.1f}"),
                _both(*by_time[i]),
                _both(f.simulated.energy_j, f.measured.energy_j, ".1f"),
                _both(f.simulated.n_bytes / 1e6, f.measured.n_bytes / 1e6, ".2f"),
                Cell(f"{f.wire_bytes / 1e6:.2f}"),
                _both(100 * f.simulated.metric, 100 * f.measured.metric, ".1f"),
                _both(f.simulated.gained, f.measured.gained, ".2f"),
                _both(*by_return[i]),
            ],
        )
        for i, (name, f) in enumerate(found.items())
    ]
    note = (
        "Simulated / measured, the scheduler deciding by what it sees of either; real decisions: simulated "
        "with the decisions that were taken in reality; wire: all that went over links, headers and Ray's "
        "own talk included."
    )
    head = [
        "", "hops", "time, s", "real decisions, s", "by time", "energy, J", "MB", "wire, MB", "accuracy, %",
        "return", "by return",
    ]  # fmt: skip
    return Table("Processes", note, head, rows)


def picture(found: Mapping[str, Finding]) -> Figure:
    """Durations of hops, simulated over measured, and how the clocks go on."""
    figure, (left, right) = new_figure(2, height=4.2)
    longest = max((max(pair.duration_s) for f in found.values() for pair in f.pairs), default=1.0)
    ends = np.array([0.0, 1.05 * longest])
    left.fill_between(ends, 0.9 * ends, 1.1 * ends, color="#dddddd", lw=0, label="within 10 %")
    left.plot(ends, ends, color="#888888", lw=0.8)
    for i, (name, f) in enumerate(found.items()):
        simulated, real = np.array([pair.duration_s for pair in f.pairs]).reshape(-1, 2).T
        left.plot(real, simulated, "o", ms=3.5, alpha=0.7, color=colour_of(i), label=name)
        number = np.arange(1, len(real) + 1)
        right.plot(number, np.cumsum(real), color=colour_of(i), label=f"{name}, measured")
        right.plot(number, np.cumsum(simulated), "--", color=colour_of(i), label=f"{name}, simulated")
    left.set(xlabel="measured duration of a hop [s]", ylabel="simulated duration [s]")
    left.set(xlim=(0, ends[1]), ylim=(0, ends[1]))
    right.set(xlabel="hops", ylabel="time passed, same decisions [s]")
    for ax in (left, right):
        ax.legend(frameon=False, fontsize=8)
    return figure


def _pair(hop: Hop, event: Event) -> Pair:
    phases = hop.phases
    return Pair(
        event["hop"],
        event["seat"],
        event["layer"],
        (phases.duration_s, event["clock_s"] - event["start_s"]),
        (phases.receive_s + phases.send_s, event["receive_s"] + event["send_s"]),
        (phases.compute_s + phases.evaluate_s, event["compute_s"]),
        (hop.costs.n_bytes, event["n_bytes"]),
        (hop.costs.energy_j, event["energy_j"]),
        (hop.metric, event["metric"]),
    )


def _return(plan: Plan, gained: float, spent: tuple[float, float, float]) -> float:
    objective = plan.loaded.scenario.objective
    return objective.gain * gained - sum(p * s for p, s in zip(objective.prices(), spent, strict=True))


def _of_hops(pairs: Sequence[Pair]) -> list[Cell]:
    beside = [p.duration_s[1] - p.transfer_s[1] - p.compute_s[1] for p in pairs]
    return [
        Cell(str(len(pairs))),
        *(
            _off(getattr(p, name) for p in pairs)
            for name in ("duration_s", "transfer_s", "compute_s", "energy_j")
        ),
        Cell(f"{1e3 * statistics.median(beside):.0f}" if beside else "-"),
        *(
            Cell(f"{sum(one == other for one, other in (getattr(p, name) for p in pairs))} of {len(pairs)}")
            for name in ("n_bytes", "metric")
        ),
    ]


def off(both: Iterable[tuple[float, float]]) -> list[float]:
    """How far each is off, as a share of what was measured."""
    return [simulated / real - 1 for simulated, real in both if max(simulated, real) >= LEAST_S]


def _off(both: Iterable[tuple[float, float]]) -> Cell:
    shares = np.abs(off(both))
    if not len(shares):
        return Cell("-")
    return Cell(f"{np.median(shares):.1%}", f"{np.quantile(shares, TENTH):.1%}")


def _both(simulated: float, real: float, form: str = "d") -> Cell:
    return Cell(f"{simulated:{form}} / {real:{form}}")


def _places(found: Mapping[str, Finding], name: str, *, falling: bool) -> list[tuple[int, int]]:
    """1 for the best simulated, and for the best measured, in that respect."""
    both = [(getattr(f.simulated, name), getattr(f.measured, name)) for f in found.values()]
    orders = [sorted(values, reverse=falling) for values in zip(*both, strict=True)]
    return [(orders[0].index(one) + 1, orders[1].index(other) + 1) for one, other in both]
