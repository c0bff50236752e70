"""Play one episode of the environment and keep what matters of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from agents.protocol import Scheduler
from envs.encoder import Encoded
from envs.reward import TERMS
from envs.serpentine import SerpentineEnv
from snakegym.control.records import Hop
from training.seeding import derive_seed

Choose = Callable[[Encoded], int]
"""From an observation to an action."""


class HopRecord(TypedDict):
    """One hop of an episode; times in simulated seconds."""

    node: int
    layer: int
    start_s: float
    receive_s: float
    compute_s: float
    send_s: float
    energy_j: float
    n_bytes: float
    metric: float
    delivered: bool
    interrupted: str | None


class EpisodeRecord(TypedDict):
    """One episode; plain data, so that it can go to JSON as it is."""

    episode: int
    seed: int
    total_reward: float
    """The return: sum of all rewards."""
    rewards: dict[str, float]
    """Sum of each reward term."""
    initial_accuracy: float
    """On the validation part, before the first hop."""
    validation_accuracy: float
    """On the validation part, at the end."""
    test_accuracy: float | None
    """On the untouched test part, at the end; None where it was not asked for."""
    time_s: float
    energy_j: float
    n_bytes: float
    hops: int
    interruptions: int
    waits: int
    illegal: int
    ended: str
    trace: list[HopRecord]


def episode_seed(seed: int, episode: int, purpose: str = "episode") -> int:
    """Seed of the episode's network, data and initial model: the same for every scheduler."""
    return derive_seed(seed, purpose, episode)


def play_scheduler(env: SerpentineEnv, scheduler: Scheduler, episode: int, seed: int) -> EpisodeRecord:
    """One episode in which a scheduler decides; tested at the end. Arguments as `play`."""
    scheduler.reset(derive_seed(seed, "scheduler"))
    record = play(env, lambda _: env.codec.encode(scheduler.schedule(env.view())), episode, seed)
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
    observation: Encoded
    observation, info = env.reset(seed=seed)
    initial = float(info["metric"])
    rewards = dict.fromkeys(TERMS, 0.0)
    total, done = 0.0, False
    while not done:
        observation, reward, terminated, truncated, info = env.step(choose(observation))
        total += float(reward)
        done = terminated or truncated
        for term, value in info["rewards"].items():
            rewards[term] += float(value)
    return EpisodeRecord(
        episode=episode,
        seed=seed,
        total_reward=total,
        rewards=rewards,
        initial_accuracy=initial,
        validation_accuracy=float(info["metric"]),
        test_accuracy=None,
        time_s=float(info["spent"]["time_s"]),
        energy_j=float(info["spent"]["energy_j"]),
        n_bytes=float(info["spent"]["n_bytes"]),
        hops=int(info["hops"]),
        interruptions=int(info["interruptions"]),
        waits=int(info["waits"]),
        illegal=int(info["illegal"]),
        ended=str(info["ended"]),
        trace=[_record(hop) for hop in env.controller.history],
    )


def accuracy_on_test(env: SerpentineEnv) -> float:
    """Accuracy of the present model on the test part of the data, which no reward ever sees."""
    service = env.service
    return float(service.engine.evaluate([env.controller.state], service.data.test)[0].accuracy)


def _record(hop: Hop) -> HopRecord:
    phases = hop.phases
    return HopRecord(
        node=hop.assignment.node,
        layer=hop.assignment.layer,
        start_s=float(hop.start_s),
        receive_s=float(phases.receive_s),
        compute_s=float(phases.compute_s),
        send_s=float(phases.send_s),
        energy_j=float(hop.costs.energy_j),
        n_bytes=float(hop.costs.n_bytes),
        metric=float(hop.metric),
        delivered=bool(hop.delivered),
        interrupted=phases.interrupted,
    )
