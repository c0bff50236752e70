"""What a scenario's fields cannot say of themselves: whether data, model, devices and budget fit together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from snakegym.errors import SnakegymError
from snakegym.models.profile import ModelProfile
from snakegym.scenario import Scenario

MOST_PAIRS: Final = 10**6
"""Nodes times middle layers: what a scheduler decides among, and arrays hold a number for each of."""
LONGEST_HOP_S: Final = 1e9
"""32 years of computing; nothing that is planned or measured waits for longer."""


def check_feasible(scenario: Scenario, n_samples: int, profile: ModelProfile) -> None:
    """Refuse a scenario whose processes could not be started, or in which no hop could be trained.

    Args:
        scenario: valid in itself.
        n_samples: of the training part.
        profile: of the scenario's model.

    Raises:
        SnakegymError: naming the first field that does not fit.
    """
    for field, fault in _faults(scenario, n_samples, profile):
        raise SnakegymError(f"scenario '{scenario.name}', field '{field}': {fault}")


def _faults(scenario: Scenario, n_samples: int, profile: ModelProfile) -> Iterator[tuple[str, str]]:
    """Fields and what is wrong with them."""
    network = scenario.network
    n_middle = profile.n_middle
    if network.nodes > n_samples:
        yield (
            "network.nodes",
            f"found {network.nodes} nodes, expected at most one a sample ({n_samples})",
        )
    if network.nodes * n_middle > MOST_PAIRS:
        yield (
            "network.nodes",
            f"found {network.nodes} nodes for {n_middle} middle layers, expected at most {MOST_PAIRS} pairs",
        )
    yield from _device_faults(scenario, n_samples, profile)


def _device_faults(scenario: Scenario, n_samples: int, profile: ModelProfile) -> Iterator[tuple[str, str]]:
    devices, learning = scenario.network.devices, scenario.learning
    rank = None if learning.lora is None else learning.lora.choices[0]
    originals = scenario.network.mode == "p2p"
    memory = float(profile.hop_memory(learning, originals=originals, rank=rank).min())
    largest = max(device.memory_bytes for device in devices)
    if largest < memory:
        yield (
            "network.devices",
            f"the largest memory_bytes is {largest:g}, but the smallest hop needs {memory:g}",
        )
    per_sample = profile.hop_flops(learning, rank=rank)
    flops = per_sample * learning.epochs + profile.teacher_flops(learning.teacher_passes)
    slowest = min(device.peak_flops for device in devices)
    longest = float(flops.max()) * n_samples / slowest
    if longest > LONGEST_HOP_S:
        yield (
            "network.devices",
            f"the smallest peak_flops is {slowest:g}, with which a hop on all samples takes {longest:.3g} s, "
            f"expected at most {LONGEST_HOP_S:g}",
        )
    average = n_samples / scenario.network.nodes * learning.epochs
    shortest = float(per_sample.min()) * average / max(d.peak_flops for d in devices)
    if scenario.process.budget.time_s < shortest:
        yield (
            "process.budget.time_s",
            f"found {scenario.process.budget.time_s:g}, but one average hop on the fastest device takes "
            f"{shortest:.3g} s",
        )
