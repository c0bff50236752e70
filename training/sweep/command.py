"""`snakegym sweep`: many trainings, and the best of them."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snakegym.errors import SnakegymError
from snakegym.training.pool.opened import opened
from snakegym.training.pool.seam import Pool
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.conventions import write_request
from snakegym.training.show.tables import console, print_tables
from snakegym.training.sweep import outcome, server
from snakegym.training.sweep.away import Away
from snakegym.training.sweep.config import SweepConfig
from snakegym.training.sweep.desk import Desk
from snakegym.training.sweep.live import Board
from snakegym.training.sweep.outcome import Ended
from snakegym.training.sweep.plan import check, metric_of, training_of
from snakegym.training.sweep.search import check_installed
from snakegym.training.sweep.sweepfile import Sweep, load_sweep
from snakegym.training.sweep.trial import Task, Worker
from snakegym.training.sweep.trials import Result, Trials
from snakegym.training.tracking.options import tracker_names
from snakegym.training.tracking.weights_and_biases import ABSENT, is_installed, is_online

MOST_CANDIDATES = 3
"""That are trained anew on fresh seeds, one after the other, until one holds what it promised."""


@dataclass(frozen=True)
class SweepResult:
    """What came out of a sweep."""

    folder: Path
    best: Ended
    """The best trial."""
    trials: Sequence[Ended]
    """All that are over."""


def sweep(config: SweepConfig) -> SweepResult | None:
    """Run the trials that are missing and say which is best.

    Returns:
        What came out; None where W&B's server gave out the trials, and where another command still runs some:
        whoever ends last writes it.

    Raises:
        SnakegymError: bad input; then nothing was written. Or no trial came to anything.
        KeyboardInterrupt: with a line that says what is kept.
    """
    config.validate()
    asked = load_sweep(config.file)
    check(asked, config.file)
    if "wandb" not in tracker_names(config.track):
        config = replace(config, wandb="disabled")
    with opened(config.ray) as pool:
        return _sweep(config, asked, pool)


def _sweep(config: SweepConfig, asked: Sweep, pool: Pool) -> SweepResult | None:
    if is_online(config.wandb):
        if pool.is_remote:
            raise SnakegymError(
                "--ray: found Weights & Biases online, expected --wandb offline or disabled (with its "
                "server, start `wandb agent` on each machine instead)"
            )
        if _on_server(config, asked):
            return None
        config = replace(config, wandb="offline")
    elif config.wandb != "disabled" and not is_installed():
        print(f"warning: {ABSENT}", file=sys.stderr)
    total = n_trials(config, asked)
    if asked.method != "grid" or asked.stopping is not None:
        check_installed()
    worker = _worker(config, asked)
    trials = Trials(config.out)
    metric, maximize = metric_of(asked)
    board = Board(trials, total, metric)
    try:
        with board.shown():
            missing = [Task(n) for n in range(total) if trials.result(n) is None]
            if len(missing) < total:
                print(f"going on after {total - len(missing)} of {total} trials", file=sys.stderr)
            _work(pool, worker, missing, config.workers, board)
            found = [e for e in outcome.ended(trials) if e.proposal.number < total]
            if len(found) < total:
                left = total - len(found)
                print(f"{left} trials are run by another command: whoever ends last writes the results")
                return None
            found = _proven(pool, worker, found, maximize, config, board)
    except KeyboardInterrupt:
        done = sum(trials.result(n) is not None for n in range(total))
        raise KeyboardInterrupt(
            f"{done} of {total} trials are kept in {config.out}, the same command goes on from there"
        ) from None
    about = {
        "seed": config.seed,
        "seeds_per_trial": config.seeds_per_trial,
        "group": worker.labels.wandb_group,
    }
    with runfolder.locked(config.out):
        best = outcome.write(config.out, asked, config.seed, found, about)
    print_tables(console(), [outcome.table(asked, found)])
    print(f"written to {config.out}{os.sep}: {', '.join(outcome.FILES[1:-3])}")
    print(f"train with the best: snakegym train --config {config.out / 'best.yaml'} --out runs/best")
    return SweepResult(config.out, best, found)


def _on_server(config: SweepConfig, asked: Sweep) -> bool:
    """Run what W&B's server gives out; whether it can be used."""
    worker = _worker(config, asked)
    path = config.out / outcome.FILES[0]
    known = runfolder.read_json(path)
    labels = replace(worker.labels, wandb_group=config.labels.wandb_group)
    place = known.get("server") or server.created(asked, labels)
    if place is None:
        return False
    runfolder.write_json(path, {**known, "server": place})
    trials = config.trials or asked.run_cap
    ran = server.run_trials(config.out, asked, place, config.track, labels, trials, config.workers or 1)
    print(
        f"{ran} trials of {place} were run here; their run folders are below {config.out / 'trials'}{os.sep}"
    )
    print(f"more agents, here or elsewhere: wandb agent {place}")
    return True


