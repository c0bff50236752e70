"""Trace libraries by configuration: generated, or from a folder of trace files."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.files import is_folder, user_path
from snakegym.network.traces.catalogue import Catalogue, Refused, scan
from snakegym.network.traces.formats.base import KINDS, Kind, Recording
from snakegym.network.traces.generator import GeneratorConfig, generate
from snakegym.network.traces.mend import compute_trace, link_trace
from snakegym.network.traces.trace import LinkTrace, Origin, Trace, TraceLibrary
from snakegym.scenario import Split, TraceConfig, describe_faults

GENERATED: Final = "generated"


def load_library(
    config: TraceConfig, override: str | None = None, split: Split | None = None
) -> TraceLibrary:
    """The traces that a scenario asks for, links and computes by the paths of their files.

    The first time a folder is met, all its files are read, checked and assigned to their splits, and
    the result is kept (`snakegym.network.traces.cache`). After that only files that changed are opened, and
    with a `split` only its numbers are.

    Args:
        config: source, globs over names, rules, settings of the generator.
        override: takes the place of `config.source`: `generated`, or a folder of trace files. The
            globs and rules still apply.
        split: leave out the traces of the others; default: all splits together.

    Raises:
        SnakegymError: missing folder; files that cannot be used (all are named) unless
            `config.skip_bad`; no trace that matches a glob; no trace of a kind in the split; or bad
            settings.
    """
    source = config.source if override is None else override
    if source == GENERATED:
        library = generate(_settings(config)).select(config.link, config.compute)
        return library if split is None else library.split(split)
    catalogue = scan(folder_of(source), config.format, split)
    loaded = Loaded(catalogue, config, split)
    if loaded.refused:
        complain(loaded.refused, catalogue, config.skip_bad)
    for kind, glob, found in (
        ("link", config.link, loaded.links),
        ("compute", config.compute, loaded.computes),
    ):
        if not found:
            among = f"the {split} split of " if split else ""
            raise SnakegymError(
                f"traces: found no {kind} trace called '{glob}' in {among}{catalogue.root}, expected one or "
                "more (`snakegym traces inspect` shows what there is)"
            )
    return TraceLibrary(tuple(loaded.links), tuple(loaded.computes))


class Loaded:
    """The traces of a catalogue that a configuration asks for, and the files that it would refuse.

    Attributes:
        links, computes: the traces.
        recordings: the same as measured.
        refused: files that cannot be used, and those that the rules refuse, unless no glob names them.
    """

    def __init__(self, catalogue: Catalogue, config: TraceConfig, split: Split | None = None) -> None:
        self._config = config
        self.links: list[LinkTrace] = []
        self.computes: list[Trace] = []
        self.recordings: list[tuple[Origin, Recording]] = []
        self.refused = [
            r for r in catalogue.refused if any(self._wants(k, Path(r.path).stem, r.path) for k in KINDS)
        ]
        for origin, recording in catalogue.recordings(split):
            if self._wants(recording.kind, recording.name, origin.path):
                self._mend(origin, recording)

    def _mend(self, origin: Origin, recording: Recording) -> None:
        try:
            if recording.kind == "link":
                self.links.append(link_trace(recording, self._config, origin))
            else:
                self.computes.append(compute_trace(recording, origin))
            self.recordings.append((origin, recording))
        except SnakegymError as error:
            self.refused.append(Refused(origin.path, f"{origin.path}: {error}"))

    def _wants(self, kind: Kind, name: str, path: str) -> bool:
        if path.partition("/")[0] in KINDS and path.partition("/")[0] != kind:
            return False
        glob = self._config.link if kind == "link" else self._config.compute
        return matches(glob, name, path)


def matches(glob: str, *texts: str) -> bool:
    """Whether one of the texts matches one of the globs, which are parted by `|`."""
    return any(fnmatchcase(text, part) for part in glob.split("|") for text in texts)


def folder_of(source: str) -> Path:
    """The folder that a source other than `generated` names. Raises SnakegymError if it is none."""
    try:
        root = user_path(source)
    except SnakegymError as error:
        raise SnakegymError(f"traces: {error}") from None
    if not is_folder(root):
        raise SnakegymError(
            f"traces: {source!r:.200} is no folder: expected '{GENERATED}' or a folder of trace files"
        )
    return root


def complain(refused: Sequence[Refused], catalogue: Catalogue, skip: bool) -> None:
    """Name all files that cannot be used: as a warning if they are skipped, else by SnakegymError."""
    what = f"{catalogue.root}: {len(refused)} of {len(catalogue.entries)} files cannot be used"
    reasons = "; ".join(r.reason for r in refused)
    if not skip:
        raise SnakegymError(f"{what}: {reasons}. --skip-bad-traces goes on without them")
    warnings.warn(f"{what} and are left out: {reasons}", SnakegymWarning, stacklevel=3)


def _settings(config: TraceConfig) -> GeneratorConfig:
    try:
        return GeneratorConfig.model_validate(config.generator)
    except ValidationError as error:
        raise SnakegymError(f"field 'network.traces.generator': {describe_faults(error, '{}')}") from None
