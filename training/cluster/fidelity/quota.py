"""Groups of processes that get a share of one processor and no more (cgroups, version 1 or 2)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from snakegym.errors import SnakegymError

ROOT: Final = Path("/sys/fs/cgroup")
GROUP: Final = "snakegym-fidelity"
CONTROL: Final = "cgroup.subtree_control"
PERIOD_US: Final = 20_000
"""Of a quota, at least: a hop ends at most that much late."""
LEAST_US: Final = 4_000
"""Quota of a period, at least; smaller shares have longer ones: each processor may keep 1 ms back."""
LONGEST_US: Final = 1_000_000
END_S: Final = 5.0


def portion(share: float) -> tuple[int, int]:
    """Quota and period in µs that come to a share of a processor; less than a 250th is not to be had."""
    period = min(LONGEST_US, max(PERIOD_US, round(LEAST_US / share))) if share > 0 else LONGEST_US
    return max(LEAST_US, round(share * period)), period


class Group:
    """A group of processes.

    Args:
        name: of the group.
        parent: folder of the group that this program is in.

    Raises:
        SnakegymError: it cannot be made.
    """

    def __init__(self, name: str, parent: Path) -> None:
        self._folder = parent / GROUP / name
        try:
            for folder in (parent, parent / GROUP):
                folder.mkdir(exist_ok=True)
                if (folder / CONTROL).exists():  # version 2
                    (folder / CONTROL).write_text("+cpu")
            self._folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SnakegymError(f"{self._folder}: {error.strerror}, expected a group of processes") from None

    def take(self, process: int) -> None:
        """That process, and those that it starts, are of the group."""
        (self._folder / "cgroup.procs").write_text(str(process))

    def limit(self, share: float) -> None:
        """All of them together get that share of a processor from now on."""
        quota_us, period_us = portion(share)
        if (self._folder / "cpu.cfs_quota_us").exists():
            (self._folder / "cpu.cfs_period_us").write_text(str(period_us))
            (self._folder / "cpu.cfs_quota_us").write_text(str(quota_us))
        else:
            (self._folder / "cpu.max").write_text(f"{quota_us} {period_us}")


def parent_group() -> Path | None:
    """Where a group can be made that has its processors portioned out; None: nowhere here.

    In version 1 below the group of this program, so that its weight holds; in version 2, where a group with
    processes in it may have none below, at the root.
    """
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            folder = ROOT / controllers / path.lstrip("/")
            if "cpu" in controllers.split(",") and os.access(folder, os.W_OK):
                return folder
        known = (ROOT / "cgroup.controllers").read_text(encoding="ascii").split()
        if "cpu" in known and os.access(ROOT, os.W_OK):
            return ROOT
    return None


def remove_groups() -> None:
    """Remove all groups of ours, whose processes have ended, or are about to."""
    until = time.monotonic() + END_S
    while (found := sorted(_ours(), reverse=True)) and time.monotonic() < until:
        for folder in found:
            with suppress(OSError):
                folder.rmdir()
        time.sleep(0.02)


def _ours() -> Iterator[Path]:
    for top, _, _ in os.walk(ROOT):
        path = Path(top)
        if GROUP in (path.name, path.parent.name):
            yield path
