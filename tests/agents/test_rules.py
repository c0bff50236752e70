"""What every scheduler promises, over the registry, and what the fixed rules choose."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.agents.registry import is_privileged, list_schedulers, make_scheduler
from snakegym.control.forecast import forecast
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario

SCENARIO = load_scenario("default")
OPEN = [name for name in list_schedulers() if not is_privileged(name)]
"""Those that decide from a view alone."""


def only(view: ProcessView, legal: np.ndarray) -> ProcessView:
    """The view with other legal assignments."""
    return replace(view, legal=legal, nodes=replace(view.nodes, reachable=legal.any(axis=1)))


@pytest.mark.parametrize("name", OPEN)
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_chooses_what_is_legal_or_waits_or_finishes(
    name: str, view: ProcessView, data: st.DataObject
) -> None:
    flat = data.draw(st.lists(st.booleans(), min_size=view.legal.size, max_size=view.legal.size))
    legal = np.array(flat).reshape(view.legal.shape)
    scheduler = make_scheduler(name, SCENARIO)
    scheduler.reset(0)
    choice = scheduler.schedule(only(view, legal))
    if isinstance(choice, Assignment):
        assert legal[choice.node, choice.layer]
    else:
        plans = name.startswith(("greedy", "lookahead", "milp", "static", "evolutionary"))
        plans |= name.endswith("+stop")
        assert not legal.any() or plans
        assert choice is None or plans, "rules never finish"


@pytest.mark.parametrize("name", OPEN)
def test_same_seed_same_choices(name: str, view: ProcessView) -> None:
    scheduler = make_scheduler(name, SCENARIO)
    runs = []
    for _ in range(2):
        scheduler.reset(3)
        runs.append([scheduler.schedule(view) for _ in range(8)])
    assert runs[0] == runs[1]


def test_serpentine_goes_round_and_passes_over(view: ProcessView) -> None:
    legal = np.ones_like(view.legal)
    legal[1] = False
    scheduler = make_scheduler("serpentine", SCENARIO)
    scheduler.reset(0)
    nodes = [scheduler.schedule(only(view, legal)) for _ in range(6)]
    assert nodes == [Assignment(n, 0) for n in (0, 2, 3, 4, 5, 0)]


def test_layers_ascend_within_a_cycle(view: ProcessView) -> None:
    layers = replace(view.layers, trained_in_cycle=np.array([True, False, True, False]))
    for name in ("serpentine", "fastest", "most-data", "same-node"):
        choice = make_scheduler(name, SCENARIO).schedule(replace(view, layers=layers))
        assert choice is not None
        assert choice.layer == 1


def test_random_is_uniform_over_legal(view: ProcessView) -> None:
    legal = np.zeros_like(view.legal)
    legal[[0, 2, 5], [1, 0, 3]] = True
    scheduler = make_scheduler("random", SCENARIO)
    scheduler.reset(1)
    choices = [scheduler.schedule(only(view, legal)) for _ in range(3000)]
    for node, layer in ((0, 1), (2, 0), (5, 3)):
        assert choices.count(Assignment(node, layer)) == pytest.approx(1000, abs=130)


def test_fixed_preferences(view: ProcessView) -> None:
    def node(name: str) -> int | None:
        choice = make_scheduler(name, SCENARIO).schedule(view)
        return choice and choice.node

    assert node("fastest") == int(np.argmin(forecast(view).time_s[:, 0]))
    assert node("most-data") == int(np.argmax(view.nodes.samples))
    assert node("same-node") == 0


def test_greedy_weighs_gain_against_costs(view: ProcessView) -> None:
    """Alike in all but one thing, the node with the better of it is chosen."""

    def choice(**nodes: Any) -> int | None:
        equal = {
            name: np.full(6, value.mean(), value.dtype)
            for name, value in vars(view.nodes).items()
            if value.dtype != np.bool_
        }
        changed = replace(view, nodes=replace(view.nodes, **{**equal, **nodes}))
        chosen = make_scheduler("greedy", SCENARIO).schedule(changed)
        return chosen and chosen.node

    odd = np.array([1.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    assert choice(samples=(100 * odd).astype(np.int64)) == 3
    assert choice(peak_flops=1e6 * odd) == 3
    assert choice(last_gain=0.01 * odd) == 3
    assert choice(compute_power_w=1 / odd) == 3


@pytest.mark.parametrize("rule", ["serpentine", "random", "oort"])
def test_a_rule_that_stops_chooses_as_the_rule_and_ends_as_greedy(view: ProcessView, rule: str) -> None:
    """While hops are cheap it is the rule; where greedy finishes, so does it, and the rule is not asked."""
    stopping, alone, greedy = (make_scheduler(n, SCENARIO) for n in (f"{rule}+stop", rule, "greedy"))
    for scheduler in (stopping, alone):
        scheduler.reset(5)
    ended = 0
    for price in (0.0, 1e6, 0.0, 0.0, 1e6, 0.0):
        seen = replace(view, objective=view.objective.model_copy(update={"time": price}))
        choice = stopping.schedule(seen)
        if price:
            assert choice is greedy.schedule(seen) is FINISH
            ended += 1
        else:
            assert choice == alone.schedule(seen)
    assert ended == 2


@pytest.mark.parametrize("name", ["greedy", "lookahead", "milp", "evolutionary"])
def test_planners_end_where_what_they_expect_never_comes(view: ProcessView, name: str) -> None:
    scheduler = make_scheduler(name, SCENARIO)
    scheduler.reset(0)
    made = 0
    while made < 40:
        choice = scheduler.schedule(replace(view, hops=made, recent_gains=(0.0,) * min(made, 1)))
        if choice is FINISH:
            break
        made += 1
    assert 1 < made < 40


PLANNERS = pytest.mark.parametrize("name", ["greedy", "lookahead", "milp", "milp-sequential"])


@PLANNERS
def test_planners_finish_where_nothing_is_to_be_gained(name: str, view: ProcessView) -> None:
    scheduler = make_scheduler(name, SCENARIO)
    assert isinstance(scheduler.schedule(view), Assignment)
    assert scheduler.schedule(replace(view, metric=0.99)) is FINISH


@PLANNERS
def test_planners_finish_where_no_hop_ends_in_time(name: str, view: ProcessView) -> None:
    scheduler, fastest = make_scheduler(name, SCENARIO), float(forecast(view).time_s.min())

    def left(seconds: float) -> ProcessView:
        return replace(view, clock_s=view.budget.time_s - seconds)

    assert scheduler.schedule(left(0.99 * fastest)) is FINISH
    choice = scheduler.schedule(left(1.01 * fastest))
    assert isinstance(choice, Assignment)
    assert forecast(view).time_s[choice.node, choice.layer] <= 1.01 * fastest


@PLANNERS
def test_a_later_layer_that_pays_is_trained_before_it_ends(name: str, view: ProcessView) -> None:
    """The others take far more work than they are worth."""
    flops = view.layers.flops * np.where(np.arange(view.n_middle) == 2, 1, 1e5)
    choice = make_scheduler(name, SCENARIO).schedule(replace(view, layers=replace(view.layers, flops=flops)))
    assert isinstance(choice, Assignment)
    assert choice.layer == 2


@PLANNERS
def test_a_node_that_was_there_lately_is_waited_for(name: str, view: ProcessView) -> None:
    """All nodes but the last bring nothing; that one is out of reach, just now or for good."""
    scheduler, last = make_scheduler(name, SCENARIO), np.arange(view.n_nodes) == view.n_nodes - 1
    nodes = replace(
        view.nodes,
        divergence=np.where(last, 0.8, 0.0),
        labels=np.where(last[:, None], np.eye(10)[0], view.recent_labels),
        reachable=~last,
        uplink_bps=view.nodes.uplink_bps * ~last,
    )
    away = replace(view, nodes=nodes, legal=view.legal & ~last[:, None])
    assert scheduler.schedule(away) is None
    gone = replace(nodes, mean_uplink_bps=nodes.mean_uplink_bps * ~last)
    assert scheduler.schedule(replace(away, nodes=gone)) is FINISH
    nobody = replace(
        view, nodes=replace(gone, reachable=np.zeros_like(last)), legal=np.zeros_like(view.legal)
    )
    assert scheduler.schedule(nobody) is None, "it could go on"
    assert scheduler.schedule(replace(nobody, metric=0.99)) is FINISH


def test_unknown_scheduler_is_named_with_what_there_is() -> None:
    with pytest.raises(SnakegymError, match=r"'gredy'.*serpentine.*milp.*folder of a training run"):
        make_scheduler("gredy", SCENARIO)


def test_registry_alone_imports_no_learning_library() -> None:
    code = (
        "import sys, agents.registry; print([m for m in ('stable_baselines3', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
