"""Distributions mean what Weights & Biases says they mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.training.sweep.parameters import Parameter, read_parameters


def read(**fields: Any) -> Parameter:
    (parameter,) = read_parameters({"x": fields})
    return parameter


def sample(parameter: Parameter, share: float) -> Any:
    """The value at that share of the searched range."""
    low, high = parameter.low, parameter.high
    if parameter.kind == "logarithmic":
        return parameter.value(math.exp(math.log(low) + share * (math.log(high) - math.log(low))))
    return parameter.value(low + share * (high - low))


def test_bounds_of_log_uniform_are_exponents_and_those_of_its_values_are_values() -> None:
    exponents = read(distribution="log_uniform", min=-2, max=1)
    assert (exponents.low, exponents.high) == pytest.approx((math.exp(-2), math.e))
    values = read(distribution="log_uniform_values", min=1e-4, max=1e-2)
    assert (values.low, values.high) == (1e-4, 1e-2)
    inverse = read(distribution="inv_log_uniform", min=-2, max=1)
    assert (inverse.low, inverse.high) == pytest.approx((math.exp(-1), math.exp(2)))


def test_texts_that_are_numbers_are_numbers() -> None:
    assert read(distribution="log_uniform_values", min="1e-4", max="0.01").low == 1e-4


def test_whole_bounds_are_whole_numbers() -> None:
    assert read(min=1, max=4).points() == [1, 2, 3, 4]
    assert read(min=1, max=4).kind == "integer"
    assert read(min=1, max=4.0).kind == "number"


@given(st.floats(0, 1), st.sampled_from([0.5, 1, 3]))
def test_q_forms_are_multiples(share: float, q: float) -> None:
    for fields in (
        {"distribution": "q_uniform", "min": 0, "max": 10},
        {"distribution": "q_log_uniform", "min": 0, "max": 3},
        {"distribution": "q_log_uniform_values", "min": 1, "max": 20},
        {"distribution": "q_normal", "mu": 4, "sigma": 2},
        {"distribution": "q_beta", "a": 2, "b": 3},
    ):
        value = sample(read(**fields, q=q), share)
        assert value / q == pytest.approx(round(value / q))


def test_steps_are_a_grid() -> None:
    assert read(distribution="q_uniform", min=0, max=0.5, q=0.1).points() == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert [read(values=["a", [64, 64], None]).value(i) for i in range(3)] == ["a", [64, 64], None]


def test_probabilities_are_shares() -> None:
    parameter = read(values=["often", "seldom"], probabilities=[0.75, 0.25])
    drawn = [sample(parameter, share) for share in np.linspace(0, 1, 1000)]
    assert drawn.count("often") == pytest.approx(750, abs=2)


def test_the_normal_has_its_median_and_quartiles() -> None:
    parameter = read(distribution="normal", mu=3, sigma=2)
    assert sample(parameter, 0.5) == pytest.approx(3)
    assert sample(parameter, 0.75) - 3 == pytest.approx(0.6745 * 2, rel=1e-3)
    assert sample(read(distribution="log_normal", mu=3, sigma=2), 0.5) == pytest.approx(math.exp(3))
    assert all(math.isfinite(sample(parameter, share)) for share in (0, 1))


def test_nested_parameters_have_dots_in_their_names() -> None:
    found = read_parameters(
        {"network": {"parameters": {"nodes": {"values": [3, 4]}, "mode": {"value": "cs"}}}}
    )
    assert [p.name for p in found] == ["network.nodes", "network.mode"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"distribution": "cauchy"}, "unknown distribution 'cauchy'"),
        ({"values": []}, "x.values: found []"),
        ({"min": 1}, "no 'max'"),
        ({"min": 3, "max": 1}, "min 3 and max 1"),
        ({"min": 0, "max": 1, "distribution": "log_uniform_values"}, "x.min: found 0"),
        ({"min": 0, "max": 1000, "distribution": "log_uniform"}, "exponents of e"),
        ({"min": "low", "max": 1}, "x.min: found 'low'"),
        ({"value": 1, "values": [1]}, "found 'values'"),
        ({"values": [1, 2], "probabilities": [0.5]}, "one for each value"),
        ({"values": [1, 2], "probabilities": [0.5, 0.6]}, "add up to 1"),
        ({"distribution": "normal", "sigma": 0}, "expected above 0"),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0}, "x.q: found 0"),
        ({"step": 1}, "expected value, values, or min and max"),
        ({"parameters": {"y": {"value": 1}}, "value": 2}, "'value' beside 'parameters'"),
    ],
)
def test_what_is_wrong_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(SnakegymError) as error:
        read(**fields)
    assert named in str(error.value)
    assert "x" in str(error.value)


def test_a_grid_needs_steps() -> None:
    with pytest.raises(SnakegymError, match="range without steps"):
        read(min=0.0, max=1.0).points()
