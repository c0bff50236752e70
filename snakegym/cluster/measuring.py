"""What a node measures of itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from snakegym.cluster.statements import Beat
from snakegym.errors import SnakegymError

PRODUCT, LONG_S = 192, 0.05


def peak_flops() -> float:
    """FLOP/s of this machine's products of small matrices, as training does them."""
    matrix = torch.rand(PRODUCT, PRODUCT, generator=torch.Generator().manual_seed(0))
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < LONG_S:
        matrix = (matrix @ matrix) / PRODUCT
        done += 1
    return done * 2 * PRODUCT**3 / (time.perf_counter() - start)


def memory_bytes() -> float:
    """That is free on this machine."""
    return float(psutil.virtual_memory().available)


def stated_share(file: Path) -> float:
    """The share of this machine that is free, as whoever portions it out has written there: text, in [0, 1].

    Raises:
        SnakegymError: the file cannot be read, or says something else.
    """
    try:
        text = file.read_text(encoding="ascii")
        share: float = float(text)
    except OSError as error:
        raise SnakegymError(f"{file}: cannot be read: {error.strerror}, expected a share in it") from None
    except ValueError:
        share = float("nan")
    if not 0 <= share <= 1:
        raise SnakegymError(f"{file}: found {text[:40]!r}, expected a share in [0, 1]")
    return share


class Pulse:
    """What a node says each time it is asked how it is.

    Args:
        life: of the node.
        free: gives the share of its compute that is free, where that is not what can be seen of the whole
            machine; None: what psutil sees.
    """

    def __init__(self, life: str, free: Callable[[], float] | None = None) -> None:
        self._life, self._free = life, free
        self._own = psutil.Process()
        self._own.cpu_percent(), psutil.cpu_percent()

    def beat(self) -> Beat:
        """Compute that is free since the last time, but for what this process used itself; battery if any."""
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        left = 1.0 if battery is None or battery.power_plugged else battery.percent / 100
        return Beat(self._life, self._seen() if self._free is None else self._free(), left)

    def _seen(self) -> float:
        processors = psutil.cpu_count() or 1
        others = psutil.cpu_percent() - self._own.cpu_percent() / processors
        return float(min(1.0, max(0.0, 1 - others / 100)))
