"""Work along courses: pieces one by one, block by block and whole periods at a time come to the same."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.network.advance import Course, advance
from snakegym.network.traces.trace import Trace


def random_trace(rng, size, most_s=3.0):
    steps = rng.uniform(0.1, most_s, size)
    values = rng.uniform(0.2, 1, size) * rng.integers(0, 2, size)
    return Trace("t", np.cumsum(steps) - steps, values, steps.sum())


def agree(course, start_s, amount, timeout_s):
    """Whether a course comes to what its pieces do, one by one."""
    pieces = ((seconds, course.factor * rate) for seconds, rate in course.segments(start_s))
    slow, quick = advance(pieces, amount, timeout_s), course.advance(start_s, amount, timeout_s)
    assert quick.complete == slow.complete
    assert quick.elapsed_s == pytest.approx(slow.elapsed_s, rel=1e-8)
    assert quick.done == pytest.approx(slow.done, rel=1e-8)
    return quick


@given(
    st.integers(0, 2**32),
    st.integers(1, 400),
    st.integers(1, 400),
    st.floats(0, 1e4),
    st.floats(1e-3, 3e3),
    st.sampled_from([3.0, 9.0, 30.0, 1e4]),
)
def test_quick_and_slow_agree(seed, size, other, start, amount, timeout):
    rng = np.random.default_rng(seed)
    first, second = random_trace(rng, size), random_trace(rng, other, 0.5)
    agree(Course(((first, 7.0),), 2.5), start, amount, timeout)
    agree(Course(((first, 7.0), (second, 0.0))), start, amount, timeout)


@given(st.integers(0, 2**32), st.integers(1, 50), st.floats(0, 1e4), st.floats(0, 1e3))
def test_what_gets_done_within_a_time(seed, size, start, seconds):
    rng = np.random.default_rng(seed)
    first, second = random_trace(rng, size), random_trace(rng, 7, 0.5)
    for course in (Course(((first, 7.0),), 2.5), Course(((first, 7.0), (second, 0.0)))):
        done, left = 0.0, seconds
        for duration, rate in course.segments(start):
            done += course.factor * rate * max(0.0, min(duration, left))
            left -= duration
            if left <= 0:
                break
        assert course.within(start, seconds) == pytest.approx(done, rel=1e-6, abs=1e-6)


def test_outages_late_in_a_long_course_are_found():
    values = np.ones(3000)
    values[2000:2011] = 0
    trace, steady = Trace("t", np.arange(3000.0), values), Trace("s", np.arange(7.0), np.ones(7))
    for course in (Course(((trace, 0.0),)), Course(((trace, 0.0), (steady, 0.0)))):
        assert agree(course, 0.0, 1e5, 10.5).elapsed_s == 2010.5
        assert agree(course, 0.0, 2500.0, 11.0).elapsed_s == 2511


@pytest.mark.parametrize("second", [None, Trace("b", np.arange(300) * 0.01, np.ones(300), 3.0)])
def test_a_month_in_small_steps_takes_no_time_to_find_out(second):
    trace = Trace("a", np.arange(701) * 0.01, np.tile([1.0, 0.5], 351)[:701], 7.01)
    courses = [(trace, 0.0)] if second is None else [(trace, 0.0), (second, 0.0)]
    began = time.process_time()
    progress = Course(tuple(courses)).advance(0.0, 30 * 86400 * trace.mean, 10.0)
    assert time.process_time() - began < 5
    assert progress.elapsed_s == pytest.approx(30 * 86400, rel=1e-5)


def test_amounts_beyond_all_measure_stay_finite():
    trace, half = Trace("t", [0, 1], [1.0, 0.0], 2), Trace("h", [0, 1], [0.0, 1.0], 2)
    assert Course(((trace, 0.0),)).advance(0.0, 1e300, 10.0).elapsed_s == pytest.approx(2e300)
    assert Course(((trace, 0.0), (trace, 0.0))).advance(0.0, 1e300, 10.0).elapsed_s == pytest.approx(2e300)
    nothing = Course(((trace, 0.0), (half, 0.0))).advance(0.0, 1.0, 1e300)
    assert (nothing.complete, nothing.elapsed_s) == (False, 1e300)
    empty = Trace("e", [0, 1], [0.0, 0.0], 2)
    assert not Course(((empty, 0.0),)).advance(0.0, 1.0, 1e300).complete
