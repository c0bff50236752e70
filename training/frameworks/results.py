"""What `snakegym compare` prints and leaves: table, pictures, compare.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape

from snakegym.frameworks.registry import entry
from snakegym.training.analysis.intervals import Estimate, estimate
from snakegym.training.frameworks.config import Comparison
from snakegym.training.frameworks.plots import draw
from snakegym.training.frameworks.records import perplexity
from snakegym.training.runs.folder import write_json, write_text
from snakegym.training.show.tables import Column, Table, console, kinds, measured, print_tables

Result = Mapping[str, Any]
Groups = dict[str, list[Result]]
Summary = Mapping[str, Mapping[str, Estimate]]
BASELINE = "fedavg"
WITH_INTERVAL = ("test_accuracy", "test_perplexity", "time_s", "energy_j")
ACCURACY = Column("test_accuracy", "Test\naccuracy %", 100, 1)
PERPLEXITY = Column("test_perplexity", "Test\nperplexity", 1, 2)

MEASURES = (
    "test_accuracy",
    "best_test_accuracy",
    "test_perplexity",
    "validation_accuracy",
    "bytes_per_round",
    "n_bytes",
    "node_memory_bytes",
    "node_flops_per_round",
    "synchronisations_per_round",
    "time_s",
    "energy_j",
)


@dataclass(frozen=True)
class ComparisonResult:
    """What came out of a comparison."""

    folder: Path
    """Where its files lie."""
    summary: Summary
    """Of every framework its MEASURES, over seeds."""
    relative: Summary
    """The same as shares of FedAvg's; empty without FedAvg."""
    results: Sequence[Result]
    """Every framework on every seed, with all its rounds."""


def report(out: Path, comparison: Comparison, results: Sequence[Result]) -> ComparisonResult:
    """Summarise finished pieces: compare.json, table.txt, pictures, and the table on the screen."""
    groups = _groups(results)
    summary = {name: _summary(pieces) for name, pieces in groups.items()}
    relative = _relative(groups)
    write_json(
        out / "compare.json",
        {
            "comparison": comparison.identity(),
            "summary": {n: {k: asdict(e) for k, e in m.items()} for n, m in summary.items()},
            "relative_to_fedavg": {n: {k: asdict(e) for k, e in m.items()} for n, m in relative.items()},
            "results": [_slim(result) for result in results],
        },
        indent=None,
    )
    screen = console()
    metric = PERPLEXITY if _is_language(results) else ACCURACY
    tables = [_table(comparison, summary, groups, metric)]
    if len(relative) > 1:
        tables.append(_ratios(relative, metric))
    if metric is PERPLEXITY:
        tables.append(_topics(groups))
    print_tables(screen, tables)
    with screen.capture() as captured:
        print_tables(screen, tables)
    write_text(out / "table.txt", captured.get())
    for name in draw(out, groups):
        screen.print(f"[dim]{escape(str(out / name))}[/dim]")
    screen.print(f"[dim]{escape(str(out / 'compare.json'))}[/dim]")
    return ComparisonResult(out, summary, relative, results)


def final(result: Result) -> dict[str, float]:
    """The measures of one piece: MEASURES. Its best round is chosen by validation, the first of equals."""
    rounds = result["rounds"]
    last, best = rounds[-1], max(rounds, key=lambda r: r["validation_accuracy"])

    def total(key: str) -> float:
        return float(sum(r[key] for r in rounds))

    return {
        "test_accuracy": last["test_accuracy"],
        "best_test_accuracy": best["test_accuracy"],
        "test_perplexity": _perplexity(last.get("test_loss")),
        "validation_accuracy": last["validation_accuracy"],
        "bytes_per_round": total("n_bytes") / len(rounds),
        "n_bytes": total("n_bytes"),
        "node_memory_bytes": max(r["node_memory_bytes"] for r in rounds),
        "node_flops_per_round": total("node_flops") / len(rounds),
        "synchronisations_per_round": total("synchronisations") / len(rounds),
        "time_s": total("time_s"),
        "energy_j": total("energy_j"),
    }


def _perplexity(loss: float | None) -> float:
    """0 where there is no loss."""
    return 0.0 if loss is None else perplexity(loss)


def _is_language(results: Sequence[Result]) -> bool:
    return bool(results) and all(result.get("metric") == "perplexity" for result in results)


def _slim(result: Result) -> dict[str, Any]:
    """A piece with a list a measure instead of a record a round; what every hop did stays in runs/."""
    rounds = result["rounds"]
    columns = {key: [_rounded(r[key]) for r in rounds] for key in rounds[0]}
    return {**{k: v for k, v in result.items() if k != "journal"}, "rounds": columns}


def _rounded(value: float | None) -> float | None:
    """Seven significant digits: a third of the size, and more than single precision knows."""
    return None if value is None else float(f"{value:.7g}")


