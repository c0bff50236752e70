"""From what came of a job to the hop that is booked."""

from __future__ import annotations

import math
from collections.abc import Sequence

from snakegym.control.records import Hop, Job, Outcome, Part
from snakegym.errors import SnakegymError
from snakegym.network.records import Phases


def own_part(job: Job, phases: Phases, delivered: bool, batches: int) -> Part:
    """What the node of that job did, its companions left out."""
    training = job.training
    return Part(
        job.assignment.node,
        job.receive.sender,
        phases,
        delivered,
        batches,
        flops=phases.trained_share * job.flops,
        used=training.samples_within(batches) / training.n_samples,
    )


def finished_hop(job: Job, outcome: Outcome, index: int, cycle: int) -> Hop:
    """The record of a job and what came of it."""
    own = own_part(job, outcome.phases, outcome.delivered, outcome.batches)
    parts = (own, *outcome.companions)
    return Hop(
        index=index,
        cycle=cycle,
        assignment=job.assignment,
        sender=job.receive.sender,
        start_s=job.start_s,
        phases=outcome.phases,
        delivered=any(part.delivered for part in parts),
        batches=outcome.batches,
        loss=outcome.loss,
        metric=outcome.metric,
        gain=outcome.metric - job.metric,
        parts=parts,
        job=job.id,
        abandoned=outcome.abandoned,
    )


def booked(history: Sequence[Hop], job: int) -> Hop:
    """The hop of that job. Raises SnakegymError: there is none."""
    for hop in reversed(history):
        if hop.job == job:
            return hop
    raise SnakegymError(f"job {job!r:.20}: not under way, expected the id of what dispatch gave last")


def nothing_heard(job: Job, reason: str, seconds: float) -> Outcome:
    """What a hop comes to of which nothing is heard for so long: what the nodes hold stays as it was."""
    phases = Phases(receive_s=seconds, trained_share=0.0, interrupted="receive", update_sent=False)
    parts = tuple(own_part(member, phases, False, 0) for member in job.companions)
    return Outcome(
        phases=phases,
        delivered=False,
        batches=0,
        loss=math.nan,
        metric=job.metric,
        companions=parts,
        measured=False,
        abandoned=reason or "unknown",
    )
