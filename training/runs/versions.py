"""With what a run was made."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

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
