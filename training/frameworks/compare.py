"""`snakegym compare`: the frameworks beside each other, on the same data and network."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakegym.control.service import load_service
from snakegym.data.datasets import QUESTIONS, TEXT
from snakegym.data.vision import locate_vision
from snakegym.errors import SnakegymError
from snakegym.frameworks.registry import entry, place
from snakegym.training.frameworks.config import CompareConfig, Comparison
from snakegym.training.frameworks.plots import draw_perplexities
from snakegym.training.frameworks.pool import train_pieces
from snakegym.training.frameworks.results import ComparisonResult, report
from snakegym.training.frameworks.runs import Piece, Runner, use_device
from snakegym.training.pool.opened import opened
from snakegym.training.pool.seam import Pool
from snakegym.training.runs.conventions import REQUEST_FILES, write_request
from snakegym.training.runs.folder import (
    existing_files,
    first_difference,
    locked,
    make_folder,
    read_json,
    write_json,
)
from snakegym.training.runs.progress import progress

Result = dict[str, Any]
IDENTITY = "comparison.json"
"""Says what a folder compares."""
PICTURE = "perplexity.png"
"""Of a comparison of language models: all ways to spread the samples."""


def compare(config: CompareConfig) -> ComparisonResult:
    """Train what is missing, then print the table and draw the pictures.

    Raises:
        SnakegymError: bad option, data, traces or device, or a folder of another comparison.
    """
    with opened(config.ray) as pool:
        parts = config.partitions()
        if not parts:
            return _compare(config, pool)
        return _compare_all(config, parts, pool)


def _compare_all(config: CompareConfig, parts: dict[str, CompareConfig], pool: Pool) -> ComparisonResult:
    """One comparison a way to spread the samples, and a picture of all; what is said last is given back."""
    others = [name for name in existing_files(config.out) if name not in (PICTURE, *REQUEST_FILES, *parts)]
    if others:
        raise SnakegymError(
            f"{config.out}: found {others[0]}, expected a new or empty folder, or a comparison's"
        )
    found = {name: _compare(part, pool) for name, part in parts.items()}
    write_request(config.out, config)
    draw_perplexities(config.out / PICTURE, {name: result.results for name, result in found.items()})
    return list(found.values())[-1]


def _compare(config: CompareConfig, pool: Pool) -> ComparisonResult:
    comparison = Comparison.of(config)
    pieces = [Piece(f, s) for s in config.seed_list() for f in config.framework_list()]
    local = "cpu" if pool.is_remote else config.device  # a machine of a cluster may have what this one lacks
    use_device(local, comparison.tf32)
    data = comparison.scenario.data
    if data.dataset not in ("digits", TEXT, QUESTIONS):
        locate_vision(data.dataset, data.root)  # unpacks it once, before several processes look for it
    existing_files(config.out)  # raises for what can be no folder
    runner = Runner(comparison, config.out / "runs", config.device)
    _check(replace(runner, device=local), pieces)  # what is wrong is said before anything is written
    make_folder(config.out)
    with locked(config.out):
        _claim(config.out, comparison)
        write_request(config.out, config)
        make_folder(runner.folder)
        try:
            _train(runner, pieces, config, pool)
        except KeyboardInterrupt:
            raise KeyboardInterrupt("what was trained is kept: repeat the command to go on") from None
        return report(config.out, comparison, _finished(runner))


def _check(runner: Runner, pieces: list[Piece]) -> None:
    """Raise SnakegymError for whatever is wrong with data, model, traces or the memory of a node."""
    comparison = runner.comparison
    load_service(comparison.scenario, comparison.split, comparison.traces)
    for piece in pieces:
        if not runner.result_path(piece).exists():
            entry(piece.framework).check(runner.problem(piece.seed))


def _train(runner: Runner, pieces: list[Piece], config: CompareConfig, pool: Pool) -> None:
    cycles = runner.comparison.cycles
    done = Counter({piece: runner.rounds_done(piece) for piece in pieces})
    left = [piece for piece in pieces if runner.result(piece) is None]
    if not left:
        return
    with progress(cycles * len(pieces), "comparing", "round", done.total()) as bar:

        def after_round(piece: Piece, rounds: int) -> None:
            bar.set_description(f"{piece.framework}, seed {piece.seed}", refresh=False)
            bar.update(max(0, rounds - done[piece]))  # a round may be trained again, after a death
            done[piece] = max(rounds, done[piece])

        train_pieces(pool, runner, left, config.jobs, after_round)


def _finished(runner: Runner) -> list[Result]:
    """All finished pieces of the folder, in the registry's order, then by seed."""
    found = runner.finished()
    return sorted(found, key=lambda r: (place(r["framework"]), r["framework"], r["seed"]))


def _claim(out: Path, comparison: Comparison) -> None:
    """Write down what the folder compares, or refuse if it compares something else."""
    path, identity = out / IDENTITY, comparison.identity()
    if not path.exists():
        others = [name for name in existing_files(out) if not name.startswith(".")]
        if others:
            raise SnakegymError(
                f"{out}: found {others[0]}, expected a new or empty folder, or a comparison's"
            )
        write_json(path, identity)
        return
    difference = first_difference(identity, read_json(path))
    if difference is not None:
        raise SnakegymError(f"{out} holds another comparison, {difference}: choose another --out")
