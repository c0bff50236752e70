"""Yardsticks of knowledge about gains: a search whose first hops are really trained, on copies."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.endings import Patience
from snakegym.agents.planning.forecasts import RateForecast, load_forecast
from snakegym.agents.planning.gain import GainModel, load_gain
from snakegym.agents.planning.outlook import ForecastOutlook, Outlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.search import Settings, search
from snakegym.agents.planning.state import PlanState, over
from snakegym.agents.yardsticks.truth import TrueOutlook, unwatched
from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor, run_together
from snakegym.control.records import Assignment, Decision
from snakegym.control.view import ProcessView
from snakegym.envs.reward import reward_terms
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.network.network import Network, constant_network
from snakegym.scenario import Scenario

BEYOND = Settings(width=3, horizon=12)


@dataclass(frozen=True)
class Trials:
    """How much is tried at a decision."""

    first: int = 5
    """Hops that are tried from where the process is."""
    kept: int = 2
    """Of them, those from which it is tried how to go on."""
    second: int = 2
    """Hops that are tried from each of these."""
    beyond: Settings = BEYOND
    """Search for what comes then, with the gain model."""


@dataclass(frozen=True)
class _Branch:
    """A process on a copy, one or two hops on."""

    first: Assignment
    controller: ProcessController
    reward: float
    """Of the hops so far, with true gains."""
    value: float
    """That and what the search expects beyond."""


class OracleScheduler:
    """Tries hops before it decides: it knows what they bring, and with foresight the network's future too.

    The most promising hops are trained on copies of the process, whose network stays as forecast or, with
    foresight, is as it will be; from the best of them it is tried once more how to go on; what comes then is
    searched for with the gain model, to the end of the process or some hops ahead. (A hop's true reward by
    itself is no yardstick: whoever goes by it spends the time that is left on long hops.)

    Whoever plays it has to call `watch` after the environment's reset.

    Args:
        scenario: what is to be scheduled.
        gains: for hops that are not tried; default: that of the scenario.
        rates: default: as they are forecast for the scenario.
        trials: how much is tried.
        foresight: whether the network's future is known.
    """

    def __init__(
        self,
        scenario: Scenario,
        gains: GainModel | None = None,
        rates: RateForecast | None = None,
        trials: Trials = Trials(),
        foresight: bool = False,
    ) -> None:
        self._gains = CalibratedGain(gains or load_gain(scenario))
        self._rates = rates or load_forecast(scenario)
        self._outlook: Outlook = ForecastOutlook(self._rates)
        self._trials, self._foresight = trials, foresight
        self._patience = Patience()
        self._env: SerpentineEnv | None = None

    def reset(self, seed: int) -> None:
        """Forget the environment of the last episode, and how gains came true."""
        self._gains.reset()
        self._patience.reset()
        self._env = None

    def watch(self, env: SerpentineEnv) -> None:
        """Look into the environment whose process, just begun, is to be scheduled."""
        self._env = env
        if self._foresight:
            self._outlook = TrueOutlook(env.executor.network)

    def schedule(self, view: ProcessView) -> Decision:
        """The first hop of the best that was tried.

        Raises:
            SnakegymError: there is no environment to try hops in.
        """
        if self._env is None:
            raise unwatched("oracle" if self._foresight else "oracle-gain", "tries hops on copies of it")
        self._gains.observe(view)
        controller, network = self._env.controller, self._env.executor.network
        if not self._foresight:
            network = _frozen(view, network, self._rates)
        tried = self._try([_start(controller, network)], self._trials.first)
        kept = sorted(tried, key=lambda branch: -branch.value)[: self._trials.kept]
        # What was tried twice is known better than what was tried once: only with its like is it compared.
        again = self._try(kept, self._trials.second)
        ended = [branch for branch in kept if branch.value <= branch.reward]
        best = max([*again, *ended] or kept, key=lambda branch: branch.value, default=None)
        expected = promise(PlanState.of(view), self._gains, self._outlook).gain[0]
        if best is not None and best.value > 0:
            self._gains.promise(view, float(expected[best.first.node, best.first.layer]))
            return best.first
        return self._patience.wait_or_finish(view, self._gains, self._outlook)

    def _try(self, branches: Sequence[_Branch], most: int) -> list[_Branch]:
        """Each branch with each of its most promising hops, all of them trained together."""
        assert self._env is not None
        engine, validation = self._env.executor.engine, self._env.service.data.validation
        begun = []
        for branch in branches:
            for assignment in self._promising(branch.controller.view(), most):
                trial = copy.deepcopy(branch.controller)
                first = assignment if branch.first.node < 0 else branch.first
                begun.append((replace(branch, first=first, controller=trial), trial.dispatch(assignment)))
        jobs = [job for _, job in begun]
        executors = [SimulatedExecutor(branch.controller, engine, validation) for branch, _ in begun]
        outcomes = run_together(executors, jobs) if jobs else []
        found = []
        for (branch, job), outcome in zip(begun, outcomes, strict=True):
            trial, before = branch.controller, branch.controller.metric
            costs = trial.complete(job.id, outcome).costs
            terms = reward_terms(trial.scenario.objective, trial.metric - before, costs, False)
            reward = branch.reward + sum(terms.values())
            found.append(replace(branch, reward=reward, value=reward + self._beyond(trial)))
        return found

    def _promising(self, view: ProcessView, most: int) -> list[Assignment]:
        """The hops with the best expected reward, none if the process is over."""
        state = PlanState.of(view)
        if over(state)[0]:
            return []
        expected = promise(state, self._gains, self._outlook)
        reward = expected.reward[0]
        best = np.argsort(-reward, axis=None, kind="stable")[:most]
        nodes, layers = np.unravel_index(best, reward.shape)
        pairs = zip(nodes.tolist(), layers.tolist(), strict=True)
        return [expected.hop(node, layer) for node, layer in pairs if reward[node, layer] > -np.inf]

    def _beyond(self, trial: ProcessController) -> float:
        """What can still be earned, by the gain model."""
        return search(PlanState.of(trial.view()), self._gains, self._outlook, self._trials.beyond).value


def omniscient(scenario: Scenario) -> OracleScheduler:
    """That with foresight: both that nobody knows, as far as it looks."""
    return OracleScheduler(scenario, foresight=True)


def _start(controller: ProcessController, network: Network) -> _Branch:
    """The process as it is, on that network."""
    begun = copy.deepcopy(controller)
    begun.network = network
    return _Branch(Assignment(-1, -1), begun, 0.0, 0.0)


def _frozen(view: ProcessView, network: Network, rates: RateForecast) -> Network:
    """The network with the rates that are expected of a hop that begins now; who is away stays away."""
    expected = rates.expected(view, np.zeros(1))
    there = view.nodes.reachable
    return constant_network(
        network.profiles,
        np.minimum(1.0, expected.availability[0] * there),
        expected.uplink_bps[0] * there,
        expected.downlink_bps[0] * there,
        rtt_s=network.rtt_s,
        timeout_s=network.timeout_s,
    )
