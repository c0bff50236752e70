"""What an observation tells of each pair with each rank, where schedulers choose the rank of adapters."""

from __future__ import annotations

import numpy as np

from snakegym.control.view import Floats, ProcessView
from snakegym.envs.features import pairs

RANK_FEATURES = (
    "legal",
    "rank",
    "time",
    "energy",
    "n_bytes",
    "price",
    "time_share",
    "battery_share",
    "memory_room",
)
"""But for `rank`, as of pairs (`PAIR_FEATURES`), if it were that one."""


def columns(view: ProcessView) -> dict[str, Floats]:
    """[n_nodes, n_middle, n_ranks] each; a rank as a share of the highest."""
    each = [pairs.columns(view.at_rank(one.rank)) for one in view.ranks]
    found = {name: np.stack([own[name] for own in each], axis=2) for name in RANK_FEATURES if name != "rank"}
    ranks = np.array([one.rank for one in view.ranks])
    found["rank"] = np.broadcast_to(ranks / ranks.max(), found["legal"].shape)
    return found
