"""One process from hop to hop: the scenario's controller, a scheduler by name, real training, events."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.control.controller import ProcessController
from snakegym.control.dispatch import team_of
from snakegym.control.records import FINISH, Assignment, Decision, Hop
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.network.records import PCE
from snakegym.scenario import score_name
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.local.attended import said
from snakegym.training.cluster.local.keeping import Keeper
from snakegym.training.cluster.local.seats import Seats, only
from snakegym.training.cluster.stages.stage import Stage
from snakegym.training.runs.seeding import derive_seed


class Course:
    """A process of a service.

    Args:
        service: what is run.
        stage: where.
        keeper: what it leaves; it goes on from there.
        nodes: that sit on its seats.
        machine: where this is.

    Raises:
        SnakegymError: scenario or scheduler cannot be had, or what was kept is of another process.
    """

    def __init__(
        self, service: ServiceDescription, stage: Stage, keeper: Keeper, nodes: Sequence[str], machine: str
    ) -> None:
        scenario = service.plan()
        self._loaded = load_service(scenario, service.split)
        self.service, self.machine, self._keeper, self._stage = service, machine, keeper, stage
        self._seats = Seats(scenario.network.nodes)
        self._begin(nodes)
        made = [
            (spec, make_scheduler(spec, scenario)) for spec in (service.scheduler, service.shadow) if spec
        ]
        for _, scheduler in made:
            # A restored scheduler has forgotten what it saw; its draws must not be those of the beginning.
            scheduler.reset(derive_seed(service.seed, "scheduler", self._decisions))
        self._scheduler = made[0][1]
        self._shadow = made[1] if len(made) > 1 else None

    @property
    def ended(self) -> str:
        """Why it is over; empty while it goes on."""
        return self._controller.ended

    @property
    def _controller(self) -> ProcessController:
        return self._stage.controller

    def step(self) -> float:
        """One decision and what follows of it, kept on the disk; the simulated seconds that it took."""
        before = self._controller.clock_s
        view = self._allowed(self._controller.view())
        decision = self._scheduler.schedule(view)
        shadow = None if self._shadow is None else self._choice_of(self._shadow, view)
        legal = not isinstance(decision, Assignment) or view.allows(decision.node, decision.layer)
        if isinstance(decision, Assignment) and legal:
            self._train(view, decision, shadow)
        elif decision is FINISH:
            self._controller.finish()
        else:
            self._stage.wait()
            reason = "scheduler" if legal else "illegal"
            self.tell("waited", clock_s=self._controller.clock_s, reason=reason, shadow=shadow)
        self._tell_past()
        self.save()
        return self._controller.clock_s - before

    def lease(self, nodes: Sequence[str]) -> None:
        """Change who sits on its seats, and tell."""
        come, gone = self._seats.change(nodes)
        if come:
            self.tell("leased", nodes=come)
        if gone:
            self.tell("released", nodes=gone)
        for fault in self._stage.seat(self._seats.names):
            self.tell("refused", reason=fault)
        self.save()

    def end(self, reason: str = "") -> None:
        """Measure the model on the test part, and tell that this is over."""
        score = None
        with suppress(SnakegymError):  # its holder may be out of reach
            state = self._stage.collect()
            score = float(self._loaded.engine.evaluate([state], self._loaded.data.test)[0].score)
        metric = self._controller.metric
        self.tell(
            "ended", reason=reason or self.ended, metric=metric, test_accuracy=score, called=self._called
        )
        self._keeper.finish(self._status())
        self._stage.close()

    def tell(self, kind: str, **more: Any) -> None:
        """Note an event."""
        self._keeper.tell({"at": round(time.time(), 3), "kind": kind, **more})

    def save(self) -> None:
        """Keep where it is, and tell what has happened."""
        trained = [*self._seats.trained.items()]
        more = {"seats": self._seats.names, "trained": trained, "stage": self._stage.keep()}
        self._keeper.save(self._controller.checkpoint(), more, self._status())

    @property
    def _decisions(self) -> int:
        return self._controller.hops + self._controller.waits

    def _begin(self, nodes: Sequence[str]) -> None:
        kept = self._keeper.take_up()
        if kept is not None:
            checkpoint, more = kept
            self._stage.resume(checkpoint, more["stage"])
            self._seats = Seats(len(more["seats"]), more["seats"], more["trained"])
            hops = self._controller.hops
            self.tell("resumed", machine=self.machine, metric=self._controller.metric, hops=hops)
        else:
            self.tell("started", machine=self.machine, metric=self._controller.metric, called=self._called)
        self.lease(nodes)

    def _allowed(self, view: ProcessView) -> ProcessView:
        """The view with those nodes alone that are leased and as the service wants them."""
        wanted, data, nodes = self.service.devices, self.service.data, view.nodes
        able = self._seats.taken
        able &= nodes.memory_bytes >= (wanted.memory_bytes or 0)
        able &= nodes.peak_flops >= (wanted.peak_flops or 0)
        able &= nodes.samples >= (data.least_samples or 0)
        if data.labels:
            able &= nodes.labels[:, data.labels].sum(axis=1) > 0
        return only(view, able)

    def _train(self, view: ProcessView, decision: Assignment, shadow: Any) -> None:
        # Whom the scenario's rule takes along has to be leased, too: it is asked about the narrowed view.
        team = team_of(view, decision)
        job = self._controller.dispatch(replace(decision, companions=team[1:]))
        self._tell_hop(self._stage.carry_out(job), shadow)

    def _choice_of(self, shadow: tuple[str, Scheduler], view: ProcessView) -> dict[str, Any]:
        """What the second scheduler would do; whatever happens to it does not touch the process."""
        name, scheduler = shadow
        try:
            return {"scheduler": name, **self._said(scheduler.schedule(view))}
        except Exception as error:
            return {"scheduler": name, "failed": said(error)[:200]}

    def _said(self, decision: Decision) -> dict[str, Any]:
        if isinstance(decision, Assignment):
            return {"node": self._seats.name(decision.node), "layer": decision.layer}
        return {"decision": "finish" if decision is FINISH else "wait"}

    def _tell_hop(self, hop: Hop, shadow: Any) -> None:
        phases, costs, names = hop.phases, hop.costs, self._seats
        if hop.delivered:
            names.trained[hop.assignment.layer] = hop.assignment.node
        self.tell(
            "hop",
            hop=hop.index,
            cycle=hop.cycle,
            seat=hop.assignment.node,
            node=names.name(hop.assignment.node),
            layer=hop.assignment.layer,
            rank=hop.assignment.rank,
            sender=None if hop.sender == PCE else names.name(hop.sender),
            along=[names.name(part.node) for part in hop.parts[1:]],
            start_s=hop.start_s,
            clock_s=self._controller.clock_s,
            receive_s=phases.receive_s,
            compute_s=phases.compute_s + phases.evaluate_s,
            send_s=phases.send_s,
            share=phases.trained_share,
            energy_j=costs.energy_j,
            n_bytes=costs.n_bytes,
            metric=hop.metric,
            gain=hop.gain,
            loss=hop.loss if math.isfinite(hop.loss) else None,
            delivered=hop.delivered,
            interrupted=phases.interrupted,
            abandoned=hop.abandoned or None,
            shadow=shadow,
        )

    @property
    def _called(self) -> str:
        return score_name(self._controller.scenario.data.dataset)

    def _tell_past(self) -> None:
        """Who joined and left the pool, and holders that were given up; the controller may forget it then."""
        for event in self._controller.pool.events:
            name = self._seats.name(event.node)
            if name is not None:
                self.tell("pool", node=name, joined=event.joined, reason=event.reason, clock_s=event.time_s)
        for found in self._controller.recoveries:
            source = None if found.source == PCE else self._seats.name(found.source)
            lost, clock_s = self._seats.name(found.lost), found.time_s
            self.tell("recovery", lost=lost, source=source, hops_lost=found.hops_lost, clock_s=clock_s)
        self._controller.trim()

    def _status(self) -> dict[str, Any]:
        controller = self._controller
        view = self._allowed(controller.view())
        snapshot = {
            "clock_s": controller.clock_s,
            "metric": controller.metric,
            "called": self._called,
            "hops": controller.hops,
            "waits": controller.waits,
            "cycle": controller.cycle.index,
            "energy_j": controller.spent.energy_j,
            "n_bytes": controller.spent.n_bytes,
            "holder": view.holder,
            "mode": view.mode,
            **self._seats.look(view),
        }
        return {"machine": self.machine, "snapshot": snapshot}
