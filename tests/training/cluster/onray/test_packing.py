"""What goes through Ray comes out the same, in memory of the receiver's own."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import torch

from snakegym.cluster.parcels import Parcel, Patch
from snakegym.learning.jobs import Factors
from snakegym.models.state import A, B
from snakegym.training.cluster.onray.packing import pack, unpack


def test_layers_and_adapters_come_out_as_they_were() -> None:
    layer = {"weight": torch.randn(3, 2), "low": torch.ones(2, dtype=torch.bfloat16), "n": torch.tensor(4)}
    factors = Factors({"weight" + A: torch.randn(1, 2), "weight" + B: torch.randn(3, 1)}, 0.5)
    sent = Parcel({(0, 7): layer}, {(1, 7): Patch(5, (factors, factors), (0.25, 0.75))})
    packed = pack(sent)
    assert isinstance(packed.patches[1, 7].parts[0].tensors["weight" + A], np.ndarray)
    found = unpack(pickle.loads(pickle.dumps(packed)))
    assert equal(found.layers[0, 7], layer)
    patch = found.patches[1, 7]
    assert (patch.base, patch.shares, [part.scale for part in patch.parts]) == (5, (0.25, 0.75), [0.5, 0.5])
    assert all(equal(part.tensors, factors.tensors) for part in patch.parts)
    assert found.n_bytes == sent.n_bytes
    unpack(packed).layers[0, 7]["weight"].zero_()
    assert equal(unpack(packed).layers[0, 7], layer)


def equal(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
