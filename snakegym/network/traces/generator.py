"""The built-in traces: nothing to download, the same on every machine, made in a moment.

Links are Markov-modulated, as in the classical models of a fading channel (Gilbert 1960, two states;
Elliott 1963; Fritchman 1967, several states): a continuous-time chain moves between the states good,
fair, poor and outage, and each state has its rate. Rates are those of a microcontroller's LTE-M
modem (3GPP release 13, Cat-M1: at most 1 Mbit/s), less where coverage extension repeats the data.

Compute is tidal: load follows the day, with a phase of its own at every node. On top of the tide
come bursts of background work, an on-off process with exponential times, which take most of the
device for minutes, and now and then all of it.

Every trace has a random generator of its own, so that more of them leave the others as they are;
values are rounded, so that the last bits of a platform's arithmetic do not matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from snakegym.network.traces.trace import Floats, LinkTrace, Trace, TraceLibrary
from snakegym.scenario import BitRate, Ratio, Seconds, Section, Share, Weight

MOST_VALUES: Final = 2e7
"""In all traces together: 160 MB, made in a minute."""

_DAY_S = 86400.0
_LINK, _COMPUTE = 1, 2  # streams of random numbers


class GeneratorConfig(Section):
    """Settings of the generator; a scenario sets them under `network.traces.generator`.

    Whole numbers may come as floating-point ones, as which a scenario holds all settings (hence 2**53).
    """

    seed: Annotated[int, Field(ge=0, le=2**53, strict=False)] = 0
    """Other seeds, other traces."""
    links: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 80
    """Number of link traces."""
    computes: Annotated[int, Field(ge=1, le=10_000, strict=False)] = 80
    """Number of compute traces."""

    link_period_s: Seconds = 3600.0
    """Length of a link trace, which then starts again."""
    link_step_s: Seconds = 1.0
    """Sampling of links; outages shorter than half of it vanish."""
    good_bps: Annotated[float, Field(ge=10, le=1e15)] = 1.0e6
    """Downlink rate in the good state, median; the largest of the three is never exceeded."""
    fair_bps: BitRate = 4.0e5
    """In the fair state."""
    poor_bps: BitRate = 1.0e5
    """In the poor state."""
    uplink_ratio: Ratio = 0.8
    """Uplink rate as a multiple of the downlink's."""
    fading: Annotated[float, Field(ge=0, le=10)] = 0.15
    """Standard deviation of the logarithm of the rate within a state, per step and direction."""
    good_s: Seconds = 40.0
    """Mean time in the good state (exponential); nodes differ in it."""
    fair_s: Seconds = 20.0
    """In the fair state."""
    poor_s: Seconds = 30.0
    """In the poor state; nodes differ in it."""
    outage_s: Seconds = 10.0
    """In an outage."""
    outage_max_s: Seconds = 25.0
    """Longer outages are cut to this (now and then two follow one another closely)."""
    outage_weight: Weight = 0.4
    """How often outages are entered, relative to any other state, on a link of middling quality."""

    day_s: Seconds = _DAY_S
    """Period of the tide; shorter than a real day where an episode is to see a whole one."""
    compute_period_s: Seconds = _DAY_S
    """A whole number of days, or the tide jumps where the trace starts again."""
    compute_step_s: Seconds = 10.0
    """Sampling of compute."""
    tide: Share = 0.5
    """Share of the compute that the daily load takes at its height, at most; nodes differ."""
    burst_s: Seconds = 120.0
    """Mean length of a burst of background work (exponential)."""
    burst_share: Share = 0.9
    """Share of the remaining compute that a burst takes, at most."""
    blackout: Share = 0.1
    """Share of the bursts that take all compute."""
    floor: Share = 0.05
    """Availability does not fall below this except in a blackout."""

    @model_validator(mode="after")
    def _bounded(self) -> GeneratorConfig:
        n_links = 2 * self.links * max(1.0, self.link_period_s / self.link_step_s)
        n_computes = self.computes * max(1.0, self.compute_period_s / self.compute_step_s)
        if n_links + n_computes > MOST_VALUES:
            raise ValueError(
                f"links, computes, periods and steps amount to {n_links + n_computes:.3g} values, "
                f"expected at most {MOST_VALUES:.0e}"
            )
        for name in ("good_s", "fair_s", "poor_s", "outage_s", "outage_max_s", "burst_s"):
            step = "compute_step_s" if name == "burst_s" else "link_step_s"
            value, least = getattr(self, name), getattr(self, step) / 2
            if value < least:
                raise ValueError(f"{name} is {value:g}, expected at least half of {step}, {least:g}")
        return self


