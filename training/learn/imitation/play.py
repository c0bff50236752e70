"""Playing episodes on training traces of whose states a planner says what it would do.

In the first round every second episode is the teacher's own; in the others a random hop is thrown in now and
then, so that what the teacher does after mistakes is seen as well (DART, Laskey et al., CoRL 2017,
https://arxiv.org/abs/1703.09327). In later rounds the policy cloned so far plays, by its probabilities, and
the teacher says what it would have done there (DAgger, Ross et al., AISTATS 2011,
https://arxiv.org/abs/1011.0686): a clone gets into states of its own, such as to wait where waiting is over.
A teacher that learns itself goes on playing every second episode, to see what comes of what it has learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from snakegym.agents.improved.experience import after, finished
from snakegym.agents.improved.learned import Learned
from snakegym.agents.kickstart import outputs
from snakegym.agents.learned import build_policy
from snakegym.agents.teaching import Label, Teacher
from snakegym.agents.trained.config import Network
from snakegym.control.records import Assignment
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.problems import common_codec
from snakegym.envs.vector import Member, make_members, prepare_step
from snakegym.training.learn.imitation.states import OBSERVED, States, joined
from snakegym.training.pool.seam import Say
from snakegym.training.runs.seeding import derive_seed

EPISODES = 16
"""Of one batch: played at a time, their hops trained together."""
MOST_EPISODES = 10**6
"""Of one scenario in a round."""


class Batch(NamedTuple):
    """Episodes that are played together, and kept in one file."""

    scenario: int
    """Index among those of the training."""
    number: int


@dataclass(frozen=True)
class Pilot:
    """A policy that plays: all that a process needs to build it, for any size if it is pairwise."""

    network: Network
    masked: bool
    """Whether it takes action masks."""
    weights: Mapping[str, torch.Tensor]

    def built(self, codec: ActionCodec) -> Any:
        """For processes of that size."""
        space = ViewEncoder(codec.n_nodes, codec.n_middle).space
        policy = build_policy(self.network, self.masked, space, codec.n_actions)
        policy.load_state_dict(self.weights)
        return policy


class _Table(NamedTuple):
    """What batches of one scenario are played with."""

    members: list[Member]
    codec: ActionCodec
    """Of the policy: where the scenarios of a training have different orders, it chooses pairs in all."""
    policy: Any
    """The pilot's; None without one."""


@dataclass
class Player:
    """Plays batches; goes to worker processes as it is, and makes what it needs there.

    Args:
        settings: arguments of the environments but the split.
        teacher: spec of the scheduler.
        temperature: see `Teacher`.
        noise: probability of a random hop, in every second episode; only without a pilot.
        gamma: discount of the returns.
        seed: of the training run.
        turn: number of the round, from 0.
        pilot: plays instead of the teacher; of a teacher that has learned, in every second episode.
        learned: what the teacher has learned of each scenario so far; empty: nothing.
    """

    settings: Mapping[str, Any]
    teacher: str
    temperature: float
    noise: float
    gamma: float
    seed: int
    turn: int = 0
    pilot: Pilot | None = None
    learned: Sequence[Learned | None] = ()
    _tables: dict[int, _Table] = field(default_factory=dict, repr=False)

    def __call__(self, batch: Batch, say: Say) -> States:
        """The states of a batch; says how many more there are now and then."""
        table = self._table(batch.scenario)
        seats = [self._seat(table, batch, i) for i in range(EPISODES)]
        going = seats
        while going:
            for seat in going:
                seat.ask()
            piloted = [] if self.pilot is None else [seat for seat in going if not seat.own]
            likely = dict(zip(map(id, piloted), self._likely(table.policy, piloted), strict=True))
            for seat in going:
                seat.decide(likely.get(id(seat)))
            prepare_step([seat.member for seat in going], [seat.action for seat in going])
            say(len(going))
            going = [seat for seat in going if not seat.step()]
        return joined([seat.states(self.gamma) for seat in seats])

    def _likely(self, policy: Any, seats: Sequence[_Seat]) -> NDArray[np.float64]:
        """The pilot's probabilities, [seats, n_actions]."""
        if not seats:
            return np.zeros((0, 0))
        assert self.pilot is not None
        observed = {key: np.stack([seat.rows[-1][0][key] for seat in seats]) for key in OBSERVED}
        masks = torch.as_tensor(np.stack([seat.rows[-1][1] for seat in seats]))
        tensors = {key: torch.as_tensor(array) for key, array in observed.items()}
        with torch.no_grad():
            log_p, _ = outputs(policy, tensors, masks if self.pilot.masked else None)
        likely: NDArray[np.float64] = log_p.double().exp().numpy()
        return likely

    def _table(self, scenario: int) -> _Table:
        if scenario not in self._tables:
            one = self.settings["scenario"][scenario]
            members = make_members(EPISODES, split="train", **{**self.settings, "scenario": one})
            codec = members[0].codec
            if len(self.settings["scenario"]) > 1:
                (every,) = make_members(1, split="train", **self.settings)
                codec = ActionCodec(codec.n_nodes, codec.n_middle, common_codec(every.problems).layer_order)
            policy = None if self.pilot is None else self.pilot.built(codec)
            self._tables[scenario] = _Table(members, codec, policy)
        return self._tables[scenario]

    def _seat(self, table: _Table, batch: Batch, i: int) -> _Seat:
        index = (self.turn * MOST_EPISODES) + batch.number * EPISODES + i
        world, own, chance = (
            derive_seed(self.seed, purpose, batch.scenario, index)
            for purpose in ("imitation", "teacher", "noise")
        )
        member = table.members[i]
        learned = self.learned[batch.scenario] if self.learned else None
        teacher = Teacher(self.teacher, member.scenario, table.codec, self.temperature, learned)
        seat = _Seat(member, table.codec, teacher, self.noise if i % 2 else 0.0, index)
        seat.own = self.pilot is None or (learned is not None and i % 2 == 0)
        seat.begin(world, own, chance)
        return seat


