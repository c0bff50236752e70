"""Datasets that still lie in the archive in which they came."""

from __future__ import annotations

import os
import tarfile
import tempfile
from pathlib import Path

from snakegym.errors import SnakegymError

SUFFIXES = (".tar.xz", ".tar.gz", ".tar", ".tgz")


def unpacked(root: Path, folder: str) -> Path:
    """The folder that holds `folder`: `root`, or a cache into which root/folder.tar.xz was unpacked.

    The cache is $XDG_CACHE_HOME/snakegym, by default ~/.cache/snakegym. If neither the folder nor an
    archive is there, `root` is returned as it is.

    Raises:
        SnakegymError: an archive that cannot be read, or a cache that cannot be written.
    """
    if (root / folder).is_dir():
        return root
    archive = archive_of(root, folder)
    if archive is None:
        return root
    stat = archive.stat()
    cache = _cache() / f"{folder}-{stat.st_size}-{stat.st_mtime_ns}"
    if not (cache / folder).is_dir():
        _unpack(archive, cache, folder)
    return cache


def archive_of(root: Path, folder: str) -> Path | None:
    """The archive in `root` that holds `folder`, if there is one."""
    return next((a for s in SUFFIXES if (a := root / f"{folder}{s}").is_file()), None)


def _unpack(archive: Path, target: Path, folder: str) -> None:
    """In one step: a kill leaves nothing behind that looks whole."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
            if not (Path(temporary) / folder).is_dir():
                raise SnakegymError(f"{archive}: found no folder '{folder}' in it, expected one")
            target.mkdir(exist_ok=True)
            if not (target / folder).is_dir():
                (Path(temporary) / folder).rename(target / folder)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise SnakegymError(f"{archive}: cannot unpack it to {target}: {error}") from None


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "snakegym"
