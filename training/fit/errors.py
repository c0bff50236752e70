"""How well gains are foreseen on episodes that were held out: of one hop, and of several in a row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from snakegym.agents.planning.fitted.features import GAINS
from snakegym.agents.planning.fitted.files import Ahead, HeldOut
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.control.view import Floats
from snakegym.training.fit.network import fit_network, whole_hops
from snakegym.training.fit.record import ROUNDS, HopRow, Recording

HELD_OUT_ONE_IN = 5
AHEAD = (1, 2, 4, 8)
"""Hops in a row."""


@dataclass(frozen=True)
class Comparison:
    """Gains of held-out hops, or of as many in a row as `hops` says: expected and measured, in accuracy."""

    hops: int
    expected: Floats
    measured: Floats

    def summary(self) -> Ahead:
        """Its errors."""
        error = self.expected - self.measured
        return Ahead(
            hops=self.hops,
            r2=explained(self.expected, self.measured),
            mae=float(np.abs(error).mean()) if len(error) else 0.0,
            bias=float(error.mean()) if len(error) else 0.0,
        )


def explained(expected: Floats, measured: Floats) -> float:
    """Share of the variance that is explained, R2; 0 where nothing varies."""
    spread = float(((measured - measured.mean()) ** 2).sum()) if len(measured) else 0.0
    return 1.0 - float(((expected - measured) ** 2).sum()) / spread if spread > 0 else 0.0


def optimism(recordings: Sequence[Recording]) -> tuple[float, int]:
    """By how much models expected too much of hops chosen because they promised most; of how many hops.

    Whoever takes the best of many guesses takes one that is too high rather than too low. The hops of the
    last part of a recording say by how much: the model that chose them had not seen them.
    """
    last = recordings[len(recordings) * (ROUNDS - 1) // ROUNDS :]
    excess = [h.chosen_for - h.gain for r in last for h in r.hops if h.whole and h.chosen_for is not None]
    return (float(np.mean(excess)), len(excess)) if excess else (0.0, 0)


def split(recordings: Sequence[Recording]) -> tuple[list[Recording], list[Recording]]:
    """Episodes to fit to, and those held out: the last of every five."""
    last = HELD_OUT_ONE_IN - 1
    held = [r for i, r in enumerate(recordings) if i % HELD_OUT_ONE_IN == last]
    return [r for i, r in enumerate(recordings) if i % HELD_OUT_ONE_IN != last], held


def held_out(
    recordings: Sequence[Recording], n_middle: int, seed: int
) -> tuple[HeldOut, dict[int, Comparison]]:
    """Errors of models that are fitted to four episodes of five, on the others; and what they are of."""
    known, held = split(recordings)
    model, nodes_alone = fit_network(known, n_middle, seed), fit_network(known, 1, seed)
    found = {k: Comparison(k, *_ahead(model, held, k)) for k in AHEAD}
    hops = whole_hops(held)
    too_much, chosen = optimism(recordings)
    measured = np.array([hop.gain for hop in hops])
    alone = nodes_alone.of(np.array([hop.x for hop in hops]))[:, 0]
    return HeldOut(
        episodes=len(held),
        hops=len(hops),
        sd=float(measured.std()),
        ahead=tuple(comparison.summary() for comparison in found.values()),
        nodes_alone=explained(alone, measured),
        formula=explained(np.array([hop.formula for hop in hops]), measured),
        optimism=too_much,
        chosen=chosen,
    ), found


def _ahead(model: FittedGain, recordings: Sequence[Recording], k: int) -> tuple[Floats, Floats]:
    """What the hops from each one on, k in a row, brought: as followed by the model, and as measured."""
    starts = [hops[i : i + k] for r in recordings for hops in _runs(r) for i in range(len(hops) - k + 1)]
    if not starts:
        return np.zeros(0), np.zeros(0)
    x = np.array([[hop.x for hop in run] for run in starts])
    layer = np.array([[hop.layer for hop in run] for run in starts])
    gains = np.zeros(layer.shape)
    nodes = np.array([[hop.node for hop in run] for run in starts])
    for step in range(k):
        now = x[:, step].copy()
        if step:
            _follow(now, x[:, 0], gains[:, :step], nodes[:, : step + 1])
        gains[:, step] = model.of(now)[np.arange(len(now)), layer[:, step]]
    return gains.sum(axis=1), np.array([sum(hop.gain for hop in run) for run in starts])


def _follow(now: Floats, first: Floats, gains: Floats, nodes: Floats) -> None:
    """Put into features what the model expected of the hops in between, as `PlanState.after` does."""
    now[:, GAINS["metric"]] = np.clip(first[:, GAINS["metric"]] + gains.sum(axis=1), 0.0, 1.0)
    recent = first[:, GAINS["recent_gain"]]
    for step in range(gains.shape[1]):
        recent = recent + (gains[:, step] - recent) / 4
        again = nodes[:, step] == nodes[:, -1]
        now[again, GAINS["node_gain"]] = gains[again, step]
    now[:, GAINS["recent_gain"]] = recent


def _runs(recording: Recording) -> Iterator[list[HopRow]]:
    """Whole hops in a row between which nothing else changed the model."""
    run: list[HopRow] = []
    for hop in recording.hops:
        metric = GAINS["metric"]
        if run and (not hop.whole or abs(run[-1].x[metric] + run[-1].gain - hop.x[metric]) > 1e-4):
            yield run
            run = []
        if hop.whole:
            run.append(hop)
    if run:
        yield run