class _Seat:
    """An episode under way."""

    def __init__(
        self, member: Member, codec: ActionCodec, teacher: Teacher, noise: float, index: int
    ) -> None:
        self.member, self._codec, self._teacher = member, codec, teacher
        self._noise, self._index = noise, index
        self.rows: list[tuple[dict[str, Any], NDArray[np.bool_], Label]] = []
        """Observation, mask and label of every decision so far."""
        self._rewards: list[float] = []
        self._experience: list[NDArray[np.float64]] | None = [] if teacher.learns else None
        self._last_random = -1
        self.own = True
        """Whether the teacher plays."""
        self.action = 0
        """What was decided on last, as the environment counts actions."""

    def begin(self, world: int, own: int, chance: int) -> None:
        """Reset all, with a seed each: the environment, the teacher, and what is random here."""
        self._observation, _ = self.member.reset(seed=world)
        self._teacher.reset(own)
        self._teacher.watch(self.member)
        self._random = np.random.default_rng(chance)

    def ask(self) -> None:
        """Note what the teacher says."""
        self._view = self.member.view()
        label, self._decision = self._teacher.label(self._view)
        self.rows.append((self._observation, self._codec.mask(self._view), label))

    def decide(self, likely: NDArray[np.float64] | None) -> None:
        """Choose the next action: by the pilot's probabilities, else as the teacher does, or at random."""
        view, legal = self._view, np.argwhere(self._view.legal)
        if likely is not None:
            action = int(self._random.choice(len(likely), p=likely / likely.sum()))
            self._decision = self._codec.decode(action, view)
        elif self._noise and self._random.random() < self._noise and len(legal):
            self._last_random = len(self.rows) - 1
            self._decision = Assignment(*self._random.choice(legal).tolist())
        if self._experience is not None:
            self._experience.append(self._teacher.experience(view, self._decision))
        self._teacher.follow(view, self._decision)
        self.action = self.member.codec.encode(self._decision)

    def step(self) -> bool:
        """Finish the step that was begun; whether it was the last."""
        self._observation, reward, terminated, truncated, _ = self.member.step(self.action)
        self._rewards.append(float(reward))
        if self._experience is not None:
            history = self.member.controller.history
            if history and history[-1].index >= self._view.hops:
                after(self._experience[-1], history[-1])
        return terminated or truncated

    def states(self, gamma: float) -> States:
        """Of the whole episode."""
        observations, masks, labels = zip(*self.rows, strict=True)
        returns, ahead = np.zeros(len(self._rewards), dtype=np.float32), 0.0
        for t in reversed(range(len(returns))):
            ahead = self._rewards[t] + gamma * ahead
            returns[t] = ahead
        experience = np.zeros((len(returns), 0))
        if self._experience is not None:
            finished(self._experience, self._rewards)
            experience = np.stack(self._experience)
        observed = {key: np.stack([o[key] for o in observations]).astype(np.float16) for key in OBSERVED}
        return States(
            **observed,
            mask=np.stack(masks),
            label=np.stack(labels).astype(np.float16),
            returns=returns,
            valued=np.arange(len(returns)) > self._last_random,
            episode=np.full(len(returns), self._index, dtype=np.int32),
            experience=experience.astype(np.float32),
        )
