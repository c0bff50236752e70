"""Which split a trace file belongs to: a matter of its content alone.

SHA-256 of the content (without carriage returns, so that line ends do not matter) gives a number u
in [0, 1): train below 0.6, validation below 0.8, else test. Hence

- renaming, moving and adding files changes nothing for the others, nor does the way they are read;
- two copies of a file are in the same split;
- **strata** (source and scenario) are met in expectation: every file falls into a split with the
  same probability whatever its stratum, so n files of one give 0.6 n, 0.2 n and 0.2 n, with
  standard deviations of sqrt(n p (1 - p)). No rule on the files alone can do better and stay stable:
  if adding files must never move one, then a file's split is what it would be if it were alone, so
  it depends on the file only, and files of one stratum cannot make room for one another. A rule that
  remembers which files came first could, but two people with the same files would then have
  different splits. A salt by stratum would change nothing but make the split depend on names. Small
  strata may therefore miss a split; `snakegym traces inspect` shows the sizes, stratum by stratum.
"""

from __future__ import annotations

import hashlib
from typing import Final

from snakegym.scenario import Split

SHARES: Final[dict[Split, tuple[float, float]]] = {
    "train": (0.0, 0.6),
    "validation": (0.6, 0.8),
    "test": (0.8, 1.0),
}
"""From and up to which u."""


def split_of(key: bytes) -> Split:
    """The split of a trace with this key, a cryptographic hash of at least 6 bytes."""
    u = int.from_bytes(key[:6], "big") / 2**48
    return next(split for split, (low, high) in SHARES.items() if low <= u < high)


def content_key(content: bytes) -> bytes:
    """The key of a file with this content."""
    return hashlib.sha256(content.replace(b"\r", b"")).digest()
