"""Random views of image samples, drawn from a private generator."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from snakegym.errors import SnakegymError
from snakegym.scenario import AugmentationConfig

_STREAM = 1 << 40
"""Keeps the views apart from whatever else is drawn from the same seed."""


def batch_inputs(
    inputs: Tensor, batches: Iterable[Tensor], config: AugmentationConfig | None, seed: int
) -> Iterator[Tensor]:
    """The inputs of every batch, augmented if wanted; the same seed gives the same views.

    Args:
        inputs: [n, *shape], all samples.
        batches: int64 indices into them.
        config: None: the samples as they are.
        seed: in [0, 2**40).

    Raises:
        SnakegymError: the samples are to be augmented and are no images.
    """
    generator = torch.Generator().manual_seed(_STREAM + seed)
    for batch in batches:
        chosen = inputs.index_select(0, batch)
        yield chosen if config is None else augment(chosen, config, generator)


def augment(images: Tensor, config: AugmentationConfig, generator: torch.Generator) -> Tensor:
    """A random window of each zero-padded image, and every other one mirrored, as in He et al.
    (arXiv:1512.03385, section 4.2). Zero is the mean of normalised samples.

    Args:
        images: [n, channels, height, width]; left alone.
        config: size of the padding, and whether to mirror.
        generator: on the CPU; the only source of randomness.

    Raises:
        SnakegymError: the samples are no images.
    """
    if images.ndim != 4:
        raise SnakegymError(
            f"field 'learning.augmentation': found samples of shape {tuple(images.shape[1:])}, "
            "expected images (channels, height, width)"
        )
    n, channels, height, width = images.shape
    offsets = torch.randint(2 * config.crop + 1, (2, n, 1), generator=generator)
    mirrored = torch.randint(2, (n, 1), generator=generator).bool() & config.flip
    columns = torch.arange(width)
    rows = torch.arange(height) + offsets[0]
    columns = torch.where(mirrored, columns.flip(0), columns) + offsets[1]
    padded = functional.pad(images, (config.crop,) * 4)
    return padded[
        torch.arange(n).view(n, 1, 1, 1),
        torch.arange(channels).view(1, channels, 1, 1),
        rows.view(n, 1, height, 1),
        columns.view(n, 1, 1, width),
    ]
