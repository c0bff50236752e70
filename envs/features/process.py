"""What an observation tells of the process as a whole."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from snakegym.control.view import ProcessView
from snakegym.envs.features.pairs import PRICE_SCALE
from snakegym.envs.features.scale import GAIN_SCALE, squashed
from snakegym.network.records import PCE

PROCESS_FEATURES = (
    "metric",
    "target_left",
    "gain_1",
    "gain_2",
    "gain_3",
    "mean_gain",
    "cycle",
    "cycle_position",
    "time_spent",
    "energy_spent",
    "hops_spent",
    "decisions_spent",
    "time_left",
    "energy_left",
    "hops_left",
    "decisions_left",
    "held_by_pce",
    "client_server",
    "parallel",
    "reachable",
    "legal",
    "gain_weight",
    "wait_price",
)
MANY_HOPS = 10.0
"""What is left of a budget is told in tens of nominal hops."""


def process_features(view: ProcessView) -> NDArray[np.float32]:
    """[len(PROCESS_FEATURES)] within [-1, 1], in that order."""
    values = {**_progress(view), **_budgets(view), **_rules(view)}
    return np.array([min(1.0, max(-1.0, values[name])) for name in PROCESS_FEATURES], np.float32)


def _progress(view: ProcessView) -> dict[str, float]:
    gains = (0.0, 0.0, 0.0, *view.recent_gains)
    return {
        "metric": view.metric,
        "target_left": 1.0 if view.target is None else view.target - view.metric,
        **{f"gain_{n}": math.tanh(GAIN_SCALE * gains[-n]) for n in (1, 2, 3)},
        "mean_gain": math.tanh(GAIN_SCALE * sum(gains) / max(1, len(view.recent_gains))),
        "cycle": view.cycle / (view.cycle + 4),
        "cycle_position": float(view.layers.trained_in_cycle.mean()),
    }


def _budgets(view: ProcessView) -> dict[str, float]:
    """Of everything that can end an episode: the share that is spent, and what is left, by nominal hops."""
    budget, nominal = view.budget, view.objective.nominal
    features: dict[str, float] = {}
    for name, spent, limit, hop in (
        ("time", view.spent.time_s, budget.time_s, nominal.time_s),
        ("energy", view.spent.energy_j, budget.energy_j, nominal.energy_j),
        ("hops", view.hops, budget.hops, 1.0),
        ("decisions", view.hops + view.waits, budget.decisions, 1.0),
    ):
        features[f"{name}_spent"] = 0.0 if limit is None else spent / limit
        left = math.inf if limit is None else max(0.0, limit - spent)
        features[f"{name}_left"] = squashed(left / (MANY_HOPS * hop))
    return features


def _rules(view: ProcessView) -> dict[str, float]:
    return {
        "held_by_pce": float(view.holder == PCE),
        "client_server": float(view.mode == "cs"),
        "parallel": 1.0 - 1.0 / view.parallel,
        "reachable": float(view.nodes.reachable.mean()),
        "legal": float(view.legal.mean()),
        "gain_weight": squashed(view.objective.gain / 10.0),
        "wait_price": squashed(PRICE_SCALE * view.objective.prices()[0] * view.wait_s),
    }
