"""What a simulation says of a process that was real: the same decisions, on the rates that were measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from snakegym.control.clock import SimulatedClock
from snakegym.control.nodes.holdings import node_data
from snakegym.control.records import Assignment, Hop
from snakegym.control.service import Service
from snakegym.network.costs import BITS_PER_BYTE
from snakegym.network.network import Network, NodeProfile, constant_network
from snakegym.training.cluster.hosting import Event
from snakegym.training.episodes.play import EpisodeRecord, HopRecord
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.show.gantt import gantt
from snakegym.training.show.tables import Cell, Table

FIRST_BPS, MEMORY = 1e9, 1e9


@dataclass(frozen=True)
class Comparison:
    """The hops of a process, real and simulated, in their order."""

    real: list[Event]
    simulated: list[Hop]
    names: Sequence[str]
    terrain: Terrain
    ended: Event

    def table(self) -> Table:
        """Hop by hop, and in sum."""
        rows = [
            (str(event["hop"]), _cells(event, hop))
            for event, hop in zip(self.real, self.simulated, strict=True)
        ]
        kept = [
            (e, h) for e, h in zip(self.real, self.simulated, strict=True) if e["delivered"] and e["hop"] > 0
        ]
        sums = [
            Cell("delivered"),
            Cell(""),
            *(
                _pair(sum(simulated(h) for _, h in kept), sum(float(e[name]) for e, _ in kept), unit)
                for name, simulated, unit in QUANTITIES
            ),
            Cell(""),
        ]
        off = [abs(h.phases.compute_s / e["compute_s"] - 1) for e, h in kept if e["compute_s"] > 0]
        note = (
            "simulated / real: time to receive and to compute, bytes, accuracy on the validation part. Rates "
            "of the simulated network are each node's medians in this process; the median difference of "
            f"compute times is {median(off):.0%}. Seeds are the same, and so are accuracies."
        )
        head = ["hop", "node", "layer", "receive, ms", "compute, ms", "bytes", "accuracy, %"]
        return Table("Simulated / real", note, head, [*rows, ("sum", sums)])

    def accuracy_around(self, killed: str) -> tuple[float, float]:
        """After the last hop of that node, and the least since."""
        last = max(i for i, e in enumerate(self.real) if e["node"] == killed and e["delivered"])
        since = [e["metric"] for e in self.real[last:]]
        return since[0], min(since)


QUANTITIES: tuple[tuple[str, Callable[[Hop], float], float], ...] = (
    ("receive_s", lambda hop: hop.phases.receive_s, 1e3),
    ("compute_s", lambda hop: hop.phases.compute_s + hop.phases.evaluate_s, 1e3),
    ("n_bytes", lambda hop: hop.costs.n_bytes, 1.0),
)


def compare(
    loaded: Service, seed: int, indices: list[NDArray[np.int64]], names: Sequence[str], events: list[Event]
) -> Comparison:
    """Play the decisions of a real process again in a simulation.

    Args:
        loaded: the service.
        seed: of the process.
        indices: samples of each node.
        names: of the nodes, by seat.
        events: of the process.
    """
    hops = [event for event in events if event["kind"] == "hop"]
    train = loaded.data.train
    data = node_data(train, indices, len(loaded.data.validation))
    network = _network(loaded, names, hops, [len(own) for own in indices])
    controller = loaded.control(np.random.default_rng(seed), network, data, SimulatedClock())
    executor = loaded.executor_for(controller)
    terrain = Terrain.of(controller.view())
    done = []
    for event in events:
        if event["kind"] == "recovery":
            controller.forget(names.index(event["lost"]))
        elif event["kind"] == "waited":
            controller.wait()
        elif event["kind"] == "hop":
            job = controller.dispatch(Assignment(event["seat"], event["layer"], rank=event["rank"]))
            if event["abandoned"]:
                done.append(controller.abandon(job.id, event["abandoned"], event["receive_s"]))
            else:
                done.append(controller.complete(job.id, executor.run(job)))
    return Comparison(hops, done, names, terrain, events[-1])


def draw(found: Comparison, label: str) -> Figure:
    """Who trained which layer when, really and in the simulation."""
    real = [_record(e["start_s"], e, e) for e in found.real]
    simulated = [_record(h.start_s, e, _phases(h)) for e, h in zip(found.real, found.simulated, strict=True)]
    end = found.real[-1]["clock_s"], found.simulated[-1].start_s + found.simulated[-1].phases.duration_s
    records = {
        f"{label}, real": [_episode(real, end[0], found.ended)],
        f"{label}, the same decisions simulated": [_episode(simulated, end[1], found.ended)],
    }
    return gantt(records, found.terrain)


def _network(loaded: Service, names: Sequence[str], hops: list[Event], samples: list[int]) -> Network:
    """Constant, with what each node's hops took in the median; the first is for warming up."""
    flops = loaded.profile.hop_flops(loaded.scenario.learning) * loaded.scenario.learning.epochs
    evaluation = loaded.profile.teacher_flops(len(loaded.data.validation))
    speeds: list[float] = []
    up = dict.fromkeys(names, FIRST_BPS)
    down = dict.fromkeys(names, FIRST_BPS)
    for seat, name in enumerate(names):
        own = [e for e in hops if e["node"] == name and e["delivered"]][1:]
        work = [float(flops[e["layer"]]) * samples[seat] + evaluation for e in own]
        rates = [w / e["compute_s"] for w, e in zip(work, own, strict=True) if e["compute_s"] > 0]
        speeds.append(median(rates) if rates else 1e9)
        for ends, found in (
            (down, [e for e in own if e["n_bytes"] and e["receive_s"] > 0]),
            (up, [e for e in hops[2:] if e["sender"] == name and e["n_bytes"] and e["delivered"]]),
        ):
            if found:
                ends[name] = median(BITS_PER_BYTE * e["n_bytes"] / e["receive_s"] for e in found)
    profiles = [NodeProfile(name, speeds[i], MEMORY, 0.6, 0.5) for i, name in enumerate(names)]
    return constant_network(profiles, 1, [up[n] for n in names], [down[n] for n in names])


