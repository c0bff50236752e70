"""Layers on their way through Ray: as arrays, which it hands on without copying them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from snakegym.cluster.node import Layers
from snakegym.models.state import LayerState
from snakegym.models.store import Key

Packed = dict[Key, dict[str, Any]]


def pack(layers: Mapping[Key, LayerState]) -> Packed:
    """What `unpack` takes; types that numpy lacks go as tensors."""
    return {key: {name: _packed(tensor) for name, tensor in layer.items()} for key, layer in layers.items()}


def unpack(packed: Packed) -> Layers:
    """Layers of one's own: what came may lie in a store that is written anew."""
    return {key: {name: _unpacked(value) for name, value in layer.items()} for key, layer in packed.items()}


def _packed(tensor: Tensor) -> Any:
    try:
        return tensor.detach().cpu().numpy()
    except TypeError:  # bfloat16
        return tensor


def _unpacked(value: Any) -> Tensor:
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value
