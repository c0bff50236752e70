"""One rule of what a hop trains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.models.trained import TrainedSet


@pytest.mark.parametrize(
    ("trains", "tied", "expected"),
    [
        ("both-ends", False, (0, 2, 4)),
        ("last", False, (2, 4)),
        ("middle", False, (2,)),
        ("both-ends", True, (0, 2, 4)),
        ("last", True, (0, 2, 4)),
        ("middle", True, (2,)),
    ],
)
def test_by_hand(trains, tied, expected):
    assert TrainedSet(5, trains, tied).of(1) == expected


@given(st.integers(3, 40), st.sampled_from(["both-ends", "last", "middle"]), st.booleans())
def test_hops_differ_in_the_middle_layer_alone(n_layers, trains, tied):
    rule = TrainedSet(n_layers, trains, tied)
    for middle in range(n_layers - 2):
        layers = rule.of(middle)
        assert list(layers) == sorted({*layers})
        assert {*layers} - {*rule.ends} == {middle + 1}
