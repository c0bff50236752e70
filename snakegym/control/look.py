"""What the Process Controller sees when it looks: the parts of a view, read-only all of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from snakegym.arrays import read_only
from snakegym.control.forecast import forecast
from snakegym.control.nodes.managers import LocalManagers
from snakegym.control.nodes.pool import NodePool
from snakegym.control.progress.caches import LayerCaches
from snakegym.control.progress.cycle import CycleProgress
from snakegym.control.progress.whereabouts import Progress
from snakegym.control.view import Bools, Floats, LayersView, NodesView, ProcessView, RankView
from snakegym.network.network import Measurement, Monitor
from snakegym.scenario import Scenario

RECENT_GAINS = 8
"""How many gains the view remembers."""


def look_at(
    network: Monitor,
    now: Measurement,
    pool: NodePool,
    managers: LocalManagers,
    caches: LayerCaches,
    progress: Progress,
) -> dict[str, Any]:
    """The fields of a view that say how nodes, layers and model are; of `legal` only who has the memory."""
    lacking = caches.lacking()
    return {
        "nodes": look_at_nodes(network, now, pool, managers, read_only(lacking.sum(axis=1))),
        "layers": look_at_layers(progress.cycle, managers, caches.layer_bytes[1:-1]),
        "recent_labels": managers.labels.mean,
        "legal": managers.fits,
        "lacking": lacking,
        "lacking_pce": caches.lacking_pce(),
        "layer_bytes": caches.layer_bytes,
        "bytes_beside": caches.bytes_beside,
        "adapters": managers.adapters,
        "ranks": tuple(
            RankView(rank, adapters, managers.fits_at[rank]) for rank, adapters in managers.offered.items()
        ),
        "cycle": progress.cycle.index,
        "metric": progress.metric,
    }


def look_at_nodes(
    network: Monitor,
    now: Measurement,
    pool: NodePool,
    managers: LocalManagers,
    missing_bytes: Floats,
) -> NodesView:
    """The nodes as measured."""
    in_pool, teaching = read_only(pool.members()), managers.teaching
    return NodesView(
        availability=now.availability,
        mean_availability=now.mean_availability,
        peak_flops=network.peak_flops,
        uplink_bps=now.uplink_bps,
        downlink_bps=now.downlink_bps,
        mean_uplink_bps=now.mean_uplink_bps,
        mean_downlink_bps=now.mean_downlink_bps,
        past_availability=now.past_availability,
        past_uplink_bps=now.past_uplink_bps,
        past_downlink_bps=now.past_downlink_bps,
        past_up=now.past_up,
        rtt_s=network.rtt_s,
        memory_bytes=network.memory_bytes,
        compute_power_w=network.compute_power_w,
        radio_power_w=network.radio_power_w,
        battery=pool.battery,
        battery_j=pool.left_j,
        samples=managers.data.samples,
        labels=managers.data.labels,
        divergence=managers.labels.divergence,
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


def look_at_layers(cycle: CycleProgress, managers: LocalManagers, n_bytes: Floats) -> LayersView:
    """The middle layers, each array [n_middle]: what they cost, and how far they are."""
    return LayersView(
        flops=managers.layer_flops,
        n_bytes=n_bytes,
        memory_bytes=managers.layer_memory,
        kept_bytes=managers.kept_bytes,
        times_trained=cycle.times_trained,
        trained_in_cycle=cycle.trained_in_cycle,
        open=read_only(cycle.open_layers()),
        last_gain=cycle.last_gain,
    )


def fixed_part(scenario: Scenario, caches: LayerCaches, evaluation_flops: float) -> dict[str, Any]:
    """The fields of a process's views that never change.

    Args:
        scenario: the rules.
        caches: of the process.
        evaluation_flops: of measuring the metric, whoever does.
    """
    process = scenario.process
    on_node = scenario.network.mode == "p2p" and process.evaluation == "node"
    return {
        "trained": caches.trained,
        "keeps_frozen": caches.keeps_frozen,
        "mode": scenario.network.mode,
        "evaluation": process.evaluation,
        "evaluation_flops": evaluation_flops if on_node else 0.0,
        "layer_order": process.layer_order,
        "repeat_layers": process.repeat_layers,
        "budget": process.budget,
        "objective": scenario.objective,
        "epochs": scenario.learning.epochs,
        "wait_s": process.wait_s,
        "target": process.target,
        "parallel": process.parallel,
        "companions": process.companions,
    }


def with_legal(view: ProcessView, holder_can_send: bool) -> ProcessView:
    """The view of which `legal` says only who has the memory, with all the other conditions.

    The node is reachable, its battery lasts for what the hop is forecast to take, the layer is open, and
    somebody can fetch the model.
    """
    able = view.nodes.reachable
    if not holder_can_send:  # only the holder itself could go on
        able = able & (np.arange(len(able)) == view.holder)
    ranks = tuple(replace(one, legal=_legal(view.at_rank(one.rank), able)) for one in view.ranks)
    return replace(view, legal=_legal(view, able), ranks=ranks)


def _legal(view: ProcessView, able: Bools) -> Bools:
    """[n_nodes, n_middle], of nodes that are `able` [n_nodes] to take part."""
    legal = view.legal & able[:, None]
    legal &= view.layers.open
    left_j = view.nodes.battery_j
    if np.isfinite(left_j).any():
        legal &= forecast(replace(view, parallel=1)).node_energy_j <= left_j[:, None]
    return read_only(legal)
