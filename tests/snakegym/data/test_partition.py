import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.data.partition import label_counts, partition
from snakegym.errors import SnakegymError
from snakegym.scenario import DataConfig


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(["iid", "dirichlet", "quantity"]),
    alpha=st.one_of(st.floats(1e-9, 1e3), st.sampled_from([1e-300, 1e308])),
    n_nodes=st.integers(1, 12),
    extra=st.integers(0, 60),
    n_classes=st.integers(1, 11),
    seed=st.integers(0, 2**32),
)
def test_every_sample_on_exactly_one_node(kind, alpha, n_nodes, extra, n_classes, seed):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, n_classes, n_nodes + extra)
    nodes = partition(DataConfig(partition=kind, alpha=alpha), targets, n_nodes, n_classes, rng)
    assert len(nodes) == n_nodes
    assert all(len(node) > 0 and node.dtype == np.int64 for node in nodes)
    assert sorted(np.concatenate(nodes)) == list(range(len(targets)))
    counts = label_counts(nodes, targets, n_classes)
    assert counts.shape == (n_nodes, n_classes)
    assert counts.sum(0).tolist() == np.bincount(targets, minlength=n_classes).tolist()


def spread(alpha, kind="dirichlet"):
    targets = np.arange(2000) % 10
    nodes = partition(DataConfig(partition=kind, alpha=alpha), targets, 9, 10, np.random.default_rng(0))
    counts = label_counts(nodes, targets, 10)
    return (counts / counts.sum(1, keepdims=True)).std()


def test_small_alpha_is_more_non_iid():
    assert spread(0.1) > spread(1.0) > spread(100.0)
    assert spread(0.5, kind="iid") < 0.03


def test_quantity_skew_is_in_the_sizes_alone():
    targets = np.arange(9000) % 10
    sizes = {}
    for alpha in (0.2, 2.0, 1e9):
        config = DataConfig(partition="quantity", alpha=alpha)
        nodes = partition(config, targets, 9, 10, np.random.default_rng(0))
        sizes[alpha] = np.std([len(node) for node in nodes])
        counts = label_counts([node for node in nodes if len(node) > 300], targets, 10)
        assert (counts / counts.sum(1, keepdims=True)).std() < 0.03
    assert sizes[0.2] > sizes[2.0] > sizes[1e9]
    assert sizes[1e9] < 20


def test_iid_nodes_are_equally_large():
    nodes = partition(DataConfig(partition="iid"), np.zeros(100, int), 9, 1, np.random.default_rng(0))
    assert sorted(map(len, nodes)) == [11] * 8 + [12]


def test_same_generator_state_same_partition():
    targets = np.arange(300) % 7
    first, second = (partition(DataConfig(), targets, 5, 7, np.random.default_rng(3)) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_more_nodes_than_samples_is_an_error():
    with pytest.raises(SnakegymError, match="found 4 nodes, expected at most one a sample"):
        partition(DataConfig(), [0, 1, 2], 4, 3, np.random.default_rng(0))
