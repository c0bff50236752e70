"""Hops of training episodes, with what a model of gains may know of each and what it brought."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from snakegym import __version__
from snakegym.agents.planning.fitted.features import FEATURES, features
from snakegym.agents.planning.fitted.files import fingerprint
from snakegym.agents.planning.gain import FormulaGain, GainModel
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import forecast, price
from snakegym.control.records import Assignment
from snakegym.control.view import Floats, ProcessView
from snakegym.envs.vector import Member, prepare_step
from snakegym.training.episodes.play import episode_seed
from snakegym.training.runs.partial import PartialResults, Task
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed

TOGETHER = 16
"""Episodes that are trained together."""
RANDOM_ONE_IN = 3
"""Episodes in which all decisions are random; the others are greedy, more or less."""
ROUNDS = 4
"""Parts of the recording: in each, greedy decisions go by what the parts before it taught."""


LEAST_HOPS = 20
"""That a model is fitted to."""


@dataclass(frozen=True)
class HopRow:
    """One hop."""

    node: int
    layer: int
    gain: float
    """Measured, in accuracy."""
    formula: float
    """Gain that the general formula expected."""
    x: list[float]
    """Its `FEATURES`."""
    whole: bool
    """Delivered and measured, with all its batches."""
    chosen_for: float | None = None
    """Gain that was expected of it, if it was chosen because a fitted model promised most of it."""


@dataclass(frozen=True)
class Recording:
    """The hops of one episode, in order."""

    hops: list[HopRow]


def header_of(member: Member, episodes: int, seed: int) -> dict[str, Any]:
    """What a recording is of: another one is not taken over."""
    return {
        "snakegym": __version__,
        "fingerprint": fingerprint(member.scenario),
        "scenario": member.scenario.model_dump(mode="json"),
        "traces": [entry["sha256"] for entry in member.service.library.manifest()],
        "features": list(FEATURES),
        "episodes": episodes,
        "seed": seed,
    }


def record(
    members: Sequence[Member],
    episodes: int,
    seed: int,
    path: Path,
    improve: Callable[[list[Recording]], GainModel],
) -> list[Recording]:
    """Record episodes; those that an interrupted command has recorded are taken over.

    Args:
        members: of the split `train`; as many episodes are trained together.
        episodes: how many.
        seed: of the episodes and of all decisions.
        path: where they are kept meanwhile.
        improve: fits a model to what there is, which then decides in greedy episodes of the next part.

    Raises:
        KeyboardInterrupt: with a line that says what is kept.
    """
    partial = PartialResults(path, header_of(members[0], episodes, seed), Recording)
    name = members[0].scenario.name
    parts = [episodes * i // ROUNDS for i in range(ROUNDS + 1)]
    known: list[Recording] = []
    try:
        with progress(episodes, f"{name}: record", "episode", initial=len(partial.records)) as bar:
            for first, end in pairwise(parts):
                gains = improve(known) if _suffices(known) else None
                for start in range(first, end, len(members)):
                    block = range(start, min(start + len(members), end))
                    if any(Task(name, i) not in partial.records for i in block):
                        for i, found in zip(block, _play(members, block, seed, gains), strict=True):
                            if Task(name, i) not in partial.records:
                                partial.add(Task(name, i), found)
                                bar.update()
                known = [partial.records[Task(name, i)] for i in range(end)]
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{len(partial.records)} of {episodes} episodes are kept in {path}, the same command goes on "
            "from there"
        ) from None
    return known


def _play(members: Sequence[Member], block: range, seed: int, gains: GainModel | None) -> list[Recording]:
    """One episode of each number in the block."""
    deciders = [_Decider(i, seed, gains) for i in block]
    rows: list[list[HopRow]] = [[] for _ in block]
    for member, i in zip(members, block, strict=False):
        member.reset(seed=episode_seed(seed, i, "fit"))
    going = list(range(len(block)))
    while going:
        views = [members[i].view() for i in going]
        chosen = [deciders[i](view) for i, view in zip(going, views, strict=True)]
        actions = [
            members[i].codec.encode(hop, view) for i, view, hop in zip(going, views, chosen, strict=True)
        ]
        prepare_step([members[i] for i in going], actions)
        over = []
        for i, view, hop, action in zip(going, views, chosen, actions, strict=True):
            _, _, terminated, truncated, _ = members[i].step(action)
            if hop is not None:
                rows[i].append(_row(members[i], view, hop, deciders[i].promised))
            if terminated or truncated:
                over.append(i)
        going = [i for i in going if i not in over]
    return [Recording(own) for own in rows]


def _row(member: Member, view: ProcessView, chosen: Assignment, promised: float | None) -> HopRow:
    hop, state = member.controller.history[-1], PlanState.of(view)
    return HopRow(
        node=chosen.node,
        layer=chosen.layer,
        gain=float(hop.gain),
        formula=float(FormulaGain().expected(state)[0, chosen.node, chosen.layer]),
        x=[float(f"{value:.6g}") for value in features(state)[0, chosen.node]],
        whole=bool(hop.delivered and hop.phases.interrupted is None),
        chosen_for=promised,
    )


def _suffices(known: Sequence[Recording]) -> bool:
    return sum(hop.whole for recording in known for hop in recording.hops) >= LEAST_HOPS


class _Decider:
    """How one episode is played: how often at random, and what a greedy decision heeds.

    Never finishes: late hops are to be seen too. Waits where nothing is legal.

    Args:
        episode: its number.
        seed: of the recording.
        gains: a fitted model; None: there is none yet, and the general formula is as good as none.
    """

    def __init__(self, episode: int, seed: int, gains: GainModel | None) -> None:
        self._rng = rng = np.random.default_rng(derive_seed(seed, "fit decisions", episode))
        self._gains: GainModel = gains or FormulaGain()
        self._fitted = gains is not None
        self._random = (
            1.0 if episode % RANDOM_ONE_IN == 0 else float(rng.choice([0.0, rng.uniform(0.0, 0.5)]))
        )
        self._gain = 1.0 if self._fitted else float(rng.choice([0.0, 1.0]))
        self._price = float(rng.choice([0.3, 1.0, 3.0]))
        self._noise = float(rng.choice([0.0, 0.0, 0.1, 0.3]))
        self.promised: float | None = None
        """Gain that a fitted model expected of the hop chosen last, if it was chosen for that."""

    def __call__(self, view: ProcessView) -> Assignment | None:
        """The next hop."""
        self.promised = None
        legal = np.argwhere(view.legal)
        if not len(legal):
            return None
        if self._rng.random() < self._random:
            node, layer = self._rng.choice(legal).tolist()
            return Assignment(node, layer)
        expected = self._gains.expected(PlanState.of(view))[0]
        scores = np.where(view.legal, self._scores(view, expected), -np.inf)
        node, layer = (int(i) for i in np.unravel_index(np.argmax(scores), scores.shape))
        if self._fitted and self._noise == 0.0:
            self.promised = float(f"{expected[node, layer]:.6g}")
        return Assignment(node, layer)

    def _scores(self, view: ProcessView, expected: Floats) -> Floats:
        hop, objective = forecast(view), view.objective
        costs = np.minimum(price(objective, hop.time_s, hop.energy_j, hop.n_bytes), 1e9)
        gain = objective.gain * self._gain * expected
        scores: Floats = gain - self._price * costs + self._noise * self._rng.gumbel(size=costs.shape)
        return scores
