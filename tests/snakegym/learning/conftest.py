"""What the tests of engines have in common."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_old() -> Iterator[None]:
    """What is alive already is not looked at by `gc`, which takes half a second where many tests have run."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
