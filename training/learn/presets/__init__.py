"""Options of whole trainings by name: `snakegym train --preset NAME`, files as for `--config`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError
from snakegym.training.arguments import from_document
from snakegym.training.learn.config import TrainConfig

SUFFIX = ".yaml"
OWN = resources.files(__name__) / "scenarios"
"""Folder of scenarios that are there for presets alone: these call them by the names of their files."""


def presets() -> str:
    """The names of all that there are, parted by commas."""
    files = (file.name for file in resources.files(__name__).iterdir())
    return ", ".join(sorted(name.removesuffix(SUFFIX) for name in files if name.endswith(SUFFIX)))


def in_preset(name: str, given: Sequence[str]) -> list[str]:
    """The words of a command line that a preset stands for, but for options that are given otherwise.

    Raises:
        SnakegymError: there is none of that name.
    """
    if name not in presets().split(", "):
        raise SnakegymError(f"--preset: found {name!r:.80}, expected one of {presets()}")
    text = (resources.files(__name__) / f"{name}{SUFFIX}").read_text(encoding="utf-8")
    origin = f"preset '{name}'"
    return from_document(_placed(parse_yaml(text, origin)), origin, TrainConfig, given)


def _placed(document: Mapping[str, Any]) -> dict[str, Any]:
    """With the scenarios of presets where they lie."""

    def place(names: str) -> str:
        return ",".join(str(OWN / name) if name.endswith(SUFFIX) else name for name in names.split(","))

    options = {"scenario", "imitate_scenario"}
    return {key: place(value) if key in options else value for key, value in document.items()}
