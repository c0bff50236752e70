"""What there is to learn from a decision: rows of numbers, in part known only after its hop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from snakegym.agents.improved.traits import TRAITS, traits
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.fitted.features import FEATURES, features
from snakegym.agents.planning.outlook import Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment, Decision, Hop
from snakegym.control.view import Floats, ProcessView

HOP = ("layer", "delivered", "expected_s", "gain", "time_s", "whole")
"""Of the hop: its layer, chance that it is delivered, expected and true time, measured gain, and whether it
was delivered with all its batches. All NaN where nobody was sent."""
COLUMNS = (*TRAITS, "rest", *FEATURES, *HOP)
"""`rest`: rewards from there to the end of the episode, undiscounted."""
_T = len(TRAITS)
_F = _T + 1 + len(FEATURES)


def before(view: ProcessView, decision: Decision, gains: CalibratedGain, outlook: Outlook) -> Floats:
    """[COLUMNS] of a decision whose hop is still to be done."""
    state = PlanState.of(view)
    expected = promise(state, gains, outlook)
    row = np.full(len(COLUMNS), np.nan)
    row[:_T] = traits(state, expected, gains.scale)[0]
    if isinstance(decision, Assignment):
        at = 0, decision.node, decision.layer
        row[_T + 1 : _F] = features(state)[0, decision.node]
        row[_F : _F + 3] = decision.layer, expected.costs.delivered[at], expected.costs.time_s[at]
    return row


def after(row: Floats, hop: Hop) -> None:
    """Note what became of the hop."""
    whole = hop.delivered and hop.phases.interrupted is None
    row[_F + 3 :] = hop.gain, hop.costs.time_s, whole


def finished(rows: Sequence[Floats], rewards: Sequence[float]) -> None:
    """Note of all decisions of an episode what came after them."""
    for row, rest in zip(rows, np.cumsum(rewards[::-1])[::-1], strict=True):
        row[_T] = rest


class Experience:
    """Rows of many decisions, by what they hold.

    Args:
        rows: [S, COLUMNS].
    """

    def __init__(self, rows: Floats) -> None:
        self._rows = rows
        self.traits: Floats = rows[:, :_T]
        """[S, TRAITS]."""
        self.hopped = np.isfinite(rows[:, _T + 1 :]).all(axis=1)
        """[S]: whether there was a hop, with a time that was foreseen."""
        self.rest: Floats = rows[:, _T]
        """[S]."""
        self.features: Floats = rows[:, _T + 1 : _F]
        """[S, FEATURES]."""

    def of(self, column: str) -> Floats:
        """[S]: one of `HOP`."""
        found: Floats = self._rows[:, _F + HOP.index(column)]
        return found
