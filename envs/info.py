"""What a step tells beside its reward: flat and numeric, so that every library can log it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import numpy as np

from snakegym.control.controller import ProcessController
from snakegym.control.records import Ground
from snakegym.envs.action import ActionCodec
from snakegym.envs.reward import TERMS

ENDINGS = ("finish", "target", "time", "energy", "hops", "decisions")
"""Why an episode ends (`ProcessController.ended`)."""
LEAVES = tuple(ground for ground in get_args(Ground) if ground not in ("start", "ready"))
"""Why nodes leave the pool."""
NO_REWARDS: Mapping[str, float] = dict.fromkeys(TERMS, 0.0)
"""Of a reset."""


def info_of(
    controller: ProcessController,
    codec: ActionCodec,
    rewards: Mapping[str, float],
    illegal: int,
    scenario: int,
) -> dict[str, Any]:
    """The info of a step or a reset: the same keys and types always, plain numbers but for the mask.

    Args:
        controller: of the running process.
        codec: makes the mask.
        rewards: the terms of this step's reward; keys are TERMS.
        illegal: actions so far that were illegal.
        scenario: index of the process's scenario.
    """
    spent, pool = controller.spent, controller.pool
    left, ended = pool.counts(), controller.ended
    return {
        "action_mask": codec.mask(controller.view()).view(np.int8),
        **{f"reward_{term}": float(value) for term, value in rewards.items()},
        "metric": float(controller.metric),
        "time_s": float(spent.time_s),
        "energy_j": float(spent.energy_j),
        "n_bytes": float(spent.n_bytes),
        "hops": controller.hops,
        "waits": int(controller.waits),
        "illegal": int(illegal),
        "interruptions": int(pool.interruptions.sum()),
        "recoveries": len(controller.recoveries),
        "members": len(pool),
        "scenario": scenario,
        **{f"left_{ground}": left.get(ground, 0) for ground in LEAVES},
        "cycle": int(controller.cycle.index),
        **{f"ended_{ending}": int(ended == ending) for ending in ENDINGS},
    }
