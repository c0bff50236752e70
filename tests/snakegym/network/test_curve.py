"""Work from many starts at once comes to what it comes to from each of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snakegym.network.advance import Course
from snakegym.network.curve import Curves
from snakegym.network.traces.trace import Trace

END_S = 200.0


def random_trace(rng, size):
    steps = rng.uniform(0.1, 3, size)
    values = rng.uniform(0.2, 1, size) * rng.integers(0, 2, size)
    return Trace("t", np.cumsum(steps) - steps, values, steps.sum())


@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.integers(1, 60), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([0.5, 3.0, 9.0, 1e4]),
)
def test_agrees_with_the_courses(seed, kinds, timeout_s):
    rng, courses = np.random.default_rng(seed), []
    for size, two in kinds:
        traces = [(random_trace(rng, size), 7.0), (random_trace(rng, 13), 2.0)][: 1 + two]
        courses.append(Course(tuple(traces), 10 ** rng.uniform(-3, 6)))
    starts, rows = rng.uniform(0, END_S, 30), rng.integers(len(courses), size=30)
    factors = np.array([course.factor for course in courses])[rows]
    amounts = factors * rng.choice([0.0, 0.1, 1.2, 20.0], 30)
    curves = Curves(courses, END_S, timeout_s)
    found = curves.advance(starts, amounts, rows)
    for i, (start_s, amount, row) in enumerate(
        zip(starts.tolist(), amounts.tolist(), rows.tolist(), strict=True)
    ):
        expected = courses[row].advance(start_s, amount, timeout_s)
        assert curves.rate(starts, rows)[i] == courses[row].factor * courses[row].block(start_s, 1e-9)[1][0]
        if start_s + expected.elapsed_s > END_S - 1e-6:
            assert not found.complete[i]
            assert np.isinf(found.elapsed_s[i])
            continue
        assert found.complete[i] == expected.complete
        np.testing.assert_allclose(found.elapsed_s[i], expected.elapsed_s, rtol=1e-7, atol=1e-6)
        np.testing.assert_allclose(found.done[i], expected.done, rtol=1e-7, atol=1e-7 * factors[i])


def test_what_never_begins_never_ends():
    curve = Curves([Course(((Trace("t", [0.0], [2.0]), 0.0),))], 10.0, 1.0)
    found = curve.advance(np.array([np.inf, 3.0, 3.0]), np.array([0.0, 0.0, 4.0]))
    np.testing.assert_array_equal(found.elapsed_s, [np.inf, 0.0, 2.0])
    np.testing.assert_array_equal(found.complete, [False, True, True])
