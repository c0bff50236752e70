"""Running trials: what each worker of a sweep does."""

from __future__ import annotations

import contextlib
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from snakegym.agents.trained.config import CONFIG
from snakegym.errors import SnakegymError
from snakegym.processes import variable_set
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.outcome import TrainingResult
from snakegym.training.learn.train import train
from snakegym.training.pool.seam import Say
from snakegym.training.runs.seeding import derive_seed
from snakegym.training.sweep.plan import metric_of, training_of
from snakegym.training.sweep.search import Seen, choose, to_be_stopped
from snakegym.training.sweep.sweepfile import Sweep
from snakegym.training.sweep.trials import Proposal, Report, Result, State, Trials
from snakegym.training.tracking.options import Labels, WandbMode

MEASURES = ("accuracy", "time_s", "energy_j", "n_bytes")


class Task(NamedTuple):
    """A trial to run, or a training of it on a fresh seed."""

    number: int
    fresh: int | None = None


class News(NamedTuple):
    """What a worker says while it works."""

    task: Task
    state: str
    timesteps: int
    value: float | None
    run: str = ""
    """Name of the training that has logged the value; none where a trial begins or ends."""


@dataclass(frozen=True)
class Worker:
    """Runs the trials of a sweep; picklable, and all it knows of other trials lies in the folder."""

    folder: Path
    sweep: Sweep
    seed: int
    seeds_per_trial: int
    sweep_id: str
    track: str
    wandb: WandbMode
    labels: Labels

    def __call__(self, task: Task, say: Say) -> Result | None:
        """What came of the trial; None if another process runs it.

        Raises:
            SnakegymError: a file cannot be read or written.
        """
        trials = Trials(self.folder)
        part = "trial" if task.fresh is None else f"fresh-{task.fresh}"
        with trials.claimed(task.number, part) as mine:
            if not mine:
                return None
            proposal = self.decide(trials, task.number)
            if task.fresh is not None:
                return self.run(trials, proposal, task, say)
            return trials.result(task.number) or self.run(trials, proposal, task, say)

    def decide(self, trials: Trials, number: int) -> Proposal:
        """The settings of a trial: as decided on before, else decided on now."""
        with trials.deciding():
            proposal = trials.proposal(number)
            if proposal is None:
                variables = choose(self.sweep, number, self.seed, self.seen(trials, number))
                proposal = Proposal(
                    number=number, variables=variables, parameters=self.sweep.values(variables)
                )
                trials.propose(proposal)
        return proposal

    def seen(self, trials: Trials, but: int | None = None) -> list[Seen]:
        """What is known of the other trials."""
        found = []
        for number in trials.numbers():
            proposal, result = trials.proposal(number), trials.result(number)
            if number == but or proposal is None:
                continue
            values = [report.value for report in trials.reports(number)]
            found.append(
                Seen(proposal.variables, values, result.value if result else None, result is not None)
            )
        return found

    def names(self, task: Task) -> list[str]:
        """Of the trainings of a task, and their folders."""
        if task.fresh is not None:
            return [f"fresh-{task.fresh}"]
        return [f"run-{i}" for i in range(self.seeds_per_trial)]

    def run(
        self, trials: Trials, proposal: Proposal, task: Task, say: Say, options: TrainConfig | None = None
    ) -> Result:
        """All trainings of the task, one after the other; the result is kept.

        Args:
            trials: the folder for all of it.
            proposal: the trial.
            task: of that trial.
            say: tells what happens, and may answer a value that was logged with whether to go on.
            options: of the trainings; None: as the sweep says.
        """
        say(News(task, "running", 0, None))
        values: dict[str, float] = {}
        measures: dict[str, float] = {}
        state: State = "finished"
        message = ""
        try:
            options = training_of(self.sweep, proposal.parameters) if options is None else options
            for name in self.names(task):
                values[name], trained = self._train(trials, options, task, name, say)
                measures = measures or measured(trained)
                if trained.stopped:
                    state = "stopped"
                    break
        except SnakegymError as error:
            state, message = "failed", str(error)
        value = float(np.mean([*values.values()])) if values and state != "failed" else None
        result = Result(state=state, value=value, values=values, message=message, measures=measures)
        if task.fresh is None:
            trials.conclude(task.number, result)
        say(News(task, state, 0, value))
        return result

    def training(self, options: TrainConfig, task: Task, name: str, out: Path) -> TrainConfig:
        """The options of one of the trainings of a task.

        Args:
            options: that all of them have.
            task: of the trial.
            name: of the training.
            out: its run folder.
        """
        return replace(
            options,
            out=out,
            resume=(out / CONFIG).exists(),
            seed=options.seed + int(name.removeprefix("run-"))
            if task.fresh is None
            else derive_seed(self.seed, "fresh", task.fresh),  # with which no trial was trained
            track=self.track,
            wandb=self.wandb,
            labels=replace(self.labels, wandb_name=f"{self.sweep.name}-{task.number:04d}-{name}"),
        )

    def _train(
        self, trials: Trials, options: TrainConfig, task: Task, name: str, say: Say
    ) -> tuple[float, TrainingResult]:
        """One training; the metric at its end, and what came out."""
        metric, _ = metric_of(self.sweep)
        place = trials.place(task.number)
        reports = trials.reports(task.number, name)

        def listen(metrics: Mapping[str, float], timesteps: int) -> bool:
            value = metrics.get(metric)
            if value is None or not math.isfinite(value):
                return True
            reports[:] = noted(reports, timesteps, value)
            trials.report(task.number, name, reports)
            answer = say(News(task, "running", timesteps, value, name))
            if answer is not None:
                return bool(answer)
            return self.goes_on(trials, task, name, reports)

        config = self.training(options, task, name, place / name)
        run_id = f"{self.sweep_id}-{task.number:04d}-{name}"
        with _logged_to(place / f"{name}.log"), variable_set("WANDB_RUN_ID", run_id):
            result = train(config, listen)
        if metric == "best_validation_return" and result.best_return is not None:
            return result.best_return, result
        if not reports:
            raise SnakegymError(f"the metric '{metric}' was never logged")
        return reports[-1].value, result

    def goes_on(self, trials: Trials, task: Task, name: str, reports: Sequence[Report]) -> bool:
        """Whether a training is not to be stopped early, after these values that it has logged."""
        if self.sweep.stopping is None or name != "run-0":
            return True
        own, others = [r.value for r in reports], self.seen(trials, task.number)
        return not to_be_stopped(self.sweep.stopping, metric_of(self.sweep)[1], own, others)


def noted(reports: Sequence[Report], timesteps: int, value: float) -> list[Report]:
    """With one more; of a training that is resumed, some come again."""
    earlier = [report for report in reports if report.timesteps < timesteps]
    return [*earlier, Report(timesteps=timesteps, value=value)]


def measured(result: TrainingResult) -> dict[str, float]:
    """Accuracy and costs of a training's best model on validation episodes, by MEASURES."""
    for row in reversed(result.curve):
        if row["timesteps"] == result.best_timesteps and "validation_return" in row:
            return {name: float(row[f"validation_{name}"]) for name in MEASURES}
    return {}


@contextlib.contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """What a training prints goes to a file: several print at a time, below a table that is alive."""
    try:
        file: Any = path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise SnakegymError(f"{path}: cannot write this file: {error.strerror or error}") from None
    with file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file), warnings.catch_warnings():
        warnings.showwarning = _print_warning
        yield


def _print_warning(message: Any, *_: Any, **__: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)
