import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from snakegym.data.divergence import divergence, js_distance, js_distances, kl_divergence

counts = arrays(np.int64, (4, 5), elements=st.integers(0, 20))


@given(counts, arrays(np.int64, 5, elements=st.integers(0, 20)))
def test_agrees_with_scipy(rows, reference):
    found = js_distance(rows, reference)
    assert found.shape == (4,)
    for row, distance in zip(rows, found, strict=True):
        known = row.sum() > 0 and reference.sum() > 0
        assert distance == pytest.approx(jensenshannon(row, reference, base=2) if known else 0, abs=1e-7)


@given(counts, st.floats(0.01, 100))
def test_bounds_and_scale_invariance(rows, factor):
    distance = js_distance(rows, rows[0])
    assert ((distance >= 0) & (distance <= 1)).all()
    assert js_distance(rows * factor, rows[0]) == pytest.approx(distance, abs=1e-6)


@given(counts, arrays(np.int64, (3, 5), elements=st.integers(0, 20)))
def test_many_references_at_once(rows, references):
    found = js_distances(rows, references)
    assert found == pytest.approx(np.stack([js_distance(rows, one) for one in references]), abs=1e-7)


def test_known_values():
    rows = [[1, 0], [0, 1], [1, 1], [0, 0]]
    assert js_distance(rows, [5, 0]) == pytest.approx(
        [0, 1, np.sqrt(0.5 * (0.5 * np.log2(2 / 3) + 0.5) + 0.5 * np.log2(4 / 3)), 0]
    )


@given(counts, arrays(np.int64, 5, elements=st.integers(0, 20)))
def test_kl_agrees_with_scipy(rows, reference):
    found = kl_divergence(rows, reference)
    for row, value in zip(rows, found, strict=True):
        known = row.sum() > 0 and reference.sum() > 0
        assert value == pytest.approx(entropy(row, reference, base=2) if known else 0, abs=1e-9)


def test_kl_known_values():
    assert kl_divergence([[1, 1], [0, 2], [2, 0], [0, 0]], [3, 1]).tolist() == pytest.approx(
        [0.5 * np.log2(2 / 3) + 0.5, 2, np.log2(4 / 3), 0]
    )
    assert kl_divergence([[1, 1]], [1, 0]).tolist() == [np.inf]


def test_measure_is_chosen_by_name():
    rows, reference = [[1, 3], [4, 0]], [2, 1]
    assert (divergence("js", rows, reference) == js_distance(rows, reference)).all()
    assert (divergence("kl", rows, reference) == kl_divergence(rows, reference)).all()
