"""`snakegym traces`: what there is, what it looks like, and tidy files of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from snakegym.differences import brief
from snakegym.errors import SnakegymError
from snakegym.network.traces.catalogue import Catalogue, Refused, scan
from snakegym.network.traces.formats.base import KINDS, Recording
from snakegym.network.traces.library import Loaded, complain, folder_of, load_library
from snakegym.network.traces.mend import DOWN, UP, measured_directions
from snakegym.network.traces.splits import split_of
from snakegym.network.traces.summary import Items, doubts, summarise
from snakegym.network.traces.trace import Origin
from snakegym.scenario import Split, TraceConfig, load_scenario
from snakegym.training.show.tables import console, plain_table
from snakegym.training.traces.config import (
    ConvertTraces,
    FolderCommand,
    GenerateTraces,
    InspectTraces,
    ListTraces,
    PlotTraces,
    Rules,
    Traces,
)
from snakegym.training.traces.tables import print_kind
from snakegym.training.traces.tidy import tidy_paths, write_folder


@dataclass(frozen=True)
class TracesResult:
    """What a command on traces was about."""

    recordings: tuple[Recording, ...]
    """That were listed, inspected, drawn or written."""
    refused: tuple[Refused, ...] = ()
    """Files that cannot be used, and why."""
    written: Path | None = None
    """The picture or folder that the command left."""


def run(command: Traces) -> TracesResult:
    """Carry out a command; raises SnakegymError for bad input."""
    match command:
        case ListTraces():
            return list_traces(command)
        case InspectTraces():
            return inspect(command)
        case ConvertTraces():
            return convert(command)
        case PlotTraces():
            return plot(command)
        case GenerateTraces():
            return generate(command)
    raise TypeError(f"found {type(command).__name__}, expected a command of `snakegym traces`")


def list_traces(command: ListTraces) -> TracesResult:
    """Print one line a trace."""
    _, loaded = _load(command)
    table = plain_table("")
    for title in ("Trace", "Format", "Source", "Scenario", "Split", "Measured"):
        table.add_column(title, overflow="fold")
    for title in ("Hours", "Samples", "Mean", "Longest gap s"):
        table.add_column(title, justify="right", no_wrap=True)
    listed = [(o, r) for o, r in loaded.recordings if command.split in (None, split_of(o.key))]
    for origin, recording in listed:
        table.add_row(*_cells(origin, recording))
    _warn_of_refused(loaded)
    _at_least_one(command, table.row_count, command.split)
    out = console()
    if not out.is_terminal:  # a file is read by machines as well
        out.width = table.__rich_measure__(out, out.options.update(max_width=1000)).maximum
    out.print(table)
    return _result(loaded, listed)


def inspect(command: InspectTraces) -> TracesResult:
    """Print what a folder holds, and what would be refused."""
    catalogue, loaded = _load(command, command)
    _at_least_one(command, len(loaded.recordings) + len(loaded.refused))
    out = console()
    formats = Counter(origin.format for origin, _ in loaded.recordings)
    found = ", ".join(f"{n} {name}" for name, n in formats.most_common()) or "none"
    out.print(
        f"[bold]{escape(str(catalogue.root))}[/bold]: {len(catalogue.entries)} files; traces: {found}\n"
    )
    for kind in KINDS:
        items = [(o, r) for o, r in loaded.recordings if r.kind == kind]
        if items:
            print_kind(out, kind, items, command)
    _print_some(out, "were put in order", [(o, r.notes) for o, r in loaded.recordings])
    _print_some(out, "look doubtful", [(o, doubts(r)) for o, r in loaded.recordings], 10)
    if loaded.refused:
        out.print(
            f"[bold]{len(loaded.refused)} files would be refused[/bold] (train, evaluate and convert go on "
            "without them if told --skip-bad-traces)"
        )
        for refused in loaded.refused:
            out.print(f"  {escape(refused.reason)}", soft_wrap=True)
    else:
        out.print("No file would be refused.")
    return _result(loaded, loaded.recordings)


def convert(command: ConvertTraces) -> TracesResult:
    """Write the recordings of a folder as tidy CSV."""
    catalogue, loaded = _load(command)
    if loaded.refused:
        complain(loaded.refused, catalogue, command.skip_bad_traces)
    _at_least_one(command, len(loaded.recordings))
    write_folder(command.out, tidy_paths(loaded.recordings), command)
    print(f"{len(loaded.recordings)} traces written to {command.out}")
    return _result(loaded, loaded.recordings, command.out)


def plot(command: PlotTraces) -> TracesResult:
    """Draw the traces of a folder as one picture."""
    from snakegym.training.show.figures import save
    from snakegym.training.traces.plots import distributions, over_time

    if not command.out.parent.is_dir():
        raise SnakegymError(f"--out: found no folder {command.out.parent}, expected one to write to")
    _, loaded = _load(command, command)
    _warn_of_refused(loaded)
    _at_least_one(command, len(loaded.recordings))
    few = len(loaded.recordings) <= 6
    figure = over_time(loaded.links, loaded.computes) if few else distributions(loaded.recordings)
    save(figure, command.out)
    print(f"{len(loaded.recordings)} traces drawn in {command.out}")
    return _result(loaded, loaded.recordings, command.out)


def generate(command: GenerateTraces) -> TracesResult:
    """Write the generator's traces as tidy CSV."""
    config = load_scenario(command.scenario).network.traces
    asked = {k: v for k in ("links", "computes", "seed") if (v := getattr(command, k)) is not None}
    config = config.model_copy(update={"generator": config.generator | asked, "link": "*", "compute": "*"})
    library = load_library(config, "generated")
    files: dict[str, Recording] = {}
    for link in library.links:
        rates = {UP: link.uplink.values / 1e6, DOWN: link.downlink.values / 1e6}
        files[f"link/{link.name}.csv"] = Recording(link.name, link.uplink.times_s, rates, "generated")
    for trace in library.computes:
        files[f"compute/{trace.name}.csv"] = Recording(
            trace.name, trace.times_s, {"cpu_available_fraction": trace.values}, "generated"
        )
    for path, recording in files.items():
        if len(recording.times_s) < 2:
            raise SnakegymError(
                f"{path}: found one sample, expected two or more: a file does not say how long it holds"
            )
    write_folder(command.out, files, command)
    print(f"{len(library.links)} link and {len(library.computes)} compute traces written to {command.out}")
    return TracesResult(tuple(files.values()), written=command.out)


