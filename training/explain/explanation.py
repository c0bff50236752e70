"""Everything that an explanation says, before it is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from snakegym.control.records import FINISH, Decision
from snakegym.training.analysis.summary import Analysis
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.explain.disagreement import Disagreement
from snakegym.training.explain.importance import Weight
from snakegym.training.explain.states import QUALITIES, Played


@dataclass(frozen=True)
class Explained:
    """A policy, training seeds taken together."""

    runs: Sequence[str]
    """As they were asked for."""
    episodes: Sequence[Sequence[Played]]
    """Of each run."""
    disagreement: Disagreement
    weights: Sequence[Weight]
    """What each feature moves; empty where the policy was not learned."""


@dataclass(frozen=True)
class Explanation:
    """Of all policies that were asked for."""

    header: Mapping[str, Any]
    """How it was made: request, scenario, trained runs and their weights, version."""
    policies: Mapping[str, Explained]
    planned: Sequence[EpisodeRecord]
    """The same episodes by the planner."""
    analysis: Analysis
    """What policies and planner reach and spend."""
    traces: Sequence[Mapping[str, Any]]
    terrain: Terrain
    """Of the first episode."""
    prices: tuple[float, float, float]
    """Reward units of a second, a joule and a byte."""

    @property
    def planner(self) -> str:
        """Label of the planner."""
        return self.analysis.baseline


def document(explanation: Explanation) -> dict[str, Any]:
    """Content of explain.json: nothing in it depends on when and where it was made."""
    return {
        **explanation.header,
        "policies": {label: _policy(policy) for label, policy in explanation.policies.items()},
        "episodes": {
            **{
                run: [each.record for each in episodes]
                for policy in explanation.policies.values()
                for run, episodes in zip(policy.runs, policy.episodes, strict=True)
            },
            explanation.header["request"]["baseline"]: list(explanation.planned),
        },
    }


def _policy(policy: Explained) -> dict[str, Any]:
    return {
        "runs": list(policy.runs),
        "importance": [asdict(weight) for weight in policy.weights],
        "disagreement": asdict(policy.disagreement),
        "decisions": [
            {
                "run": run,
                "episode": each.record["episode"],
                "clock_s": state.clock_s,
                "hops": state.hops,
                "position": state.position,
                "kind": state.kind,
                "policy": _said(state.chosen),
                "planner": _said(state.planned),
            }
            for run, episodes in zip(policy.runs, policy.episodes, strict=True)
            for each in episodes
            for state in each.states
        ],
        "qualities": dict(QUALITIES),
    }


def _said(decision: Decision) -> str | list[int]:
    """A decision as plain data: node and layer, or a word."""
    if decision is None:
        return "wait"
    return "finish" if decision is FINISH else [decision.node, decision.layer]
