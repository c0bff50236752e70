"""What a node measures of itself."""

from __future__ import annotations

import time

import psutil
import torch

from snakegym.cluster.statements import Beat

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


class Pulse:
    """What a node says each time it is asked how it is.

    Args:
        life: of the node.
    """

    def __init__(self, life: str) -> None:
        self._life = life
        self._own = psutil.Process()
        self._own.cpu_percent(), psutil.cpu_percent()

    def beat(self) -> Beat:
        """Compute that is free since the last time, but for what this process used itself; battery if any."""
        processors = psutil.cpu_count() or 1
        others = psutil.cpu_percent() - self._own.cpu_percent() / processors
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
        left = 1.0 if battery is None or battery.power_plugged else battery.percent / 100
        return Beat(self._life, min(1.0, max(0.0, 1 - others / 100)), left)
