"""Work from many starts at once comes to what it comes to from each of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snakegym.network.advance import Course
from snakegym.network.curve import Curve
from snakegym.network.traces.trace import Trace

END_S = 200.0


def random_trace(rng, size):
    steps = rng.uniform(0.1, 3, size)
    values = rng.uniform(0.2, 1, size) * rng.integers(0, 2, size)
    return Trace("t", np.cumsum(steps) - steps, values, steps.sum())


@given(
    st.integers(0, 2**32),
    st.integers(1, 60),
    st.booleans(),
    st.sampled_from([0.5, 3.0, 9.0, 1e4]),
)
def test_agrees_with_the_course(seed, size, two, timeout_s):
    rng = np.random.default_rng(seed)
    traces = [(random_trace(rng, size), 7.0), (random_trace(rng, 13), 2.0)][: 1 + two]
    course = Course(tuple(traces), 2.5)
    starts, amounts = rng.uniform(0, END_S, 30), rng.choice([0.0, 0.1, 3.0, 50.0], 30)
    found = Curve(course, END_S, timeout_s).advance(starts, amounts)
    for i, (start_s, amount) in enumerate(zip(starts.tolist(), amounts.tolist(), strict=True)):
        expected = course.advance(start_s, amount, timeout_s)
        if start_s + expected.elapsed_s > END_S - 1e-6:
            assert not found.complete[i]
            assert np.isinf(found.elapsed_s[i])
            continue
        assert found.complete[i] == expected.complete
        np.testing.assert_allclose(found.elapsed_s[i], expected.elapsed_s, rtol=1e-7, atol=1e-7)
        np.testing.assert_allclose(found.done[i], expected.done, rtol=1e-7, atol=1e-7)


def test_what_never_begins_never_ends():
    curve = Curve(Course(((Trace("t", [0.0], [2.0]), 0.0),)), 10.0, 1.0)
    found = curve.advance(np.array([np.inf, 3.0, 3.0]), np.array([0.0, 0.0, 4.0]))
    np.testing.assert_array_equal(found.elapsed_s, [np.inf, 0.0, 2.0])
    np.testing.assert_array_equal(found.complete, [False, True, True])
