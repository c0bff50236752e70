"""Layers on their way through Ray: as arrays, which it hands on without copying them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snakegym.cluster.parcels import Parcel

Packed = Parcel
"""One whose tensors are arrays."""


def pack(parcel: Parcel) -> Packed:
    """What `unpack` takes; types that numpy lacks go as tensors."""
    return _made(parcel, _packed)


def unpack(packed: Packed) -> Parcel:
    """Layers of one's own: what came may lie in a store that is written anew."""
    return _made(packed, _unpacked)


def _made(parcel: Parcel, each: Callable[[Any], Any]) -> Parcel:
    def of(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: each(value) for name, value in tensors.items()}

    patches = {
        key: replace(patch, parts=tuple(replace(part, tensors=of(part.tensors)) for part in patch.parts))
        for key, patch in parcel.patches.items()
    }
    return Parcel({key: of(layer) for key, layer in parcel.layers.items()}, patches)


def _packed(tensor: Tensor) -> Any:
    try:
        return tensor.detach().cpu().numpy()
    except TypeError:  # bfloat16
        return tensor


def _unpacked(value: Any) -> Tensor:
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
