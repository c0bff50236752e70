"""Fitting the network of `FittedGain` by stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snakegym.agents.planning.fitted.features import FEATURES, GAINS
from snakegym.agents.planning.fitted.model import WIDEST, FittedGain
from snakegym.control.view import Floats
from snakegym.errors import SnakegymError
from snakegym.training.fit.record import LEAST_HOPS, HopRow, Recording

HIDDEN = 32
EPOCHS = 60
BATCH = 256
LEAST_BATCHES = 20
"""Of an epoch: where hops are few, batches are smaller."""
RATE = 3e-3
WEIGHT_DECAY = 0.01
EXTREME = 0.001
"""Share of the gains at either end that bounds what is expected."""


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
    mean, scale, unit = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6), max(float(gain.std()), 1e-6)
    inputs = np.clip((x - mean) / scale, -WIDEST, WIDEST)
    parameters = _descend(inputs, layer, gain / unit, n_middle, torch.Generator().manual_seed(seed))
    weights, biases = parameters[::2], parameters[1::2]
    lowest, highest = np.quantile(gain, [EXTREME, 1 - EXTREME])
    best = float(np.max(x[:, GAINS["metric"]] + gain))
    return FittedGain(
        mean,
        scale,
        (weights[0], weights[1], weights[2] * unit),
        (biases[0], biases[1], biases[2] * unit),
        float(lowest),
        float(highest),
        min(1.0, best),
    )


def _descend(
    inputs: Floats, layer: NDArray[np.int64], target: Floats, n_middle: int, generator: torch.Generator
) -> list[Floats]:
    """Weight and bias of each of three layers, float64."""
    x, y, at = torch.tensor(inputs), torch.tensor(target)[:, None], torch.tensor(layer)[:, None]
    parameters = _initial((len(FEATURES), HIDDEN, HIDDEN, n_middle), generator)
    batch = min(BATCH, max(1, len(x) // LEAST_BATCHES))
    steps = EPOCHS * (len(x) // batch)
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x), generator=generator)
        for chosen in order[: len(x) // batch * batch].reshape(-1, batch):
            expected = _outputs(x[chosen], parameters).gather(1, at[chosen])
            loss = (expected - y[chosen]).square().mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
            optimizer.step()
            schedule.step()
    return [p.detach().numpy().astype(np.float64) for p in parameters]


def _initial(sizes: Sequence[int], generator: torch.Generator) -> list[Tensor]:
    parameters = []
    for n_in, n_out in pairwise(sizes):
        weight = torch.randn(n_in, n_out, generator=generator, dtype=torch.float64) * n_in**-0.5
        parameters += [weight.requires_grad_(), torch.zeros(n_out, dtype=torch.float64, requires_grad=True)]
    return parameters


def _outputs(x: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    h = x
    for i in range(0, len(parameters) - 2, 2):
        h = torch.tanh(h @ parameters[i] + parameters[i + 1])
    return h @ parameters[-2] + parameters[-1]
