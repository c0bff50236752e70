"""The progress bar of all commands."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

LOG_SECONDS = 15
"""Between two lines where the bar goes to a file or a pipe."""


def progress(total: int, what: str, unit: str, initial: int = 0, leave: bool = True) -> tqdm[Any]:
    """A bar on standard error; a log file gets a line now and then instead.

    Args:
        total: number of units at the end.
        what: in front of the bar.
        unit: what is counted.
        initial: units done before.
        leave: whether the bar stays when it is done.
    """
    terminal = sys.stderr.isatty()
    return tqdm(
        total=total,
        initial=initial,
        desc=what,
        unit=unit,
        leave=leave and terminal,
        file=sys.stderr,
        dynamic_ncols=True,
        mininterval=0.1 if terminal else LOG_SECONDS,
        miniters=None if terminal else 1,
        smoothing=0.05,
    )
