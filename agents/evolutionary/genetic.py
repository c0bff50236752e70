"""A genetic algorithm over plans, and the front between accuracy and costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snakegym.agents.evolutionary.genes import Genome
from snakegym.agents.evolutionary.library import evolve
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience
from snakegym.agents.planning.forecasts import load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import Followed, Hops, follow, walk_on
from snakegym.control.records import Decision
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import Scenario

POSITIONS = 10
"""Hops of a plan."""
INDIVIDUALS, GENERATIONS = 24, 12
FRONT_INDIVIDUALS, FRONT_GENERATIONS = 60, 60


class EvolutionaryScheduler:
    """Evolves plans of some hops at every decision, and takes the first hop of the best.

    Individuals are followed hop by hop in the model of gains and costs that all planners share, and are worth
    their best beginning. The first generation holds what greed would do, so that the best is no worse in the
    model. Where no plan is worth its price, see `snakegym.agents.planning.endings`.

    Args:
        scenario: what is to be scheduled.
        gains: default: that of the scenario.
        outlook: default: forecasts.
    """

    def __init__(
        self, scenario: Scenario, gains: GainModel | None = None, outlook: Outlook | None = None
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._outlook = outlook or ForecastOutlook(load_forecast(scenario))
        self._patience = Patience()
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Seed the draws and forget how gains came true."""
        self._rng = np.random.default_rng(seed)
        self._gains.reset()
        self._patience.reset()

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best plan."""
        self._gains.observe(view)
        state = PlanState.of(view)
        plan, expected = self.plan(state), promise(state, self._gains, self._outlook)
        if plan:
            node, layer = plan[0].node, plan[0].layer
            self._gains.promise(view, float(expected.gain[0, node, layer]))
            return expected.hop(node, layer)
        return self._patience.wait_or_finish(view, self._gains, self._outlook)

    def plan(self, state: PlanState) -> Hops:
        """The best plan that is found from a state (B = 1), stopped where it is worth most."""
        genome = Genome.of(state, POSITIONS)
        if not genome.cycles or not state.legal.any():
            return ()

        def score(x: Floats) -> Floats:
            best: Floats = -self._follow(state, genome, x).reward.max(axis=1)
            return best

        first = _first(state, genome, INDIVIDUALS, self._gains, self._outlook, self._rng)
        x, _ = evolve(score, first, 1, GENERATIONS, int(self._rng.integers(2**31)))
        plan = genome.plan(x[0])
        return plan[: int(self._follow(state, genome, x).reward[0].argmax())]

    def _follow(self, state: PlanState, genome: Genome, x: Floats) -> Followed:
        return follow(state, [genome.plan(genes) for genes in x], self._gains, self._outlook)


@dataclass(frozen=True)
class Compromise:
    """A plan on the front between accuracy and costs."""

    plan: Hops
    metric: float
    """Expected validation accuracy after it, in [0, 1]."""
    cost: float
    """Expected price of its time, energy and bytes, in reward units."""


def front(
    state: PlanState, gains: GainModel, outlook: Outlook, *, hops: int, seed: int
) -> tuple[Compromise, ...]:
    """Plans of at most so many hops of which none is both better and cheaper than another; cheapest first.

    By NSGA-II, from one state (B = 1). Finishing at once is among them.

    Raises:
        SnakegymError: pymoo is not installed.
    """
    genome, rng = Genome.of(state, hops), np.random.default_rng(seed)

    def points(x: Floats) -> tuple[Floats, list[Hops]]:
        """Accuracy lost and cost [n, 2], of the plans, which end where the last gene says."""
        whole = [genome.plan(genes[:-1]) for genes in x]
        plans = [plan[: round(float(stop) * len(plan))] for plan, stop in zip(whole, x[:, -1], strict=True)]
        done = follow(state, plans, gains, outlook)
        ends = np.isfinite(done.reward).sum(axis=1) - 1
        at = np.arange(len(plans)), ends
        cost = state.view.objective.gain * (done.metric[at] - state.metric[0]) - done.reward[at]
        shown = [plan[:end] for plan, end in zip(plans, ends.tolist(), strict=True)]
        return np.stack([1 - done.metric[at], cost], axis=1), shown

    seeds = _first(state, genome, FRONT_INDIVIDUALS, gains, outlook, rng)
    first = np.column_stack([seeds, np.linspace(0, 1, len(seeds))])
    x, _ = evolve(lambda genes: points(genes)[0], first, 2, FRONT_GENERATIONS, int(rng.integers(2**31)))
    (lost, cost), plans = points(x)[0].T, points(x)[1]
    found: list[Compromise] = []
    for i in np.lexsort((lost, cost)).tolist():
        if not found or 1 - lost[i] > found[-1].metric:  # many genes are the same plan
            found.append(Compromise(plans[i], float(1 - lost[i]), float(cost[i])))
    return tuple(found)


def _first(
    state: PlanState,
    genome: Genome,
    n: int,
    gains: GainModel,
    outlook: Outlook,
    rng: np.random.Generator,
) -> Floats:
    """The first generation [n, n_genes]: what greed would do, that with some genes drawn anew, and others."""
    greedy = walk_on(state, gains, outlook, at_least=genome.n_positions, at_most=genome.n_positions)
    seed = genome.genes(tuple(greedy.hops))
    drawn = rng.random((n, genome.n_genes))
    share = np.linspace(0, 1, n)[:, None]
    return np.where(rng.random(drawn.shape) < share, drawn, seed)
