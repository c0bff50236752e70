"""With what a run was made."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import snakegym.agents
import snakegym.envs
from snakegym import __version__

PACKAGES = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy")
"""Those whose versions can change numbers."""


def versions() -> dict[str, str]:
    """Versions of snakegym, Python and PACKAGES; of a package that is not installed none."""
    found = {"snakegym": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def code_digest() -> str:
    """SHA-256 of the code that decides on the numbers of an episode: agents, environment, Snake Learning."""
    digest = hashlib.sha256()
    for package in (snakegym, snakegym.agents, snakegym.envs):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
