"""Which node serves whom: by priority, then by age; nodes with little to do first.

Plain decisions about plain data: who asks, what is there, and what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Demand:
    """A process that is not over."""

    process: str
    priority: int
    """The higher, the sooner."""
    age: int
    """Number of the process: older ones have lower ones."""
    least: int
    """Nodes without which it does not begin; and that nobody takes from it."""
    wish: int
    """Nodes that it is to have."""
    able: frozenset[str]
    """Nodes that are as it wants them."""
    held: tuple[str, ...] = ()
    begun: bool = False
    urgent: bool = False
    """Whether nodes of others may be taken for its wish, and not for its least alone."""


@dataclass(frozen=True)
class Offer:
    """A node that may be leased."""

    name: str
    slots: int
    """Processes that it may serve at a time."""
    busy: int = 0
    """Leases now, those included that are being given back."""
    coming: int = 0
    """Of them those that are being given back."""


@dataclass
class Plan:
    """What is to be done."""

    grants: dict[str, list[str]] = field(default_factory=dict)
    """Nodes that processes get."""
    takes: dict[str, list[str]] = field(default_factory=dict)
    """Nodes that processes are to give back."""


def allocate(demands: Sequence[Demand], offers: Sequence[Offer]) -> Plan:
    """Who gets what now.

    Nobody gets a node twice, no node serves more than its slots. A process begins with its least number of
    nodes or more, and until there are so many, none of a lower priority gets what it could use. Nodes are
    taken only from processes of a lower priority, never beyond their least; they come when they are free.
    """
    plan = Plan()
    free = {offer.name: offer.slots - offer.busy for offer in offers}
    coming = {offer.name: offer.coming for offer in offers}
    share = {offer.name: offer.busy / offer.slots for offer in offers}
    held = {demand.process: list(demand.held) for demand in demands}
    for demand in sorted(demands, key=lambda d: (-d.priority, d.age)):
        mine = held[demand.process]
        want = demand.wish - len(mine)
        need = 0 if demand.begun else max(0, demand.least - len(mine))
        if want <= 0 or len(demand.able - {*mine}) < need:
            continue
        usable = [n for n in free if free[n] > 0 and n in demand.able and n not in mine]
        usable.sort(key=lambda name: (share[name], name))
        granted = usable[:want]
        if len(usable) >= need and granted:
            plan.grants[demand.process] = granted
        for name in granted:  # or kept for it
            free[name] -= 1
        short = (want if demand.urgent else need) - len(granted)
        has = {*mine, *granted}
        for name in [n for n in coming if coming[n] > 0 and n in demand.able - has][: max(0, short)]:
            coming[name] -= 1
            has.add(name)
            short -= 1
        found = _found(demand, has, demands, held)[: max(0, short)]
        if demand.begun or len(found) == short:  # with fewer it could not begin anyway
            for other, name in found:
                held[other].remove(name)
                plan.takes.setdefault(other, []).append(name)
    return plan


def _found(
    demand: Demand, has: set[str], demands: Sequence[Demand], held: dict[str, list[str]]
) -> list[tuple[str, str]]:
    """Who could give which node, each node once, the least important first."""
    found: list[tuple[str, str]] = []
    for other in sorted(demands, key=lambda d: (d.priority, -d.age)):
        if other.priority >= demand.priority or not other.begun:
            continue
        theirs = held[other.process]
        names = [n for n in reversed(theirs) if n in demand.able - has - {name for _, name in found}]
        found += [(other.process, name) for name in names[: max(0, len(theirs) - other.least)]]
    return found
