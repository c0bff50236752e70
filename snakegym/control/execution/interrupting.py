"""Interruptions on purpose, to study what they do."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace

from snakegym.control.execution.executor import Executor
from snakegym.control.records import Job, Outcome
from snakegym.network.records import Silence


class InterruptingExecutor:
    """Has the training of one middle layer interrupted in every cycle.

    The node falls silent in the middle of its training; the PC gives the training up after a while, and
    whatever comes of it, the process goes on with the next layer.

    Args:
        executor: carries out the jobs.
        layer: the middle layer, from 0.
        share: how much of the local training is done by then, in [0, 1).
        given_up_s: how long the PC waits for the silent node.
    """

    def __init__(self, executor: Executor, layer: int, share: float, given_up_s: float) -> None:
        self.layer = layer
        self._executor = executor
        self._silence = Silence(share, given_up_s)

    def submit(self, job: Job) -> Future[Outcome]:
        """Carried out when this returns."""
        done: Future[Outcome] = Future()
        done.set_result(self.run(job))
        return done

    def run(self, job: Job) -> Outcome:
        """Carry out one hop."""
        if job.assignment.layer != self.layer:
            return self._executor.submit(job).result()
        others = tuple(replace(companion, silence=self._silence) for companion in job.companions)
        silenced = replace(job, silence=self._silence, companions=others)
        outcome = self._executor.submit(silenced).result()
        return replace(outcome, goes_on=True)
