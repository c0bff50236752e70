"""What a folder of traces holds: every file read once, checked, assigned to its split, and remembered."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from snakegym.errors import SnakegymError
from snakegym.network.traces.cache import Store
from snakegym.network.traces.formats import FORMATS, Format, find_formats
from snakegym.network.traces.formats.base import KINDS, Floats, Recording
from snakegym.network.traces.reader import Entry, Reader, relative
from snakegym.network.traces.splits import SHARES
from snakegym.network.traces.trace import Origin
from snakegym.scenario import Split

NO_TRACES: Final = ("MANIFEST", "README", "LICENSE", "LICENCE", "COPYING", "CITATION")
"""Files whose names start so, with any suffix, are no traces; nor are hidden ones."""


@dataclass(frozen=True)
class Refused:
    """A file that cannot be used."""

    path: str
    """Relative to the folder of traces, with slashes."""
    reason: str
    """File, line and reason."""


class Catalogue:
    """The traces in a folder. The numbers of a split are fetched when they are asked for.

    Attributes:
        root: the folder.
        refused: the files that cannot be used, by path.
    """

    def __init__(self, root: Path, index: dict[str, Any], packs: dict[str, Floats], store: Store) -> None:
        self.root, self._index, self._packs, self._store = root, index, packs, store
        self.refused = tuple(Refused(e["path"], e["error"]) for e in self.entries if e["error"])

    @property
    def entries(self) -> list[Entry]:
        """The index, sorted by path."""
        entries: list[Entry] = self._index["files"]
        return entries

    def recordings(self, split: Split | None = None) -> Iterator[tuple[Origin, Recording]]:
        """The recordings of one split, or of all, by path; the numbers of other splits stay unread."""
        for entry in self.entries:
            if not entry["error"] and split in (None, entry["split"]):
                for trace in entry["traces"]:
                    yield _origin(entry, trace), _recording(trace, self._numbers(entry["split"]))

    def of(self, entry: Entry) -> list[Recording]:
        """The recordings of one file."""
        return [_recording(trace, self._numbers(entry["split"])) for trace in entry["traces"]]

    def _numbers(self, split: str) -> Floats:
        if split not in self._packs:
            numbers = self._store.open(self._index, split)
            if numbers is None:
                raise _Gone(split)
            self._packs[split] = numbers
        return self._packs[split]


class _Gone(Exception):
    """The numbers of a split are no longer in the cache."""


_recent: dict[tuple[str, str | None], Catalogue] = {}
"""The last few catalogues of this process: where the cache cannot be written, nothing is read twice."""


def scan(root: Path, format_name: str | None = None, split: Split | None = None) -> Catalogue:
    """What a folder holds. Files that did not change since they were last read are not opened.

    With subfolders `link` and `compute`, those are searched, and hold what they say; otherwise the
    whole folder is. Files that are read with another one (mahimahi's NAME.up) are part of that.

    Args:
        root: the folder.
        format_name: read all files as this format, or as one of these, parted by `|`.
        split: the caller will ask for this one only.

    Raises:
        SnakegymError: no such folder, or unknown format.
    """
    if not os.path.isdir(root):
        raise SnakegymError(f"traces: '{root}' is no folder")
    stated = () if format_name is None else find_formats(format_name)
    root = root.resolve()
    stamps = {path: _stamp(f"{root}{os.sep}{path}") for path in _find_files(root)}
    store = Store(str(root), format_name or "")
    known = _recent.get((str(root), format_name)) or _restored(root, store)
    try:
        if known is None or not _current(known, stamps):
            known = _read(root, stamps, stated, known, store)
        for needed in SHARES if split is None else (split,):
            if any(e["split"] == needed and e["traces"] for e in known.entries):
                known._numbers(needed)
    except _Gone:  # another program or person cleared the cache
        known = _read(root, stamps, stated, None, store)
    _recent.pop((str(root), format_name), None)
    _recent[str(root), format_name] = known
    while len(_recent) > 4:
        del _recent[next(iter(_recent))]
    return known


def _restored(root: Path, store: Store) -> Catalogue | None:
    index = store.load()
    return Catalogue(root, index, {}, store) if index else None


def _find_files(root: Path) -> Iterator[str]:
    """The paths of the files that should be traces, relative and with slashes."""
    # Plain strings: a thousand Path objects would cost more than all else when nothing changed.
    start = len(str(root)) + 1
    for folder in [f for kind in KINDS if (f := root / kind).is_dir()] or [root]:
        for path, inner, names in os.walk(folder, onerror=_unreadable):
            inner[:] = [name for name in inner if not name.startswith(".")]
            within = path[start:].replace(os.sep, "/")
            for name in names:
                if not name.startswith(".") and not name.upper().startswith(NO_TRACES):
                    yield f"{within}/{name}" if within else name


def _unreadable(error: OSError) -> None:
    raise SnakegymError(f"traces: cannot read the folder {error.filename}: {error.strerror}")


def _stamp(file: str) -> list[int]:
    """Changes when a file does."""
    try:
        status = os.stat(file)
    except OSError:  # a dangling link: reading it gives the reason
        return [-1]
    # The time of the last change of any kind: nobody can set it back, as the time of the content.
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _current(known: Catalogue, stamps: dict[str, list[int]]) -> bool:
    """Whether each file is still there and unchanged, and no other one has come."""
    read: dict[str, list[int]] = {}
    for entry in known.entries:
        read |= entry["stamps"]
    return read == stamps


def _read(
    root: Path,
    stamps: dict[str, list[int]],
    stated: Sequence[Format],
    known: Catalogue | None,
    store: Store,
) -> Catalogue:
    """Read what is new or changed, take over the rest, and keep the result."""
    before = {e["path"]: e for e in known.entries} if known else {}
    reader, packs, taken, entries = Reader(root, stated), _Packs(), set[str](), []
    for path in sorted(stamps, key=lambda p: (p.endswith(".up"), p)):  # companions after their files
        if path in taken:
            continue
        old = before.get(path)
        if known and old and _unchanged(root, old, stamps):
            entry, recordings = dict(old), known.of(old)
        else:
            entry, recordings = reader.read(path, root / path)
        taken |= entry["stamps"].keys()
        entry["stamps"] = {p: stamps.get(p, [-1]) for p in entry["stamps"]}
        entry["traces"] = [packs.add(entry["split"], r) for r in recordings]
        entries.append(entry)
    index = {"files": sorted(entries, key=lambda e: str(e["path"])), "packs": {}}
    numbers = packs.joined()
    store.save(index, numbers)
    return Catalogue(root, index, numbers, store)


def _unchanged(root: Path, old: Entry, stamps: dict[str, list[int]]) -> bool:
    if old["format"] not in FORMATS:  # it was not recognised
        return False
    same = all(stamps.get(p) == stamp for p, stamp in old["stamps"].items())
    companions = {relative(root, c) for c in FORMATS[old["format"]].companions(root / old["path"])}
    return same and companions < old["stamps"].keys()


class _Packs:
    """The numbers of all recordings, split by split: times, then columns, one recording after another."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Floats]] = {}
        self._lengths: dict[str, int] = {}

    def add(self, split: str, recording: Recording) -> dict[str, Any]:
        """Append a recording; returns what the index says about it."""
        start, n = self._lengths.get(split, 0), len(recording.times_s)
        parts = [recording.times_s, *recording.columns.values()]
        self._parts.setdefault(split, []).extend(parts)
        self._lengths[split] = start + n * len(parts)
        return {
            "start": start,
            "length": n,
            "columns": list(recording.columns),
            "name": recording.name,
            "source": recording.source,
            "scenario": recording.scenario,
            "rtt_ms": recording.rtt_ms,
            "period_s": recording.period_s,
            "notes": list(recording.notes),
        }

    def joined(self) -> dict[str, Floats]:
        """The numbers of each split, read-only."""
        packs = {split: np.concatenate(parts) for split, parts in self._parts.items()}
        for numbers in packs.values():
            numbers.flags.writeable = False
        return packs


def _recording(trace: dict[str, Any], numbers: Floats) -> Recording:
    n, start = trace["length"], trace["start"]
    columns = [numbers[start + i * n : start + (i + 1) * n] for i in range(len(trace["columns"]) + 1)]
    return Recording(
        trace["name"],
        columns[0],
        dict(zip(trace["columns"], columns[1:], strict=True)),
        trace["source"],
        trace["scenario"],
        trace["rtt_ms"],
        trace["period_s"],
        tuple(trace["notes"]),
    )


def _origin(entry: Entry, trace: dict[str, Any]) -> Origin:
    return Origin(
        entry["path"],
        entry["format"],
        entry["sha256"],
        bytes.fromhex(entry["key"]),
        trace["source"],
        trace["scenario"],
    )
