"""Oort explores nodes first, then draws among the most useful pairs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from snakegym.agents.oort import OortScheduler
from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView
from snakegym.scenario import load_scenario


def oort(seed: int = 0) -> OortScheduler:
    scheduler = OortScheduler(load_scenario("default"))
    scheduler.reset(seed)
    return scheduler


def tried(view: ProcessView, gain: np.ndarray, last_hop: int | np.ndarray = 9, hops: int = 10) -> ProcessView:
    """Every pair was trained, in that hop, and brought that gain; each hop takes equally long."""
    shape = view.legal.shape
    equal = {
        name: np.full(len(value), value.mean(), value.dtype)
        for name, value in vars(view.nodes).items()
        if value.ndim == 1 and value.dtype != np.bool_
    }
    pairs = replace(
        view.pairs,
        last_hop=np.broadcast_to(last_hop, shape),
        last_gain=np.broadcast_to(gain, shape),
    )
    nodes = replace(view.nodes, **equal | {"visits": np.full(shape[0], shape[1])})
    layers = replace(view.layers, flops=np.full(shape[1], view.layers.flops.mean()))
    return replace(view, nodes=nodes, layers=layers, pairs=pairs, hops=hops)


def draws(view: ProcessView, n: int = 300) -> Counter:
    scheduler = oort()
    return Counter(scheduler.schedule(view) for _ in range(n))


def test_nodes_that_have_not_trained_are_explored_by_speed(view: ProcessView) -> None:
    time_s = forecast(view).time_s[:, 0]
    chosen = [oort(seed).schedule(view) for seed in range(400)]
    share = np.bincount([c.node for c in chosen], minlength=6) / len(chosen)
    assert {c.layer for c in chosen} == {0}
    np.testing.assert_allclose(share, (1 / time_s) / (1 / time_s).sum(), atol=0.08)


def test_exploration_decays(view: ProcessView) -> None:
    """One node is new and forty draws have been made: less than nine in ten go to it, more than two."""
    known = tried(view, np.ones(4))
    visits = np.where(np.arange(6) == 5, 0, 4)
    known = replace(known, nodes=replace(known.nodes, visits=visits))
    news = []
    for seed in range(200):
        scheduler = oort(seed)
        for _ in range(40):
            choice = scheduler.schedule(known)
        news.append(choice.node == 5)
    assert np.mean(news) == pytest.approx(0.9 * 0.98**39, abs=0.1)


def test_what_brought_most_is_chosen(view: ProcessView) -> None:
    gain = np.zeros((6, 4))
    gain[2, 1] = gain[4, 3] = 0.3
    counts = draws(tried(view, gain))
    assert set(counts) == {Assignment(2, 1), Assignment(4, 3)}
    assert counts[Assignment(2, 1)] == pytest.approx(150, abs=50)


def test_what_was_long_ago_is_chosen_among_equals(view: ProcessView) -> None:
    last = np.full((6, 4), 99)
    last[3, 2] = 2
    assert set(draws(tried(view, np.full((6, 4), 0.1), last, hops=100), 20)) == {Assignment(3, 2)}


def test_slow_pairs_lose(view: ProcessView) -> None:
    gain = np.zeros((6, 4))
    gain[2, 1], gain[4, 3] = 0.30, 0.29
    even = tried(view, gain)
    slow = np.where(np.arange(6) == 2, 0.1, 1.0) * even.nodes.peak_flops
    assert set(draws(even, 50)) == {Assignment(2, 1), Assignment(4, 3)}
    assert set(draws(replace(even, nodes=replace(even.nodes, peak_flops=slow)), 50)) == {Assignment(4, 3)}
