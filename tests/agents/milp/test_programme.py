"""What the solvers of the joint programme promise, against all paths of small programmes and by hand."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.agents.milp.assignment import solve_assignment
from snakegym.agents.milp.exact import solve_exactly
from snakegym.agents.milp.lagrangian import solve_lagrangian
from snakegym.agents.milp.programme import Programme, Solution

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

SHAPES = st.sampled_from([((0, 0), 4, 2), ((0, 0, 0), 3, 3), ((0, 1, 1), 3, 2), ((0, 0, 1), 2, 3)])
"""Block of each position, nodes and layers."""


@st.composite
def programmes(draw: st.DrawFn, hands_on: bool, short: bool | None = None) -> Programme:
    """Small ones, with pairs that are impossible, and time that may be short."""
    block, n, m = draw(SHAPES)
    rng, t = np.random.default_rng(draw(st.integers(0, 2**32 - 1))), len(block)
    value = rng.normal(0.2, 0.5, (n, m)) * np.ones((t, 1, 1))
    if hands_on:
        value += rng.normal(0, 0.1, (t, n, m))
    impossible = rng.random((n, m)) < 0.2
    value[:, impossible] = -np.inf
    time_s = rng.uniform(5, 20, (n, m)) * np.ones((t, 1, 1))
    time_s[:, impossible] = rng.choice([10.0, np.inf])  # no memory, or no link
    short = draw(st.booleans()) if short is None else short
    return Programme(
        value,
        time_s,
        rng.uniform(0, 0.5, (t, n, n)) if hands_on else None,
        rng.uniform(0, 5, (t, n, n)) if hands_on else None,
        np.array(block),
        np.where(rng.random(n) < 0.3, np.inf, rng.uniform(0, 0.6, n)),
        left_s=30.0 if short else 1e3,
    )


def optimum(programme: Programme) -> float:
    """Over all paths."""
    t, n, m = programme.shape
    pairs = list(product(range(n), range(m)))
    paths = (path for length in range(1, t + 1) for path in product(pairs, repeat=length))
    totals = (programme.worth(*np.array(path).T)[-1] for path in paths)
    return float(max(totals, default=0.0)) if len(pairs) else 0.0


def check(programme: Programme, solution: Solution) -> None:
    """It is a path of the programme, worth what it says."""
    assert len(solution.nodes) == len(solution.layers)
    assert programme.worth(solution.nodes, solution.layers)[-1] == pytest.approx(solution.total)
    assert solution.bound >= solution.total >= 0


@given(programme=programmes(hands_on=True))
@settings(max_examples=25, deadline=None)
def test_highs_finds_the_optimum_of_paths(programme: Programme) -> None:
    solution = solve_exactly(programme)
    check(programme, solution)
    assert solution.total == pytest.approx(max(0.0, optimum(programme)), abs=1e-7)
    assert solution.gap == pytest.approx(0.0, abs=1e-6)


@given(programme=programmes(hands_on=True))
@settings(max_examples=25, deadline=None)
def test_the_optimum_is_between_plan_and_lagrangian_bound(programme: Programme) -> None:
    solution = solve_lagrangian(programme)
    check(programme, solution)
    best = max(0.0, optimum(programme))
    assert solution.total <= best + 1e-9
    assert solution.bound >= best - 1e-9


@given(programme=programmes(hands_on=False, short=False))
@settings(max_examples=40, deadline=None)
def test_assignment_is_the_optimum_where_nothing_is_handed_on(programme: Programme) -> None:
    solution = solve_assignment(programme)
    check(programme, solution)
    assert solution.total == pytest.approx(max(0.0, optimum(programme)), abs=1e-9)
    assert solution.gap == pytest.approx(0.0, abs=1e-9)


@given(programme=programmes(hands_on=False, short=True))
@settings(max_examples=25, deadline=None)
def test_assignment_keeps_the_time_and_bounds_the_optimum(programme: Programme) -> None:
    solution = solve_assignment(programme)
    check(programme, solution)
    best = max(0.0, optimum(programme))
    assert solution.total <= best + 1e-9
    assert solution.bound >= best - 1e-9


TOY = Programme(
    value=np.array([[[5.0, 4.0], [4.0, 0.0], [-1.0, 2.0]]] * 2),
    time_s=np.full((2, 3, 2), 10.0),
    handing=np.array([np.zeros((3, 3)), [[0.0, 3.0, 9.0], [3.0, 0.0, 9.0], [9.0, 9.0, 0.0]]]),
    handing_s=np.zeros((2, 3, 3)),
    block=np.array([0, 0]),
    again=np.full(3, np.inf),
    left_s=100.0,
)
"""Three nodes, two layers. By hand: the best pair, (0, 0), is worth 5; with (2, 1) after it 5 + 2 - 9. If
node 1 takes layer 0, node 0 can train the other: 4 + 4 - 3 = 5 as well, and 8 where handing on is free.
Staying at node 0 is worth 5 + 4 less a second visit's price: 7 if that is 2."""


