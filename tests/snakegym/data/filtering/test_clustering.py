"""Samples whose labels are at home nowhere near them, of images and of texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.control.service import load_service
from snakegym.data.datasets import load_data
from snakegym.data.filtering.clustering import at_home, foreign
from snakegym.data.partition import partition, spread
from snakegym.scenario import ClusteringConfig, DataConfig

CONFIG = ClusteringConfig()


def test_a_stray_label_among_its_unlikes_is_foreign() -> None:
    rng = np.random.default_rng(0)
    images = np.concatenate([rng.normal(m, 0.1, (20, 1, 2, 2)) for m in (-3, 3)])
    labels = np.repeat([0, 1], 20)
    labels[[4, 33]] = 1 - labels[[4, 33]]
    assert np.flatnonzero(foreign(images, labels, 2, 0.2, 0)).tolist() == [4, 33]
    assert not foreign(images, labels, 2, 0.04, 0).any()  # one in twenty is not that rare


def test_texts_are_told_apart_by_their_words() -> None:
    rng = np.random.default_rng(0)
    tokens = np.concatenate([rng.integers(low, low + 30, (25, 12)) for low in (0, 40)])
    labels = np.repeat([0, 1], 25)
    labels[7] = 1
    assert np.flatnonzero(foreign(tokens, labels, 2, 0.2, 0)).tolist() == [7]


@given(
    st.integers(2, 40),
    st.integers(2, 12),
    st.floats(0.01, 0.99),
    st.integers(0, 99),
)
def test_something_stays_and_nothing_is_made_up(n: int, clusters: int, least: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images, labels = rng.normal(size=(n, 3)), rng.integers(0, 4, n)
    odd = foreign(images, labels, min(clusters, n), least, seed)
    assert not odd.all()
    assert (odd == foreign(images, labels, min(clusters, n), least, seed)).all()


def test_a_node_of_few_samples_keeps_them_all() -> None:
    train = load_data(DataConfig()).train
    own = np.arange(7)
    assert at_home(train.inputs.numpy(), train.labels.numpy(), own, CONFIG, 0) is own


def test_most_wrong_digits_of_a_node_are_set_aside_and_few_right_ones() -> None:
    train = load_data(DataConfig()).train
    rng = np.random.default_rng(0)
    own = np.sort(rng.choice(len(train), 400, replace=False))
    labels = train.labels.numpy().copy()
    wrong = rng.choice(own, 60, replace=False)
    labels[wrong] = (labels[wrong] + rng.integers(1, 10, 60)) % 10
    inputs = train.inputs.numpy()[own]
    odd = own[foreign(inputs, labels[own], 20, CONFIG.least, 0)]
    found = len(set(odd) & set(wrong))
    assert found > 0.8 * len(wrong)
    assert len(odd) - found < 0.1 * len(own)


def test_nodes_have_what_the_partition_gave_them_but_for_that() -> None:
    config = DataConfig(clustering=CONFIG)
    train = load_data(config).train
    before = partition(config, train.labels.numpy(), 9, train.n_classes, np.random.default_rng(3))
    after = spread(config, train, 9, np.random.default_rng(3))
    assert all(set(b) >= set(a) and len(a) for b, a in zip(before, after, strict=True))
    assert sum(map(len, after)) < sum(map(len, before))
    off = spread(DataConfig(), train, 9, np.random.default_rng(3))
    assert all((b == a).all() for b, a in zip(before, off, strict=True))


@pytest.mark.parametrize("clustering", [None, {"clusters": 5}])
def test_a_process_trains_on_what_is_left(clustering: Any) -> None:
    service = load_service("default")
    scenario = service.scenario.model_dump(mode="json")
    scenario["data"]["clustering"] = clustering
    scenario["fitted"] = None
    (one, _), (other, _) = (load_service(s).start(np.random.default_rng(0)) for s in ("default", scenario))
    same = (one.managers.data.samples == other.managers.data.samples).all()
    assert same == (clustering is None)
