import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.network.bank import TraceBank
from snakegym.network.traces.trace import Trace


def random_bank(rng, n):
    pool = []
    for k in range(max(1, n // 2)):  # fewer traces than rows: some are shared
        size = rng.integers(1, 20)
        steps = rng.uniform(0.1, 30, size)
        times = np.cumsum(steps) - steps
        pool.append(Trace(f"t{k}", times, rng.random(size) * rng.integers(0, 2, size), times[-1] + steps[-1]))
    chosen = [pool[i] for i in rng.integers(len(pool), size=n)]
    offsets = rng.uniform(0, 1000, n)
    return TraceBank(chosen, offsets), chosen, offsets


@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.floats(0, 1e5),
    st.lists(st.floats(0.1, 1e4), min_size=1, max_size=5),
)
def test_bank_agrees_with_its_traces(seed, n, start, spans):
    bank, traces, offsets = random_bank(np.random.default_rng(seed), n)
    edges = np.cumsum([start, *spans])
    now, means, ups = bank.look_back(edges)
    assert means.shape == ups.shape == (len(spans), n)
    for row, (t, o) in enumerate(zip(traces, offsets, strict=True)):
        assert now[row] == t.at(o + edges[-1])
        areas, up_areas = (p.integral(o + edges[:-1], o + edges[1:]) for p in (t, t.presence))
        np.testing.assert_allclose(means[:, row], areas / np.diff(edges), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(ups[:, row], up_areas / np.diff(edges), rtol=1e-6, atol=1e-5)
    assert len(bank) == n
    assert (means >= 0).all()
    assert ((ups >= 0) & (ups <= 1)).all()


def test_the_share_of_time_that_there_was_anything_by_hand():
    bank = TraceBank([Trace("half", [0, 10, 15], [4, 0, 2], 20), Trace("never", [0], [0])], 0.0)
    _, means, ups = bank.look_back([5, 12, 20, 40])
    np.testing.assert_allclose(ups, [[5 / 7, 0], [5 / 8, 0], [15 / 20, 0]])
    np.testing.assert_allclose(means[:, 0], [20 / 7, 10 / 8, 50 / 20])


def test_what_follows_stands_in_for_stretches_without_a_length():
    bank = TraceBank([Trace("t", [0, 10, 15], [4, 0, 2], 20)], 0.0)
    now, means, ups = bank.look_back([0, 0, 10, 10, 15, 15])
    np.testing.assert_allclose(means[:, 0], [4, 4, 0, 0, 2])  # the last one: the present value
    np.testing.assert_allclose(ups[:, 0], [1, 1, 0, 0, 1])
    assert now == [2]


def test_present_values_by_hand():
    slow, fast = Trace("slow", [0, 100], [1, 2], 200), Trace("fast", [0, 1, 2], [5, 6, 7], 3)
    bank = TraceBank([slow, fast, slow], [0, 1, 150])
    np.testing.assert_array_equal(bank.at(0), [1, 6, 2])
    np.testing.assert_array_equal(bank.at(1), [1, 7, 2])
    np.testing.assert_array_equal(bank.at(100), [2, 7, 1])  # fast: 101 mod 3 = 2
    np.testing.assert_allclose(bank.look_back([0, 3])[1], [[1, 6, 2]])
    np.testing.assert_allclose(bank.look_back([99, 101])[1], [[1.5, 6.5, 1]])  # fast: 6, then 7


@pytest.mark.parametrize("time", [0.0, 0.1, 1e-9, 86399.99999999999, 86400.0, 1e9, 1e30, 1e300])
@pytest.mark.parametrize("times", [[0, 0.1], [0, 0.1, 0.25]])
def test_rounding_never_leaves_the_own_trace(time, times):
    bank = TraceBank([Trace(f"t{i}", times, [i] * len(times), 0.3) for i in range(50)], 0.0)
    np.testing.assert_array_equal(bank.at(time), np.arange(50))
    values, means, ups = bank.look_back([time / 2, time, time + 1])
    np.testing.assert_array_equal(values, np.arange(50))
    assert (means >= 0).all()
    assert (means <= np.arange(50)).all()
    assert (ups >= 0).all()
    assert (ups <= (np.arange(50) > 0)).all()
