import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from snakegym.training.analysis.variance import Shares, decompose

Floats = NDArray[np.float64]


def draw(
    rng: np.random.Generator, deviations: tuple[float, ...], missing: float, n: int = 300
) -> list[Floats]:
    """Tables of 6 nodes, 5 layers and 2 repetitions with known standard deviations, some pairs missing."""
    tables = []
    for _ in range(n):
        shapes = ((6, 1, 1), (1, 5, 1), (6, 5, 1), (6, 5, 2))
        table = sum((d * rng.normal(size=s) for d, s in zip(deviations, shapes, strict=True)), np.zeros(1))
        table[rng.random((6, 5)) < missing] = np.nan
        tables.append(table)
    return tables


def parts(shares: Shares) -> list[float]:
    return [shares.node, shares.layer, shares.both, shares.repetition]


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize(
    "deviations", [(2.0, 1.0, 1.0, 1.0), (1.0, 2.0, 0.0, 0.5), (0.0, 0.0, 1.0, 3.0), (1.0, 0.0, 0.0, 0.0)]
)
def test_shares_of_known_variances(deviations: tuple[float, ...], missing: float) -> None:
    found = decompose(draw(np.random.default_rng(0), deviations, missing))
    variances = np.square(deviations)
    assert parts(found) == pytest.approx(variances / variances.sum(), abs=0.03)
    assert found.variance == pytest.approx(variances.sum(), rel=0.1)


def test_whoever_lacks_pairs_is_not_taken_for_another_effect() -> None:
    """Bad nodes can train the early layers alone: the layers' means differ, the layers do not."""
    table = np.repeat(np.repeat([[0.0], [1.0], [5.0], [9.0]], 4, axis=1)[..., None], 2, axis=2)
    for node in range(3):
        table[node, node + 1 :] = np.nan
    assert parts(decompose([table])) == pytest.approx([1, 0, 0, 0])
    assert parts(decompose([table.transpose(1, 0, 2)])) == pytest.approx([0, 1, 0, 0])


def test_with_all_pairs_it_is_the_usual_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    a, b, r = 7, 4, 3
    y = rng.normal(size=(a, b, r)) + 3 * rng.normal(size=(a, 1, 1)) + 4 * rng.normal(size=(1, b, 1))
    y += 2 * rng.normal(size=(a, b, 1))
    cells, rows, columns, mean = y.mean(2), y.mean((1, 2)), y.mean((0, 2)), y.mean()
    of_node = b * r * np.sum((rows - mean) ** 2) / (a - 1)
    of_layer = a * r * np.sum((columns - mean) ** 2) / (b - 1)
    of_both = r * np.sum((cells - rows[:, None] - columns + mean) ** 2) / ((a - 1) * (b - 1))
    noise = np.sum((y - cells[..., None]) ** 2) / (a * b * (r - 1))
    expected = np.array([(of_node - of_both) / (b * r), (of_layer - of_both) / (a * r), 0, noise])
    expected[2] = (of_both - noise) / r
    assert (expected > 0).all()
    found = decompose([y])
    assert parts(found) == pytest.approx(expected / expected.sum())
    assert found.variance == pytest.approx(expected.sum())
    assert found.pairs == a * b


def test_tables_weigh_as_many_pairs_as_they_have() -> None:
    small, large = np.zeros((2, 2, 2)), np.zeros((4, 6, 2))
    small[1], large[:, ::2] = 1.0, 1.0
    found = decompose([small, large])
    of_nodes, of_layers = decompose([small]).variance * 4, decompose([large]).variance * 24
    assert parts(found) == pytest.approx(
        [of_nodes / (of_nodes + of_layers), of_layers / (of_nodes + of_layers), 0, 0]
    )
    assert found.variance == pytest.approx((of_nodes + of_layers) / 28)


def test_what_cannot_be_told_is_left_out() -> None:
    assert parts(decompose([])) == [0, 0, 0, 0]
    assert parts(decompose([np.ones((3, 3, 2))])) == [0, 0, 0, 0]
    assert parts(decompose([np.full((3, 3, 2), np.nan)])) == [0, 0, 0, 0]
    one_layer = np.array([[[0.0, 0.0]], [[1.0, 1.0]], [[4.0, 4.0]]])
    assert parts(decompose([one_layer])) == pytest.approx([1, 0, 0, 0])
    diagonal = np.full((3, 3, 2), np.nan)
    diagonal[np.arange(3), np.arange(3)] = [[0, 2], [4, 6], [8, 10]]
    assert parts(decompose([diagonal])) == pytest.approx([0, 0, 0, 1])


@given(st.integers(0, 2**32), st.floats(0, 0.9), st.integers(2, 4))
def test_shares_are_shares_and_neither_scale_nor_order_matters(
    seed: int, missing: float, repetitions: int
) -> None:
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rng.integers(1, 7), rng.integers(1, 7), repetitions))
    table[rng.random(table.shape[:2]) < missing] = np.nan
    found = decompose([table])
    assert all(0 <= part <= 1 for part in parts(found))
    assert sum(parts(found)) == pytest.approx(1 if found.variance > 0 else 0)
    shuffled = rng.permuted(np.arange(table.shape[0])), rng.permuted(np.arange(table.shape[1]))
    again = decompose([100 - 5 * table[np.ix_(*shuffled)]])
    assert parts(again) == pytest.approx(parts(found), abs=1e-6)
    other = decompose([table.transpose(1, 0, 2)])
    assert parts(other) == pytest.approx([found.layer, found.node, found.both, found.repetition], abs=1e-6)
