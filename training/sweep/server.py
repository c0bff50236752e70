"""A sweep whose trials W&B's server gives out: this command is an agent of it, or several."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snakegym.agents.trained.config import CONFIG
from snakegym.errors import SnakegymError, in_one_line
from snakegym.training.learn.train import train
from snakegym.training.pool.processes import Processes
from snakegym.training.pool.seam import Say
from snakegym.training.runs.folder import make_folder
from snakegym.training.sweep.plan import training_of
from snakegym.training.sweep.sweepfile import Sweep
from snakegym.training.tracking.agent import IDLE_S, create_sweep, run_agent
from snakegym.training.tracking.options import Labels


@dataclass(frozen=True)
class Agents:
    """Runs trials that the server gives out; picklable, one call an agent.

    Args:
        folder: of the sweep; each trial has a run folder below it, called by its id.
        sweep: what the file says.
        place: the sweep on the server, as `wandb agent` takes it.
        track: names of trackers, W&B among them.
        labels: of the runs.
        counts: trials of each agent at most.
    """

    folder: Path
    sweep: Sweep
    place: str
    track: str
    labels: Labels
    counts: tuple[int | None, ...]

    def __call__(self, number: int, say: Say) -> int:
        """Be an agent; how many trials it ran."""
        ran: list[str] = []

        def run(run_id: str, parameters: Mapping[str, Any]) -> None:
            ran.append(run_id)
            try:
                self._train(run_id, parameters)
            except SnakegymError as error:  # the next one may well work
                print(f"warning: run {run_id} failed: {error}", file=sys.stderr)

        if not run_agent(self.place, self.counts[number], self.folder, run):
            print(
                f"warning: Weights & Biases has given out no trial for {IDLE_S:g} s, so this agent ends; "
                f"`wandb agent {self.place}` goes on with the sweep",
                file=sys.stderr,
            )
        return len(ran)

    def _train(self, run_id: str, parameters: Mapping[str, Any]) -> None:
        out = self.folder / "trials" / run_id
        config = training_of(self.sweep, parameters)
        resume = (out / CONFIG).exists()
        own = replace(config, out=out, resume=resume, track=self.track, wandb="online", labels=self.labels)
        train(own)


def created(sweep: Sweep, labels: Labels) -> str | None:
    """The sweep on the server; None, after a warning, where the server cannot be used."""
    try:
        project = labels.wandb_project or sweep.document.get("project") or "snakegym"
        place, said = create_sweep(
            sweep.document, labels.wandb_entity or sweep.document.get("entity"), project
        )
    except Exception as error:  # W&B raises many
        reason = in_one_line(error)
        print(
            "warning: Weights & Biases cannot be used online, the sweep runs here and is logged offline: "
            f"{reason}",
            file=sys.stderr,
        )
        return None
    print(said, file=sys.stderr)
    return place


def run_trials(
    folder: Path, sweep: Sweep, place: str, track: str, labels: Labels, trials: int | None, workers: int
) -> int:
    """Run trials until the server has no more; how many.

    Args:
        folder: of the sweep.
        sweep: what the file says.
        place: the sweep on the server.
        track: names of trackers, W&B among them.
        labels: of the runs.
        trials: at most; None: no limit.
        workers: agents at a time.

    Raises:
        SnakegymError: the agent cannot be started.
    """
    make_folder(folder / "trials")
    share = (None,) * workers if trials is None else tuple((trials + i) // workers for i in range(workers))
    agents = [i for i, count in enumerate(share) if count != 0]
    work = Agents(folder, sweep, place, track, labels, share)
    with Processes().working(work, agents, len(agents)) as results:
        return sum(ran for _, ran in results)
