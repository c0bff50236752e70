"""What runs in the hub's namespace: the cluster, and one process after the other on replayed traces.

Started by the module's command, whose child it is; if that is killed, it removes everything.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from tqdm import tqdm

from snakegym.cluster.samples import write_shares
from snakegym.errors import SnakegymError
from snakegym.network.costs import BITS_PER_BYTE
from snakegym.training.cluster.description import ServiceDescription
from snakegym.training.cluster.fidelity import laboratory, quota
from snakegym.training.cluster.fidelity.laboratory import (
    HOME,
    HUB_IP,
    ip_of,
    namespace,
    sent_and_received,
    within,
)
from snakegym.training.cluster.fidelity.plan import DUTY, Plan, read_command
from snakegym.training.cluster.fidelity.records import Calibration, Measured, Run
from snakegym.training.cluster.fidelity.replay import Machine, Replay
from snakegym.training.cluster.hosting import Event, Order
from snakegym.training.cluster.onray.host import RayHost
from snakegym.training.cluster.onray.node import node_actor
from snakegym.training.cluster.onray.session import kill, start_head, start_node

JOIN_S, HOP_S = 90.0, 60.0
LOOK_S = 0.02
CALIBRATION_BPS = 1e7
"""Of all links while hops are measured beforehand."""


@dataclass
class Cluster:
    """Nodes that have joined, and what there is to turn."""

    plan: Plan
    host: RayHost
    machine: Machine

    def run(
        self, process: str, service: ServiceDescription, told: Callable[[Event], None] = lambda _: None
    ) -> list[Event]:
        """The events of a process that is over, with a bar of its hops; `told` hears of each.

        Raises:
            SnakegymError: it failed.
        """
        self.host.start(Order(process, service, self.plan.names))
        hops = service.plan().process.budget.hops
        number, events, heard = 0, list[Event](), time.monotonic()
        with tqdm(total=hops, desc=process, unit="hop", leave=False, file=sys.stderr) as bar:
            while not events or events[-1]["kind"] not in ("ended", "failed"):
                for event in self.host.events(process, number):
                    number, heard = event["number"], time.monotonic()
                    events.append(event)
                    told(event)
                    bar.update(event["kind"] == "hop")
                if time.monotonic() - heard > HOP_S:
                    raise SnakegymError(f"process '{process}': nothing was heard of it for {HOP_S:g} s")
                time.sleep(LOOK_S)
        if events[-1]["kind"] == "failed":
            raise SnakegymError(f"process '{process}': {events[-1]['reason']}")
        return events


def measure(plan: Plan, schedulers: tuple[str, ...], out: Path) -> None:
    """Measure what is not there yet, and add it to what is."""
    measured = Measured.read(out, plan)
    missing = [name for name in schedulers if name not in measured.runs]
    if not missing:
        return
    with _cluster(plan) as cluster:
        calibration = _calibrate(cluster)
        for name in missing:
            measured.runs[name] = _measure(cluster, name, calibration)
            measured.write(out)


def _measure(cluster: Cluster, name: str, calibration: Calibration) -> Run:
    before = [sent_and_received(node) for node in range(cluster.plan.nodes)]
    replay = Replay(cluster.plan.network, cluster.machine)
    try:
        events = cluster.run(name.replace("+", "-"), cluster.plan.service(name))
    finally:
        replay.stop()
    after = [sent_and_received(node) for node in range(cluster.plan.nodes)]
    wire = [(a[0] - b[0], a[1] - b[1]) for a, b in zip(after, before, strict=True)]
    return Run(replay.zero_s, calibration, wire, events)


def _calibrate(cluster: Cluster) -> Calibration:
    """Speeds of nodes and the time that a transfer takes beside its bytes, of hops under constant conditions.

    Everybody's first hop is for warming up, and not held back; the next one has begun when that is noticed.
    """
    plan, machine = cluster.plan, cluster.machine
    for node in range(plan.nodes):
        machine.uplink(node, CALIBRATION_BPS)
        machine.downlink(node, CALIBRATION_BPS)

    def told(event: Event) -> None:
        if event["kind"] == "hop" and event["hop"] == plan.nodes - 1:
            for node in range(plan.nodes):
                machine.compute(node, 1.0)

    events = cluster.run("calibration", plan.service("serpentine", hops=3 * plan.nodes), told)
    hops = [e for e in events if e["kind"] == "hop" and e["delivered"] and e["hop"] > plan.nodes]
    speeds = []
    for seat, name in enumerate(plan.names):
        own = [e for e in hops if e["seat"] == seat and e["compute_s"] > 0]
        if not own:
            raise SnakegymError(f"{name}: did not train in the calibration, expected it to")
        speeds.append(statistics.median(plan.flops(seat, e["layer"]) / e["compute_s"] for e in own))
    beyond = [_beyond(e) for e in hops if e["n_bytes"]]
    return Calibration(tuple(speeds), max(0.0, statistics.median(beyond)) if beyond else 0.0)


def _beyond(event: Event) -> float:
    """What the transfers of a hop took beside their air time, s; in CS mode there are two."""
    seconds = event["receive_s"] + event["send_s"]
    return float(seconds - BITS_PER_BYTE * event["n_bytes"] / CALIBRATION_BPS) / (2 if event["send_s"] else 1)


@contextmanager
def _cluster(plan: Plan) -> Iterator[Cluster]:
    folders = [HOME / "samples" / name for name in plan.names]
    indices = [torch.from_numpy(own) for own in plan.indices]
    write_shares(folders, plan.loaded.scenario.data.dataset, plan.loaded.data.train, indices)
    with ExitStack() as stack:
        print(f"{plan.nodes} nodes, each in a namespace of its own, are started", flush=True)
        address, head = start_head(HUB_IP, folder=HOME / "ray")
        stack.callback(kill, head)  # nobody has anything to bring to an end
        for node, folder in enumerate(folders):  # in turn: at once they choose sockets of the same name
            stack.callback(kill, _join(plan, address, node, folder))
        host = RayHost(HOME / "processes", address, HUB_IP)
        stack.callback(host.close)
        _until_all_are_there(host, plan)
        files = [_share_file(name) for name in plan.names]
        yield Cluster(plan, host, stack.enter_context(Machine(files, _groups(plan), plan.shares)))


def _groups(plan: Plan) -> list[quota.Group]:
    """Of each node's worker, which trains, and not of its raylet; none where duty cycles do."""
    if plan.compute == DUTY:
        return []
    parent = quota.parent_group()
    if parent is None:
        raise SnakegymError("cgroups: found none that portions out processors, expected --compute duty")
    groups = [quota.Group(name, parent) for name in plan.names]
    for name, group in zip(plan.names, groups, strict=True):
        group.take(ray.get(node_actor(name).__ray_call__.remote(_process), timeout=JOIN_S))
    return groups


