"""The reward: accuracy gained minus priced costs, as named terms."""

from __future__ import annotations

from snakegym.network.records import Costs
from snakegym.scenario import Objective

TERMS = ("gain", "time", "energy", "bytes", "illegal")


def reward_terms(objective: Objective, gain: float, costs: Costs, illegal: bool) -> dict[str, float]:
    """Signed terms that add up to the reward; keys are TERMS.

    Args:
        objective: weights and prices of the scenario.
        gain: validation accuracy after the step minus before it.
        costs: of the step.
        illegal: whether the action was illegal.
    """
    time_price, energy_price, byte_price = objective.prices()
    return {
        "gain": objective.gain * gain,
        "time": -time_price * costs.time_s,
        "energy": -energy_price * costs.energy_j,
        "bytes": -byte_price * costs.n_bytes,
        "illegal": -objective.illegal if illegal else 0.0,
    }
