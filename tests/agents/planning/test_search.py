"""Search finds the best plan where it is wide enough, and says what the plan is worth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from snakegym.agents.planning.lookahead import LookaheadScheduler
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.promise import Promise, promise
from snakegym.agents.planning.search import Settings, search, values
from snakegym.agents.planning.state import PlanState
from snakegym.agents.registry import is_privileged, list_schedulers, make_scheduler
from snakegym.agents.yardsticks.clairvoyant import ClairvoyantScheduler
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import Floats, ProcessView
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, load_scenario
from snakegym.training.episodes.play import play_scheduler

WIDE = Settings(width=10_000, horizon=4)


@dataclass
class Fading:
    """Gains of pairs drawn at random, less with every visit to the node."""

    gain: Floats

    def expected(self, state: PlanState) -> Floats:
        return self.gain * 0.5 ** state.visits[:, :, None]


def after(state: PlanState, expected: Promise, node: int, layer: int) -> PlanState:
    """The plan with that hop more."""
    at = 0, node, layer
    return state.after(
        np.array([node]),
        np.array([layer]),
        time_s=expected.costs.time_s[at][None],
        energy_j=expected.costs.energy_j[at][None],
        gain=expected.gain[at][None],
    )


def exhaustive(state: PlanState, gains: Fading, hops: int) -> float:
    """The value of the best plan of at most that many hops, by trying all."""
    expected = promise(state, gains, ForecastOutlook())
    best = 0.0
    if hops == 0:
        return best
    for node, layer in np.argwhere(expected.possible[0]).tolist():
        rest = exhaustive(after(state, expected, node, layer), gains, hops - 1)
        best = max(best, float(expected.reward[0, node, layer]) + rest)
    return best


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("seed", range(3))
def test_a_search_that_is_wide_enough_finds_the_best_plan(
    frozen_process: Callable[..., tuple], mode: str, seed: int
) -> None:
    view = frozen_process(nodes=3, middle=2, mode=mode, seed=seed)[0].view()
    fading = Fading(np.random.default_rng(seed).normal(0.05, 0.1, view.legal.shape))
    for left_s in (1e6, 20.0):
        state = PlanState.of(replace(view, clock_s=view.budget.time_s - left_s))
        plan = search(state, fading, ForecastOutlook(), WIDE)
        assert plan.value == pytest.approx(exhaustive(state, fading, WIDE.horizon))
        assert sum(hop.costs.time_s for hop in plan.hops) <= left_s


@pytest.mark.parametrize("seed", range(3))
def test_first_hops_are_worth_the_best_plan_that_begins_with_them(
    frozen_process: Callable[..., tuple], seed: int
) -> None:
    view = frozen_process(nodes=3, middle=2, seed=seed)[0].view()
    fading = Fading(np.random.default_rng(seed).normal(0.05, 0.1, view.legal.shape))
    state = PlanState.of(view)
    expected = promise(state, fading, ForecastOutlook())
    worth = values(state, fading, ForecastOutlook(), WIDE, following=10_000)
    assert ((worth > -np.inf) == expected.possible[0]).all()
    for node, layer in np.argwhere(expected.possible[0]).tolist():
        rest = exhaustive(after(state, expected, node, layer), fading, WIDE.horizon - 1)
        assert worth[node, layer] == pytest.approx(float(expected.reward[0, node, layer]) + rest)


def test_only_the_most_promising_first_hops_are_followed(view: ProcessView) -> None:
    even = Fading(np.random.default_rng(0).uniform(0.1, 0.3, (6, 4)))
    state = PlanState.of(view)
    worth = values(state, even, ForecastOutlook(), Settings(width=5, horizon=6), following=2)
    assert (worth > -np.inf).sum() == 5
    best = search(state, even, ForecastOutlook(), Settings(width=10, horizon=6))
    assert worth.max() >= 0.95 * best.value


def test_a_plan_costs_what_it_said_where_rates_do_not_change(frozen_process: Callable[..., tuple]) -> None:
    controller, executor = frozen_process(nodes=5, middle=3)
    even = Fading(np.full((5, 3), 0.3))
    plan = search(PlanState.of(controller.view()), even, ForecastOutlook(), Settings(width=4, horizon=8))
    assert len(plan.hops) == 8, "over the end of the cycle"
    for planned in plan.hops:
        job = controller.dispatch(planned.assignment)
        hop = controller.complete(job.id, executor.run(job))
        for name in ("time_s", "energy_j", "n_bytes"):
            assert getattr(hop.costs, name) == pytest.approx(getattr(planned.costs, name))


@pytest.mark.parametrize(("field", "value"), [("hops", 2), ("energy_j", 1e-9)])
def test_plans_stay_within_the_budgets(view: ProcessView, field: str, value: float) -> None:
    seen = replace(view, budget=view.budget.model_copy(update={field: value}))
    plan = search(PlanState.of(seen), Fading(np.full((6, 4), 0.3)), ForecastOutlook(), Settings(5, 4))
    assert len(plan.hops) == (2 if field == "hops" else 1)


def test_nothing_is_planned_where_nothing_pays(view: ProcessView) -> None:
    scheduler = LookaheadScheduler(load_scenario("default"), Fading(np.full((6, 4), -0.01)))
    assert scheduler.plan(view).hops == ()
    assert scheduler.schedule(view) is FINISH


def test_what_is_behind_a_loss_is_seen(view: ProcessView) -> None:
    """A first hop that does not pay by itself, but opens the next cycle, in which one does."""

    class Later:
        def expected(self, state: PlanState) -> Floats:
            return np.where(state.cycle[:, None, None] > 0, 0.9, 0.0) * np.ones(view.legal.shape)

    trained = replace(view.layers, trained_in_cycle=np.array([True, True, False, True]))
    trained = replace(trained, open=~trained.trained_in_cycle)
    seen = replace(view, layers=trained, legal=view.legal & trained.open)
    choice = LookaheadScheduler(load_scenario("default"), Later()).schedule(seen)
    assert isinstance(choice, Assignment)
    assert choice.layer == 2


@pytest.fixture(scope="module")
def small(of_few_hops: Callable[[int, int], Scenario]) -> Scenario:
    return of_few_hops(5, 4)


def test_the_future_is_seen(small: Scenario) -> None:
    """With true costs a plan's first hop costs exactly what it said; two episodes are the same."""
    env = SerpentineEnv(small, split="validation")
    env.reset(seed=3)
    scheduler = ClairvoyantScheduler(small, Fading(np.full((5, 3), 0.2)), Settings(4, 5, (0, 1)))
    scheduler.reset(0)
    scheduler.watch(env)
    planned = scheduler.plan(env.view()).hops[0]
    for _ in range(planned.waits):
        env.step(env.codec.wait)
    env.step(env.codec.encode(planned.assignment))
    assert env.controller.history[0].costs.time_s == pytest.approx(planned.costs.time_s)
    records = [play_scheduler(env, scheduler, 0, 3) for _ in range(2)]
    assert records[0] == records[1]
    assert records[0]["hops"] > 0


