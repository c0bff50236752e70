"""What a planner found."""

from __future__ import annotations

from dataclasses import dataclass

from snakegym.control.records import Assignment
from snakegym.network.records import Costs


@dataclass(frozen=True)
class Plan:
    """Hops in order, what each will cost at the rates expected now, and the plan's value."""

    assignments: tuple[Assignment, ...]
    costs: tuple[Costs, ...]
    total: float
    """Expected reward: priced expected gains minus priced costs, over all hops of the plan."""
    gap: float = 0.0
    """How far below the best the plan may be in the programme that was solved, in reward units: 0 where the
    solver proved it to be the best."""
