"""Sweep files as published are read; what is unknown in one is refused by name, before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.training.sweep.plan import check, training_of
from snakegym.training.sweep.sweepfile import KEYS, list_sweeps, load_sweep, parse_sweep

Run = Callable[..., tuple[int, str, str]]
Write = Callable[..., str]


@pytest.mark.parametrize("name", list_sweeps())
def test_those_that_ship_can_be_run(name: str) -> None:
    sweep = load_sweep(name)
    check(sweep, name)
    assert sweep.metric == "validation/best_return"


def test_all_points_of_a_grid_differ() -> None:
    sweep = load_sweep("nodes")
    points = [tuple(sweep.values(sweep.point(n)).items()) for n in range(sweep.n_points)]
    assert len(set(points)) == len(points) == 18


def test_numbers_are_read_as_numbers_and_given_as_options() -> None:
    text = """
        program: snakegym
        command: ["${env}", "${interpreter}", "-m", "snakegym.training.cli", train, "--seed=3", "${args}"]
        method: random
        parameters:
          learning_rate: {distribution: log_uniform_values, min: 1e-4, max: 1e-2}
          net_arch: {values: [[64, 64], [32]]}
          policy: {value: mlp}
          target_kl: {values: [null, 0.1]}
    """
    sweep = parse_sweep(text, "a.yaml")
    variables = {"learning_rate": 1e-3, "net_arch": 0, "policy": 0, "target_kl": 0}
    config = training_of(sweep, sweep.values(variables))
    assert config.seed == 3
    assert config.ppo.given() == {
        "learning_rate": 1e-3,
        "net_arch": (64, 64),
        "policy": "mlp",
        "target_kl": 0,
    }


@pytest.mark.parametrize(
    ("brackets", "first"), [({"min_iter": 3, "eta": 2}, (3, 2)), ({"max_iter": 27, "s": 2}, (3, 3))]
)
def test_hyperband_looks_where_w_and_b_looks(
    sweep_file: Write, brackets: dict[str, int], first: tuple[int, int]
) -> None:
    stopping = load_sweep(sweep_file(early_terminate={"type": "hyperband", **brackets})).stopping
    assert stopping is not None
    assert (stopping.min_iter, stopping.eta) == first


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"metod": "grid"}, "unknown key 'metod'"),
        ({"method": "evolution"}, "method: found 'evolution'"),
        ({"metric": {"name": "accuracy", "goal": "maximize"}}, "metric.name: found 'accuracy'"),
        ({"metric": {"name": "validation/return", "goal": "max"}}, "metric.goal: found 'max'"),
        ({"metric": {"name": "validation/return", "aim": 1}}, "metric: unknown key 'aim'"),
        ({"method": "bayes", "metric": None}, "metric: found None"),
        ({"parameters": {"learning_rat": {"value": 1}}}, "parameters.learning_rat: unknown"),
        ({"parameters": {"gamma": {"values": [0.5, 7]}}}, "--gamma: found 7"),
        ({"parameters": {"gamma": {"value": "much"}}}, "--gamma=much"),
        ({"parameters": {"network.knots": {"value": 3}}}, "network.knots"),
        ({"parameters": {"timesteps": {"value": 3}}}, "--timesteps: found it twice"),
        ({"parameters": {"out": {"value": "x"}}}, "the sweep sets itself"),
        ({"parameters": {"gamma": {"min": 0.1, "max": 0.9}}}, "range without steps"),
        ({"command": ["python", "mine.py", "${args}"]}, "expected one that runs `snakegym train`"),
        ({"command": ["snakegym", "train"]}, "found none of ${args}"),
        ({"command": ["snakegym", "train", "${args_json}", "${args}"]}, "${args_json}"),
        ({"command": None}, "expected one that runs `snakegym train`"),
        ({"run_cap": 0}, "run_cap: found 0"),
        ({"early_terminate": {"type": "median"}}, "expected the type hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "expected min_iter, or max_iter with s"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 1}}, "early_terminate.eta: found 1"),
        (
            {
                "early_terminate": {"type": "hyperband", "min_iter": 1},
                "metric": {"name": "best_validation_return", "goal": "maximize"},
            },
            "known at the end alone",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(
    snakegym: Run, sweep_file: Write, tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    status, _, err = snakegym("sweep", sweep_file(**changed), "--out", "out", "--wandb", "disabled")
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "mine.yaml" in err
    assert named in err
    assert not (tmp_path / "out").exists()


def test_somebody_has_to_say_how_many(snakegym: Run, sweep_file: Write) -> None:
    status, _, err = snakegym("sweep", sweep_file(method="random"), "--out", "out")
    assert status == 2
    assert "--trials: found none" in err


def test_an_unknown_name_lists_those_that_ship(snakegym: Run) -> None:
    status, _, err = snakegym("sweep", "everything", "--out", "out")
    assert status == 2
    assert "nodes, ppo, weights" in err


WORDS = [
    "grid",
    "1e-4",
    "${args}",
    "uniform",
    "log_uniform",
    "q_beta",
    "hyperband",
    "gamma",
    "validation/return",
]
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from([*WORDS, 0, -1, 10**30, 1e300]),
)
NAMES = st.sampled_from(
    ["distribution", "min", "max", "value", "values", "probabilities", "q", "mu", "a", "type"]
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=6,
)


def one_line(attempt: Callable[[], None]) -> None:
    """It succeeds, or fails with one line that names the file."""
    said = "hostile.yaml"
    try:
        attempt()
    except SnakegymError as error:
        said = str(error)
    assert said.startswith("hostile.yaml")
    assert "\n" not in said


@settings(deadline=None, max_examples=200)
@given(
    st.dictionaries(st.sampled_from([*KEYS]), VALUES, max_size=2),
    st.sampled_from(["gamma", "net_arch", "network.nodes", "scenario", "set", "resume"]),
    st.dictionaries(NAMES, VALUES, max_size=4),
)
def test_hostile_files_are_answered_in_one_line(
    changed: dict[str, Any], name: str, parameter: dict[str, Any]
) -> None:
    document: dict[str, Any] = {
        "command": ["snakegym", "train", "${args}"],
        "method": "random",
        "parameters": {name: parameter},
    }
    one_line(lambda: check(parse_sweep(yaml.safe_dump(document | changed), "hostile.yaml"), "hostile.yaml"))
