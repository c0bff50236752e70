"""Fitting the network of `FittedGain` to recorded hops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.agents.planning.fitted.descent import fit_gains
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.errors import SnakegymError
from snakegym.training.fit.record import LEAST_HOPS, HopRow, Recording


def whole_hops(recordings: Sequence[Recording], least: int = 1) -> list[HopRow]:
    """Hops that were not cut short, which alone say what a hop brings. Raises SnakegymError if too few."""
    hops = [hop for recording in recordings for hop in recording.hops if hop.whole]
    if len(hops) < least:
        raise SnakegymError(
            f"--episodes: found {len(hops)} whole hops in {len(recordings)} of them, expected {least} or more"
        )
    return hops


def fit_network(recordings: Sequence[Recording], n_middle: int, seed: int) -> FittedGain:
    """The network that foresees these hops' gains with the least squared error, more or less.

    Args:
        recordings: of training episodes.
        n_middle: middle layers of the model; with 1, all hops count for that one.
        seed: of initial weights and order of hops. Global generators stay untouched.
    """
    hops = whole_hops(recordings, LEAST_HOPS)
    x = np.array([hop.x for hop in hops])
    gain = np.array([hop.gain for hop in hops])
    layer = np.array([hop.layer if n_middle > 1 else 0 for hop in hops])
    return fit_gains(x, layer, gain, n_middle, seed)