def _cells(event: Event, hop: Hop) -> list[Cell]:
    head = [Cell(event["node"]), Cell(str(event["layer"]))]
    if event["abandoned"]:
        return [*head, Cell("given up"), Cell(""), Cell(""), Cell(f"{100 * event['metric']:.1f}")]
    pairs = [_pair(simulated(hop), float(event[name]), unit) for name, simulated, unit in QUANTITIES]
    return [*head, *pairs, Cell(f"{100 * hop.metric:.1f} / {100 * event['metric']:.1f}")]


def _pair(simulated: float, real: float, unit: float) -> Cell:
    return Cell(f"{_short(simulated * unit)} / {_short(real * unit)}")


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _phases(hop: Hop) -> dict[str, Any]:
    phases = hop.phases
    return {
        "receive_s": phases.receive_s,
        "compute_s": phases.compute_s + phases.evaluate_s,
        "send_s": phases.send_s,
        "energy_j": hop.costs.energy_j,
        "n_bytes": hop.costs.n_bytes,
        "metric": hop.metric,
        "delivered": hop.delivered,
        "interrupted": phases.interrupted,
    }


def _record(start_s: float, event: Event, phases: dict[str, Any]) -> HopRecord:
    return HopRecord(
        node=event["seat"],
        layer=event["layer"],
        start_s=start_s,
        receive_s=phases["receive_s"],
        compute_s=phases["compute_s"],
        send_s=phases["send_s"],
        energy_j=phases["energy_j"],
        n_bytes=phases["n_bytes"],
        metric=phases["metric"],
        delivered=phases["delivered"],
        interrupted=phases["interrupted"],
    )


def _episode(trace: list[HopRecord], time_s: float, ended: Event) -> EpisodeRecord:
    return EpisodeRecord(
        episode=0,
        seed=0,
        total_reward=0.0,
        rewards={},
        initial_accuracy=0.0,
        validation_accuracy=trace[-1]["metric"],
        test_accuracy=ended["test_accuracy"],
        time_s=time_s,
        energy_j=sum(hop["energy_j"] for hop in trace),
        n_bytes=sum(hop["n_bytes"] for hop in trace),
        hops=len(trace),
        interruptions=sum(hop["interrupted"] is not None for hop in trace),
        waits=0,
        illegal=0,
        ended=ended["reason"],
        trace=trace,
    )
