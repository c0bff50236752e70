"""Every cost formula of a hop, once. SI units throughout: FLOP, s, bit/s, J, W; sizes in bytes.

The simulator integrates along traces and the controller's forecast assumes constant rates; both use
the formulas below, so that they agree exactly on a network whose rates never change.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Real = TypeVar("Real", float, NDArray[np.float64])

BITS_PER_BYTE: Final = 8.0

LABEL_BYTES: Final = 8
"""Of one label on its way: an int64, as it is kept."""

Quantity = TypeVar("Quantity", float, NDArray[np.float64])
"""A number, or an array of them (broadcast)."""

CAST_BYTES: Final = 2**22
"""What low precision is cast up to float32 in: 4 MiB are a large product for a CPU, and a small layer."""

OPTIMIZER_SLOTS: Final = {"sgd": 0, "rmsprop": 1, "adam": 2}
"""State tensors that an optimiser keeps per parameter tensor: plain SGD none, RMSprop the mean
square, Adam both moments (Kingma & Ba, arXiv:1412.6980)."""


def training_flops(
    forward_flops: Sequence[float],
    trained: Collection[int],
    *,
    pass_on: bool = False,
    frozen_flops: Sequence[float] | None = None,
    first_flops: Sequence[float] | None = None,
    recomputed: Sequence[float] = (),
) -> float:
    """FLOPs to train on one sample when only the layers `trained` (at least one) are updated.

    Forward through all layers; gradients with respect to activations from the last layer down to,
    but not into, the first trained layer; gradients with respect to weights for the trained layers.
    Either gradient of a layer costs as much as its forward pass: each is a product of the same three
    sizes (Kaplan et al., arXiv:2001.08361, section 2.1: backward is twice forward). In a layer of several
    products the two do not split so evenly; then `frozen_flops` and `first_flops` say how.

    Args:
        forward_flops: of one sample, per layer of the whole model (or of the part of it that a
            node holds), first to last.
        trained: indices of the trained layers.
        pass_on: whether the gradient with respect to the inputs is needed too, because somebody
            else goes on with it (split learning).
        frozen_flops: of the way back through a layer that passes gradients on alone, per layer; None: as
            much as forward.
        first_flops: of the way back through a layer that needs no gradient of its inputs, per layer, which
            the first trained layer does not unless they are passed on; None: as much as forward.
        recomputed: of each layer that is computed once more on the way back (`checkpointed_bytes`).
    """
    first = min(trained)
    frozen = forward_flops if frozen_flops is None else frozen_flops
    backward = sum(
        2 * flops if i in trained else frozen[i] for i, flops in enumerate(forward_flops) if i > first
    )
    if pass_on:
        backward += sum(frozen[:first]) + 2 * forward_flops[first]
    else:
        backward += (forward_flops if first_flops is None else first_flops)[first]
    return float(sum(forward_flops) + backward + sum(recomputed))


def checkpointed_bytes(
    activation_bytes: Sequence[float], input_bytes: Sequence[float], recomputed: Collection[int]
) -> list[float]:
    """What layers keep for the backward pass, where some of them keep their inputs alone, [n_layers].

    On the way back these are computed once more, one at a time, so that of what they would have kept the
    largest is there at once: it is counted at that layer (Chen et al. 2016, arXiv:1604.06174).

    Args:
        activation_bytes: what every layer keeps otherwise, per sample.
        input_bytes: of what comes into every layer, likewise.
        recomputed: indices of those layers.
    """
    found = [input_bytes[i] if i in recomputed else kept for i, kept in enumerate(activation_bytes)]
    if recomputed:
        largest = max(sorted(recomputed), key=lambda i: activation_bytes[i])
        found[largest] += activation_bytes[largest]
    return found


def weight_bytes(
    parameter_bytes: Sequence[float],
    trained: Collection[int],
    frozen_bytes: Sequence[float] | None = None,
) -> float:
    """Bytes that a node stores of the model: trained layers as they are, frozen ones as `frozen_bytes` says.

    Args:
        parameter_bytes: per layer of the whole model, first to last.
        trained: indices of the trained layers.
        frozen_bytes: what a layer takes while it is frozen, likewise; None: the same.
    """
    frozen = parameter_bytes if frozen_bytes is None else frozen_bytes
    n_layers = len(parameter_bytes)
    return float(sum(parameter_bytes[i] if i in trained else frozen[i] for i in range(n_layers)))


def hop_memory(
    parameter_bytes: Sequence[float],
    activation_bytes: Sequence[float],
    trained: Collection[int],
    batch_size: int,
    optimizer: str,
    frozen_bytes: Sequence[float] | None = None,
    scratch_bytes: float = 0.0,
    *,
    adapted: Collection[int] = (),
    adapter_bytes: float = 0.0,
) -> float:
    """Bytes of memory that one hop needs on its node.

    All weights, plus a gradient and the optimiser's state for every trained parameter, plus the
    activations that are kept for the backward pass: those of the first trained layer and of all
    layers after it, for a whole batch; plus what the neediest operation takes while it runs. Frozen
    layers that are kept smaller are cast up in blocks of at most `CAST_BYTES`, one at a time.

    Args:
        parameter_bytes: per layer of the whole model, first to last.
        activation_bytes: what a layer keeps for its backward pass, per sample and layer.
        trained: indices of the trained layers, at least one.
        batch_size: samples in a batch.
        optimizer: a key of `OPTIMIZER_SLOTS`.
        frozen_bytes: what a layer takes while it is frozen; None: as much as it is computed with.
        scratch_bytes: what the neediest operation takes besides, for as long as it runs.
        adapted: those of the trained layers whose own weights stay, so that adapters alone have gradients.
        adapter_bytes: of these adapters.
    """
    per_weight = 1 + OPTIMIZER_SLOTS[optimizer]
    updated = per_weight * sum(parameter_bytes[i] for i in sorted(trained) if i not in adapted)
    updated += (1 + per_weight) * adapter_bytes
    activations = batch_size * sum(activation_bytes[min(trained) :])
    weights = weight_bytes(parameter_bytes, trained, frozen_bytes)
    if frozen_bytes is not None:
        largest = max((size for i, size in enumerate(parameter_bytes) if i not in trained), default=0.0)
        weights += min(CAST_BYTES, largest)
    return float(weights + updated + activations + scratch_bytes)


def teacher_flops(forward_flops: Sequence[float], passes: int) -> float:
    """FLOPs per sample of the teacher's `passes` forward passes through the whole model."""
    return float(passes * sum(forward_flops))


