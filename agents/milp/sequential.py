"""Planning the rest of a cycle, layers in a fixed order, by integer programming, solved by HiGHS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from snakegym.agents.gain import DEFAULT, GainModel
from snakegym.agents.greedy import otherwise
from snakegym.agents.milp.arcs import ArcCosts, Arcs, arc_costs, build_arcs
from snakegym.control.forecast import price
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import Bools, Floats, Ints, ProcessView
from snakegym.network.records import Costs
from snakegym.scenario import Scenario

MAX_POSITIONS = 10
"""A plan looks this many hops ahead at most; what is beyond will be planned when it is closer."""
MAX_ARCS = 4000
"""Size of the programme; with more nodes than it allows for, only the most promising are candidates.
Nine nodes and nine layers fit in full."""
MAX_BRANCHES = 1000
"""Limit on nodes of HiGHS's search tree, so that the answer never depends on the clock."""


@dataclass(frozen=True)
class Plan:
    """Hops in order, what each will cost at the rates expected now, and the plan's value."""

    assignments: tuple[Assignment, ...]
    costs: tuple[Costs, ...]
    total: float
    """Expected reward: priced expected gains minus priced costs, over all hops of the plan."""


class SequentialMilpScheduler:
    """Plans the rest of the cycle at every decision and takes the plan's first hop.

    Layers come in the order of the process, or from early to deep where that is free (the paper
    finds sequential order best); nodes are chosen to maximise priced expected gains (`snakegym.agents.gain`)
    minus priced time, energy and bytes. Rates are taken to stay as `control.forecast` expects them
    from the view. A plan ends within the time that is left, and may stop short of the end of the cycle, or
    be empty, where further hops are not worth their price; see `greedy.otherwise` for what comes then. The
    model is in `snakegym.agents.milp.arcs`.
    """

    def __init__(self, scenario: Scenario, gain: GainModel = DEFAULT) -> None:
        self._gain = gain

    def reset(self, seed: int) -> None:
        """Nothing to forget: each view is planned afresh, and nothing is random."""

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best plan."""
        plan = self.plan(view)
        return plan.assignments[0] if plan.assignments else otherwise(view, self._expected(view))

    def plan(self, view: ProcessView) -> Plan:
        """The best plan for the rest of the cycle; empty if nothing is legal now, or worth while."""
        layers, legal = _positions(view)
        if not len(layers):
            return Plan((), (), 0.0)
        gain = self._expected(view)
        nodes = _candidates(view, layers, legal, gain)
        arcs = build_arcs(len(layers), len(nodes), view.mode == "p2p")
        costs = arc_costs(view, layers, arcs, nodes)
        value = self._arc_gains(gain[nodes[arcs.node]], arcs) - _price(view, costs)
        value = np.where(legal[nodes[arcs.node], arcs.position], value, -np.inf)
        chosen = _solve(arcs, value, costs.time_s, view.left_s)
        return Plan(
            tuple(Assignment(int(nodes[arcs.node[a]]), int(layers[arcs.position[a]])) for a in chosen),
            tuple(
                Costs(float(costs.time_s[a]), float(costs.energy_j[a]), float(costs.n_bytes[a]))
                for a in chosen
            ),
            float(value[chosen].sum()),
        )

    def _expected(self, view: ProcessView) -> Floats:
        """[n_nodes]: priced."""
        return view.objective.gain * self._gain.expected(view)

    def _arc_gains(self, gain: Floats, arcs: Arcs) -> Floats:
        """[n_arcs] from the gain of each arc's node on its first visit."""
        again = self._gain.again(gain, (arcs.position - arcs.last).astype(np.float64))
        return np.where(arcs.last < 0, gain, again)


def _positions(view: ProcessView) -> tuple[Ints, Bools]:
    """The layers to plan for, in order, and who may train them: [n_nodes, n_positions].

    The first is the lowest that is legal anywhere now; after it come the others of this cycle that
    some reachable node has the memory for.
    """
    able = view.nodes.reachable[:, None] & (view.nodes.memory_bytes[:, None] >= view.layers.memory_bytes)
    now = view.legal.any(axis=0)
    fresh = ~view.layers.trained_in_cycle
    starts = np.flatnonzero(now & fresh if (now & fresh).any() else now)
    if not starts.size:
        return np.empty(0, dtype=np.int64), able
    rest = np.flatnonzero(fresh & able.any(axis=0))
    rest = rest[rest != starts[0]]
    if view.layer_order == "reverse":
        rest = rest[::-1]
    layers = np.concatenate([starts[:1], rest])[:MAX_POSITIONS]
    legal = able[:, layers]
    legal[:, 0] = view.legal[:, layers[0]]
    return layers, legal


def _candidates(view: ProcessView, layers: Ints, legal: Bools, gain: Floats) -> Ints:
    """All nodes that are legal at some position, or the most promising if they are too many.

    A node's promise is its best expected reward of a single hop; the most promising node of each
    position is always kept, so that a plan exists.
    """
    n_positions = len(layers)
    most = max(3, int((2 * MAX_ARCS) ** 0.5 / n_positions))
    useful = np.flatnonzero(legal.any(axis=1))
    if len(useful) <= most:
        return useful
    nodes = np.arange(view.n_nodes)
    single = build_arcs(1, view.n_nodes, False)
    promise = np.stack(
        [gain - _price(view, arc_costs(view, layers[t : t + 1], single, nodes)) for t in range(n_positions)],
        axis=1,
    )
    promise = np.where(legal, promise, -np.inf)
    best = np.argsort(-promise.max(axis=1), kind="stable")[:most]
    return np.union1d(best, promise.argmax(axis=0))


def _price(view: ProcessView, costs: ArcCosts) -> Floats:
    """[n_arcs]: reward units."""
    return price(view.objective, costs.time_s, costs.energy_j, costs.n_bytes)


def _solve(arcs: Arcs, value: Floats, time_s: Floats, left_s: float) -> Ints:
    """Indices of the arcs of the most valuable plan that ends in time, by position; -inf forbids an arc.

    A plan of no arcs is worth 0, as finishing is.
    """
    allowed = np.flatnonzero(np.isfinite(value) & (time_s <= left_s))
    if not len(allowed):
        return allowed
    chosen = _best(arcs, value, allowed)
    # Rarely; and only then, because the limit makes it a harder problem.
    if chosen is not None and time_s[chosen].sum() > left_s:
        chosen = _best(arcs, value, allowed, (time_s, left_s))
    if chosen is None:  # the search gave up without a plan: the best next hop alone
        first = allowed[arcs.position[allowed] == 0]
        best: Ints = first[np.argsort(-value[first], kind="stable")[:1]]
        return best[value[best] > 0]
    return chosen


def _best(arcs: Arcs, value: Floats, allowed: Ints, limit: tuple[Floats, float] | None = None) -> Ints | None:
    """The best plan of `allowed` arcs, whose amounts sum up to at most the limit; None: none was found."""
    constraints = [LinearConstraint(arcs.matrix[:, allowed], ub=arcs.upper)]
    if limit is not None:
        constraints.append(LinearConstraint(limit[0][allowed], ub=limit[1]))
    result = milp(
        -value[allowed],
        integrality=np.ones(len(allowed), dtype=np.int64),
        bounds=Bounds(0, 1),
        constraints=constraints,
        # The formulation is so tight that HiGHS's presolve takes 20 times longer than the solution.
        options={"presolve": False, "mip_rel_gap": 1e-9, "node_limit": MAX_BRANCHES},
    )
    if result.x is None:
        return None
    chosen = allowed[result.x > 0.5]
    return chosen[np.argsort(arcs.position[chosen])]
