"""What the Process Controller sees when it looks: the parts of a view, read-only all of them."""

from __future__ import annotations

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.cycle import CycleProgress
from snakegym.control.holdings import NodeData, RecentLabels
from snakegym.control.pool import NodePool
from snakegym.control.teaching import Teaching
from snakegym.control.view import Bools, Floats, LayersView, NodesView
from snakegym.network.network import Measurement, Network
from snakegym.network.records import PCE


def look_at_nodes(
    network: Network,
    now: Measurement,
    pool: NodePool,
    data: NodeData,
    labels: RecentLabels,
    teaching: Teaching,
    missing_bytes: Floats,
) -> NodesView:
    """The nodes as measured."""
    in_pool = read_only(pool.members())
    return NodesView(
        availability=now.availability,
        mean_availability=now.mean_availability,
        peak_flops=network.peak_flops,
        uplink_bps=now.uplink_bps,
        downlink_bps=now.downlink_bps,
        mean_uplink_bps=now.mean_uplink_bps,
        mean_downlink_bps=now.mean_downlink_bps,
        rtt_s=network.rtt_s,
        memory_bytes=network.memory_bytes,
        compute_power_w=network.compute_power_w,
        radio_power_w=network.radio_power_w,
        battery=pool.battery,
        samples=data.samples,
        divergence=labels.divergence,
        distils=teaching.on,
        teacher_flops=teaching.flops,
        teacher_bytes=teaching.n_bytes,
        visits=read_only(pool.visits.copy()),
        interruptions=read_only(pool.interruptions.copy()),
        last_gain=read_only(pool.last_gain.copy()),
        missing_bytes=missing_bytes,
        in_pool=in_pool,
        reachable=read_only(in_pool & now.up),
    )


def look_at_layers(cycle: CycleProgress, flops: Floats, n_bytes: Floats, memory_bytes: Floats) -> LayersView:
    """The middle layers, each array [n_middle]: what they cost, and how far they are."""
    return LayersView(
        flops=flops,
        n_bytes=n_bytes,
        memory_bytes=memory_bytes,
        times_trained=cycle.times_trained,
        trained_in_cycle=cycle.trained_in_cycle,
        open=read_only(cycle.open_layers()),
        last_gain=cycle.last_gain,
    )


def fitting(node_memory: Floats, layer_memory: Floats, teacher_bytes: Floats) -> Bools:
    """[n_nodes, n_middle]: whether the node has the memory for a hop on that layer.

    Args:
        node_memory: [n_nodes] bytes.
        layer_memory: [n_middle] bytes that a hop needs if it does not distil.
        teacher_bytes: [n_nodes] bytes that distilling adds.
    """
    fits: Bools = node_memory[:, None] >= layer_memory + teacher_bytes[:, None]
    return fits


def legal_assignments(
    reachable: Bools, fits: Bools, open_layers: Bools, holder: int, holder_can_send: bool
) -> Bools:
    """[n_nodes, n_middle]: reachable nodes with enough memory, and layers that are open.

    Args:
        reachable: [n_nodes].
        fits: [n_nodes, n_middle].
        open_layers: [n_middle].
        holder: of the latest model.
        holder_can_send: if not, nobody can fetch the model, and only its holder could go on with it.
    """
    able = reachable
    if holder != PCE and not holder_can_send:
        able = able & (np.arange(len(able)) == holder)
    legal: Bools = fits & able[:, None]
    legal &= open_layers
    return read_only(legal)
