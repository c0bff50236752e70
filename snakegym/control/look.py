"""What the Process Controller sees when it looks: the parts of a view."""

from __future__ import annotations

import numpy as np

from snakegym.control.caches import LayerCaches
from snakegym.control.pool import NodePool
from snakegym.control.records import PCE
from snakegym.control.teaching import Teaching
from snakegym.control.view import Bools, Floats, Ints, NodesView, ProcessView
from snakegym.network.network import Measurement, Network


def look_at_nodes(
    network: Network,
    now: Measurement,
    pool: NodePool,
    caches: LayerCaches,
    samples: Ints,
    divergence: Floats,
    teaching: Teaching,
) -> NodesView:
    """The nodes as measured."""
    in_pool = pool.members()
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
        battery=pool.battery(),
        samples=samples,
        divergence=divergence,
        distils=teaching.on,
        teacher_flops=teaching.flops * teaching.on,
        teacher_bytes=teaching.n_bytes * teaching.on,
        visits=pool.visits.copy(),
        interruptions=pool.interruptions.copy(),
        last_gain=pool.last_gain.copy(),
        missing_bytes=caches.missing_bytes_of_all(),
        in_pool=in_pool,
        reachable=in_pool & up(now),
    )


def up(now: Measurement) -> Bools:
    """[n_nodes]: compute and both directions of the link are there at this moment."""
    present: Bools = (now.availability > 0) & (now.uplink_bps > 0) & (now.downlink_bps > 0)
    return present


def legal_assignments(
    nodes: NodesView, layer_memory: Floats, open_layers: Bools, holder: int, holder_can_send: bool
) -> Bools:
    """[n_nodes, n_middle]: reachable nodes with enough memory, and layers that are open.

    Args:
        nodes: as they are now.
        layer_memory: [n_middle] bytes that a hop needs if it does not distil.
        open_layers: [n_middle].
        holder: of the latest model.
        holder_can_send: if not, nobody can fetch the model, and only its holder could go on with it.
    """
    able = nodes.reachable
    if holder != PCE and not holder_can_send:
        able = able & (np.arange(len(able)) == holder)
    fits: Bools = nodes.memory_bytes[:, None] >= layer_memory + nodes.teacher_bytes[:, None]
    return fits & able[:, None] & open_layers


def freeze(view: ProcessView) -> ProcessView:
    """The view, its arrays made read-only."""
    for part in (view, view.nodes, view.layers):
        for value in vars(part).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
    return view
