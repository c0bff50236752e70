"""Layers of the zoo's models."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from snakegym.models.blocks import MaxPool


@given(
    st.integers(1, 3),
    st.integers(2, 9),
    st.integers(2, 9),
    st.sampled_from([torch.contiguous_format, torch.channels_last]),
)
def test_max_pooling_is_the_same_with_and_without_gradients(channels, height, width, layout):
    generator = torch.Generator().manual_seed(height * width)
    images = torch.randn(2, channels, height, width, generator=generator).contiguous(memory_format=layout)
    pool = MaxPool()
    trained = pool(images.clone().requires_grad_(True))
    assert trained.requires_grad
    with torch.no_grad():
        assert torch.equal(pool(images), trained)
    assert trained.shape == (2, channels, height // 2, width // 2)
