"""How trials are chosen and stopped; no training is needed to see it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

pytest.importorskip("optuna")

from snakegym.training.sweep.search import Seen, choose, importances, to_be_stopped
from snakegym.training.sweep.sweepfile import Stopping, Sweep, parse_sweep


def a_sweep(method: str, **parameters: Any) -> Sweep:
    lines = "\n".join(f"  {name}: {text}" for name, text in parameters.items())
    return parse_sweep(
        f"program: snakegym\ncommand: [snakegym, train, '${{args}}']\nmethod: {method}\n"
        f"metric: {{name: validation/return, goal: maximize}}\nparameters:\n{lines}\n",
        "a.yaml",
    )


SWEEP = {"gamma": "{min: 0.0, max: 1.0}", "n_steps": "{values: [1, 2, 3]}", "seed": "{value: 1}"}


def search(sweep: Sweep, trials: int, seed: int = 0) -> list[Seen]:
    """Best where gamma is 0.3, whatever the others are."""
    seen: list[Seen] = []
    for number in range(trials):
        variables = choose(sweep, number, seed, seen)
        seen.append(Seen(variables, (), -abs(variables["gamma"] - 0.3), True))
    return seen


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_the_same_seed_chooses_the_same(method: str) -> None:
    sweep = a_sweep(method, **SWEEP)
    first, again, other = (search(sweep, 15, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_bayes_comes_nearer_than_chance() -> None:
    late = {m: [s.value or 0 for s in search(a_sweep(m, **SWEEP), 40)[20:]] for m in ("random", "bayes")}
    assert sum(late["bayes"]) > sum(late["random"])


def test_workers_at_the_same_time_try_different_settings() -> None:
    sweep = a_sweep("bayes", **SWEEP)
    seen = search(sweep, 20)
    running: list[Seen] = []
    for number in range(20, 26):
        running.append(Seen(choose(sweep, number, 0, [*seen, *running])))
    gammas = sorted(s.variables["gamma"] for s in running)
    assert min(b - a for a, b in itertools.pairwise(gammas)) > 0


def test_a_failed_trial_is_no_reason_to_stop() -> None:
    sweep = a_sweep("bayes", **SWEEP)
    failed = [Seen(choose(sweep, n, 0, []), (), None, True) for n in range(12)]
    assert 0 <= choose(sweep, 12, 0, failed)["gamma"] <= 1


def test_halving_goes_by_the_nth_logged_value() -> None:
    stopping = Stopping(min_iter=2, eta=3)
    good = [Seen({}, (0.0, value, value), value, True) for value in (5.0, 6.0, 7.0, 8.0, 9.0)]
    assert not to_be_stopped(stopping, True, [0.0], good), "not before the first look"
    assert to_be_stopped(stopping, True, [0.0, 1.0], good)
    assert not to_be_stopped(stopping, True, [0.0, 9.5], good)
    assert to_be_stopped(stopping, False, [0.0, 9.5], good)
    assert not to_be_stopped(stopping, True, [9.0, 1.0], []), "nobody to compare with"


def test_what_matters_is_found() -> None:
    sweep = a_sweep("random", gamma="{min: 0.0, max: 1.0}", ent_coef="{min: 0.0, max: 1.0}")
    shares = importances(sweep, search(sweep, 60), 0)
    assert list(shares) == ["gamma", "ent_coef"]
    assert shares["gamma"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_nothing_can_be_told_of_trials_that_are_all_alike() -> None:
    sweep = a_sweep("random", gamma="{min: 0.0, max: 1.0}")
    assert importances(sweep, search(sweep, 2), 0) == {}
    alike = [Seen(s.variables, (), 1.0, True) for s in search(sweep, 10)]
    assert importances(sweep, alike, 0) == {}
