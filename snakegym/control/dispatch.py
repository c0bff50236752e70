"""From a decision to a job, and whether there is another decision."""

from __future__ import annotations

from snakegym.control.forecast import companions, upload_bytes
from snakegym.control.records import Assignment, Job
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import TrainingOrder
from snakegym.models.store import Versions
from snakegym.network.records import PCE, Costs, Transfer
from snakegym.scenario import ProcessConfig


def team_of(view: ProcessView, assignment: Assignment) -> tuple[int, ...]:
    """The nodes that train together: the assigned one, then those that go along.

    Raises:
        SnakegymError: the assignment is not legal now, or a companion is not.
    """
    node, layer, named = assignment.node, assignment.layer, assignment.companions
    if not view.allows(node, layer, assignment.rank):
        raise SnakegymError(f"{assignment} is not legal now: expected one of view().legal")
    view = view.at_rank(assignment.rank)
    if named is None:
        return (node, *companions(view, node, layer))
    team = (node, *named)
    able = all(view.allows(other, layer) for other in named)
    if not able or len({*team}) < len(team) or len(team) > view.parallel:
        raise SnakegymError(
            f"{assignment} is not legal now: expected at most {view.parallel - 1} companions "
            f"(process.parallel is {view.parallel}), other nodes, each once, that view().legal allows it"
        )
    return team


def make_job(
    view: ProcessView,
    assignment: Assignment,
    training: TrainingOrder,
    number: int,
    versions: Versions,
    holds: Versions,
    at_pce: Versions,
    since: Versions,
) -> Job:
    """What the assigned node has to receive, train, evaluate and send, companions left out.

    Args:
        view: of the moment of the decision, with the rank that was chosen, if one was.
        assignment: the decision.
        training: what the node trains.
        number: the job's id.
        versions: of the model's layers.
        holds: of those at the node.
        at_pce: of those at the PCE.
        since: the oldest of them that adapters bring up to date for somebody.
    """
    node, layer, holder = assignment.node, assignment.layer, view.holder
    nodes, upload = view.nodes, int(upload_bytes(view, view.lacking_pce)[node, layer])
    teacher_flops = float(nodes.teacher_flops[node])
    return Job(
        id=number,
        assignment=assignment,
        versions=versions,
        holds=holds,
        at_pce=at_pce,
        since=since,
        start_s=view.clock_s,
        receive=Transfer(holder, node, int(nodes.missing_bytes[node])),
        flops=float(view.pair_flops[node, layer]) * training.n_samples + teacher_flops,
        send=Transfer(node, PCE, upload) if upload else None,
        upload=upload_layers(view, layer),
        training=training,
        metric=view.metric,
        mode=view.mode,
        evaluation_flops=view.evaluation_flops,
        battery_j=float(nodes.battery_j[node]),
        sender_battery_j=float("inf") if holder == PCE else float(nodes.battery_j[holder]),
        teacher_flops=teacher_flops,
        deadline_s=view.budget.time_s,
    )


def upload_layers(view: ProcessView, layer: int) -> tuple[int, ...]:
    """What a hop on that middle layer uploads to the PCE, as `upload_bytes` counts it."""
    if view.mode == "p2p" and view.evaluation != "pce":
        return ()
    changed = view.trained.of(layer)
    if view.mode == "cs":
        return changed
    return tuple(sorted({*changed, *(int(i) for i in (~view.held_by_pce).nonzero()[0])}))


def why_over(process: ProcessConfig, spent: Costs, hops: int, waits: int, metric: float) -> str:
    """Why a process is over, if nobody finished it: `target`, `time`, `energy`, `hops` or `decisions`.

    Empty while it goes on: at least until something was decided, even if the untrained model meets the
    target.
    """
    budget = process.budget
    if process.target is not None and spent.time_s > 0 and metric >= process.target:
        return "target"
    if spent.time_s >= budget.time_s:
        return "time"
    if budget.energy_j is not None and spent.energy_j >= budget.energy_j:
        return "energy"
    if budget.hops is not None and hops >= budget.hops:
        return "hops"
    return "decisions" if hops + waits >= budget.decisions else ""