def changed(**fields: object) -> Programme:
    return replace(TOY, **fields)


@pytest.mark.parametrize("solve", [solve_exactly, solve_lagrangian])
@pytest.mark.parametrize(
    ("programme", "total", "pairs"),
    [
        (TOY, 5.0, None),
        (changed(again=np.full(3, 2.0)), 7.0, {(0, 0), (0, 1)}),
        (changed(handing=np.zeros((2, 3, 3))), 8.0, {(1, 0), (0, 1)}),
        (changed(again=np.zeros(3), left_s=19.0), 5.0, {(0, 0)}),
        (changed(again=np.zeros(3), repeats=True), 10.0, {(0, 0)}),
        (changed(again=np.zeros(3), block=np.array([0, 1])), 10.0, {(0, 0)}),
        (changed(left_s=9.0), 0.0, set()),
    ],
    ids=["distinct", "again", "free-handing", "short", "repeats", "two-cycles", "no-time"],
)
def test_toy_with_known_optimum(
    solve: object, programme: Programme, total: float, pairs: set[tuple[int, int]] | None
) -> None:
    solution = solve(programme)
    assert solution.total == pytest.approx(total)
    found = {(int(n), int(k)) for n, k in zip(solution.nodes, solution.layers, strict=True)}
    assert pairs is None or found == pairs


def test_a_cycle_is_completed_for_the_sake_of_the_next() -> None:
    """Layer 1 brings nothing anywhere, but the cycle after it does."""
    value = np.array([[[3.0, -1.0]]] * 4)
    programme = Programme(
        value, np.ones((4, 1, 2)), None, None, np.array([0, 0, 1, 1]), np.zeros(1), left_s=100.0
    )
    solution = solve_assignment(programme)
    assert solution.layers.tolist() == [0, 1, 0]
    assert solution.total == pytest.approx(5.0)
    assert solve_exactly(programme).total == pytest.approx(5.0)


def test_a_hundred_nodes_and_thirty_two_layers_have_a_certified_gap() -> None:
    rng, t, n, m = np.random.default_rng(0), 32, 100, 32
    programme = Programme(
        rng.normal(0.2, 0.5, (n, m)) * np.ones((t, 1, 1)),
        rng.uniform(5, 20, (t, n, m)),
        rng.uniform(0, 0.4, (t, n, n)),
        rng.uniform(0, 5, (t, n, n)),
        np.zeros(t, dtype=np.int64),
        np.full(n, np.inf),
        left_s=1e6,
    )
    solution = solve_lagrangian(programme)
    check(programme, solution)
    assert len(set(solution.nodes.tolist())) == len(solution.nodes)
    assert len(set(solution.layers.tolist())) == len(solution.layers)
    assert solution.gap < 0.06 * solution.total
