"""Seeds of the parts of a run, each from the user's one seed and what it is for."""

from __future__ import annotations

import zlib

import numpy as np


def derive_seed(seed: int, purpose: str, *index: int) -> int:
    """A seed in [0, 2**31) that depends on all arguments; streams of different purpose do not overlap.

    Args:
        seed: the user's, >= 0.
        purpose: what the stream is for, e.g. "episode".
        index: which one of these, each >= 0.
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), *index])
    return int(sequence.generate_state(1)[0]) >> 1
