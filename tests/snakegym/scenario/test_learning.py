import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.scenario import LearningConfig


def rates(n, **settings):
    config = LearningConfig.model_validate({"learning_rate": 0.1, **settings})
    return [config.rate(cycle) for cycle in range(n)]


def test_schedules_by_hand():
    assert rates(3, schedule="constant") == [0.1, 0.1, 0.1]
    assert rates(3, decay=0.5) == [0.1, 0.05, 0.025]
    cosine = rates(6, schedule="cosine", cosine_cycles=4)
    expected = [0.1 * (1 + math.cos(math.pi * k / 4)) / 2 for k in (0, 1, 2, 3, 3, 3)]
    assert cosine == pytest.approx(expected)


@given(st.sampled_from(["constant", "exponential", "cosine"]), st.integers(1, 20), st.floats(0.1, 1))
def test_rates_start_at_the_learning_rate_fall_and_stay_positive(schedule, cycles, decay):
    found = rates(30, schedule=schedule, cosine_cycles=cycles, decay=decay)
    assert found[0] == 0.1
    assert all(a >= b > 0 for a, b in itertools.pairwise(found))
