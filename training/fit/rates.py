"""Fits forecasts of rates to traces: how fast they go back to their means, and how often nodes drop out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from snakegym.agents.planning.forecasts import DropOuts, RateForecasts, Reversion, fingerprint_of_traces
from snakegym.control.view import Bools, Floats
from snakegym.network.advance import Course
from snakegym.network.costs import BITS_PER_BYTE
from snakegym.network.curve import Curves
from snakegym.network.traces.trace import Trace, TraceLibrary
from snakegym.scenario import Scenario

MOMENTS = 2000
"""At which a rate and what became of it are looked at, in all traces together."""
AHEAD = (0.0, 1.0, 4.0, 12.0)
"""How far ahead of a moment, in nominal hops."""
TAUS = tuple(np.geomspace(0.3, 100.0, 8).tolist())
"""Tried, in nominal hops."""
WEIGHTS = (0.5, 0.75, 1.0)
NOW_SHARES = (0.5, 0.75, 1.0)
OWN_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
LEVELS = (0.4, 0.6, 0.8, 1.0)
"""Tried, of the mean rate of all traces."""
MOST_S = 5.0
"""In nominal hops."""
WINDOWS = 4
"""Of measurement, in a node's history."""


def fit_forecasts(scenario: Scenario, traces: TraceLibrary) -> RateForecasts:
    """What the rates of a scenario do, from its training traces; deterministic, in seconds.

    Args:
        scenario: says how long hops, measurement windows and outages are.
        traces: of the `train` split.
    """
    rng = np.random.default_rng(0)
    links = traces.links
    up, down = [link.uplink for link in links], [link.downlink for link in links]
    nominal = scenario.objective.nominal

    def mean(of: Sequence[Trace]) -> float:
        return max(1e-9, float(np.mean([trace.mean for trace in of])))

    return RateForecasts(
        traces=fingerprint_of_traces(scenario),
        availability=_reversion(scenario, traces.computes, nominal.time_s / 2, rng),
        uplink=_reversion(scenario, up, nominal.n_bytes * BITS_PER_BYTE / mean(up), rng),
        downlink=_reversion(scenario, down, nominal.n_bytes * BITS_PER_BYTE / mean(down), rng),
        link_drops=_drop_outs(scenario, down, rng),
        compute_drops=_drop_outs(scenario, traces.computes, rng),
    )


def _reversion(
    scenario: Scenario, traces: Sequence[Trace], work_s: float, rng: np.random.Generator
) -> Reversion:
    """The one by which the times of work are foreseen with the least squared error, over all horizons.

    Times and not rates, because it is they that are paid for: what a slow node takes longer outweighs what a
    fast one takes less. Work that takes longer than `MOST_S` nominal hops counts as if it took that.

    Args:
        scenario: says how long hops are.
        traces: of one kind.
        work_s: the work, in seconds at the mean rate of all traces.
        rng: draws moments.
    """
    length_s = scenario.objective.nominal.time_s
    ahead_s, most_s = np.array(AHEAD) * length_s, MOST_S * length_s
    mean = float(np.mean([trace.mean for trace in traces]))
    amount, window_s = mean * work_s, scenario.network.measure_window_s
    now, recent, own, took = [], [], [], []
    for trace in traces:
        at, since_s = _moments(scenario, trace, len(traces), rng)
        now.append(trace.at(at))
        lately_s = np.minimum(since_s, window_s)
        recent.append(trace.integral(at - lately_s, at) / lately_s)
        own.append(trace.integral(at - since_s, at) / since_s)
        took.append(_times(trace, at + ahead_s[:, None], amount, most_s))
    seen = np.concatenate(now), np.concatenate(recent), np.concatenate(own)
    times = np.concatenate(took, axis=1)
    found, error = Reversion(mean=mean, tau_s=length_s, now_share=1.0, weight=0.0, own_share=0.0), np.inf
    for tau, now_share, weight, own_share, level in product(TAUS, NOW_SHARES, WEIGHTS, OWN_SHARES, LEVELS):
        one = Reversion(
            mean=level * mean,
            tau_s=tau * length_s,
            now_share=now_share,
            weight=weight,
            own_share=own_share,
        )
        rates = one.expected(*seen, ahead_s, length_s)
        expected = amount / np.maximum(rates, amount / most_s)
        squared = float(((expected - times) ** 2).mean())
        if squared < error:
            found, error = one, squared
    return found


def _times(trace: Trace, at_s: Floats, amount: float, most_s: float) -> Floats:
    """Of work that begins at each moment, at most `most_s`."""
    if amount <= 0:
        return np.zeros_like(at_s)
    curve = Curves([Course(((trace, 0.0),))], float(at_s.max()) + most_s, most_s)
    return np.minimum(curve.advance(at_s, np.full_like(at_s, amount)).elapsed_s, most_s)


def _moments(
    scenario: Scenario, trace: Trace, n_traces: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Moments of a trace, and how long a history a node has then: [n] each."""
    n = max(1, MOMENTS // n_traces)
    most_s = min(scenario.process.budget.time_s, WINDOWS * scenario.network.measure_window_s)
    since_s = np.maximum(rng.uniform(0.0, 2 * most_s, n).clip(max=most_s), 1e-3 * most_s)
    return rng.random(n) * trace.period_s + 2 * most_s, since_s


def _drop_outs(scenario: Scenario, traces: Sequence[Trace], rng: np.random.Generator) -> DropOuts:
    """Least squares over moments at which a trace is up: whether a long outage begins in a nominal hop."""
    length_s, timeout_s = scenario.objective.nominal.time_s, scenario.network.timeout_s
    away, lost = [np.zeros(0)], [np.zeros(0, dtype=np.bool_)]
    for trace in traces:
        at, since_s = _moments(scenario, trace, len(traces), rng)
        up = Trace(trace.name, trace.times_s, trace.values > 0, trace.period_s)
        there = up.at(at) > 0
        away.append((1 - up.integral(at - since_s, at) / since_s)[there])
        lost.append(_drops(trace, at[there], length_s, timeout_s))
    absent, dropped = np.concatenate(away), np.concatenate(lost).astype(np.float64)
    if not dropped.any():
        return DropOuts(always_there=0.0, always_away=0.0)
    base = np.stack([np.ones_like(absent), absent], axis=1)
    constant, slope = np.linalg.lstsq(base, dropped / length_s, rcond=None)[0].tolist()
    if constant < 0 or slope < 0:
        constant, slope = float(dropped.mean() / length_s), 0.0
    return DropOuts(always_there=constant, always_away=slope)


def _drops(trace: Trace, at_s: Floats, length_s: float, timeout_s: float) -> Bools:
    """[n]: whether an outage longer than the timeout begins within `length_s` of each moment."""
    times = np.append(trace.times_s, trace.period_s)
    change = np.diff(np.concatenate(([0], (trace.values <= 0).astype(np.int8), [0])))
    starts, ends = times[np.flatnonzero(change == 1)], times[np.flatnonzero(change == -1)]
    starts = starts[ends - starts > timeout_s]
    if not len(starts):
        return np.zeros(len(at_s), dtype=np.bool_)
    starts = np.append(starts, starts[0] + trace.period_s)
    local = at_s % trace.period_s
    return starts[np.searchsorted(starts, local)] - local <= length_s
