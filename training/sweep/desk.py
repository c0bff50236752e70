"""Trials on machines that have none of our files: the command's part of it, which keeps the folder."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from snakegym.agents.trained.config import CONFIG
from snakegym.documents import parse_json
from snakegym.envs.problems import scenarios_of
from snakegym.errors import SnakegymError
from snakegym.training.learn.config import TrainConfig
from snakegym.training.pool.packing import Packer
from snakegym.training.pool.parcel import Parcel, replaced
from snakegym.training.runs.conventions import write_request
from snakegym.training.runs.folder import read_json, replacing, temporary_path, write_json
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.sweep.away import Begin, Done, Order, Send, files_of, write_files
from snakegym.training.sweep.plan import training_of
from snakegym.training.sweep.trial import News, Task, Worker, noted
from snakegym.training.sweep.trials import Trials


class Desk:
    """Answers workers that are elsewhere; holds the trials that they run against other commands.

    A trial whose worker died begins again from what the folder had of it, so its numbers are those of one
    that nobody disturbed.

    Args:
        worker: knows the sweep and its folder.
        hear: is told what happens.
    """

    def __init__(self, worker: Worker, hear: Callable[[News], None]) -> None:
        self._worker, self._hear, self._trials = worker, hear, Trials(worker.folder)
        self._claims: dict[Task, ExitStack] = {}
        self._options: dict[Task, TrainConfig] = {}
        self._parcels: dict[str, Parcel] = {}

    def answer(self, message: Any) -> Any:
        """The answer to what a worker says."""
        match message:
            case Begin(task):
                return self._order(task)
            case Send(digest):
                return self._parcels[digest]
            case Done():
                return self._keep(message)
        return self._listen(message)

    def close(self) -> None:
        """Release all trials."""
        while self._claims:
            self._claims.popitem()[1].close()

    def _order(self, task: Task) -> Order | None:
        if not self._claim(task):
            return None
        proposal = self._worker.decide(self._trials, task.number)
        result = self._trials.result(task.number) if task.fresh is None else None
        packer = Packer()
        try:
            options = self._options[task] = training_of(self._worker.sweep, proposal.parameters)
            there, packer = packed(options)
        except SnakegymError:  # the trial fails by it, which is for the worker to say
            return Order(proposal, result, None, packer.parcel.digest, {}, {})
        parcel = packer.parcel
        self._parcels[parcel.digest] = parcel
        place = self._trials.place(task.number)
        files = files_of(place, self._worker.names(task))
        kept = {
            name: _there(name, content, there, packer)
            for name, content in files.items()
            if "/wandb/" not in name
        }
        return Order(proposal, result, there, parcel.digest, parcel.environment, kept)

    def _claim(self, task: Task) -> bool:
        if task in self._claims:  # its worker died
            return True
        with ExitStack() as stack:
            part = "trial" if task.fresh is None else f"fresh-{task.fresh}"
            if not stack.enter_context(self._trials.claimed(task.number, part)):
                return False
            self._claims[task] = stack.pop_all()
        return True

    def _listen(self, news: News) -> bool | None:
        self._hear(news)
        if news.value is None or not news.run:
            return None
        number = news.task.number
        reports = noted(self._trials.reports(number, news.run), news.timesteps, news.value)
        self._trials.report(number, news.run, reports)
        return self._worker.goes_on(self._trials, news.task, news.run, reports)

    def _keep(self, done: Done) -> None:
        place = self._trials.place(done.task.number)
        options = self._options.get(done.task)
        for name in self._worker.names(done.task):
            self._keep_run(place, name, done, options)
        if done.task.fresh is None:
            self._trials.conclude(done.task.number, done.result)
        self._claims.pop(done.task, ExitStack()).close()

    def _keep_run(self, place: Path, name: str, done: Done, options: TrainConfig | None) -> None:
        for single in (f"{name}.json", f"{name}.log"):
            if single in done.files:
                with replacing(place / single) as temporary:
                    temporary.write_bytes(done.files[single])
        inner = {n.partition("/")[2]: c for n, c in done.files.items() if n.startswith(f"{name}/")}
        if not inner or options is None:
            return
        new = temporary_path(place / name)
        try:
            write_files(new, inner)
            _own(new, self._worker.training(options, done.task, name, place / name))
            with suppress(FileNotFoundError):
                for old in (place / name / "wandb").iterdir():  # of a part of it that ran here
                    if not (new / "wandb" / old.name).exists():
                        shutil.move(old, new / "wandb" / old.name)
            shutil.rmtree(place / name, ignore_errors=True)
            new.rename(place / name)
        except OSError as error:
            raise SnakegymError(
                f"{place / name}: cannot write this folder: {error.strerror or error}"
            ) from None
        finally:
            shutil.rmtree(new, ignore_errors=True)


def packed(options: TrainConfig) -> tuple[TrainConfig, Packer]:
    """Options of a training for whoever unpacks the parcel. Raises SnakegymError for a bad scenario."""
    packer = Packer()
    asked = [
        scenario_of(one, options.skip_bad_traces, options.trace_format, options.set)
        for one in scenarios_of(options.scenario)
    ]
    there = replace(options, algo=packer.part(options.algo), traces=packer.traces(options.traces))
    if os.path.isfile(options.scenario) or [packer.within(one) for one in asked] != asked:
        names = ",".join(packer.scenario(one.name, one) for one in asked)
        there = replace(there, scenario=names, set=(), skip_bad_traces=False, trace_format=None)
    return there, packer


def _there(name: str, content: bytes, options: TrainConfig, packer: Packer) -> bytes:
    """A file of a run that began here, for whoever goes on with it."""
    if Path(name).name != CONFIG:
        return content
    described = parse_json(content, name, finite=False)  # as `moved` reads it
    for folder, place in packer.folders.items():
        described = replaced(described, folder, place)
    return json.dumps({**described, "algo": options.algo, "traces": options.traces}).encode()


def _own(folder: Path, options: TrainConfig) -> None:
    """What a run folder says of its options, as if it had been trained here."""
    described = read_json(folder / CONFIG)
    _, packer = packed(options)
    for original, place in packer.folders.items():
        described = replaced(described, place, original)
    traces = None if options.traces is None else str(Path(options.traces).resolve())
    described |= {"algo": options.algo, "traces": traces}
    write_json(folder / CONFIG, described)
    write_request(folder, options, described["ppo"])
