"""What a fitted model of gains knows of a hop: of the process and of the node; layers have their own weights.

Chosen on training episodes: what else a plan's state holds (visits, the layer's and the pair's last hop and
gain, label memories of other lengths) did not lower the error on episodes that were held out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import companion_rank, forecast
from snakegym.control.nodes.holdings import LABEL_MEMORY
from snakegym.control.view import Bools, Floats

FEATURES = (
    "metric",  # accuracy before the hop
    "recent_gain",  # running mean of the gains: a process that has just fallen recovers
    "node_gain",  # of the node's last hop
    "hops",  # log(1 + hops)
    "cycle",  # log(1 + cycle): the learning rate falls with it
    "samples",  # log of the node's samples in units of the mean
    "since_node",  # hops since the node's last one, in tens, at most 2
    "novelty",  # distance of the node's labels from those trained recently
    "oddness",  # distance of the node's labels from all nodes' together
    "imbalance",  # distance of the labels trained recently from all nodes' together
    "imbalance_after",  # the same after the hop
    "refreshed",  # how much the log-shares of the labels trained recently rise by it, mean over all labels
    "variety",  # entropy of the node's labels, bits
    "absent",  # relative entropy of all labels to the node's, nats
)
"""Distances are Jensen-Shannon distances, base 2."""
GAINS = {name: FEATURES.index(name) for name in ("metric", "recent_gain", "node_gain")}
"""Those that depend on what earlier hops brought; in a plan, on what they are expected to."""
LONGEST_AGO = 20
_SHARE, _NODE_SHARE, _TINY = 0.03, 0.02, 1e-300
"""Added to shares before a logarithm is taken."""


def features(state: PlanState) -> Floats:
    """[B, n_nodes, FEATURES]: of a next hop on each node, whatever its layer; no plan's arrays are kept."""
    view = state.view
    labels, samples = who_trains(state)
    overall = np.average(view.nodes.labels, axis=0, weights=view.nodes.samples)
    recent = state.recent_labels
    after = LABEL_MEMORY * recent[:, None, :] + (1 - LABEL_MEMORY) * labels
    of_node, of_recent = _entropy(labels), _entropy(recent)
    fresh = np.log(after + _SHARE) @ overall - (np.log(recent + _SHARE) @ overall)[:, None]
    last = state.last_hop.max(axis=2)
    ago = np.where(last >= 0, np.minimum(state.hops[:, None] - last, LONGEST_AGO), LONGEST_AGO)
    columns = {
        "metric": state.metric[:, None],
        "recent_gain": state.recent_gain[:, None],
        "node_gain": state.node_gain,
        "hops": np.log1p(state.hops)[:, None],
        "cycle": np.log1p(state.cycle)[:, None],
        "samples": np.log(samples / samples.mean(axis=1, keepdims=True)),
        "since_node": ago / 10,
        "novelty": _distance(labels, of_node, recent[:, None, :], of_recent[:, None]),
        "oddness": _distance(labels, of_node, overall, _entropy(overall)),
        "imbalance": _distance(recent, of_recent, overall, _entropy(overall))[:, None],
        "imbalance_after": _distance(after, _entropy(after), overall, _entropy(overall)),
        "refreshed": fresh,
        "variety": of_node,
        "absent": _relative_entropy(overall, labels),
    }
    found = np.empty((len(state), view.n_nodes, len(FEATURES)))
    for i, name in enumerate(FEATURES):
        found[:, :, i] = columns[name]
    return found


def imbalance(state: PlanState) -> Floats:
    """[B]: distance of the labels trained recently from all nodes' together."""
    nodes = state.view.nodes
    overall = np.average(nodes.labels, axis=0, weights=nodes.samples)
    return _distance(state.recent_labels, _entropy(state.recent_labels), overall, _entropy(overall))


def who_trains(state: PlanState) -> tuple[Floats, Floats]:
    """Labels [B or 1, n_nodes, n_classes] and samples [B or 1, n_nodes] of a hop on each node.

    Where nodes train in parallel, those of the node and the companions together that the scenario's rule
    would give it at present rates: what those will be in a later hop nobody knows.
    """
    view, nodes = state.view, state.view.nodes
    samples = nodes.samples.astype(np.float64)
    if view.parallel == 1:
        return nodes.labels[None], samples[None]
    layer = view.next_layer
    time_s = forecast(replace(view, parallel=1), layer).time_s
    apart = state.divergence if view.companions == "divergent" else nodes.divergence[None]
    rank = companion_rank(view.companions, time_s[None], apart)[:, :, 0]
    groups = np.stack([_groups(np.where(view.legal[:, layer], own, np.inf), view.parallel) for own in rank])
    counts = groups * samples
    total: Floats = counts.sum(axis=2)
    labels: Floats = counts @ nodes.labels / total[:, :, None]
    return labels, total


def _groups(rank: Floats, k: int) -> Bools:
    """[n_nodes, n_nodes]: who trains together with each node, itself included."""
    first: list[int] = [n for n in np.argsort(rank, kind="stable")[:k].tolist() if np.isfinite(rank[n])]
    group = np.eye(len(rank), dtype=np.bool_)
    group[:, first[: k - 1]] = True
    if len(first) == k:  # one of the others gets the next in their row
        group[first[: k - 1], first[-1]] = True
    return group


def _distance(p: Floats, of_p: Floats, q: Floats, of_q: Floats | float) -> Floats:
    """Jensen-Shannon distance along the last axis, given the entropies of both."""
    divergence = _entropy((p + q) / 2) - (of_p + of_q) / 2
    distance: Floats = np.sqrt(np.clip(divergence, 0.0, 1.0))  # rounding
    return distance


def _entropy(p: Floats) -> Floats:
    """In bits, along the last axis."""
    entropy: Floats = -np.einsum("...c,...c->...", p, np.log2(np.maximum(p, _TINY)))
    return entropy


def _relative_entropy(overall: Floats, labels: Floats) -> Floats:
    ratio = np.log(np.maximum(overall, _TINY) / (labels + _NODE_SHARE))
    found: Floats = ratio @ overall
    return found
