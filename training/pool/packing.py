"""Packing a parcel: what of files and folders the parts of an option need."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from snakegym.agents.registry import list_schedulers
from snakegym.agents.trained.checkpoint import CHECKPOINTS
from snakegym.agents.trained.config import CONFIG
from snakegym.data.vision import dataset_files
from snakegym.errors import SnakegymError
from snakegym.files import is_folder
from snakegym.network.traces.formats.base import KINDS
from snakegym.plugins import is_path, list_plugins
from snakegym.scenario import Scenario, list_scenarios, load_scenario
from snakegym.training.pool.parcel import PLACE, Parcel

DATA = "SNAKEGYM_DATA"


class Packer:
    """Collects what is to be sent; each method gives what the option is to say there.

    Raises:
        SnakegymError: from each method, if a file cannot be read.
    """

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._documents: dict[str, Any] = {}
        self._environment: dict[str, str] = {}
        self.places: dict[str, str] = {}
        """By what was packed where it lies in the parcel."""

    @property
    def parcel(self) -> Parcel:
        """What was packed."""
        return Parcel(self._files, self._documents, self._environment)

    @property
    def folders(self) -> dict[str, str]:
        """Of the folders that were packed by their paths their places, the longest path first."""
        found = {key: f"{PLACE}{p}/{_name(Path(key))}" for key, p in self.places.items() if "\0" not in key}
        return dict(sorted(found.items(), key=lambda item: -len(item[0])))

    def part(self, spec: str) -> str:
        """A part of one's own: of `file.py:attribute` the file and its neighbours; what has a name stays."""
        if not is_path(spec):
            return spec
        path, _, attribute = spec.rpartition(":")
        file = Path(path).absolute()
        folder = self._folder(file.parent, sorted(file.parent.glob("*.py")))
        return f"{folder}/{file.name}:{attribute}"

    def scheduler(self, spec: str) -> str:
        """A scheduler: a part, a run folder, or the name of one."""
        if spec in list_schedulers() or not is_folder(Path(spec)):
            return self.part(spec)
        folder = Path(spec)
        return self._folder(folder, [folder / CONFIG, *(folder / name for name in CHECKPOINTS)])

    def traces(self, folder: str | None) -> str | None:
        """A folder of traces."""
        return None if folder is None else self._folder(Path(folder), _trace_files(Path(folder)))

    def scenario(self, name: str, scenario: Scenario | None = None) -> str:
        """A scenario; one that ships and needs no files goes by its name.

        Args:
            name: as the option says it.
            scenario: what is meant, if that is another than `name` alone says.
        """
        found = load_scenario(name) if scenario is None else scenario
        packed = self.within(found)
        if packed == found and name in list_scenarios() and found == load_scenario(name):
            return name
        key = f"{name}\0{found.model_dump_json()}"
        place = self.places.setdefault(key, f"{len(self.places)}/{found.name}.json")
        self._documents[place] = packed.model_dump(mode="json")
        return PLACE + place

    def within(self, scenario: Scenario) -> Scenario:
        """A scenario with places for the files that it names."""
        data, traces = scenario.data, scenario.network.traces
        own = ":" in data.dataset or data.dataset in list_plugins("dataset")
        changes: dict[str, Any] = {"dataset": self.part(data.dataset)}
        if data.root is not None:
            root = Path(data.root)
            changes["root"] = self._folder(root, _all_files(root) if own else _data_files(data.dataset, root))
        elif data.dataset != "digits" and not own:
            self._data(_data_files(data.dataset, _data_folder()))
        source = traces.source
        if source == "folder":
            self._data(_trace_files(_data_folder()))
        elif source != "generated":
            source = self.traces(source) or source
        fitted = scenario.fitted and self._file(Path(scenario.fitted))
        network = scenario.network.model_copy(update={"traces": traces.model_copy(update={"source": source})})
        return scenario.model_copy(
            update={
                "data": data.model_copy(update=changes),
                "model": scenario.model.model_copy(update={"name": self.part(scenario.model.name)}),
                "network": network,
                "fitted": fitted,
            }
        )

    def _data(self, files: Iterable[Path]) -> None:
        if os.environ.get(DATA):  # else there is what replaces it
            self._environment[DATA] = self._folder(_data_folder(), files)

    def _file(self, path: Path) -> str:
        return f"{self._folder(path.parent, [path])}/{path.name}"

    def _folder(self, folder: Path, files: Iterable[Path]) -> str:
        """Where that folder lies in the parcel, with those of its files that there are."""
        folder = folder.absolute()
        place = self.places.setdefault(str(folder), str(len(self.places)))
        for file in files:
            name = f"{place}/{_name(folder)}/{file.absolute().relative_to(folder).as_posix()}"
            if name not in self._files and file.is_file():
                try:
                    self._files[name] = file.read_bytes()
                except OSError as error:
                    raise SnakegymError(f"{file}: cannot read it: {error.strerror or error}") from None
        return f"{PLACE}{place}/{_name(folder)}"


def _name(folder: Path) -> str:
    return folder.name or "folder"


def _data_folder() -> Path:
    return Path(os.environ.get(DATA) or os.devnull)


def _data_files(dataset: str, root: Path) -> list[Path]:
    return [file for each in dataset_files(dataset, root) for file in _all_files(each)]


def _trace_files(folder: Path) -> list[Path]:
    """Those among which traces are looked for."""
    within = [folder / kind for kind in KINDS if (folder / kind).is_dir()] or [folder]
    return [file for each in within for file in _all_files(each)]


def _all_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    return [
        Path(where) / name
        for where, inner, names in os.walk(folder)
        if not (inner.sort() or "/." in where[len(str(folder)) :])
        for name in sorted(names)
        if not name.startswith(".")
    ]
