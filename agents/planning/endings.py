"""What planners do where no hop is worth its price: wait for somebody, or finish."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.outlook import NominalOutlook, Outlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.state import PlanState, over
from snakegym.agents.planning.walk import next_state, walk_on
from snakegym.control.records import FINISH, Decision
from snakegym.control.view import Bools, ProcessView

FURTHER = 8
"""Hops that are looked at before it is believed that nothing pays any more; more find nothing more."""


def pays_to_go_on(state: PlanState, expected: Promise, gains: GainModel, outlook: Outlook) -> bool:
    """Whether some beginning of a short walk is worth its price; each of its hops is the most rewarding one.

    A hop that does not pay by itself may lead to some that do: it closes a cycle, or brings in labels that
    were forgotten.

    Args:
        state: one plan, where the walk begins.
        expected: of its next hops.
        gains: what hops bring.
        outlook: what they cost.
    """
    value = 0.0
    for hop in range(FURTHER):
        if hop:
            if over(state)[0]:
                break
            expected = promise(state, gains, outlook)
        node, layer = divmod(int(expected.reward[0].argmax()), state.view.n_middle)
        value += float(expected.reward[0, node, layer])
        if value > 0:
            return True
        if value == -np.inf:
            break
        state = next_state(state, expected, np.array([node]), np.array([layer]))
    return False


class Patience:
    """To wait or to finish, where no hop is worth its price; a planner has one for an episode.

    Nobody knows when a node comes back that is away, or whether it does. So it is waited for until the waits
    in a row have cost as much as its return is worth: that loses at most twice what one would lose who knew
    (the rule of renting skis: A. R. Karlin, M. S. Manasse, L. Rudolph and D. D. Sleator, *Competitive snoopy
    caching*, Algorithmica 3, 1988, 79-119).
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget how long has been waited."""
        self._hops, self._since_s = -1, 0.0

    def wait_or_finish(self, view: ProcessView, gains: GainModel, outlook: Outlook) -> Decision:
        """To wait, if for somebody out of reach that still pays; else to finish, as waits cost time.

        Args:
            view: at the decision.
            gains: what hops bring.
            outlook: what they cost; how likely they are to be delivered.
        """
        if view.hops != self._hops or view.clock_s < self._since_s:
            self._hops, self._since_s = view.hops, view.clock_s
        ends_s = view.clock_s - self._since_s + view.wait_s
        enough_left = view.wait_s + view.objective.nominal.time_s <= view.left_s
        worth = worth_waiting_for(view, gains, outlook)
        return None if enough_left and worth > view.objective.prices()[0] * ends_s else FINISH


def worth_waiting_for(view: ProcessView, gains: GainModel, outlook: Outlook) -> float:
    """Reward that those out of reach promise if they come back, at nominal costs; -inf if there are none.

    While others can be had, it is that of the best hop of those that were there in the measurement window, as
    their recent mean rates say. While nobody can (the holder of the model is away, and with it the model), it
    is what the process could still bring if everybody were in reach. Arguments as of `Patience`.
    """
    nodes, objective = view.nodes, view.objective
    if not view.legal.any():
        start = PlanState.of(in_reach(view, np.ones_like(nodes.reachable)))
        return walk_on(start, gains, NominalOutlook(), at_least=FURTHER, at_most=FURTHER).value(0.0)
    seen = np.minimum(np.minimum(nodes.mean_uplink_bps, nodes.mean_downlink_bps), nodes.mean_availability)
    able = view.fits & view.layers.open & (nodes.in_pool & ~nodes.reachable & (seen > 0))[:, None]
    gain = objective.gain * promise(PlanState.of(view), gains, outlook).gain[0]
    costs = objective.time + objective.energy + objective.n_bytes
    return float(np.max(gain, where=able, initial=-np.inf)) - costs


def in_reach(view: ProcessView, reachable: Bools) -> ProcessView:
    """The view, as if these nodes [n_nodes], and no others, were in reach."""
    able = (reachable & (view.nodes.battery_j > 0))[:, None] & view.layers.open
    ranks = tuple(replace(one, legal=able & view.at_rank(one.rank).fits) for one in view.ranks)
    nodes = replace(view.nodes, reachable=reachable)
    return replace(view, nodes=nodes, legal=able & view.fits, ranks=ranks)
