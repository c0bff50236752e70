"""Play one episode of the environment and keep what matters of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from snakegym.agents.protocol import Scheduler, let_watch
from snakegym.control.records import Hop
from snakegym.envs.encoder import Encoded
from snakegym.envs.reward import TERMS
from snakegym.envs.serpentine import SerpentineEnv, StepResult
from snakegym.envs.vector import Member, prepare_step
from snakegym.training.runs.seeding import derive_seed

Choose = Callable[[Encoded], int]
"""From an observation to an action."""
ChooseTogether = Callable[[Encoded, NDArray[np.bool_], NDArray[np.int64]], NDArray[np.int64]]
"""From n observations, batched, action masks [n, n_actions] and the episodes' numbers [n] to n actions."""


LARGEST = 1e18
"""No record holds more of anything: sums and squares stay finite, and whoever reads one back can tell."""
Index = Annotated[int, Field(ge=0, lt=100_000)]
Count = Annotated[int, Field(ge=0, le=LARGEST)]
Amount = Annotated[float, Field(ge=0, le=LARGEST, allow_inf_nan=False)]
Reward = Annotated[float, Field(ge=-LARGEST, le=LARGEST, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class HopRecord(TypedDict):
    """One hop of an episode; times in simulated seconds."""

    node: Index
    layer: Index
    start_s: Amount
    receive_s: Amount
    compute_s: Amount
    send_s: Amount
    energy_j: Amount
    n_bytes: Amount
    metric: Share
    delivered: bool
    interrupted: str | None
    """The phase in which something dropped out; a hop that the deadline cut short is none."""


class EpisodeRecord(TypedDict):
    """One episode; plain data, so that it can go to JSON as it is."""

    episode: Count
    seed: Count
    total_reward: Reward
    """The return: sum of all rewards."""
    rewards: dict[str, Reward]
    """Sum of each reward term."""
    initial_accuracy: Share
    """On the validation part, before the first hop."""
    validation_accuracy: Share
    """On the validation part, at the end."""
    test_accuracy: Share | None
    """On the untouched test part, at the end; None where it was not asked for."""
    time_s: Amount
    energy_j: Amount
    n_bytes: Amount
    hops: Count
    interruptions: Count
    waits: Count
    illegal: Count
    ended: str
    trace: list[HopRecord]


def episode_seed(seed: int, episode: int, purpose: str = "episode") -> int:
    """Seed of the episode's network, data and initial model: the same for every scheduler."""
    return derive_seed(seed, purpose, episode)


def play_scheduler(env: SerpentineEnv, scheduler: Scheduler, episode: int, seed: int) -> EpisodeRecord:
    """One episode in which a scheduler decides; tested at the end. Arguments as `play`.

    A scheduler with a method `watch(env)`, as yardsticks have that know more than a view shows, is given the
    environment after its reset.
    """
    scheduler.reset(derive_seed(seed, "scheduler"))
    watch = partial(let_watch, scheduler)
    record = _play(env, lambda _: env.step_as(scheduler.schedule(env.view())), episode, seed, watch)
    record["test_accuracy"] = accuracy_on_test(env)
    return record


def play(env: SerpentineEnv, choose: Choose, episode: int, seed: int) -> EpisodeRecord:
    """One episode of `env`, reset with `seed`, with the actions that `choose` gives.

    Args:
        env: left at the end of the episode.
        choose: the policy.
        episode: number to write into the record.
        seed: of the environment.
    """
    return _play(env, lambda observation: env.step(choose(observation)), episode, seed)


def _play(
    env: SerpentineEnv,
    step_from: Callable[[Encoded], StepResult],
    episode: int,
    seed: int,
    begun: Callable[[SerpentineEnv], None] = lambda _: None,
) -> EpisodeRecord:
    observation: Encoded
    observation, info = env.reset(seed=seed)
    begun(env)
    tally = _Tally(env, info)
    done = False
    while not done:
        step = step_from(observation)
        observation, done = step[0], tally.add(step)
    return tally.record(episode, seed)


def play_together(
    members: Sequence[Member],
    choose: ChooseTogether,
    seeds: Sequence[int],
    scenarios: Sequence[str] | None = None,
) -> list[EpisodeRecord]:
    """One episode of each member, reset with its seed, all trained together.

    Args:
        members: left at the end of their episodes.
        choose: the policy; is asked about the members whose episodes still go on.
        seeds: one for each member; the records are numbered in their order.
        scenarios: the name of one for each member, of those that it has; default: as its seed draws.
    """
    options = [None if scenarios is None else {"scenario": name} for name in scenarios or seeds]
    starts = [m.reset(seed=s, options=o) for m, s, o in zip(members, seeds, options, strict=True)]
    tallies = [_Tally(member, info) for member, (_, info) in zip(members, starts, strict=True)]
    going = [(i, start[0]) for i, start in enumerate(starts)]
    while going:
        observations = [observation for _, observation in going]
        stacked = {key: np.stack([o[key] for o in observations]) for key in observations[0]}
        playing = [members[i] for i, _ in going]
        masks = np.stack([member.action_masks() for member in playing])
        actions = choose(stacked, masks, np.array([i for i, _ in going]))
        prepare_step(playing, actions)
        steps = [member.step(action) for member, action in zip(playing, actions, strict=True)]
        going = [(i, step[0]) for (i, _), step in zip(going, steps, strict=True) if not tallies[i].add(step)]
    return [tally.record(i, seed) for i, (tally, seed) in enumerate(zip(tallies, seeds, strict=True))]


class _Tally:
    """Adds up an episode, from the info of its reset on."""

    def __init__(self, env: SerpentineEnv, info: dict[str, Any]) -> None:
        self._env, self._info = env, info
        self._initial = float(info["metric"])
        self._rewards = dict.fromkeys(TERMS, 0.0)
        self._total = 0.0

    def add(self, step: StepResult) -> bool:
        """Book a step; whether it was the last."""
        _, reward, terminated, truncated, self._info = step
        self._total += float(reward)
        for term in TERMS:
            self._rewards[term] += self._info[f"reward_{term}"]
        return terminated or truncated

    def record(self, episode: int, seed: int) -> EpisodeRecord:
        """Of the whole episode, under that number."""
        info = self._info
        return EpisodeRecord(
            episode=episode,
            seed=seed,
            total_reward=self._total,
            rewards=self._rewards,
            initial_accuracy=self._initial,
            validation_accuracy=float(info["metric"]),
            test_accuracy=None,
            time_s=float(info["time_s"]),
            energy_j=float(info["energy_j"]),
            n_bytes=float(info["n_bytes"]),
            hops=int(info["hops"]),
            interruptions=int(info["interruptions"]),
            waits=int(info["waits"]),
            illegal=int(info["illegal"]),
            ended=self._env.controller.ended,
            trace=[_record(hop) for hop in self._env.controller.history],
        )


def accuracy_on_test(env: SerpentineEnv) -> float:
    """Accuracy of the present model on the test part of the data, which no reward ever sees."""
    service = env.service
    return float(service.engine.evaluate([env.controller.state], service.data.test)[0].score)


def _record(hop: Hop) -> HopRecord:
    phases = hop.phases
    return HopRecord(
        node=hop.assignment.node,
        layer=hop.assignment.layer,
        start_s=float(hop.start_s),
        receive_s=float(phases.receive_s),
        compute_s=float(phases.compute_s + phases.evaluate_s),
        send_s=float(phases.send_s),
        energy_j=float(hop.costs.energy_j),
        n_bytes=float(hop.costs.n_bytes),
        metric=float(hop.metric),
        delivered=bool(hop.delivered),
        interrupted=phases.interrupted if phases.dropped_out else None,
    )
