"""Fitting small networks of two hidden layers by stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from snakegym.agents.planning.fitted.features import GAINS
from snakegym.agents.planning.fitted.model import WIDEST, FittedGain
from snakegym.control.view import Floats

HIDDEN = 32
EPOCHS = 60
BATCH = 256
LEAST_BATCHES = 20
"""Of an epoch: where rows are few, batches are smaller."""
RATE = 3e-3
WEIGHT_DECAY = 0.01
EXTREME = 0.001
"""Share of the gains at either end that bounds what is expected."""


def fit_gains(x: Floats, layer: NDArray[np.int64], gain: Floats, n_middle: int, seed: int) -> FittedGain:
    """The network that foresees these hops' gains with the least squared error, more or less.

    Args:
        x: [S, FEATURES] of each.
        layer: [S], in [0, n_middle).
        gain: [S], as measured.
        n_middle: middle layers of the model.
        seed: of initial weights and order of hops. Global generators stay untouched.
    """
    mean, scale, unit = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6), max(float(gain.std()), 1e-6)
    inputs = np.clip((x - mean) / scale, -WIDEST, WIDEST)
    weights, biases = descend(inputs, layer, gain / unit, n_middle, seed)
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


def descend(
    inputs: Floats, output: NDArray[np.int64], target: Floats, outputs: int, seed: int
) -> tuple[list[Floats], list[Floats]]:
    """Weights and biases, float64, of two hidden layers of tanh and a linear one; least squared error.

    Args:
        inputs: [S, F], standardised.
        output: [S]: which of the outputs is the target.
        target: [S], standardised.
        outputs: how many there are.
        seed: of initial weights and order.
    """
    generator = torch.Generator().manual_seed(seed)
    x, y, at = torch.tensor(inputs), torch.tensor(target)[:, None], torch.tensor(output)[:, None]
    parameters = _initial((inputs.shape[1], HIDDEN, HIDDEN, outputs), generator)
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
    arrays = [p.detach().numpy().astype(np.float64) for p in parameters]
    return arrays[::2], arrays[1::2]


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
