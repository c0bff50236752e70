"""Whole plans as data: a planner that decides differently than it did shows up here.

After a change on purpose: `pytest tests/agents/test_golden.py --rewrite-golden`, and look at the difference.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.agents.milp.joint import MilpScheduler, in_order
from snakegym.agents.planning.gain import FormulaGain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.promise import promise
from snakegym.agents.planning.state import PlanState
from snakegym.agents.planning.walk import next_state
from snakegym.control.view import ProcessView
from snakegym.scenario import load_scenario

FOLDER = Path(__file__).parent / "golden"
CASES = [
    (nodes, middle, mode, seed)
    for nodes, middle in ((4, 3), (9, 7), (16, 9))
    for mode in ("p2p", "cs")
    for seed in (0, 1)
]
GAINS, OUTLOOK = FormulaGain(), ForecastOutlook()


def hops_on(state: PlanState, hops: int, rng: np.random.Generator) -> PlanState:
    """The state after so many random hops that bring what is expected of them: nothing is trained."""
    for _ in range(hops):
        node, layer = rng.choice(np.argwhere(state.legal[0]))
        state = next_state(state, promise(state, GAINS, OUTLOOK), np.array([node]), np.array([layer]))
    return state


def plans(view: ProcessView, seed: int) -> dict[str, Any]:
    """What each planner does in the beginning and after some hops; rounded to what platforms agree on."""
    found: dict[str, Any] = {}
    planner = MilpScheduler(load_scenario("default"), GAINS, OUTLOOK)
    for hops in (0, 5):
        for name, seen in (("milp", view), ("milp-sequential", in_order(view))):
            state = hops_on(PlanState.of(seen), hops, np.random.default_rng(seed))
            plan = planner.plan(state)
            found[f"{name} after {hops}"] = {
                "plan": [f"{hop.node}:{hop.layer}" for hop in plan.assignments],
                "time_s": [float(f"{c.time_s:.6g}") for c in plan.costs],
                "total": float(f"{plan.total:.6g}"),
                "gap": round(plan.gap, 4),
            }
    return found


@pytest.mark.parametrize(("nodes", "middle", "mode", "seed"), CASES)
def test_plans_are_as_they_were(
    frozen_process: Any, request: pytest.FixtureRequest, nodes: int, middle: int, mode: str, seed: int
) -> None:
    file = FOLDER / f"{nodes}x{middle}-{mode}-{seed}.json"
    process = frozen_process(nodes, middle, mode, seed=seed, like=FOLDER / "scenario.yaml")
    found = plans(process[0].view(), seed)
    if request.config.getoption("--rewrite-golden"):
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert found.keys() == kept.keys()
    for name, plan in found.items():
        assert plan["plan"] == kept[name]["plan"], name
        assert plan["time_s"] == pytest.approx(kept[name]["time_s"], rel=1e-5), name
        assert plan["total"] == pytest.approx(kept[name]["total"], rel=1e-5), name
        assert plan["gap"] == pytest.approx(kept[name]["gap"], abs=2e-3), name
