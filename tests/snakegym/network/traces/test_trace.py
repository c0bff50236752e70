import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.network.advance import advance
from snakegym.network.traces.trace import LinkTrace, Trace, TraceLibrary

SPLITS = ("train", "validation", "test")


@st.composite
def traces(draw, largest=1e6):
    steps = draw(st.lists(st.floats(0.01, 100), min_size=1, max_size=12))
    values = draw(
        st.lists(st.just(0.0) | st.floats(largest / 1e4, largest), min_size=len(steps), max_size=len(steps))
    )
    times = np.cumsum([0.0, *steps[:-1]])
    return Trace("random", times, values, float(times[-1] + steps[-1]))


def make(values, **kwargs):
    return Trace("t", np.arange(len(values)), values, **kwargs)


def test_values_hold_until_the_next_time_and_then_repeat():
    trace = Trace("t", [100, 110, 130], [1, 2, 3], period_s=40)
    np.testing.assert_array_equal(trace.times_s, [0, 10, 30])
    np.testing.assert_array_equal(
        trace.at([0, 9.99, 10, 29, 30, 39.9, 40, 50, 75]), [1, 1, 2, 2, 3, 3, 1, 2, 3]
    )


def test_default_period_adds_the_median_step():
    assert Trace("t", [0, 1, 2, 8], [1, 1, 1, 1]).period_s == 9
    assert Trace("t", [5], [1]).period_s == 1


def test_integral_by_hand():
    trace = Trace("t", [0, 10, 30], [1, 2, 3], period_s=40)
    assert trace.integral(0, 40) == 10 + 40 + 30
    assert trace.integral(5, 12) == 5 + 4
    assert trace.integral(35, 45) == 15 + 5
    assert trace.integral(0, 400) == 800


@given(traces(), st.floats(0, 1e4), st.floats(0, 1e3), st.floats(0, 1e3))
def test_integral_is_additive_and_grows(trace, start, first, second):
    middle, end = start + first, start + first + second
    whole = trace.integral(start, end)
    scale = 1e-9 * (1 + trace.integral(0, end))
    assert whole == pytest.approx(trace.integral(start, middle) + trace.integral(middle, end), abs=scale)
    assert whole >= -scale


@given(traces(), st.floats(0, 1e3), st.floats(0.01, 500))
def test_segments_sum_to_the_integral(trace, start, span):
    area, left = 0.0, span
    for duration, value in trace.segments(start):
        assert duration > 0
        area += min(duration, left) * value
        left -= duration
        if left <= 0:
            break
    assert area == pytest.approx(trace.integral(start, start + span), rel=1e-6, abs=1e-3)


@given(traces(), st.floats(0, 1e3), st.floats(1, 1e6))
def test_advance_inverts_the_integral(trace, start, amount):
    progress = advance(trace.segments(start), amount, timeout_s=1e9 if trace.values.any() else 10.0)
    done = trace.integral(start, start + progress.elapsed_s)
    assert done == pytest.approx(progress.done, rel=1e-6, abs=1e-3)
    assert progress.complete == trace.values.any()
    assert not progress.complete or progress.done == amount


def test_copies_share_and_survive_pickling():
    trace = make([1, 2, 3])
    assert copy.deepcopy(trace) is trace
    again = pickle.loads(pickle.dumps(trace))
    assert again.digest == trace.digest
    with pytest.raises(ValueError, match="read-only"):
        trace.values[0] = 5


@pytest.mark.parametrize(
    ("times", "values", "period", "message"),
    [
        ([], [], None, "at least 1"),
        ([0, 1], [1], None, "same length"),
        ([[0, 1]], [[1, 2]], None, "shape"),
        ([0, 1, 1], [1, 1, 1], None, r"times_s\[2\] is 1.0"),
        ([0, 2, 1], [1, 1, 1], None, r"times_s\[2\] is 1.0"),
        ([0, np.nan], [1, 1], None, r"times_s\[1\] is nan"),
        ([0, np.inf], [1, 1], None, r"times_s\[1\] is inf"),
        ([0, 1], [1, -1], None, r"values\[1\] is -1.0"),
        ([0, 1], [np.nan, 1], None, r"values\[0\] is nan"),
        ([0, 1], [1, np.inf], None, r"values\[1\] is inf"),
        ([0, 1], [1, 1], 1.0, "period_s is 1.0"),
        ([0, 1], [1, 1], np.nan, "period_s is nan"),
    ],
)
def test_bad_traces_are_refused_by_name(times, values, period, message):
    with pytest.raises(SnakegymError, match="trace 'bad': ") as error:
        Trace("bad", times, values, period)
    error.match(message)


def library(n, prefix=""):
    rng = np.random.default_rng(5)
    computes = tuple(Trace(f"{prefix}c{i}", [0, 1, 2], rng.random(3)) for i in range(n))
    links = tuple(LinkTrace(t.name, t, t) for t in computes)
    return TraceLibrary(links, computes)


def names(part):
    return {t.name for t in part.computes} | {t.name for t in part.links}


def test_splits_are_disjoint_and_complete():
    whole = library(200)
    parts = [whole.split(s) for s in SPLITS]
    assert sum(len(p.computes) for p in parts) == sum(len(p.links) for p in parts) == 200
    assert set.union(*(names(p) for p in parts)) == names(whole)
    assert [len(p.computes) / 200 for p in parts] == pytest.approx([0.6, 0.2, 0.2], abs=0.1)


def test_splits_survive_renaming_and_adding():
    few, many, renamed = library(30), library(60), library(30, prefix="other/")
    for split in SPLITS:
        part = names(few.split(split))
        assert part == names(many.split(split)) & names(few)
        assert {f"other/{n}" for n in part} == names(renamed.split(split))


@pytest.mark.parametrize("kind", ["link", "compute"])
def test_an_empty_split_says_how_many_traces_there_are(kind):
    plenty, trace = library(40), make([1, 0, 1])
    few = (
        TraceLibrary((LinkTrace("one", trace, trace),), plenty.computes)
        if kind == "link"
        else TraceLibrary(plenty.links, (trace,))
    )
    empty = [split for split in SPLITS if _message(few, split)]
    assert len(empty) == 2
    for split in empty:
        assert f"the {split} split holds none of the 1 {kind} traces" in _message(few, split)


def _message(traces, split):
    try:
        traces.split(split)
    except SnakegymError as error:
        return str(error)
    return ""


def test_unknown_split_and_glob():
    with pytest.raises(SnakegymError, match="unknown split 'dev': expected one of train, validation, test"):
        library(3).split("dev")
    assert names(library(30).select("c1*", "c2?")) == {f"c{i}" for i in (1, *range(10, 30))}
    with pytest.raises(SnakegymError, match=r"no link trace is called 'x\*' \(there are 3 link traces\)"):
        library(3).select(link="x*")


def test_compute_shares_above_one_are_refused():
    with pytest.raises(SnakegymError, match=r"compute trace 't': found 1.5, expected shares"):
        TraceLibrary((), (make([1, 1.5]),))
