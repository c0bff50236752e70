"""What candidates come to when they are rolled out, and a planner that is improved by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from snakegym.agents.improved.learned import Learned, Value
from snakegym.agents.improved.rollouts import Rollouts, rolled_out
from snakegym.agents.improved.scheduler import ImprovedScheduler
from snakegym.agents.improved.traits import TRAITS
from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.gain import GainModel
from snakegym.agents.planning.lookahead import LookaheadScheduler
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.search import Settings
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import next_state
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import Floats, ProcessView
from snakegym.scenario import load_scenario

SCENARIO = load_scenario("default")
OUTLOOK = ForecastOutlook()


@dataclass
class Opening:
    """Layer 0 brings little (`first`), but once it was trained any other brings much, else `plain`."""

    plain: Floats
    first: float = 0.02

    def expected(self, state: PlanState) -> Floats:
        opened = state.times_trained[:, 0] > 0
        gain = np.where(opened[:, None, None], 5.0, 1.0) * self.plain
        gain[:, :, 0] = self.first
        return gain


def learned(gains: GainModel, surprises: Floats | None = None, **worth: float) -> Learned:
    """With a value that is nearly linear in a trait, or constant."""
    weights = np.array([[worth.get(name, 0.0)] for name in TRAITS])
    tiny = 1e-4
    value = Value(
        np.zeros(len(TRAITS)),
        np.ones(len(TRAITS)),
        (weights * tiny, np.eye(1), np.eye(1) / tiny),
        (np.zeros(1), np.zeros(1), np.array([worth.get("always", 0.0)])),
    )
    return Learned(gains, value, np.array([[0.0, 1.0]]) if surprises is None else surprises)


@pytest.fixture
def opening(view: ProcessView) -> Opening:
    return Opening(np.random.default_rng(0).uniform(0.03, 0.06, view.legal.shape))


def worths(view: ProcessView, known: Learned, **settings: int) -> tuple[Floats, Floats]:
    """Of all legal pairs, and those."""
    pairs = np.argwhere(view.legal)
    gains, rng = CalibratedGain(known.gains), np.random.default_rng(0)
    state = PlanState.of(view)
    return rolled_out(state, pairs, known, gains, OUTLOOK, Rollouts(**settings), rng), pairs


def greedily(view: ProcessView, gains: GainModel, pair: Floats, hops: int) -> float:
    """The reward of a pair and of the most rewarding hops after it, as long as they pay; one by one."""
    state, total, (node, layer) = PlanState.of(view), 0.0, pair.tolist()
    for hop in range(hops):
        expected = promise(state, gains, OUTLOOK)
        if hop:
            node, layer = divmod(int(expected.reward[0].argmax()), view.n_middle)
            if expected.reward[0, node, layer] <= 0:
                break
        total += float(expected.reward[0, node, layer])
        state = next_state(state, expected, np.array([node]), np.array([layer]))
    return total


@pytest.mark.parametrize("hops", [1, 2, 4])
def test_without_surprises_a_rollout_is_what_the_planner_expects(
    view: ProcessView, opening: Opening, hops: int
) -> None:
    found, pairs = worths(view, learned(opening), hops=hops, futures=3)
    assert len(found) == view.legal.sum() > 10
    np.testing.assert_allclose(found, [greedily(view, opening, pair, hops) for pair in pairs])


def test_the_learned_value_stands_for_the_rest(view: ProcessView, opening: Opening) -> None:
    none, _ = worths(view, learned(opening), hops=1)
    more, _ = worths(view, learned(opening, always=2.0), hops=1)
    np.testing.assert_allclose(more - none, 2.0)
    less, _ = worths(view, learned(opening, always=-2.0), hops=1)
    np.testing.assert_allclose(less, none, err_msg="one may finish instead")
    late, pairs = worths(view, learned(opening, time_left=3.0), hops=1)
    time_s = promise(PlanState.of(view), opening, OUTLOOK).costs.time_s[0][tuple(pairs.T)]
    left = 1 - (view.clock_s + time_s) / view.budget.time_s
    np.testing.assert_allclose(late - none, 3 * np.maximum(0, left), rtol=1e-4, err_msg="of the state after")


def test_a_process_that_is_over_is_worth_no_more(view: ProcessView, opening: Opening) -> None:
    last = replace(view, budget=view.budget.model_copy(update={"hops": view.hops + 1}))
    none, _ = worths(last, learned(opening), hops=1)
    more, _ = worths(last, learned(opening, always=2.0), hops=3)
    np.testing.assert_allclose(more, none)


def test_surprises_are_drawn_alike_for_all_candidates(view: ProcessView, opening: Opening) -> None:
    """A gain missed by 0.1 or by nothing, a time missed by half: the mean over futures of both."""
    surprises = np.array([[0.1, 1.0], [0.0, 1.5]])
    none, pairs = worths(view, learned(opening), hops=1)
    found, _ = worths(view, learned(opening, surprises), hops=1, futures=40)
    time_s = promise(PlanState.of(view), opening, OUTLOOK).costs.time_s[0][tuple(pairs.T)]
    gained, late = 0.1 * view.objective.gain, 0.5 * view.objective.prices()[0] * time_s
    share = (found - none + late) / (gained + late)
    assert np.ptp(share) < 1e-9
    assert 0.2 < share[0] < 0.8


def test_what_a_short_search_overlooks_is_found(view: ProcessView, opening: Opening) -> None:
    """Known optimum of two hops: layer 0 first. A planner that looks one hop ahead never trains it."""
    myopic = Settings(width=view.legal.size, horizon=1)
    planner = LookaheadScheduler(SCENARIO, opening, OUTLOOK, myopic)
    improved = ImprovedScheduler(SCENARIO, learned(opening), OUTLOOK, rollouts=Rollouts(view.legal.size))
    assert isinstance(planned := planner.schedule(view), Assignment)
    assert isinstance(chosen := improved.schedule(view), Assignment)
    of = {
        tuple(pair): greedily(view, opening, pair, 2)
        for pair in np.argwhere(view.legal)  # the second hop of each is the best there is
    }
    best = max(of, key=lambda pair: of[pair])
    assert best[1] == 0
    assert (chosen.node, chosen.layer) == best
    assert of[best] > of[planned.node, planned.layer] + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_it_is_at_least_the_planner_where_the_models_are_right(
    frozen_process: Callable[..., tuple], seed: int
) -> None:
    """Played to the end in the models themselves, from which nothing ever differs."""
    view = frozen_process(nodes=4, middle=3, seed=seed)[0].view()
    gains = Opening(np.random.default_rng(seed).uniform(0.0, 0.05, view.legal.shape))
    short = Settings(width=12, horizon=1)

    def first(scheduler: ImprovedScheduler | LookaheadScheduler) -> float:
        decision = scheduler.schedule(view)
        if not isinstance(decision, Assignment):
            return 0.0
        return greedily(view, gains, np.array([decision.node, decision.layer]), 3)

    planned = first(LookaheadScheduler(SCENARIO, gains, OUTLOOK, short))
    improved = ImprovedScheduler(SCENARIO, learned(gains), OUTLOOK, rollouts=Rollouts(12, futures=1, hops=3))
    assert first(improved) >= planned


def test_with_nothing_learned_it_is_the_planner(view: ProcessView) -> None:
    improved, planner = ImprovedScheduler(SCENARIO), LookaheadScheduler(SCENARIO)
    (worth, decision), (planned, choice) = improved.advise(view), planner.advise(view)
    np.testing.assert_array_equal(worth, planned)
    assert decision == choice


def test_it_finishes_where_nothing_is_worth_its_price(view: ProcessView) -> None:
    gains = Opening(np.full(view.legal.shape, -0.01), first=-0.01)
    assert ImprovedScheduler(SCENARIO, learned(gains), OUTLOOK).schedule(view) is FINISH


def test_it_repeats_itself(view: ProcessView, opening: Opening) -> None:
    rng = np.random.default_rng(5)
    surprises = np.stack([rng.normal(0, 0.1, 50), rng.uniform(0.5, 2, 50)], axis=1)
    scheduler = ImprovedScheduler(SCENARIO, learned(opening, surprises), OUTLOOK)
    found = []
    for seed in (1, 1, 2):
        scheduler.reset(seed)
        found.append(scheduler.advise(view)[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
