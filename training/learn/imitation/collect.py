"""Collecting states that a planner says something of, on training traces.

Every second episode is the teacher's own; in the others a random hop is thrown in now and then, so that
states after mistakes are met, which a policy that imitates will meet as well (DAgger's reason, Ross et al.,
AISTATS 2011, https://arxiv.org/abs/1011.0686; noise instead of the pupil: DART, Laskey et al., CoRL 2017,
https://arxiv.org/abs/1703.09327).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.teaching import Label, Teacher
from snakegym.control.records import Assignment, Decision
from snakegym.envs.action import ActionCodec
from snakegym.envs.problems import common_codec
from snakegym.envs.vector import Member, make_members, prepare_step
from snakegym.training.learn.imitation.states import OBSERVED, States, joined, load_states, save_states
from snakegym.training.runs.pool import Say, working
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed

EPISODES = 16
"""Of one batch: played at a time, their hops trained together."""

CAUTION = 8
"""So many times what is there already is asked for at most: the first batch alone may be unusual."""


class Batch(NamedTuple):
    """Episodes that are played together, and kept in one file."""

    scenario: int
    """Index among those of the training."""
    number: int


@dataclass
class Player:
    """Plays batches; goes to worker processes as it is, and makes what it needs there.

    Args:
        settings: arguments of the environments but the split.
        teacher: spec of the scheduler.
        temperature: see `Teacher`.
        noise: probability of a random hop, in every second episode.
        gamma: discount of the returns.
        seed: of the training run.
    """

    settings: Mapping[str, Any]
    teacher: str
    temperature: float
    noise: float
    gamma: float
    seed: int
    _ready: dict[int, tuple[list[Member], ActionCodec]] = field(default_factory=dict, repr=False)

    def __call__(self, batch: Batch, say: Say) -> States:
        """The states of a batch; says how many more there are now and then."""
        members, codec = self._members(batch.scenario)
        seats = [self._seat(member, codec, batch, i) for i, member in enumerate(members)]
        going = seats
        while going:
            for seat in going:
                seat.decide()
            prepare_step([seat.member for seat in going], [seat.action for seat in going])
            say(len(going))
            going = [seat for seat in going if not seat.step()]
        return joined([seat.states(self.gamma) for seat in seats])

    def _members(self, scenario: int) -> tuple[list[Member], ActionCodec]:
        """Environments of that scenario alone, and the actions of a policy for all of them."""
        if scenario not in self._ready:
            one = self.settings["scenario"][scenario]
            members = make_members(EPISODES, split="train", **{**self.settings, "scenario": one})
            own = members[0].codec
            if len(self.settings["scenario"]) > 1:
                (every,) = make_members(1, split="train", **self.settings)
                own = ActionCodec(own.n_nodes, own.n_middle, common_codec(every.problems).layer_order)
            self._ready[scenario] = members, own
        return self._ready[scenario]

    def _seat(self, member: Member, codec: ActionCodec, batch: Batch, i: int) -> _Seat:
        index = batch.number * EPISODES + i
        seeds = [
            derive_seed(self.seed, purpose, batch.scenario, index)
            for purpose in ("imitation", "teacher", "noise")
        ]
        teacher = Teacher(self.teacher, member.scenario, codec, self.temperature)
        noise = self.noise if i % 2 else 0.0
        return _Seat(member, codec, teacher, noise, index, seeds)


class _Seat:
    """An episode under way."""

    def __init__(
        self,
        member: Member,
        codec: ActionCodec,
        teacher: Teacher,
        noise: float,
        index: int,
        seeds: list[int],
    ) -> None:
        self.member, self._codec, self._teacher, self._noise, self._index = (
            member,
            codec,
            teacher,
            noise,
            index,
        )
        self._observation, _ = member.reset(seed=seeds[0])
        teacher.reset(seeds[1])
        teacher.watch(member)
        self._random = np.random.default_rng(seeds[2])
        self._rows: list[tuple[dict[str, Any], NDArray[np.bool_], Label]] = []
        self._rewards: list[float] = []
        self._last_random = -1
        self.action = 0

    def decide(self) -> None:
        """Ask the teacher, note what it says, and choose the next action."""
        view = self.member.view()
        label, decision = self._teacher.label(view)
        self._rows.append((self._observation, self._codec.mask(view), label))
        legal = np.argwhere(view.legal)
        if self._noise and self._random.random() < self._noise and len(legal):
            node, layer = self._random.choice(legal).tolist()
            self._last_random = len(self._rows) - 1
            decision = Assignment(node, layer)
        self._teacher.follow(view, decision)
        self.action = self.member.codec.encode(_alone(decision))

    def step(self) -> bool:
        """Finish the step that was begun; whether it was the last."""
        self._observation, reward, terminated, truncated, _ = self.member.step(self.action)
        self._rewards.append(float(reward))
        return terminated or truncated

    def states(self, gamma: float) -> States:
        """Of the whole episode."""
        observations, masks, labels = zip(*self._rows, strict=True)
        returns, ahead = np.zeros(len(self._rewards), dtype=np.float32), 0.0
        for t in reversed(range(len(returns))):
            ahead = self._rewards[t] + gamma * ahead
            returns[t] = ahead
        observed = {key: np.stack([o[key] for o in observations]).astype(np.float16) for key in OBSERVED}
        return States(
            **observed,
            mask=np.stack(masks),
            label=np.stack(labels).astype(np.float16),
            returns=returns,
            valued=np.arange(len(returns)) > self._last_random,
            episode=np.full(len(returns), self._index, dtype=np.int32),
        )


def _alone(decision: Decision) -> Decision:
    """The decision as an action says it: companions are chosen by the scenario's rule."""
    return Assignment(decision.node, decision.layer) if isinstance(decision, Assignment) else decision


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
        while sum(map(len, kept)) < share and (states := load_states(_file(folder, Batch(i, len(kept))))):
            kept.append(states)
    bar = progress(share * n_scenarios, "collect", "state", initial=sum(len(s) for k in found for s in k))

    def more(states: int) -> None:
        bar.update(states)

    try:
        while wanted := [b for i, kept in enumerate(found) for b in _missing(i, kept, share)]:
            done: dict[Batch, States] = {}
            with working(player, wanted, min(processes, len(wanted)), heard=more) as results:
                for batch, states in results:
                    save_states(_file(folder, batch), states)
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


def _file(folder: Path, batch: Batch) -> Path:
    return folder / f"states-{batch.scenario:02d}-{batch.number:05d}.npz"
