"""With what a run was made."""

from __future__ import annotations

import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import snakegym.agents
import snakegym.envs
from snakegym import __version__

PACKAGES = ("torch", "stable-baselines3", "sb3-contrib", "gymnasium", "numpy")
"""Those whose versions can change numbers."""


def versions() -> dict[str, str]:
    """Versions of snakegym, Python and PACKAGES, and the commit; of what is not there none."""
    found = {"snakegym": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found | ({"commit": commit} if (commit := _commit()) else {})


@cache
def _commit() -> str | None:
    """The commit of our own sources, with a + where they differ from it; None outside of a checkout."""
    here = Path(__file__).resolve()
    try:
        _git(here, "ls-files", "--error-unmatch", here.name)  # the checkout may be one of a user's project
        changed = _git(here, "status", "--porcelain", "-uno")
        return _git(here, "rev-parse", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        pass
    return None


def _git(file: Path, *arguments: str) -> str:
    command = ["git", "-C", str(file.parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    return done.stdout.strip()


@cache
def code_digest() -> str:
    """SHA-256 of what decides on the numbers of an episode: agents, environment, Snake Learning, their files.

    Scenarios and what was fitted to them are compared by themselves.
    """
    digest = hashlib.sha256()
    for package in (snakegym, snakegym.agents, snakegym.envs):
        root = Path(str(package.__file__)).parent
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            if path.parent.name in ("scenarios", "fitted") and path.suffix in (".yaml", ".json"):
                continue
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