def _groups(results: Sequence[Result]) -> Groups:
    groups: Groups = {}
    for result in results:
        groups.setdefault(result["framework"], []).append(result)
    return groups


def _summary(pieces: Sequence[Result]) -> dict[str, Estimate]:
    finals = [final(piece) for piece in pieces]
    return {key: estimate([f[key] for f in finals]) for key in MEASURES}


def _relative(groups: Groups) -> dict[str, dict[str, Estimate]]:
    """Per framework and measure the mean ratio to FedAvg on the same seeds."""
    base = {piece["seed"]: final(piece) for piece in groups.get(BASELINE, [])}
    relative: dict[str, dict[str, Estimate]] = {}
    for name, pieces in groups.items():
        pairs = [(final(p), base[p["seed"]]) for p in pieces if p["seed"] in base]
        if pairs:
            relative[name] = {
                key: estimate([own[key] / other[key] for own, other in pairs])
                for key in MEASURES
                if all(other[key] for _, other in pairs)
            }
    return relative


def _table(comparison: Comparison, summary: Summary, groups: Groups, metric: Column) -> Table:
    data = comparison.scenario.data
    spread = data.partition + ("" if data.partition == "iid" else f", alpha {data.alpha:g}")
    seeds = max(len(pieces) for pieces in groups.values())
    caption = (
        f"{comparison.scenario.model.name} on {data.dataset} ({spread}), "
        f"{comparison.scenario.network.nodes} nodes, {comparison.cycles} rounds of "
        f"{comparison.scenario.learning.epochs} epochs, {seeds} seed{'s'[: seeds > 1]}"
    )
    return _of_frameworks(caption, summary, [metric, *_costs(summary)], "Costs are simulated.")


def _topics(groups: Groups) -> Table:
    """Perplexity on the test samples of each topic after the last round."""
    topics = list(dict.fromkeys(t for pieces in groups.values() for p in pieces for t in p["topics"]))
    summary = {
        name: {t: estimate([_perplexity(p["topics"].get(t)) for p in pieces]) for t in topics}
        for name, pieces in groups.items()
    }
    return _of_frameworks("Test perplexity by topic", summary, [Column(t, t, 1, 2) for t in topics])


def _ratios(relative: Summary, metric: Column) -> Table:
    """What each framework reaches and costs in per cent of FedAvg's."""
    named = "perplexity %" if metric is PERPLEXITY else "accuracy %"
    columns = [
        Column(metric.key, f"Test\n{named}", 100, 1),
        Column("n_bytes", "Bytes\n%", 100, 1),
        Column("node_memory_bytes", "Memory of\na node %", 100, 1),
        Column("node_flops_per_round", "Busiest\nnode %", 100, 1),
        Column("time_s", "Simulated\ntime %", 100, 0),
        Column("energy_j", "Energy\n%", 100, 0),
    ]
    others = {name: measures for name, measures in relative.items() if name != BASELINE}
    return _of_frameworks("In per cent of FedAvg's on the same seeds", others, columns)


def _of_frameworks(caption: str, summary: Summary, columns: Sequence[Column], more: str = "") -> Table:
    """Values with intervals; the value alone where seeds hardly matter."""

    def shown(e: Estimate, key: str) -> Estimate:
        return e if key in WITH_INTERVAL and e.low != e.high else Estimate(e.value)

    rows: dict[str, dict[str, Estimate]] = {}
    for name, measures in summary.items():
        title = entry(name).title
        title = f"{title} ({name})" if title in rows else title
        rows[title] = {c.key: shown(measures[c.key], c.key) for c in columns}
    note = f"Interquartile mean over seeds; {kinds(rows)}. {more}".strip()
    return measured(caption, note, "Framework", rows, columns)


def _costs(summary: Summary) -> list[Column]:
    def unit(key: str, title: str, steps: Sequence[tuple[float, str]]) -> Column:
        typical = float(np.median([m[key].value for m in summary.values()]))
        size, name = next(((s, n) for s, n in steps if typical >= s), steps[-1])
        digits = 2 if typical < 10 * size else 1 if typical < 100 * size else 0
        return Column(key, f"{title}\n{name}", 1 / size, digits)

    sizes = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
    flops = ((1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1.0, "FLOP"))
    return [
        unit("bytes_per_round", "Bytes\na round", sizes),
        unit("n_bytes", "Bytes\nin total", sizes),
        unit("node_memory_bytes", "Memory\nof a node", sizes),
        unit("node_flops_per_round", "Busiest\nnode", flops),
        Column("synchronisations_per_round", "Synchron-\nisations", 1, 0),
        unit("time_s", "Simulated\ntime", ((86400.0, "days"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))),
        unit("energy_j", "Energy", ((1e6, "MJ"), (1e3, "kJ"), (1.0, "J"))),
    ]