def _join(plan: Plan, address: str, node: int, folder: Path) -> Any:
    profile, name = plan.network.profiles[node], plan.names[node]
    share = _share_file(name)
    share.write_text("1.0", encoding="ascii")
    offer = {
        "name": name,
        "data": str(folder),
        "share": str(share),
        "memory_bytes": profile.memory_bytes,
        "peak_flops": profile.peak_flops,
        "compute_power_w": profile.compute_power_w,
        "radio_power_w": profile.radio_power_w,
        "slots": 1,
    }
    if plan.compute == DUTY:
        offer["throttle"] = 1 / plan.shares[node]
    return start_node(address, offer, ip_of(node), within(namespace(node)))


def _process(actor: Any) -> int:
    return os.getpid()


def _share_file(name: str) -> Path:
    return HOME / f"{name}.share"


def _until_all_are_there(host: RayHost, plan: Plan) -> None:
    until = time.monotonic() + JOIN_S
    while (found := sum(node.alive for node in host.nodes())) < plan.nodes:
        if time.monotonic() > until:
            raise SnakegymError(f"found {found} nodes within {JOIN_S:g} s, expected {plan.nodes}")
        time.sleep(0.1)


def _outlive(parent: int) -> None:
    """If the command is killed, nobody else removes what there is."""
    while os.getppid() == parent:
        time.sleep(0.5)
    # In a program of its own, as Ray ends this one once its raylet is gone. The machine stays held by it.
    subprocess.run([sys.executable, "-m", laboratory.__name__], close_fds=False, check=False)
    os._exit(1)


def main() -> None:
    """As the command is called."""
    out, schedulers, plan = read_command(sys.argv[1:])
    parent = os.getppid()
    heir = threading.Thread(target=_outlive, args=(parent,), daemon=True)
    heir.start()
    torch.set_num_threads(1)
    try:
        measure(plan, schedulers, out)
    except SnakegymError as error:
        sys.exit(f"snakegym: {error}")
    finally:
        if os.getppid() != parent:
            heir.join()  # which ends this program


if __name__ == "__main__":
    main()
