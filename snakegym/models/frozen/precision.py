"""Weights in low precision: bf16, int8 and nf4, a row an output channel, and back in float32.

- `bf16`: the upper half of a float32.
- `int8`: one scale a row, symmetric about 0 (Krishnamoorthi 2018, arXiv:1806.08342, section 2).
- `nf4`: 4 bits, one scale for 64 numbers of a row, and of these the quantiles of a normal distribution
  (Dettmers et al. 2023, arXiv:2305.14314, appendix E; their scales are not quantised once more).

What a stored tensor is, its type says.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from snakegym.network.costs import CAST_BYTES
from snakegym.scenario import Precision

SCALE: Final = ".scale"
"""Suffix of the name under which the scales of a weight stand in a layer's state."""
LOW: Final = {torch.bfloat16: "bf16", torch.int8: "int8", torch.uint8: "nf4"}
"""Types that weights are kept in."""
_LARGEST = 127
"""The int8 range without -128, so that it is symmetric."""
_NOTHING = 1e-30
"""Rows (of nf4: blocks) without a larger weight become 0: their scale would underflow."""
_BLOCK = 64
NF4: Final = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
    -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
    0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip
"""The 16 numbers of nf4."""
_TABLE = torch.tensor(NF4)
_MIDDLES = (_TABLE[1:] + _TABLE[:-1]) / 2
_PAIRS = torch.stack([_TABLE.repeat_interleave(16), _TABLE.repeat(16)], 1)
"""[256, 2]: what a byte holds, its upper half first."""


def encode(weight: Tensor, precision: Precision) -> tuple[Tensor, Tensor | None]:
    """The weight in that precision, and its float32 scales, if it has any.

    Args:
        weight: float32 [n_rows, ...].
        precision: not `fp32`.

    Returns:
        bf16 and int8: the weight's shape; nf4: uint8 [n_rows, half of the rest]. Scales [n_rows], of nf4
        [n_rows, n_blocks].
    """
    if precision == "bf16":
        return weight.to(torch.bfloat16), None
    step = rows_at_once(weight)
    parts = [_ENCODERS[precision](weight[at : at + step]) for at in range(0, len(weight), step)]
    values, scales = (torch.cat(part) for part in zip(*parts, strict=True))
    return values, scales


def decode(values: Tensor, scales: Tensor | None, shape: torch.Size) -> Tensor:
    """float32 rows of `encode`'s values and scales; `shape` is that of one row."""
    if values.dtype == torch.bfloat16 or scales is None:
        return values.float()
    if values.dtype == torch.int8:
        return values.float().mul_(scales.view(-1, *(1,) * (values.ndim - 1)))
    columns = math.prod(shape)
    rows = _PAIRS.to(values.device)[values.int()].flatten(1)  # one number too many where columns are odd
    wide = scales.shape[1] * _BLOCK
    if rows.shape[1] != wide:
        rows = torch.nn.functional.pad(rows, (0, wide - rows.shape[1]))
    rows = rows.view(len(rows), -1, _BLOCK).mul_(scales[..., None]).flatten(1)
    return rows[:, :columns].reshape(-1, *shape)


def low_bytes(n_rows: int, columns: int, precision: Precision) -> float:
    """Bytes of a weight of so many rows and numbers a row, with its scales."""
    match precision:
        case "fp32":
            return 4.0 * n_rows * columns
        case "bf16":
            return 2.0 * n_rows * columns
        case "int8":
            return n_rows * (columns + 4.0)
        case "nf4":
            return n_rows * (math.ceil(columns / 2) + 4.0 * math.ceil(columns / _BLOCK))


def rows_at_once(weight: Tensor) -> int:
    """Rows of it that take at most `CAST_BYTES` in float32, at least one."""
    return max(1, CAST_BYTES // (4 * max(1, weight[0].numel())))


def _int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    largest = weight.flatten(1).abs().amax(1)
    scale = torch.where(largest > _NOTHING, largest / _LARGEST, 1.0)
    return (weight / scale.view(-1, *(1,) * (weight.ndim - 1))).round_().to(torch.int8), scale


def _nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    rows = weight.flatten(1)
    wide = math.ceil(rows.shape[1] / _BLOCK) * _BLOCK
    blocks = torch.nn.functional.pad(rows, (0, wide - rows.shape[1])).view(len(rows), -1, _BLOCK)
    largest = blocks.abs().amax(2)
    scale = torch.where(largest > _NOTHING, largest, 1.0)
    places = torch.bucketize(blocks / scale[..., None], _MIDDLES.to(weight.device)).flatten(1)
    places = places[:, : 2 * math.ceil(rows.shape[1] / 2)].to(torch.uint8)
    return places[:, 0::2] * 16 + places[:, 1::2], scale


_ENCODERS: Final[dict[Precision, Callable[[Tensor], tuple[Tensor, Tensor]]]] = {"int8": _int8, "nf4": _nf4}