def _result(loaded: Loaded, items: Items, written: Path | None = None) -> TracesResult:
    return TracesResult(tuple(recording for _, recording in items), tuple(loaded.refused), written)


def _load(command: FolderCommand, rules: Rules | None = None) -> tuple[Catalogue, Loaded]:
    options = {"link": command.match, "compute": command.match, "format": command.format}
    if rules is not None:
        options |= {k: getattr(rules, k) for k in ("gap_s", "missing_direction", "uplink_ratio")}
    try:
        config = TraceConfig.model_validate(options)
    except ValidationError as error:
        raise SnakegymError(_bad_option(error)) from None
    catalogue = scan(folder_of(command.folder), command.format)
    return catalogue, Loaded(catalogue, config)


def _bad_option(error: ValidationError) -> str:
    """Which option has a value that no scenario could have."""
    first = error.errors()[0]
    field = str(first["loc"][0])
    option = "match" if field in ("link", "compute") else field.replace("_", "-")
    return f"--{option}: found {brief(first['input'])}, {first['msg'][0].lower()}{first['msg'][1:]}"


def _at_least_one(command: FolderCommand, found: int, split: Split | None = None) -> None:
    if not found:
        where = f" in the {split} split" if split else ""
        raise SnakegymError(
            f"{command.folder}: found no trace called '{command.match}'{where}, expected one or more"
        )


def _cells(origin: Origin, recording: Recording) -> list[str]:
    """A line of `list`."""
    s = summarise([(origin, recording)], TraceConfig().gap_s)
    texts = (origin.format, origin.source, origin.scenario, split_of(origin.key), _measured(recording))
    numbers = (f"{s.duration_s / 3600:.2f}", str(s.samples), f"{s.mean:.4g}", f"{s.max_gap_s:g}")
    return [*map(escape, (recording.name, *texts)), *numbers]


def _print_some(out: Console, what: str, notes: Sequence[tuple[Origin, Sequence[str]]], n: int = 3) -> None:
    noted = [(origin.path, "; ".join(texts)) for origin, texts in notes if texts]
    if noted:
        out.print(f"{len(noted)} recordings {what}, such as")
        for path, text in noted[:n]:
            out.print(f"  [dim]{escape(path)}: {escape(text)}[/dim]", soft_wrap=True)


def _warn_of_refused(loaded: Loaded) -> None:
    for refused in loaded.refused:
        print(f"left out: {refused.reason}", file=sys.stderr)


def _measured(recording: Recording) -> str:
    if recording.kind == "compute":
        return "compute"
    return " ".join(c.removesuffix("_mbps") for c in measured_directions(recording))
