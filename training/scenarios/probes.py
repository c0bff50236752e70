"""Many hops tried from the same states: what does the reward of a hop depend on?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.analysis.variance import Shares, decompose
from snakegym.training.episodes.play import episode_seed
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed
from snakegym.training.show.tables import console, plain_table

STATES = 4
LATEST = 25
"""Random hops before the last state, at most; the states are spread evenly up to here."""
PAIRS = 64
"""Of node and layer in one state: beyond that, some nodes and layers are drawn."""
LAYERS = 8
"""Layers among them, at most."""
REPETITIONS = 2


@dataclass(frozen=True)
class Probe:
    """Hops that were tried from one state."""

    hops: int
    """Hops that led to it."""
    rewards: NDArray[np.float64]
    """[nodes, layers, repetitions], NaN where a pair is illegal or was not drawn."""


def probe(env: SerpentineEnv, seed: int, n_states: int = STATES) -> list[Probe]:
    """Rewards of the legal pairs in states of random episodes; repetitions differ in the seed of training.

    Fewer states where episodes are over before there is a choice. `env` is used up.
    """
    rng = np.random.default_rng(derive_seed(seed, "probe"))
    states = []
    for i in range(n_states):
        hops = int(LATEST * (i + rng.random()) / n_states)
        state = _walk(env, hops, episode_seed(seed, i, "probe"), rng)
        if state is not None:
            states.append((state, _chosen(state.view().legal, rng)))
    found = []
    total = REPETITIONS * sum(int(np.count_nonzero(pairs)) for _, pairs in states)
    with progress(total, "probes", "hop", leave=False) as bar:
        for state, pairs in states:
            rewards = np.full((*pairs.shape, REPETITIONS), np.nan)
            for node, layer in np.argwhere(pairs).tolist():
                for k, training in enumerate(rng.integers(2**31, size=REPETITIONS).tolist()):
                    rewards[node, layer, k] = try_hop(state, Assignment(node, layer), training)
                    bar.update()
            found.append(Probe(len(state.controller.history), rewards))
    return found


def try_hop(env: SerpentineEnv, assignment: Assignment, seed: int) -> float:
    """Reward of one hop from the present state, which is left as it is; `seed` is that of local training."""
    trial = copy.deepcopy(env)
    trial.controller.reseed(seed)
    return float(trial.step(trial.codec.encode(assignment, trial.view()))[1])


def shares(probes: Sequence[Probe]) -> Shares:
    """What the reward of a hop depends on, in all states together."""
    return decompose([p.rewards for p in probes])


def print_probes(probes: Sequence[Probe]) -> None:
    """A table of the shares, state by state and together."""
    table = plain_table("What the reward of a hop depends on: shares of its variance over the legal pairs")
    for title in ("State: after", "Pairs", "Std of reward", "Node", "Layer", "Node x layer", "Repetition"):
        table.add_column(title, justify="right")
    for p in probes:
        table.add_row(f"{p.hops} hops", *_cells(decompose([p.rewards])))
    table.add_section()
    table.add_row("together", *_cells(shares(probes)))
    out = console()
    out.print(table)
    out.print(
        f"[dim]components of variance (Henderson's method 3); every pair {REPETITIONS} times, with seeds of "
        "local training of its own; random hops led to the states[/dim]\n"
    )


def _cells(s: Shares) -> list[str]:
    parts = (s.node, s.layer, s.both, s.repetition)
    return [str(s.pairs), f"{s.variance**0.5:.3f}", *(f"{100 * part:.1f} %" for part in parts)]


def _walk(env: SerpentineEnv, hops: int, seed: int, rng: np.random.Generator) -> SerpentineEnv | None:
    """The state after that many random hops, or the last one before it that leaves a choice."""
    env.reset(seed=seed)
    last = None
    while not env.controller.ended:
        legal = np.argwhere(env.view().legal)
        if _leaves_a_choice(env.view(), env.codec.n_middle):
            last = copy.deepcopy(env)
            if len(env.controller.history) >= hops:
                break
        assignment = Assignment(*rng.choice(legal).tolist()) if len(legal) else None
        env.step(env.codec.encode(assignment, env.view()))
    return last


def _leaves_a_choice(view: ProcessView, n_middle: int) -> bool:
    """Of nodes, and of layers too where the process does not choose them."""
    nodes, layers = view.legal.any(axis=1).sum(), view.legal.any(axis=0).sum()
    return bool(nodes > 1 and (layers > 1 or n_middle == 1 or view.layer_order != "free"))


def _chosen(legal: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """The legal pairs, or those of some nodes and layers where they are too many."""
    if np.count_nonzero(legal) <= PAIRS:
        return legal
    nodes, layers = np.flatnonzero(legal.any(axis=1)), np.flatnonzero(legal.any(axis=0))
    layers = rng.choice(layers, size=min(LAYERS, len(layers)), replace=False)
    nodes = rng.choice(nodes, size=min(PAIRS // len(layers), len(nodes)), replace=False)
    chosen = np.zeros_like(legal)
    chosen[np.ix_(nodes, layers)] = legal[np.ix_(nodes, layers)]
    return chosen
