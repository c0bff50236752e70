"""Layers by version: shared, never copied, and dropped when nobody needs them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from snakegym.errors import SnakegymError
from snakegym.models.state import ModelState
from snakegym.models.store import LayerStore


def model(n: int = 3) -> ModelState:
    return ModelState(tuple({"w": torch.full((2,), float(i))} for i in range(n)))


def test_a_model_is_the_same_object_and_shares_its_tensors():
    state = model()
    store = LayerStore.of(state)
    assert store.state((0, 0, 0)) is state
    store.put({(1, 7): {"w": torch.ones(2)}})
    changed = store.state((0, 7, 0))
    assert store.state((0, 7, 0)) is changed
    assert changed.layers[0] is state.layers[0]
    assert len(store) == 4


def test_what_is_not_there_is_named():
    store = LayerStore.of(model())
    with pytest.raises(SnakegymError, match="layer 2: found no version 5"):
        store.state((0, 0, 5))
    assert not store.has((0, 0, 5))
    assert store.has((0, 0, 0))


def test_only_what_is_kept_stays():
    store = LayerStore.of(model())
    assert store.crowded
    store.keep(enumerate((0, 0, 0)))
    assert not store.crowded
    for version in range(1, 9):
        store.put({(0, version): {"w": torch.zeros(1)}})
        if store.crowded:
            store.keep(enumerate((version, 0, 0)))
    assert len(store) == 3
    assert (0, 8) in store
    assert (0, 0) not in store
    assert store.take([(0, 8)])[0, 8]["w"].shape == (1,)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_goes_its_own_way(copied):
    store = LayerStore.of(model(), whole=False)
    other = copied(store)
    other.put({(0, 1): {"w": torch.zeros(1)}})
    assert (0, 1) not in store
    assert torch.equal(other.state((0, 0, 0)).layers[2]["w"], store.state((0, 0, 0)).layers[2]["w"])
    assert not other.whole
