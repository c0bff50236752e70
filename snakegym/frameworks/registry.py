"""The frameworks by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from snakegym.frameworks.base import Framework
from snakegym.frameworks.centralised import Centralised
from snakegym.frameworks.cut.accelerated import AcceleratedFL
from snakegym.frameworks.cut.split import SplitLearning
from snakegym.frameworks.cut.splitfed import SplitFed
from snakegym.frameworks.cut.walking import RandomWalkingSnakes
from snakegym.frameworks.fedavg import FedAvg
from snakegym.frameworks.fedavg_lora import FedAvgLora
from snakegym.frameworks.memory import check_hop_memory, check_node_memory
from snakegym.frameworks.problem import Problem
from snakegym.frameworks.snake import SnakeLearning
from snakegym.plugins import load_plugin, make_plugin


@dataclass(frozen=True)
class Entry:
    """A framework that can be named."""

    title: str
    """In tables and pictures."""
    make: Callable[[Problem], Framework]
    hops: Callable[[Problem], None] | None = None
    """Raises SnakegymError where a node lacks the memory for a hop; None: all nodes need the same."""

    def check(self, problem: Problem) -> None:
        """Raise SnakegymError where a node lacks the memory that the framework needs; trains nothing."""
        if self.hops is not None:
            self.hops(problem)
        else:
            check_node_memory(problem, self.make(problem).node_memory(), self.title)


FRAMEWORKS: dict[str, Entry] = {
    "centralised": Entry("Centralised", Centralised),
    "fedavg": Entry("FedAvg", FedAvg),
    "accelerated-fl": Entry("Accelerated FL", AcceleratedFL),
    "split": Entry("Split Learning", SplitLearning),
    "splitfed": Entry("SplitFed", SplitFed),
    "splitfed-v2": Entry("SplitFed, one server part", partial(SplitFed, shared_server=True)),
    "random-walking-snakes": Entry("Random Walking Snakes", RandomWalkingSnakes),
    "snake-p2p": Entry("Snake Learning, P2P", partial(SnakeLearning, mode="p2p"), check_hop_memory),
    "snake-cs": Entry(
        "Snake Learning, CS", partial(SnakeLearning, mode="cs"), partial(check_hop_memory, originals=False)
    ),
    "snake-random": Entry("Snake, random order", partial(SnakeLearning, order="random"), check_hop_memory),
    "snake-reverse": Entry("Snake, reverse order", partial(SnakeLearning, order="reverse"), check_hop_memory),
    "snake-interrupted": Entry(
        "Snake, fifth layer interrupted", partial(SnakeLearning, interrupted=True), check_hop_memory
    ),
    "snake-rotating": Entry("Snake, rotating nodes", partial(SnakeLearning, rotate=True), check_hop_memory),
    "fedavg-lora": Entry("FedAvg with LoRA", FedAvgLora),
}
OF_IMAGES: Final = tuple(name for name in FRAMEWORKS if name != "fedavg-lora")
"""What is compared on images unless somebody says otherwise; adapters lie beside linear products alone."""
OF_LANGUAGE: Final = ("fedavg", "fedavg-lora", "split", "snake-cs", "snake-p2p")
"""What is compared on texts, as in the second study of the Snake Learning paper."""
ALIASES = {"snake": "snake-p2p", "centralized": "centralised", "rws": "random-walking-snakes"}


def framework_name(name: str) -> str:
    """The full name of a framework. Raises SnakegymError if there is none of that name."""
    full = ALIASES.get(name, name)
    entry(full)
    return full


def entry(name: str) -> Entry:
    """The framework of that full name, or of your own (`snakegym.plugins`).

    Your own is a class or function that takes a `Problem` and gives a `Framework`; its `title`, if it has
    one, stands in tables. Raises SnakegymError if there is none of that name.
    """
    if name in FRAMEWORKS:
        return FRAMEWORKS[name]
    make = load_plugin("framework", name, FRAMEWORKS)
    return Entry(str(getattr(make, "title", name)), partial(make_plugin, "framework", name, make))


def place(name: str, others: int = 0) -> int:
    """Where a framework stands among those that ship with snakegym; your own follow, `others` further."""
    names = list(FRAMEWORKS)
    return names.index(name) if name in FRAMEWORKS else len(names) + others


def make_framework(name: str, problem: Problem) -> Framework:
    """The framework of that name, at its start on the problem. Raises SnakegymError for another name."""
    return entry(framework_name(name)).make(problem)
