"""Episodes of a policy, with what a planner would have done at each decision."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.learned import LearnedScheduler, Memory
from snakegym.agents.protocol import Scheduler, let_watch
from snakegym.control.forecast import HopForecast, forecast
from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.envs.encoder import Encoded
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.play import EpisodeRecord, play_scheduler

Kind = Literal["same", "node", "layer", "both", "earlier", "later", "waits", "hops", "illegal"]
KINDS: dict[Kind, str] = {
    "node": "same layer, other node",
    "layer": "same node, other layer",
    "both": "other node and layer",
    "earlier": "finishes, planner goes on",
    "later": "goes on, planner finishes",
    "waits": "waits, planner hops",
    "hops": "hops, planner waits",
    "illegal": "asks for what is not legal",
}
"""How a policy's decision can differ from the planner's, in words."""

QUALITIES = {
    "time_s": "Forecast time, s",
    "energy_j": "Forecast energy, J",
    "n_bytes": "Forecast traffic, kB",
    "layer_bytes": "Size of the layer, kB",
    "samples": "Samples of the node",
    "divergence": "Distance of its labels from recent ones",
    "visits": "Visits of the node so far",
    "pair_gain": "Last gain of the pair, %",
    "hop_age": "Hops since the node was last visited (never: all)",
}
"""What tells one pair of node and layer from another, in words."""


@dataclass(frozen=True)
class State:
    """A decision of the policy and of the planner about the same view."""

    progress: float
    """How far into the episode, in [0, 1): decisions before it, as a share of all of its episode."""
    clock_s: float
    hops: int
    position: int
    """Middle layers trained so far in this cycle."""
    chosen: Decision
    planned: Decision
    kind: Kind
    qualities: tuple[tuple[float, ...], tuple[float, ...]] | None
    """QUALITIES of the policy's pair and of the planner's, where both name one and they differ."""


@dataclass(frozen=True)
class Sight:
    """A decision as a learned policy saw it."""

    observation: Encoded
    mask: NDArray[np.bool_]
    memory: Memory = ()
    """What it remembered of the episode, where it has a memory."""


@dataclass(frozen=True)
class Played:
    """An episode of the policy."""

    record: EpisodeRecord
    states: list[State]
    sights: list[Sight]
    """One a state; none where the policy was not learned."""


def play_both(env: SerpentineEnv, policy: Scheduler, planner: Scheduler, episode: int, seed: int) -> Played:
    """An episode in which the policy decides, and the planner is asked at each of its decisions.

    Args:
        env: left at the end of the episode.
        policy: whose decisions are carried out.
        planner: sees the same views in the same order, and is told what was decided (by `follow`, if it
            has that), so that it expects of the hops what it would have.
        episode: number to write into the record.
        seed: of the environment; the record is that of the policy alone.
    """
    witness = _Witness(policy, planner)
    record = play_scheduler(env, witness, episode, seed)
    n = len(witness.states)
    states = [replace(state, progress=i / n) for i, state in enumerate(witness.states)]
    return Played(record, states, witness.sights)


class _Witness:
    """A scheduler that decides as a policy does and writes down what a planner says."""

    def __init__(self, policy: Scheduler, planner: Scheduler) -> None:
        self._policy, self._planner = policy, planner
        self.states: list[State] = []
        self.sights: list[Sight] = []

    def reset(self, seed: int) -> None:
        self.states, self.sights = [], []
        for scheduler in (self._policy, self._planner):
            scheduler.reset(seed)

    def watch(self, env: SerpentineEnv) -> None:
        """Let yardsticks see what they know beside a view."""
        for scheduler in (self._policy, self._planner):
            let_watch(scheduler, env)

    def schedule(self, view: ProcessView) -> Decision:
        policy = self._policy
        if isinstance(policy, LearnedScheduler):
            self.sights.append(Sight(policy.encode(view), policy.mask(view), policy.memory))
        chosen, planned = policy.schedule(view), self._planner.schedule(view)
        self.states.append(_state(view, chosen, planned))
        getattr(self._planner, "follow", lambda *_: None)(view, chosen)
        return chosen


def _state(view: ProcessView, chosen: Decision, planned: Decision) -> State:
    kind = kind_of(chosen, planned, view)
    both = None
    if kind in ("node", "layer", "both"):
        assert isinstance(chosen, Assignment)
        assert isinstance(planned, Assignment)
        hop = forecast(view)
        both = _qualities(chosen, view, hop), _qualities(planned, view, hop)
    return State(
        progress=0.0,  # not known before the episode is over
        clock_s=float(view.clock_s),
        hops=view.hops,
        position=int(view.layers.trained_in_cycle.sum()),
        chosen=chosen,
        planned=planned,
        kind=kind,
        qualities=both,
    )


def kind_of(chosen: Decision, planned: Decision, view: ProcessView) -> Kind:
    """How two decisions about a view differ; companions that they name are left out."""
    if isinstance(chosen, Assignment):
        if not view.allows(chosen.node, chosen.layer):
            return "illegal"
        if not isinstance(planned, Assignment):
            return "later" if planned is FINISH else "hops"
        nodes, layers = chosen.node != planned.node, chosen.layer != planned.layer
        return "both" if nodes and layers else "node" if nodes else "layer" if layers else "same"
    if chosen is planned:
        return "same"
    if FINISH in (chosen, planned):
        return "earlier" if chosen is FINISH else "later"
    return "waits"


def _qualities(pair: Assignment, view: ProcessView, hop: HopForecast) -> tuple[float, ...]:
    node, layer = place = pair.node, pair.layer
    values: dict[str, float] = {
        "time_s": hop.time_s[place],
        "energy_j": hop.energy_j[place],
        "n_bytes": hop.n_bytes[place] / 1e3,
        "layer_bytes": view.layers.n_bytes[layer] / 1e3,
        "samples": view.nodes.samples[node],
        "divergence": view.nodes.divergence[node],
        "visits": view.nodes.visits[node],
        "pair_gain": 100 * view.pairs.last_gain[place],
        "hop_age": view.hops - 1 - view.pairs.last_hop[node].max(),
    }
    return tuple(float(values[name]) for name in QUALITIES)