def soft_target_bytes(output_bytes: float, passes: int) -> float:
    """Bytes per sample of the teacher's outputs, which are kept for the whole hop."""
    return output_bytes * passes


def smashed_bytes(output_bytes: float, n_samples: int, *, labels: bool) -> float:
    """Bytes of the activations of a batch at a cut through the model, or of their gradients.

    Gupta and Raskar 2018 (Distributed learning of deep neural network over multiple agents) send
    activations and labels on, and gradients of the size of the activations back.

    Args:
        output_bytes: of one sample at the cut.
        n_samples: in the batch.
        labels: whether the labels go with them, `LABEL_BYTES` each.
    """
    return n_samples * (output_bytes + (LABEL_BYTES if labels else 0))


def compute_time(flops: ArrayLike, peak_flops: ArrayLike, availability: ArrayLike) -> NDArray[np.float64]:
    """Seconds for `flops` at a constant availability in [0, 1]; inf where none is free. Broadcasts."""
    return _duration(flops, np.multiply(peak_flops, availability))


def busy_time(flops: Real, peak_flops: Real) -> Real:
    """Seconds of the whole device that `flops` amount to: the integral of the availability used."""
    return flops / peak_flops


def compute_energy(power_w: Real, busy_s: Real) -> Real:
    """Joules for `busy_s` (see `busy_time`): our share of the energy of a device that is shared."""
    return _energy(power_w, busy_s)


def air_time(n_bytes: ArrayLike, rate_bps: ArrayLike) -> NDArray[np.float64]:
    """Seconds on the air at a constant rate; 0 for 0 bytes, inf at rate 0. Broadcasts."""
    return _duration(np.multiply(n_bytes, BITS_PER_BYTE), rate_bps)


def transfer_time(n_bytes: ArrayLike, rate_bps: ArrayLike, rtt_s: ArrayLike) -> NDArray[np.float64]:
    """Seconds until the last byte is acknowledged: air time and one round trip. Broadcasts.

    0 bytes take no time at all: nothing is asked for.
    """
    return air_time(n_bytes, rate_bps) + round_trip_time(n_bytes, rtt_s)


def round_trip_time(n_bytes: ArrayLike, rtt_s: ArrayLike) -> NDArray[np.float64]:
    """What a transfer takes beyond its air time: one round trip, in seconds; none for 0 bytes. Broadcasts."""
    return np.multiply(np.greater(n_bytes, 0), rtt_s)


def radio_energy(power_w: Real, air_s: Real) -> Real:
    """Joules of one end's radio; none at 0 W, however long (inf where the other end is out of reach).

    Waiting for a round trip is not air time; being stuck in an outage is (the radio searches).
    """
    return _energy(power_w, air_s)


def _energy(power_w: Real, seconds: Real) -> Real:
    if np.logical_and.reduce(power_w, axis=None):
        return power_w * seconds
    if isinstance(seconds, float) and not isinstance(power_w, np.ndarray):
        return 0.0
    with np.errstate(invalid="ignore"):  # 0 times infinity
        energy: Real = np.where(np.equal(power_w, 0), 0.0, power_w * seconds)
    return energy


def _duration(amount: ArrayLike, rate: ArrayLike) -> NDArray[np.float64]:
    # Where no rate is 0 there is nothing to ignore, and `errstate` takes longer than the division.
    if np.logical_and.reduce(rate, axis=None):
        return np.divide(amount, rate)
    with np.errstate(divide="ignore", invalid="ignore"):  # inf at rate 0, unless there is nothing to do
        return np.fmax(np.divide(amount, rate), 0.0)  # fmax makes 0 of 0 / 0