def test_companions_are_named_so_that_the_plan_comes_true(small: Scenario) -> None:
    fields = small.model_dump()
    fields["network"]["mode"] = "cs"
    fields["process"]["parallel"] = 2
    env = SerpentineEnv(Scenario.model_validate(fields), split="validation")
    env.reset(seed=4)
    scheduler = ClairvoyantScheduler(env.scenario, Fading(np.full((5, 3), 0.2)), Settings(4, 3))
    scheduler.watch(env)
    planned, choice = scheduler.plan(env.view()).hops[0], scheduler.schedule(env.view())
    assert isinstance(choice, Assignment)
    assert choice.companions is not None
    assert len(choice.companions) == 1
    env.step_as(choice)
    assert env.controller.history[0].costs.time_s == pytest.approx(planned.costs.time_s)


def test_of_several_searches_the_best_plan_counts(view: ProcessView) -> None:
    fading = Fading(np.random.default_rng(2).normal(0.05, 0.1, view.legal.shape))
    state, outlook = PlanState.of(replace(view, clock_s=view.budget.time_s - 30)), ForecastOutlook()
    one, other, both = (
        search(state, fading, outlook, Settings(1, 9, haste=haste)).value
        for haste in ((0.0,), (9.0,), (0.0, 9.0))
    )
    assert both == max(one, other) > 0


@pytest.mark.parametrize("name", [name for name in list_schedulers() if is_privileged(name)])
def test_yardsticks_need_an_environment(name: str, view: ProcessView) -> None:
    scheduler = make_scheduler(name, load_scenario("default"))
    scheduler.reset(0)
    with pytest.raises(SnakegymError, match=f"'{name}': found no environment"):
        scheduler.schedule(view)
