"""Plans that differ in one thing from a plan: when followed, they show what the programme got wrong."""

from __future__ import annotations

from collections.abc import Sequence

from snakegym.agents.planning.walk import Hops
from snakegym.control.records import Assignment


def neighbours(plan: Hops, nodes: Sequence[int], most: int) -> list[Hops]:
    """Plans with another node for a hop, or with two hops exchanged, or the layers of two.

    Not all need be possible. At most so many: those that differ early, as what comes later will be planned
    when it is closer.
    """
    found: list[Hops] = []
    for p, hop in enumerate(plan):
        found += [_with(plan, (p, Assignment(n, hop.layer))) for n in nodes if n != hop.node]
        for q in range(p + 1, len(plan)):
            other = plan[q]
            if other.layer != hop.layer:
                layers = Assignment(hop.node, other.layer), Assignment(other.node, hop.layer)
                found.append(_with(plan, (p, layers[0]), (q, layers[1])))
            if other.node != hop.node:
                found.append(_with(plan, (p, other), (q, hop)))
        if len(found) >= most:
            break
    return found[:most]


def _with(plan: Hops, *changes: tuple[int, Assignment]) -> Hops:
    hops = list(plan)
    for position, hop in changes:
        hops[position] = hop
    return tuple(hops)
