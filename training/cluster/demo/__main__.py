"""Four nodes of this machine, the reference scheduler, one node killed in the middle; `make cluster-demo`."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from snakegym.cluster.samples import write_shares
from snakegym.control.service import Service, load_service
from snakegym.data.partition import spread
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario
from snakegym.training.cluster.demo.comparison import compare, draw
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.hosting import Event, Order
from snakegym.training.cluster.onray.host import RayHost
from snakegym.training.cluster.onray.session import end, kill, start_head, start_node
from snakegym.training.runs.folder import make_folder
from snakegym.training.show.figures import save
from snakegym.training.show.tables import console, print_tables

NAMES = ("phone-1", "phone-2", "phone-3", "phone-4")
HOPS, KILLED_AFTER = 48, 12
DEVICE = {"compute_power_w": 0.6, "radio_power_w": 0.5, "throttle": 40.0}
"""A phone is not as fast as this machine."""
JOIN_S, WHOLE_S = 60.0, 240.0
PROCESS = "demo"


def demo(out: Path) -> None:
    """Run it, print what happens, a table simulated / real, and draw the timeline to `out`."""
    shutil.rmtree(out, ignore_errors=True)
    make_folder(out)
    service = _service()
    loaded = load_service(service.plan(), service.split)
    train = loaded.data.train
    rng, config = np.random.default_rng(0), loaded.scenario
    indices = spread(config.data, train, len(NAMES), rng)
    folders = [out / "samples" / name for name in NAMES]
    write_shares(folders, config.data.dataset, train, [torch.from_numpy(own) for own in indices])
    with ExitStack() as stack:
        address, head = start_head()
        stack.callback(end, head)
        print(f"Ray's head is at {address}, for this machine alone")
        raylets = {}
        for place, (name, folder) in enumerate(zip(NAMES, folders, strict=True)):
            offer = {"name": name, "data": str(folder), **DEVICE}
            raylets[name] = start_node(address, offer, ip=f"127.0.0.{3 + place}")
            stack.callback(end, raylets[name])
            print(f"{name} has joined, with {len(indices[place])} samples of its own")
        host = RayHost(out / "processes", address)
        stack.callback(host.close)
        _until_all_are_there(host)
        host.start(Order(PROCESS, service, NAMES))
        events, killed = [], ""
        for event in _told(host):
            events.append(event)
            _print(event)
            hops = [e for e in events if e["kind"] == "hop" and e["delivered"]]
            if len(hops) >= KILLED_AFTER and not killed and len({e["node"] for e in hops}) > 1:
                killed = hops[-1]["node"]
                kill(raylets[killed])
                print(f"--- {killed}, which has the model, is killed: all of it, and nobody is told ---")
    _show(out, loaded, service, indices, events, killed)


def _service() -> ServiceDescription:
    plain = load_scenario("default").model_dump()
    plain["network"]["nodes"] = len(NAMES)
    plain["process"].update(budget={"time_s": WHOLE_S, "hops": HOPS}, wait_s=1.0)
    plain["summary"] = "four nodes of this machine"
    plain["fitted"] = None
    return describe({"name": PROCESS, "scenario": plain, "scheduler": "reference", "shadow": "milp"})


def _until_all_are_there(host: RayHost) -> None:
    until = time.monotonic() + JOIN_S
    while sum(node.alive for node in host.nodes()) < len(NAMES):
        if time.monotonic() > until:
            raise SnakegymError(f"found {len(host.nodes())} nodes within {JOIN_S:g} s, expected {len(NAMES)}")
        time.sleep(0.1)


def _told(host: RayHost) -> Iterator[Event]:
    """Events as they come, until the process is over."""
    number, until = 0, time.monotonic() + WHOLE_S
    while time.monotonic() < until:
        for event in host.events(PROCESS, number):
            number = event["number"]
            yield event
            if event["kind"] in ("ended", "failed"):
                return
        time.sleep(0.01)
    raise SnakegymError(f"the process was not over within {WHOLE_S:g} s")


def _print(event: Event) -> None:
    match event["kind"]:
        case "hop" if event["abandoned"]:
            print(f"hop {event['hop']:2}: {event['node']} is given up: {event['abandoned'][:60]}")
        case "hop":
            sender = event["sender"] or "the PCE"
            print(
                f"hop {event['hop']:2}: {event['node']} trains layer {event['layer']}, from {sender}, "
                f"{event['n_bytes']:.0f} B: accuracy {event['metric']:.1%}"
            )
        case "recovery":
            source = event["source"] or "the PCE"
            print(
                f"{event['lost']} is given up; the copy of {source} goes on, {event['hops_lost']} hops lost"
            )
        case "failed" | "refused":
            print(f"{event['kind']}: {event['reason']}")


def _show(
    out: Path,
    loaded: Service,
    service: ServiceDescription,
    indices: list[NDArray[np.int64]],
    events: list[Event],
    killed: str,
) -> None:
    if events[-1]["kind"] != "ended":
        raise SnakegymError("the process failed")
    found = compare(loaded, service.seed, indices, NAMES, events)
    print()
    print_tables(console(), [found.table()])
    save(draw(found, service.scheduler), out / "timeline.png")
    ended = events[-1]
    print(
        f"At the end accuracy is {ended['metric']:.1%}, {ended['test_accuracy']:.1%} on the test part; "
        f"timeline: {out / 'timeline.png'}"
    )
    if killed:
        before, least = found.accuracy_around(killed)
        print(
            f"It was {before:.1%} when {killed} was killed, {least:.1%} with the copy that was gone on with"
        )


if __name__ == "__main__":
    try:
        demo(Path(sys.argv[1] if len(sys.argv) > 1 else "cluster-demo"))
    except SnakegymError as error:
        sys.exit(f"snakegym: {error}")
