"""What `snakegym report` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from snakegym.errors import SnakegymError
from snakegym.training.options import Text


@dataclass(frozen=True)
class ReportConfig:
    """Make one self-contained HTML page of evaluations, with tables and pictures.

    The page needs nothing but itself: it can be sent by mail and opened without a network.
    Evaluations of the very same episodes are shown together, others in sections of their own.
    """

    results: tyro.conf.Positional[tuple[Path, ...]]
    """Folders that `snakegym evaluate` wrote."""
    out: Path = Path("report.html")
    """File to write; only a report is ever overwritten."""
    target: Annotated[float | None, tyro.conf.arg(metavar="FLOAT")] = None
    """Validation accuracy whose time is shown, 0 to 1; default: the scenario's, else what the baseline
    reaches."""

    baseline: Text = None
    """The scheduler that the others are compared with, as it was asked for; default: that of the
    evaluations, if they agree, else the first that was not trained."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        if not self.results:
            raise SnakegymError("RESULTS: found none, expected the folder of one evaluation at least")
        if self.target is not None and not 0 < self.target <= 1:
            raise SnakegymError(f"--target: found {self.target}, expected above 0, at most 1")
