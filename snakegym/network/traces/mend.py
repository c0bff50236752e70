"""From recordings as measured to traces that a network can replay: fixed, stated rules.

- **Gaps.** A link sample holds for the recording's median step; if the next one comes more than
  `gap_s` after that, the link was out in between. A compute sample holds until the next one: a
  missing record says that the monitor was down, not the machine.
- **Acknowledgements only.** In a download that was recorded in both directions the uplink may
  carry nothing but TCP's acknowledgements, at most one of some 52 bytes for two segments of 1448
  (RFC 5681), 1.8 %. A direction with less than `ACK_SHARE` of the other's mean therefore says
  nothing about capacity, and counts as not measured.
- **One direction only.** By `missing_direction` the uplink is `uplink_ratio` times as fast as the
  downlink (`ratio`), both are equally fast (`same`), or the recording is refused (`refuse`).
- **Traces of nothing.** Rates under 1 bit/s and shares under one in a million are 0: an outage, which
  ends a hop, rather than a hop that takes years.

Rates are rounded to a thousandth of a bit/s, so that changing units leaves no residue.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.network.traces.formats.base import Column, Recording
from snakegym.network.traces.trace import Floats, LinkTrace, Origin, Trace
from snakegym.scenario import MendRules

ACK_SHARE: Final = 0.02
LOWEST_BPS: Final = 1.0
LOWEST_SHARE: Final = 1e-6
BPS_PER_MBPS: Final = 1e6
UP: Final[Column] = "uplink_mbps"
DOWN: Final[Column] = "downlink_mbps"


def link_trace(recording: Recording, rules: MendRules, origin: Origin | None = None) -> LinkTrace:
    """The link in a recording.

    Raises:
        SnakegymError: it has one direction only, and the rules refuse that.
    """
    rates = _both_directions(recording, rules)
    step_s, period_s = recording.step_s, length_s(recording)

    def trace(direction: Column) -> Trace:
        bps = np.round(rates[direction] * BPS_PER_MBPS, 3)
        bps[bps < LOWEST_BPS] = 0.0
        times, values = cut_gaps(recording.times_s, bps, step_s, rules.gap_s)
        return Trace(recording.name, times, values, period_s)

    rtt_s = None if recording.rtt_ms is None else recording.rtt_ms / 1000
    return LinkTrace(recording.name, trace(UP), trace(DOWN), rtt_s, origin)


def compute_trace(recording: Recording, origin: Origin | None = None) -> Trace:
    """The availability of a machine in a recording."""
    share = recording.columns["cpu_available_fraction"]
    share = np.where(share < LOWEST_SHARE, 0.0, share)
    return Trace(recording.name, recording.times_s, share, length_s(recording), origin)


def length_s(recording: Recording) -> float:
    """From the first sample to one step after the last, or as long as the format states."""
    return recording.period_s or float(recording.times_s[-1] - recording.times_s[0]) + recording.step_s


def gaps_s(recording: Recording, gap_s: float) -> Floats:
    """Lengths of the outages that a link's gaps become."""
    silent: Floats = np.diff(recording.times_s) - recording.step_s
    return silent[silent > gap_s]


def cut_gaps(times: Floats, rates: Floats, step_s: float, gap_s: float) -> tuple[Floats, Floats]:
    """Times and rates with an outage from one step after the last sample before each long gap."""
    before = np.flatnonzero(times[1:] - times[:-1] > step_s + gap_s)
    if not len(before):
        return times, rates
    return np.insert(times, before + 1, times[before] + step_s), np.insert(rates, before + 1, 0.0)


def measured_directions(recording: Recording) -> tuple[Column, ...]:
    """The columns of a link's recording that say what the link can carry."""
    columns = recording.columns
    if UP in columns and DOWN in columns:
        up, down = columns[UP].mean(), columns[DOWN].mean()
        if up < ACK_SHARE * down:
            return (DOWN,)
        if down < ACK_SHARE * up:
            return (UP,)
    return tuple(c for c in (UP, DOWN) if c in columns)


def _both_directions(recording: Recording, rules: MendRules) -> Mapping[Column, Floats]:
    rates = {c: recording.columns[c] for c in measured_directions(recording)}
    if len(rates) == 2:
        return rates
    known, missing = (DOWN, UP) if DOWN in rates else (UP, DOWN)
    if rules.missing_direction == "refuse":
        raise SnakegymError(
            f"{recording.name}: found no measured {missing.partition('_')[0]}, expected both directions"
        )
    ratio = 1.0 if rules.missing_direction == "same" else rules.uplink_ratio
    return {known: rates[known], missing: rates[known] * (ratio if missing == UP else 1 / ratio)}
