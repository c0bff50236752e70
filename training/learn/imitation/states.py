"""States that were visited, and what a teacher says of each: arrays, and files of them."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.training.runs.folder import replacing

Array = NDArray[Any]
OBSERVED = ("nodes", "layers", "pairs", "process")
"""Keys of an observation."""


@dataclass(frozen=True)
class States:
    """S decisions of processes of one size; the first axis of every array is the decision.

    Observations and labels are kept in half precision: numbers in [-1, 1], to three digits.
    """

    nodes: Array
    """These four: see `snakegym.envs.encoder.ViewEncoder`."""
    layers: Array
    pairs: Array
    process: Array
    mask: Array
    """Bool [S, n_actions]: legal actions."""
    label: Array
    """[S, n_actions]: how likely the teacher would take each."""
    returns: Array
    """Float32 [S]: discounted rewards until the end of the episode."""
    valued: Array
    """Bool [S]: whether these tell what the state is worth: nothing random was thrown in from there on."""
    episode: Array
    """Int32 [S]: which of the episodes of its scenario it is of."""
    experience: Array
    """Float32 [S, E]: what a teacher that learns itself learns from (`snakegym.agents.improved.experience`);
    E is 0 with any other."""

    def __len__(self) -> int:
        """Number of decisions."""
        return len(self.returns)

    def take(self, which: Array) -> States:
        """These decisions, by index or mask."""
        return States(**{f.name: getattr(self, f.name)[which] for f in fields(self)})


def joined(parts: Sequence[States]) -> States:
    """One after the other; at least one."""
    return States(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(States)})


def save_states(path: Path, states: States) -> None:
    """Write a file of them in one step. Raises SnakegymError if it cannot be written."""
    with replacing(path) as temporary:
        np.savez(temporary, **{f.name: getattr(states, f.name) for f in fields(states)})


def load_states(path: Path) -> States | None:
    """What such a file holds; None where there is none, or it is damaged. Runs nothing that is in it."""
    try:
        with np.load(path, allow_pickle=False) as file:
            states = States(**{f.name: file[f.name] for f in fields(States)})
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    whole = len({len(getattr(states, f.name)) for f in fields(states)}) == 1
    return states if whole and states.mask.shape == states.label.shape else None
