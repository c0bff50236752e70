"""Collecting states that a teacher says something of, in files that outlive a kill."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from snakegym.training.learn.imitation.play import Batch, Player
from snakegym.training.learn.imitation.states import States, joined, load_states, save_states
from snakegym.training.pool.processes import Processes
from snakegym.training.runs.progress import progress

CAUTION = 8
"""So many times what is there already is asked for at most: the first batch alone may be unusual."""


def collect(player: Player, n_states: int, processes: int, folder: Path) -> list[States]:
    """States of every scenario, at least `n_states` over all of them; kept in `folder` as they come.

    What is in the folder is not collected again. Which batches are played follows from what they hold, in
    their order: the same states come of any number of processes.

    Args:
        player: plays the batches.
        n_states: how many; shared evenly among the scenarios.
        processes: to play in, 1 or more.
        folder: must exist; of this run alone.

    Raises:
        SnakegymError: a file cannot be written; a worker died.
    """
    n_scenarios = len(player.settings["scenario"])
    share = -(-n_states // n_scenarios)
    found: list[list[States]] = [[] for _ in range(n_scenarios)]
    for i, kept in enumerate(found):
        while sum(map(len, kept)) < share:
            states = load_states(_file(folder, player.turn, Batch(i, len(kept))))
            if states is None:
                break
            kept.append(states)
    there = sum(len(states) for kept in found for states in kept)
    bar = progress(share * n_scenarios, f"collect, round {player.turn + 1}", "state", initial=there)

    def more(states: int) -> None:
        bar.update(states)

    try:
        while wanted := [b for i, kept in enumerate(found) for b in _missing(i, kept, share)]:
            done: dict[Batch, States] = {}
            with Processes().working(player, wanted, min(processes, len(wanted)), heard=more) as results:
                for batch, states in results:
                    save_states(_file(folder, player.turn, batch), states)
                    done[batch] = states
            for batch in wanted:
                found[batch.scenario].append(done[batch])
    finally:
        bar.close()
    return [joined(_enough(kept, share)) for kept in found]


def _missing(scenario: int, kept: list[States], share: int) -> list[Batch]:
    """Batches that should make it enough, if they are as those before; the first is played to see."""
    have = sum(map(len, kept))
    if have >= share:
        return []
    more = -(-(share - have) * len(kept) // have) if have else 1
    return [Batch(scenario, len(kept) + i) for i in range(min(more, CAUTION * max(1, len(kept))))]


def _enough(kept: list[States], share: int) -> list[States]:
    """The first of them that are enough."""
    sums = np.cumsum([len(states) for states in kept])
    return kept[: int(np.searchsorted(sums, share)) + 1]


def _file(folder: Path, turn: int, batch: Batch) -> Path:
    return folder / f"states-{turn}-{batch.scenario:02d}-{batch.number:05d}.npz"
