"""Files in a run folder that people's scripts look for, beside ours."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from snakegym.errors import SnakegymError
from snakegym.training.arguments import document_of
from snakegym.training.runs.folder import append_text, read_lines, replacing, write_text

CONFIG_FILE = "config.yml"
COMMAND_FILE = "command.txt"
EVALUATIONS = "evaluations.npz"
MONITOR = "0.monitor.csv"
BEST_MODEL = "best_model.zip"
REQUEST_FILES = (CONFIG_FILE, COMMAND_FILE)
"""What `write_request` leaves."""
APART = ("out", "resume", "overwrite", "jobs")
"""Options that say where a command writes and how many processes do it, not what it does."""


def write_request(folder: Path, config: Any, resolved: Mapping[str, Any] | None = None) -> None:
    """Write config.yml, with which `--config` repeats the command, and command.txt, as it was called.

    Args:
        folder: of the run.
        config: dataclass of the command's options.
        resolved: options that were found out, such as all hyperparameters.
    """
    document = {name: v for name, v in document_of(config).items() if name not in APART} | dict(
        resolved or {}
    )
    write_text(folder / CONFIG_FILE, yaml.safe_dump(document, sort_keys=False))
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    # A file may be called what no encoding has letters for.
    write_text(folder / COMMAND_FILE, command.encode(errors="backslashreplace").decode() + "\n")


class Evaluations:
    """evaluations.npz as SB3's `EvalCallback` writes it: timesteps [n], results and ep_lengths [n, episodes].

    Args:
        folder: of the run.
        until: steps of the checkpoint that the run goes on from: what was evaluated later is dropped.
    """

    def __init__(self, folder: Path, until: int) -> None:
        self._path = folder / EVALUATIONS
        self._rows: list[tuple[int, list[float], list[int]]] = []
        if self._path.exists():
            try:
                with np.load(self._path, allow_pickle=False) as kept:
                    rows = zip(kept["timesteps"], kept["results"], kept["ep_lengths"], strict=True)
                    self._rows = [(int(t), list(r), list(n)) for t, r, n in rows if t <= until]
            except (OSError, ValueError, KeyError, EOFError) as error:
                raise SnakegymError(f"{self._path}: cannot read it: {' '.join(str(error).split())}") from None

    def add(self, timesteps: int, returns: Sequence[float], lengths: Sequence[int]) -> None:
        """Write one more evaluation."""
        self._rows = [row for row in self._rows if row[0] < timesteps]
        self._rows.append((timesteps, [*returns], [*lengths]))
        times, results, ep_lengths = zip(*self._rows, strict=True)
        with replacing(self._path) as temporary, temporary.open("wb") as file:
            np.savez(
                file, timesteps=np.array(times), results=np.array(results), ep_lengths=np.array(ep_lengths)
            )


class Monitor:
    """0.monitor.csv as SB3's `Monitor` writes it: a row of r, l and t for each episode of the training.

    Args:
        folder: of the run.
        episodes: of the checkpoint that the run goes on from: later ones are dropped.
        began_s: when the run began, in seconds since 1970.
    """

    def __init__(self, folder: Path, episodes: int, began_s: float) -> None:
        self._path = folder / MONITOR
        head = "#" + json.dumps({"t_start": began_s, "env_id": "snakegym/Serpentine-v1"})
        lines = read_lines(self._path)[: 2 + episodes] if episodes else []
        write_text(self._path, "\n".join(lines or [head, "r,l,t"]) + "\n")

    def add(self, episodes: Sequence[Mapping[str, float]]) -> None:
        """Append the episodes that ended."""
        if episodes:
            append_text(self._path, "".join(f"{e['r']},{e['l']},{e['t']}\n" for e in episodes))


def link_best(best: Path) -> None:
    """The best model under the name that `EvalCallback` gives it, too; the same file if that is possible."""
    with replacing(best.with_name(BEST_MODEL)) as temporary:
        temporary.unlink(missing_ok=True)
        try:
            os.link(best, temporary)
        except OSError:
            shutil.copyfile(best, temporary)
