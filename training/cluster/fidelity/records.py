"""What was measured, as it lies in a file: enough to simulate and to compare it again."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from snakegym.training.cluster.fidelity.plan import Plan
from snakegym.training.cluster.hosting import Event
from snakegym.training.runs.folder import check_results, read_shape, write_json

MEASURED: Final = "measured.json"
FILES: Final = (MEASURED, "fidelity.json", "fidelity.md", "fidelity.png")


@dataclass(frozen=True)
class Calibration:
    """What the simulation is told of devices and links, from hops under constant conditions."""

    peak_flops: tuple[float, ...]
    """FLOP/s of each node when all of it is free."""
    transfer_s: float
    """What a transfer takes beside the time of its bytes."""


@dataclass(frozen=True)
class Run:
    """A process on real nodes."""

    zero_s: float
    """Seconds since 1970 at which its traces began."""
    calibration: Calibration
    wire_bytes: list[tuple[int, int]]
    """Of each node: sent and received while it ran, headers and everything else included."""
    events: list[Event]
    """See `snakegym.training.cluster.hosting`."""


@dataclass(frozen=True)
class Measured:
    """Runs of one plan, by the names of their schedulers."""

    request: dict[str, Any]
    runs: dict[str, Run] = field(default_factory=dict)

    @classmethod
    def read(cls, out: Path, plan: Plan) -> Measured:
        """What the folder has, if anything. Raises SnakegymError: of another plan."""
        check_results(out, "measurement", FILES, plan.request())
        if not (out / MEASURED).exists():
            return cls(plan.request())
        return read_shape(out / MEASURED, cls, "measurement")

    def write(self, out: Path) -> None:
        """Put it into the folder."""
        write_json(out / MEASURED, asdict(self), indent=None)
