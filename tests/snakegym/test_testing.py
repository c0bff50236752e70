"""Our own parts keep the contracts that others test theirs with, and what breaks them is noticed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from snakegym.agents.registry import is_privileged, list_schedulers, make_scheduler
from snakegym.control.records import Assignment, Job, Outcome
from snakegym.control.service import load_service
from snakegym.models.layered import LayeredModel
from snakegym.models.zoo import build_model
from snakegym.scenario import ModelConfig, Scenario, load_scenario
from snakegym.testing import Process, check_executor, check_model, check_scheduler


def small(mode: str = "p2p", parallel: int = 1) -> Scenario:
    default = load_scenario("default").model_dump()
    default["network"].update(nodes=4, mode=mode)
    default["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    default["process"].update(parallel=parallel, layer_order="free")
    default["learning"]["epochs"] = 1
    return Scenario.model_validate(default)


@pytest.mark.parametrize("name", [n for n in list_schedulers() if not is_privileged(n)])
def test_registered_schedulers(name: str) -> None:
    check_scheduler(partial(make_scheduler, name), small())


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("mlp", (1, 8, 8), {"width": 8, "middle": 3}),
        ("blocks", (1, 8, 8), {"width": 8, "middle": 3, "largest": 32}),
        ("vgg", (1, 8, 8), {"width": 8}),
        ("vgg11", (3, 32, 32), {"width": 0.1, "hidden": 64}),
    ],
)
def test_models_of_the_zoo(name: str, shape: tuple[int, ...], options: dict[str, Any]) -> None:
    check_model(build_model(ModelConfig(name=name, options=options), shape, 10), shape, 10)


@pytest.mark.parametrize(("mode", "parallel"), [("p2p", 1), ("cs", 1), ("cs", 3)])
def test_the_simulated_executor(mode: str, parallel: int) -> None:
    check_executor(starting(mode, parallel))


def starting(mode: str = "p2p", parallel: int = 1, change: Callable[[Outcome], Outcome] | None = None) -> Any:
    class Changed:
        def __init__(self, executor: Any) -> None:
            self.executor = executor

        def submit(self, job: Job) -> Future[Outcome]:
            outcome: Outcome = self.executor.run(job)
            done: Future[Outcome] = Future()
            done.set_result(change(outcome) if change else outcome)
            return done

    def start() -> Process:
        controller, executor = load_service(small(mode, parallel)).start(np.random.default_rng(0))
        return controller, Changed(executor)

    return start


class First:
    """Always the first legal pair."""

    def __init__(self, scenario: Scenario) -> None:
        pass

    def reset(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def schedule(self, view: Any) -> Any:
        legal = np.argwhere(view.legal)
        return Assignment(*map(int, legal[0])) if len(legal) else None


class Illegal(First):
    def schedule(self, view: Any) -> Any:
        return Assignment(99, 0)


class Pairs(First):
    def schedule(self, view: Any) -> Any:
        return (0, 0)


class Hasty(First):
    def schedule(self, view: Any) -> Any:
        return super().schedule(view) or Assignment(0, 0)


class Moody(First):
    """Its randomness is not the seed's."""

    rng_of_all = np.random.default_rng(0)

    def schedule(self, view: Any) -> Any:
        legal = np.argwhere(view.legal)
        return Assignment(*map(int, self.rng_of_all.choice(legal))) if len(legal) else None


class GlobalRandom(First):
    def schedule(self, view: Any) -> Any:
        np.random.random()  # noqa: NPY002
        return super().schedule(view)


class Meddler(First):
    def schedule(self, view: Any) -> Any:
        view.nodes.visits.flags.writeable = True
        view.nodes.visits[:] += 1
        return super().schedule(view)


@pytest.mark.parametrize(
    ("scheduler", "said"),
    [
        (Illegal, "is not legal"),
        (Pairs, "expected an Assignment, None or FINISH"),
        (Hasty, "instead of None"),
        (Moody, "after reset"),
        (GlobalRandom, "numpy's global generator"),
        (Meddler, "changed the view"),
        (lambda scenario: object(), "no reset"),
    ],
)
def test_a_scheduler_that_breaks_a_promise_is_told_which(scheduler: Any, said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_scheduler(scheduler, small())
    check_scheduler(First, small())


class Centred(nn.Module):
    """Takes the mean of the batch off: samples depend on each other."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x - x.mean(0))


class Dead(nn.Linear):
    """Its parameters are not used."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class Drawing(nn.Linear):
    """Draws from the global generator."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) + 1e-9 * torch.rand(1)


@pytest.mark.parametrize(
    ("middle", "said"),
    [
        (Centred, "samples beside it"),
        (partial(Dead, 8, 8), "did not change"),
        (partial(Drawing, 8, 8), "global generator|another result"),
        (nn.ReLU, "no parameters"),
    ],
)
def test_a_model_that_breaks_a_promise_is_told_which(middle: Callable[[], nn.Module], said: str) -> None:
    layers = [nn.Linear(4, 8), middle(), nn.Linear(8, 3)]
    with pytest.raises(AssertionError, match=said):
        check_model(LayeredModel(layers), (4,), 3)
    check_model(LayeredModel([nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)]), (4,), 3)


def _forgets(outcome: Outcome) -> Outcome:
    number = max(version for _, version in outcome.layers)
    return replace(outcome, layers={(i, number): layer for i, layer in enumerate(outcome.layers.values())})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_forgets, "changed, but are frozen"),
        (lambda o: replace(o, layers={(i, 99): o.layers[i, v] for i, v in o.layers}), "came in version 99"),
        (lambda o: replace(o, layers={key: {"x": torch.ones(1)} for key in o.layers}), "names or shapes"),
        (lambda o: replace(o, metric=1.5), "expected a share"),
        (lambda o: replace(o, batches=10**6), "batches of"),
        (lambda o: replace(o, loss=float("nan")), "loss nan"),
        (lambda o: replace(o, delivered=False), "no update was delivered"),
        (lambda o: replace(o, phases=replace(o.phases, compute_s=-1.0)), "below 0"),
        (
            lambda o: replace(o, phases=replace(o.phases, bytes_lost=o.phases.bytes_sent + 9)),
            "neither received",
        ),
    ],
)
def test_an_executor_that_breaks_a_promise_is_told_which(
    change: Callable[[Outcome], Outcome], said: str
) -> None:
    with pytest.raises(AssertionError, match=said):
        check_executor(starting(change=change))
