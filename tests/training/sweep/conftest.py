"""Sweeps whose trials are the shortest of trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

OPTIONS = (
    *("--timesteps=32", "--n_steps=16", "--batch_size=16", "--n_epochs=1"),
    *("--eval_every=16", "--eval_episodes=1", "--checkpoint_every=16"),
)


@pytest.fixture
def sweep_file(tmp_path: Path, tiny: str) -> Callable[..., str]:
    """Write a sweep file; its path."""

    def write(**changed: object) -> str:
        document = {
            "program": "snakegym",
            "command": ["${env}", "snakegym", "train", f"--scenario={tiny}", *OPTIONS, "${args}"],
            "method": "grid",
            "metric": {"name": "validation/best_return", "goal": "maximize"},
            "parameters": {"learning_rate": {"values": [1e-4, 1e-3]}, "gamma": {"value": 0.5}},
        }
        merged = {name: value for name, value in (document | changed).items() if value is not None}
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(merged))
        return str(path)

    return write
