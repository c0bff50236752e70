"""Which scenarios an environment's episodes are of: one, or several that are drawn from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from snakegym.control.service import Service, load_service
from snakegym.envs.action import ActionCodec
from snakegym.errors import SnakegymError
from snakegym.learning.stacked.engine import EngineKind
from snakegym.scenario import LayerOrder, Scenario, Split, list_scenarios, load_scenario

One = str | Path | Mapping[str, Any] | Scenario
"""What names a scenario."""
MOST_SCENARIOS = 64


@dataclass(frozen=True)
class Problem:
    """A scenario, and all that its processes need."""

    scenario: Scenario
    service: Service


def load_problems(
    scenario: One | Sequence[One],
    layer_order: LayerOrder | None,
    split: Split,
    traces: str | None,
    engine: EngineKind,
    device: str,
) -> tuple[Problem, ...]:
    """Load what is asked for; arguments as of `SerpentineEnv`. Raises SnakegymError for what is wrong."""
    scenarios = [_with_order(one, layer_order) for one in scenarios_of(scenario)]
    return tuple(Problem(one, load_service(one, split, traces, engine, device)) for one in scenarios)


def scenarios_of(scenario: One | Sequence[One]) -> list[Scenario]:
    """One scenario, or those of a list, or of names parted by commas; `all`: all shipped that need no data.

    Raises:
        SnakegymError: one of them is none, or there is none, or one of that name already.
    """
    if isinstance(scenario, str):
        found = [load_scenario(name) for name in _names_in(scenario)]
    elif isinstance(scenario, Sequence):
        found = [load_scenario(one) for one in scenario]
    else:
        found = [load_scenario(scenario)]
    names = [one.name for one in found]
    if not 1 <= len({*names}) == len(names) <= MOST_SCENARIOS:
        raise SnakegymError(
            f"scenario: found {', '.join(names) or 'none'}, expected 1 to {MOST_SCENARIOS}, each with a name "
            "of its own"
        )
    return found


def common_codec(problems: Sequence[Problem]) -> ActionCodec:
    """Actions for all of them: of the most nodes and layers, and of pairs where orders differ.

    Raises:
        SnakegymError: schedulers choose other ranks of adapters in one than in another.
    """
    orders = {problem.scenario.process.layer_order for problem in problems}
    ranks = {problem.scenario.name: problem.scenario.learning.offered_ranks for problem in problems}
    if len({*ranks.values()}) > 1:
        found = "; ".join(f"{name}: {', '.join(map(str, own)) or 'none'}" for name, own in ranks.items())
        raise SnakegymError(f"scenario: found ranks to choose among ({found}), expected the same in all")
    return ActionCodec(
        max(problem.scenario.network.nodes for problem in problems),
        max(problem.service.profile.n_middle for problem in problems),
        orders.pop() if len(orders) == 1 else "free",
        problems[0].scenario.learning.offered_ranks,
    )


def chosen(problems: Sequence[Problem], name: str | None, rng: np.random.Generator) -> int:
    """Index of the one of that name, or of one that is drawn; nothing is drawn where there is one alone.

    Raises:
        SnakegymError: there is none of that name.
    """
    if name is None:
        return int(rng.integers(len(problems))) if len(problems) > 1 else 0
    names = [problem.scenario.name for problem in problems]
    if name not in names:
        raise SnakegymError(f"options, 'scenario': found {name!r:.80}, expected one of {', '.join(names)}")
    return names.index(name)


def _names_in(text: str) -> list[str]:
    if text == "all":
        return _without_data()
    return [text] if os.path.isfile(text) else [name.strip() for name in text.split(",")]


def _without_data() -> list[str]:
    scenarios = map(load_scenario, list_scenarios())
    return [
        one.name
        for one in scenarios
        if one.network.traces.source == "generated" and one.data.dataset == "digits"
    ]


def _with_order(scenario: Scenario, layer_order: LayerOrder | None) -> Scenario:
    if layer_order is None:
        return scenario
    process = scenario.process.model_copy(update={"layer_order": layer_order})
    return scenario.model_copy(update={"process": process})