def n_trials(config: SweepConfig, asked: Sweep) -> int:
    """How many trials there are to be. Raises SnakegymError if nobody says."""
    points = asked.n_points if asked.method == "grid" else None
    wanted = [n for n in (config.trials or asked.run_cap, points) if n is not None]
    if not wanted:
        raise SnakegymError(f"--trials: found none, expected how many, as {config.file} says no run_cap")
    return min(wanted)


def _worker(config: SweepConfig, asked: Sweep) -> Worker:
    """What runs the trials, after the folder is found to be a new one or that of the same sweep."""
    document = {key: asked.document[key] for key in asked.document if key not in ("run_cap", "description")}
    request = {"file": document, "seed": config.seed, "seeds_per_trial": config.seeds_per_trial}
    runfolder.check_results(config.out, "sweep", outcome.FILES, request)
    runfolder.make_folder(config.out)
    path = config.out / outcome.FILES[0]
    with runfolder.locked(config.out):
        if not path.exists():
            runfolder.write_json(path, {"request": request, "id": uuid.uuid4().hex[:8]})
        write_request(config.out, config)
        sweep_id = str(runfolder.read_json(path).get("id"))
    labels = replace(
        config.labels,
        wandb_group=config.labels.wandb_group or f"{asked.name}-{sweep_id}",
        wandb_job_type=config.labels.wandb_job_type or "sweep",
        wandb_project=config.labels.wandb_project or asked.document.get("project"),
        wandb_entity=config.labels.wandb_entity or asked.document.get("entity"),
    )
    return Worker(
        config.out, asked, config.seed, config.seeds_per_trial, sweep_id, config.track, config.wandb, labels
    )


def _work(
    pool: Pool, worker: Worker, tasks: Sequence[Task], workers: int | None, board: Board
) -> dict[Task, Result]:
    """Run tasks; what came of those that no other command runs."""
    done: dict[Task, Result] = {}
    work: Any = Away(worker) if pool.is_remote else worker
    desk = Desk(worker, board.hear)
    with (
        closing(desk),
        pool.working(
            work,
            tasks,
            pool.width(workers, len(tasks)),
            heard=desk.answer if pool.is_remote else board.hear,
            device=_device(worker.sweep),
        ) as results,
    ):
        for task, result in results:
            if result is not None:
                done[task] = result
    return done


def _device(asked: Sweep) -> str:
    """Where the trainings compute, as their first settings say."""
    return training_of(asked, {p.name: p.examples()[0] for p in asked.parameters}).device


def _proven(
    pool: Pool, worker: Worker, found: list[Ended], maximize: bool, config: SweepConfig, board: Board
) -> list[Ended]:
    """The trials, the best of them with what it comes to on fresh seeds: until that is the best so, too."""
    for _ in range(MOST_CANDIDATES):
        order = outcome.ranked(found, maximize)
        if not order or order[0].fresh or not config.fresh_seeds:
            break
        number = order[0].proposal.number
        tasks = [Task(number, i) for i in range(config.fresh_seeds)]
        results = _work(pool, worker, tasks, config.workers, board)
        values = tuple(r.value for task in tasks if (r := results.get(task)) and r.value is not None)
        if not values:
            break
        found = [replace(e, fresh=values) if e.proposal.number == number else e for e in found]
    return found


def describe(folder: Path) -> dict[str, Any]:
    """What sweep.json says. Raises SnakegymError if the folder holds no sweep."""
    path = folder / outcome.FILES[0]
    if not path.is_file():
        raise SnakegymError(f"{folder}: found no {outcome.FILES[0]}, expected the folder of a sweep")
    found: dict[str, Any] = runfolder.read_json(path)
    return found
