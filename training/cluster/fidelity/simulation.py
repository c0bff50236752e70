"""What the simulation says of measured processes: of the same decisions, and of the scheduler's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from snakegym.control.clock import Clock, SimulatedClock
from snakegym.control.controller import ProcessController
from snakegym.control.records import FINISH, Assignment, Hop
from snakegym.network.network import Network
from snakegym.network.records import PCE
from snakegym.network.traces.trace import LinkTrace
from snakegym.training.cluster.fidelity.plan import Plan
from snakegym.training.cluster.fidelity.records import Run
from snakegym.training.cluster.hosting import Event
from snakegym.training.runs.seeding import derive_seed


@dataclass(frozen=True)
class Played:
    """A process that is over."""

    hops: Sequence[Hop]
    start_metric: float
    metric: float
    time_s: float
    energy_j: float
    n_bytes: float


class LedClock:
    """A `Clock` that is told what time it is: hops begin when the real ones did, whatever they took."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def after(self, clock_s: float, spent_s: float) -> float:
        """What it was told."""
        return self.now_s


def network_of(plan: Plan, run: Run) -> Network:
    """The plan's traces from where they were when the process began, on devices as they were measured."""
    network, began = plan.network, _began_s(run) - run.zero_s
    computes = [network.compute_course(node).traces[0] for node in range(plan.nodes)]
    links = [
        (network.link_course(node, PCE).traces[0], network.link_course(PCE, node).traces[0])
        for node in range(plan.nodes)
    ]
    profiles = [
        replace(profile, peak_flops=speed)
        for profile, speed in zip(network.profiles, run.calibration.peak_flops, strict=True)
    ]
    ends = 2 if plan.mode == "p2p" else 1  # a round trip goes over the links of both
    return Network(
        profiles,
        [trace for trace, _ in computes],
        [LinkTrace(up.name, up, down) for (up, _), (down, _) in links],
        compute_offsets_s=[offset + began for _, offset in computes],
        link_offsets_s=[offset + began for (_, offset), _ in links],
        rtt_s=run.calibration.transfer_s / ends,
        timeout_s=network.timeout_s,
    )


def same_decisions(plan: Plan, run: Run) -> list[Hop]:
    """The hops of a run simulated, each from the moment on at which the real one began."""
    clock = LedClock()
    controller = _controller(plan, network_of(plan, run), clock)
    executor = plan.loaded.executor_for(controller)
    clock.now_s = hops_of(run)[0]["start_s"]
    for node in range(plan.nodes):  # as a real controller does when they have enrolled, which takes a while
        controller.forget(node)
    for event in run.events:
        clock.now_s = event.get("clock_s", clock.now_s)
        if event["kind"] == "recovery":
            controller.forget(plan.names.index(event["lost"]))
        elif event["kind"] == "waited":
            controller.wait()
        elif event["kind"] == "hop":
            job = controller.dispatch(Assignment(event["seat"], event["layer"], rank=event["rank"]))
            if event["abandoned"]:
                controller.abandon(job.id, event["abandoned"])
            else:
                controller.complete(job.id, executor.run(job))
    return controller.history


def own_decisions(plan: Plan, scheduler: str, run: Run) -> Played:
    """The whole process as a simulation alone would have it, scheduler and all."""
    controller = _controller(plan, network_of(plan, run), SimulatedClock())
    executor = plan.loaded.executor_for(controller)
    chooser = plan.scheduler(scheduler)
    chooser.reset(derive_seed(plan.seed, "scheduler", 0))
    before = controller.metric
    while not controller.ended:
        decision = chooser.schedule(controller.view())
        if decision is FINISH:
            controller.finish()
        elif isinstance(decision, Assignment):
            job = controller.dispatch(decision)
            controller.complete(job.id, executor.run(job))
        else:
            controller.wait()
    spent = controller.spent
    return Played(
        controller.history, before, controller.metric, controller.clock_s, spent.energy_j, spent.n_bytes
    )


def hops_of(run: Run) -> list[Event]:
    """The real ones."""
    return [event for event in run.events if event["kind"] == "hop"]


def _began_s(run: Run) -> float:
    """Seconds since 1970 at the process's time 0: each event says both, and is told a little late."""
    return min(float(event["at"] - event["clock_s"]) for event in hops_of(run))


def _controller(plan: Plan, network: Network, clock: Clock) -> ProcessController:
    return plan.loaded.control(np.random.default_rng(plan.seed), network, plan.data, clock)
