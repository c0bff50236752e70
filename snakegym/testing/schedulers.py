"""What a scheduler has to keep."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from snakegym.control.records import FINISH, Assignment, Decision
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.scenario import Scenario, load_scenario
from snakegym.testing.common import global_generators_untouched, same


class Schedules(Protocol):
    """A scheduler: see `snakegym.agents.protocol.Scheduler`."""

    def reset(self, seed: int) -> None: ...
    def schedule(self, view: ProcessView) -> Decision: ...


def check_scheduler(
    make: Callable[[Scenario], Schedules], scenario: str | Scenario = "default", decisions: int = 20
) -> None:
    """Play a process and see that the scheduler decides as it promises.

    Every decision is None, FINISH or an `Assignment` of a pair that is legal in that view; where nothing is
    legal it is no assignment. Views are not changed, the global random generators of numpy and torch not
    used, and the same seed and views give the same decisions, for the same object and for another one.

    Args:
        make: a class or function that takes the scenario, as `make_scheduler` and `--scheduler` call it.
        scenario: to play; name, YAML file or object.
        decisions: how many to ask for, at most.

    Raises:
        AssertionError: a promise is broken.
    """
    loaded = load_scenario(scenario)
    scheduler = make(loaded)
    for method in ("reset", "schedule"):
        assert callable(getattr(scheduler, method, None)), f"{type(scheduler).__name__} has no {method}()"
    with global_generators_untouched("scheduler"):
        views, choices = _decide(scheduler, loaded, decisions)
        for name, again in (("the same scheduler", scheduler), ("another one made alike", make(loaded))):
            again.reset(1)
            repeated = [again.schedule(view) for view in views]
            assert repeated == choices, f"after reset(1) {name} decides {repeated}, the first time {choices}"
    nothing = replace(
        views[0],
        legal=np.zeros_like(views[0].legal),
        nodes=replace(views[0].nodes, reachable=np.zeros_like(views[0].nodes.reachable)),
    )
    scheduler.reset(1)
    found = scheduler.schedule(nothing)
    assert found in (None, FINISH), f"nothing is legal, but schedule() gave {found} instead of None or FINISH"


def _decide(
    scheduler: Schedules, scenario: Scenario, decisions: int
) -> tuple[list[ProcessView], list[Decision]]:
    """Views of one process, and what the scheduler decided on each."""
    controller, executor = load_service(scenario).start(np.random.default_rng(0))
    scheduler.reset(1)
    views: list[ProcessView] = []
    choices: list[Decision] = []
    while len(views) < decisions and not controller.ended:
        view = controller.view()
        before = copy.deepcopy(view)
        choice = scheduler.schedule(view)
        assert same(view, before), "schedule() changed the view"
        if choice is None:
            controller.wait()
        elif choice is FINISH:
            controller.finish()
        else:
            expected = "an Assignment, None or FINISH"
            assert isinstance(choice, Assignment), f"schedule() gave {choice!r}, expected {expected}"
            nodes, layers = view.legal.shape
            inside = 0 <= choice.node < nodes and 0 <= choice.layer < layers
            legal = inside and view.legal[choice.node, choice.layer]
            assert legal, f"{choice} is not legal: see view.legal"
            job = controller.dispatch(choice)
            controller.complete(job.id, executor.submit(job).result())
        views.append(view)
        choices.append(choice)
    return views, choices
