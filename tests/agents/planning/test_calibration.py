"""Expected gains are believed as far as they came true lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.calibration import CalibratedGain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import Assignment
from snakegym.control.view import ProcessView


class Flat:
    """Every pair brings 0.02, but those of node 0 cost as much."""

    def expected(self, state: PlanState) -> Any:
        gain = np.full((len(state), state.view.n_nodes, state.view.n_middle), 0.02)
        gain[:, 0] = -0.02
        return gain


def after(view: ProcessView, measured: Sequence[float]) -> CalibratedGain:
    """Hops one after the other of which 0.02 was expected, and that brought this."""
    gains = CalibratedGain(Flat())
    for hop, gain in enumerate(measured):
        before = replace(view, hops=hop)
        gains.promise(before, float(gains.expected(PlanState.of(before))[0, 1, 0]))
        gains.observe(replace(view, hops=hop + 1, recent_gains=(gain,)))
    return gains


def expected(gains: CalibratedGain, view: ProcessView, node: int = 1) -> float:
    return float(gains.expected(PlanState.of(view))[0, node, 0])


def test_what_comes_true_is_believed(view: ProcessView) -> None:
    assert expected(after(view, [0.02] * 20), view) == pytest.approx(0.02)
    assert expected(after(view, [0.05] * 20), view) == pytest.approx(0.02), "and no more than was said"


def test_what_never_comes_true_is_believed_no_more(view: ProcessView) -> None:
    values = [expected(after(view, [0.0] * n), view) for n in (0, 1, 4, 16)]
    assert values[0] == 0.02
    assert (np.diff(values) < 0).all()
    assert values[-1] < 0.002
    assert expected(after(view, [0.0] * 16), view, node=0) == -0.02, "a loss stays one"


def test_it_can_be_believed_again(view: ProcessView) -> None:
    assert expected(after(view, [0.0] * 8 + [0.02] * 16), view) > 0.015


def test_one_ruinous_hop_is_no_trend(view: ProcessView) -> None:
    assert expected(after(view, [0.02] * 10 + [-0.5]), view) > 0.01


def test_an_episode_begins_without_a_past(view: ProcessView) -> None:
    gains = after(view, [0.0] * 16)
    gains.reset()
    assert expected(gains, view) == 0.02


def test_waits_teach_nothing(view: ProcessView) -> None:
    gains = CalibratedGain(Flat())
    gains.promise(replace(view, hops=3), 0.02)
    gains.observe(replace(view, hops=3, recent_gains=(0.0,)))
    assert expected(gains, view) == 0.02


def test_hops_that_others_decide_on_count_too(view: ProcessView) -> None:
    """Of node 0's hops nothing was expected, so that nothing can have been disappointed."""
    scales = []
    for node in (0, 1):
        gains = CalibratedGain(Flat())
        for hop in range(8):
            gains.follow(replace(view, hops=hop), Assignment(node, 0), ForecastOutlook())
            gains.observe(replace(view, hops=hop + 1, recent_gains=(0.0,)))
        scales.append(gains.scale)
    assert scales[1] < scales[0]
    gains = CalibratedGain(Flat())
    gains.promise(view, 0.02)
    gains.follow(view, None, ForecastOutlook())
    gains.observe(replace(view, hops=view.hops + 1, recent_gains=(0.0,)))
    assert gains.scale == 1.0, "a wait was decided on: nothing was promised"
