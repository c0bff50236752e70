"""What recordings hold, in figures: as measured, before anything is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from snakegym.network.traces.formats.base import Floats, Kind, Recording
from snakegym.network.traces.mend import DOWN, UP, gaps_s, measured_directions
from snakegym.network.traces.splits import SHARES, split_of
from snakegym.network.traces.trace import Origin
from snakegym.scenario import Split

SOUND_STEPS_S: Final[dict[Kind, tuple[float, float]]] = {"link": (0.05, 60.0), "compute": (0.5, 3600.0)}
"""Steps of what is published, with room: links every 0.1 to 10 s, machines every second to half an hour."""
PEAK_MBPS: Final = 20_000.0
"""Downlink peak that IMT-2020 asks of a cell (ITU-R M.2410)."""
SLOW_MBPS: Final = 0.01

Items = Sequence[tuple[Origin, Recording]]


@dataclass(frozen=True)
class Summary:
    """Figures of one or more recordings of one kind.

    Values are Mbit/s of the downlink, where that was not measured of the uplink; or shares of compute.
    Means and quantiles are over samples, whatever time lies between them.
    """

    traces: int
    samples: int
    duration_s: float
    """From first to last samples, added up."""
    mean: float
    quantiles: tuple[float, float, float]
    """5 %, 50 % and 95 %."""
    max_gap_s: float
    """The longest time between two samples; 0 if none has two."""
    outages: int
    """Gaps of links that are longer than the limit."""
    outage_s: float
    """How long they are together."""
    directions: tuple[int, int, int]
    """Links with both directions measured, with the downlink alone, with the uplink alone."""
    splits: dict[Split, int]
    """Traces in each split."""


def summarise(items: Items, gap_s: float) -> Summary:
    """Figures of at least one recording; gaps longer than `gap_s` beyond the usual step are outages."""
    recordings = [recording for _, recording in items]
    values = np.concatenate([main_values(r) for r in recordings])
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95)).tolist()
    outages = [gaps_s(r, gap_s) for r in recordings if r.kind == "link"]
    found = [measured_directions(r) for r in recordings if r.kind == "link"]
    in_split = [split_of(origin.key) for origin, _ in items]
    return Summary(
        traces=len(items),
        samples=len(values),
        duration_s=float(sum(r.times_s[-1] - r.times_s[0] for r in recordings)),
        mean=float(values.mean()),
        quantiles=(low, middle, high),
        max_gap_s=max(float(np.diff(r.times_s).max(initial=0.0)) for r in recordings),
        outages=sum(map(len, outages)),
        outage_s=float(sum(o.sum() for o in outages)),
        directions=(sum(len(f) == 2 for f in found), found.count((DOWN,)), found.count((UP,))),
        splits={split: in_split.count(split) for split in SHARES},
    )


def doubts(recording: Recording) -> list[str]:
    """What makes it likely that a recording was read in the wrong unit; none for a sound one."""
    values, step_s = main_values(recording), recording.step_s
    found = []
    if len(values) > 1 and not SOUND_STEPS_S[recording.kind][0] <= step_s <= SOUND_STEPS_S[recording.kind][1]:
        found.append(f"a step of {step_s:g} s: are its times in another unit?")
    if recording.kind == "compute":
        if len(values) > 1 and 0 < 1 - values.min() <= 0.01:
            found.append("never more than 1 % in use: are these shares rather than percentages?")
    elif values.max() > PEAK_MBPS:
        found.append(f"up to {values.max():g} Mbit/s, more than 5G was made for: are these kbit/s or bit/s?")
    elif 0 < values.max() < SLOW_MBPS:
        found.append(f"never more than {values.max():g} Mbit/s: are these Gbit/s?")
    return found


def main_values(recording: Recording) -> Floats:
    """The samples that describe a recording best: see `Summary`."""
    if recording.kind == "compute":
        return recording.columns["cpu_available_fraction"]
    return recording.columns[DOWN if DOWN in measured_directions(recording) else UP]


def strata(items: Items) -> dict[tuple[str, str], list[tuple[Origin, Recording]]]:
    """Recordings by source and scenario, in alphabetical order."""
    groups: dict[tuple[str, str], list[tuple[Origin, Recording]]] = {}
    for origin, recording in items:
        groups.setdefault((origin.source, origin.scenario), []).append((origin, recording))
    return dict(sorted(groups.items()))
