"""Which rank the adapters have that a node trains, and what that costs."""

from __future__ import annotations

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.nodes.holdings import Holdings
from snakegym.control.view import AdaptersView, Floats, Ints
from snakegym.models.profile import ModelProfile
from snakegym.network.network import Monitor
from snakegym.scenario import LoraConfig, Scenario


def look_at_adapters(
    scenario: Scenario, profile: ModelProfile, network: Monitor, data: Holdings
) -> tuple[AdaptersView | None, dict[int, AdaptersView]]:
    """Of every node and middle layer, by the scenario's rule, and of each rank that schedulers choose among.

    None, and none, where whole layers are trained.
    """
    lora, learning = scenario.learning.lora, scenario.learning
    if lora is None:
        return None, {}
    originals = scenario.network.mode == "p2p"
    choices = lora.choices

    def memory(rank: int) -> Floats:
        return profile.hop_memory(learning, originals=originals, rank=rank)

    needed = np.stack([memory(rank) for rank in choices])
    kept = data.samples[:, None] * profile.kept_bytes(learning)
    place = _places(lora, needed[:, None, :] + kept, network)
    flops = np.stack([profile.hop_flops(learning, rank=rank) for rank in choices])
    assert profile.adapters is not None
    per_rank = profile.adapters.bytes_per_rank[1:-1]
    shape = (network.n_nodes, profile.n_middle)
    layer = np.broadcast_to(np.arange(profile.n_middle), shape)

    def at(place: Ints) -> AdaptersView:
        ranks: Ints = np.array(choices)[place]
        return AdaptersView(
            ranks=read_only(ranks),
            flops=read_only(flops[place, layer]),
            memory_bytes=read_only(needed[place, layer]),
            n_bytes=read_only(ranks * per_rank),
        )

    offered = {rank: at(np.full(shape, i)) for i, rank in enumerate(lora.offered)}
    return at(np.broadcast_to(place, shape)), offered


def _places(lora: LoraConfig, needed: Floats, network: Monitor) -> Ints:
    """[n_nodes or 1, n_middle or 1]: which of the choices; hops need [n_choices, n_nodes, n_middle] bytes."""
    if lora.rank in ("memory", "free"):
        fits = needed <= network.memory_bytes[:, None]
        place: Ints = np.maximum(0, fits.sum(axis=0) - 1)
        return place
    if lora.rank == "speed":
        share = network.peak_flops / network.peak_flops.max()
        able = np.array(lora.choices) <= share[:, None] * lora.choices[-1]
        place = np.maximum(0, able.sum(axis=1) - 1)[:, None]
        return place
    return np.zeros((1, 1), dtype=np.int64)
