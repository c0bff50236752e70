from __future__ import annotations

import numpy as np
import pytest

from snakegym.agents.planning.fitted.features import FEATURES
from snakegym.agents.planning.fitted.model import FittedGain


@pytest.fixture
def model() -> FittedGain:
    """A network of random weights for three middle layers, which often says too much."""
    rng, n = np.random.default_rng(0), len(FEATURES)
    return FittedGain(
        mean=np.zeros(n),
        scale=np.ones(n),
        weights=(rng.normal(size=(n, 5)), rng.normal(size=(5, 4)), rng.normal(size=(4, 3))),
        biases=(rng.normal(size=5), rng.normal(size=4), rng.normal(size=3)),
        lowest=-0.1,
        highest=0.3,
        ceiling=0.9,
    )
