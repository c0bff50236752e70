"""The smallest comparison."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.frameworks.config import CompareConfig

SMALL = {"cycles": 2, "seeds": "0", "jobs": 1, "frameworks": "fedavg,snake"}
FIELDS = {"model.options.width": 8, "network.nodes": 3}


@pytest.fixture
def config() -> Callable[..., CompareConfig]:
    """The smallest comparison's, with other options, and other fields of the scenario."""

    def make(out: Path, fields: dict[str, Any] | None = None, **changes: Any) -> CompareConfig:
        chosen = {**({} if "scenario" in changes else FIELDS), **(fields or {})}
        changed = [f"{name}={value}" for name, value in chosen.items()]
        return CompareConfig(out, set=tuple(changed), **(SMALL | changes))

    return make


@pytest.fixture
def results() -> Callable[[Path], list[dict[str, Any]]]:
    """What compare.json says of every framework and seed, without how long it took."""

    def read(out: Path) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads((out / "compare.json").read_text())["results"]
        for result in found:
            del result["wall_s"]
        return found

    return read
