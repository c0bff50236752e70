"""Schedulers by name; heavy imports happen only when one is made."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from snakegym.errors import SnakegymError
from snakegym.files import is_folder
from snakegym.plugins import list_plugins, load_plugin, make_plugin

if TYPE_CHECKING:
    from snakegym.agents.protocol import Scheduler
    from snakegym.scenario import Scenario

_SCHEDULERS = {
    "reference": (
        "snakegym.agents.reference:make_reference",
        "the policy that ships: it learned to imitate a planner, then to improve on it by PPO",
    ),
    "random": ("snakegym.agents.rules:RandomScheduler", "a legal assignment, drawn uniformly"),
    "serpentine": (
        "snakegym.agents.rules:SerpentineScheduler",
        "round robin over the nodes, layers from early to deep",
    ),
    "fastest": (
        "snakegym.agents.rules:FastestScheduler",
        "always the node whose next hop is forecast to be shortest",
    ),
    "most-data": ("snakegym.agents.rules:MostDataScheduler", "always the legal node that holds most samples"),
    "same-node": ("snakegym.agents.rules:SameNodeScheduler", "always the first node that is legal"),
    "greedy": (
        "snakegym.agents.planning.greedy:GreedyScheduler",
        "the hop that promises most gain for its forecast costs",
    ),
    "lookahead": (
        "snakegym.agents.planning.lookahead:LookaheadScheduler",
        "the first hop of the best plan over some hops, replanned at each",
    ),
    "oracle-gain": (
        "snakegym.agents.yardsticks.oracle:OracleScheduler",
        "a yardstick, not a scheduler: tries hops on copies of the process before it decides",
    ),
    "oracle": (
        "snakegym.agents.yardsticks.oracle:omniscient",
        "a yardstick, not a scheduler: the same along the network's true future",
    ),
    "clairvoyant": (
        "snakegym.agents.yardsticks.clairvoyant:ClairvoyantScheduler",
        "a yardstick, not a scheduler: plans to the end along the network's true future",
    ),
    "static": (
        "snakegym.agents.static:StaticScheduler",
        "planned as milp does, but once, when the process begins, and then followed",
    ),
    "evolutionary": (
        "snakegym.agents.evolutionary.genetic:EvolutionaryScheduler",
        "plans of some hops bred by a genetic algorithm at each (needs snakegym[evolutionary])",
    ),
    "oort": (
        "snakegym.agents.oort:OortScheduler",
        "what a pair brought last, its speed and how long ago it was, with exploration (OSDI 2021)",
    ),
    "milp": (
        "snakegym.agents.milp.joint:MilpScheduler",
        "who trains which layer when, planned jointly by integer programming, anew at each hop",
    ),
    "milp-sequential": (
        "snakegym.agents.milp.joint:SequentialMilpScheduler",
        "the same for layers from early to deep, so that only the nodes are planned",
    ),
}

_STOP = "+stop"
_SCHEDULERS |= {
    rule + _STOP: (
        "snakegym.agents.stopping:StoppingScheduler",
        f"{rule}, but it finishes where greedy would",
    )
    for rule in ("random", "serpentine", "fastest", "most-data", "oort")
}

_PRIVILEGED = frozenset({"clairvoyant", "oracle", "oracle-gain"})


def is_privileged(spec: str) -> bool:
    """Whether the scheduler knows what none can know: the network's future, or true gains."""
    return spec in _PRIVILEGED


def list_schedulers() -> dict[str, str]:
    """Names of the registered schedulers, each with one line about it."""
    plugins = dict.fromkeys(list_plugins("scheduler"), "from an installed package")
    return plugins | {name: summary for name, (_, summary) in _SCHEDULERS.items()}


def make_scheduler(spec: str, scenario: Scenario) -> Scheduler:
    """The scheduler registered under `spec`, trained in the run folder `spec`, or of your own.

    Args:
        spec: a registered name, a run folder, or what `snakegym.plugins` understands: a class or
            function that takes the scenario and gives a `Scheduler`.
        scenario: what is to be scheduled.

    Raises:
        SnakegymError: it is none of these, the folder holds no usable run for this scenario, or what
            the class gives is no scheduler.
    """
    if spec in _SCHEDULERS:
        module, _, cls = _SCHEDULERS[spec][0].partition(":")
        rule = [make_scheduler(spec.removesuffix(_STOP), scenario)] if spec.endswith(_STOP) else []
        scheduler: Scheduler = getattr(import_module(module), cls)(*rule, scenario)
        return scheduler
    if is_folder(Path(spec)):
        from snakegym.agents.learned import LearnedScheduler

        return LearnedScheduler(Path(spec), scenario)
    make = load_plugin("scheduler", spec, _SCHEDULERS, ", the folder of a training run")
    own: Scheduler = make_plugin("scheduler", spec, make, scenario)
    missing = [method for method in ("reset", "schedule") if not callable(getattr(own, method, None))]
    if missing:
        raise SnakegymError(
            f"scheduler '{spec}': found {type(own).__name__} without {' and '.join(missing)}, expected the "
            "methods reset(seed) and schedule(view)"
        )
    return own