@lru_cache(maxsize=8)
def generate(config: GeneratorConfig) -> TraceLibrary:
    """The library that the settings describe; always the same for the same settings."""
    links = tuple(_link(config, i) for i in range(config.links))
    computes = tuple(_compute(config, i) for i in range(config.computes))
    return TraceLibrary(links, computes)


def _link(config: GeneratorConfig, index: int) -> LinkTrace:
    """One link. Its quality, uniform in [0, 1], shifts time between the good and the poor state."""
    rng = np.random.default_rng((config.seed, _LINK, index))
    quality = 0.02 + 0.96 * rng.random()
    weights = [1, 1, 1, config.outage_weight * 2 * (1 - quality)]
    dwell = [config.good_s * 2 * quality, config.fair_s, config.poor_s * 2 * (1 - quality), config.outage_s]
    longest = [np.inf, np.inf, np.inf, config.outage_max_s]
    n = max(1, round(config.link_period_s / config.link_step_s))
    states = _chain(rng, weights, dwell, longest, n, config.link_step_s)
    rates = [config.good_bps, config.fair_bps, config.poor_bps, 0.0]
    level, peak, period = np.array(rates)[states], max(rates), n * config.link_step_s
    times, name = np.arange(n) * config.link_step_s, f"generated-link-{index:03d}"

    def direction(ratio: float) -> Trace:
        faded = np.minimum(level * np.exp(config.fading * rng.standard_normal(n)), peak)
        return Trace(name, times, np.round(ratio * faded, -1), period)

    down, up = direction(1.0), direction(config.uplink_ratio)
    return LinkTrace(name, up, down)


def _compute(config: GeneratorConfig, index: int) -> Trace:
    """One node's availability: what the tide leaves, times what the bursts leave."""
    rng = np.random.default_rng((config.seed, _COMPUTE, index))
    n = max(1, round(config.compute_period_s / config.compute_step_s))
    times = np.arange(n) * config.compute_step_s
    height, phase, busy = config.tide * rng.random(), 2 * np.pi * rng.random(), rng.uniform(0.05, 0.85)
    tide = height * (0.5 + 0.5 * np.sin(2 * np.pi * times / config.day_s + phase))
    burst = _bursts(config, rng, busy, n)
    free = np.clip((1 - tide) * (1 - burst) + rng.normal(0, 0.02, n), config.floor, 1)
    free[burst >= 1] = 0
    return Trace(f"generated-compute-{index:03d}", times, np.round(free, 3), n * config.compute_step_s)


def _bursts(config: GeneratorConfig, rng: np.random.Generator, busy: float, n: int) -> Floats:
    """[n]: share of the compute that background work takes; it is there for a share `busy` of the time."""
    idle_s = config.burst_s * (1 - busy) / busy
    on = _chain(rng, [1, 1], [idle_s, config.burst_s], [np.inf, np.inf], n, config.compute_step_s)
    starts = np.diff(on, prepend=0) > 0
    which = np.cumsum(starts)
    depth = config.burst_share * rng.uniform(0.4, 1, which[-1] + 1)
    depth[rng.random(len(depth)) < config.blackout] = 1
    taken: Floats = np.where(on == 1, depth[which], 0.0)
    return taken


def _chain(
    rng: np.random.Generator,
    weights: Sequence[float],
    dwell_s: Sequence[float],
    longest_s: Sequence[float],
    n: int,
    step_s: float,
) -> NDArray[np.int64]:
    """[n]: states, every `step_s`, of a continuous-time chain that starts in any state.

    The first state, and the next one among the others, is drawn in proportion to `weights`; the time
    in a state is exponential with mean `dwell_s`, cut to `longest_s`.
    """
    count = len(weights)
    jump = np.array([[w * (i != j) for j, w in enumerate(weights)] for i in range(count)])
    bounds = (np.cumsum(jump, axis=1) / jump.sum(axis=1, keepdims=True)).tolist()
    first = (np.cumsum(weights) / np.sum(weights)).tolist()
    state, elapsed, end = min(bisect_right(first, rng.random()), count - 1), 0.0, n * step_s
    states, ends = [], []
    while elapsed < end:
        elapsed += min(rng.standard_exponential() * dwell_s[state], longest_s[state])
        states.append(state)
        ends.append(elapsed)
        state = min(bisect_right(bounds[state], rng.random()), count - 1)
    edges = np.minimum(np.round(np.array(ends) / step_s), n).astype(np.int64)
    return np.repeat(np.array(states), np.diff(edges, prepend=0))
