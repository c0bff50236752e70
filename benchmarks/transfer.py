"""What a hop of a large model costs beside its training: between two nodes of a Ray cluster on this machine.

Every hop hands all layers on, from one raylet to the other. Printed are the parts that the node measures,
on the clock, and the processor's time of all that takes part: what else the machine does is in the first, but
not in the second. `--mb N` is the size of the model.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import ray
import torch
from machine import describe_machine, in_words, table

from snakegym.cluster.checks import check_layers
from snakegym.cluster.parcels import Parcel
from snakegym.cluster.samples import write_shares
from snakegym.control.records import Assignment, Hop
from snakegym.control.service import Service, load_service
from snakegym.models.store import Key
from snakegym.scenario import load_scenario
from snakegym.training.cluster.description import describe
from snakegym.training.cluster.onray.directory import RayNodes
from snakegym.training.cluster.onray.node import admit, joined
from snakegym.training.cluster.onray.packing import pack, unpack
from snakegym.training.cluster.onray.session import end, start_head, start_node
from snakegym.training.cluster.stages.real import RealStage
from snakegym.training.pool.cluster import connected

NAMES = ("a", "b")
SAMPLES = 16
MIDDLE = 3


def service(megabytes: float) -> Service:
    """Of a model of that size, two nodes, peer to peer."""
    plain = load_scenario("default").model_dump()
    plain["network"].update(mode="p2p", nodes=len(NAMES))
    for device in plain["network"]["devices"]:
        device["memory_bytes"] = 1e10
    width = int(math.sqrt(megabytes * 1e6 / 4 / MIDDLE))
    plain["model"] = {"name": "mlp", "options": {"width": width, "middle": MIDDLE}}
    plain["learning"].update(batch_size=SAMPLES, learning_rate=1e-4, epochs=1)
    plain["process"].update(budget={"time_s": 1e6})
    found = describe({"name": "large", "scenario": plain, "scheduler": "serpentine"})
    return load_service(found.plan(), "test")


class Meter:
    """Processor time, s, of processes and all that they have started."""

    def __init__(self, *pids: int) -> None:
        roots = [psutil.Process(pid) for pid in pids]
        self._all = [one for root in roots for one in (root, *root.children(recursive=True))]

    def read(self) -> float:
        return float(
            sum(t.user + t.system for t in (one.cpu_times() for one in self._all if one.is_running()))
        )


def hops(stage: RealStage, n: int, *, moving: bool = True) -> list[tuple[Hop, float]]:
    """Each with all layers from one node to the other, or with none; and the seconds that it took here."""
    done = []
    for i in range(n):
        node = i % len(NAMES) if moving else stage.controller.view().holder
        if moving:
            stage.controller.forget(node)
        layer = int(stage.controller.view().legal[node].argmax())
        start = time.perf_counter()
        hop = stage.carry_out(stage.controller.dispatch(Assignment(node, layer)))
        assert hop.delivered, hop.abandoned
        done.append((hop, time.perf_counter() - start))
    return done


def between_nodes(loaded: Service, n: int) -> list[list[str]]:
    """Rows of the table: medians of hops, ms."""
    with tempfile.TemporaryDirectory() as name:
        folder, train = Path(name), loaded.data.train
        shares = [torch.arange(i * SAMPLES, (i + 1) * SAMPLES) for i in range(len(NAMES))]
        write_shares([folder / node for node in NAMES], "digits", train, shares)
        address, head = start_head()
        offers = [{"name": node, "data": str(folder / node)} for node in NAMES]
        nodes = [start_node(address, offer, ip=f"127.0.0.{3 + i}") for i, offer in enumerate(offers)]
        try:
            with connected(address):
                for node in NAMES:
                    assert node in joined()
                    ray.get(admit(node).means.remote())
                stage = RealStage("large", loaded, 0, RayNodes())
                try:
                    done, spent = _measured(stage, n, [head.pid, *(node.pid for node in nodes)])
                finally:
                    stage.close()
        finally:
            for child in (*nodes, head):
                end(child)
    return _rows(done, spent)


def _measured(stage: RealStage, n: int, pids: list[int]) -> tuple[list[tuple[Hop, float]], float]:
    """The hops, and how much more processor time they took, s, than as many in which nothing moves."""
    assert stage.seat(NAMES) == []
    while not stage.controller.view().legal.any(axis=1).all():
        stage.wait()
    hops(stage, 4)
    meter = Meter(psutil.Process().pid, *pids)
    start = meter.read()
    hops(stage, n, moving=False)
    between = meter.read()
    done = hops(stage, n)
    return done, (meter.read() - between) - (between - start)


def _rows(done: list[tuple[Hop, float]], spent: float) -> list[list[str]]:
    received = [1000 * hop.phases.receive_s for hop, _ in done]
    trained = [1000 * (hop.phases.compute_s + hop.phases.evaluate_s) for hop, _ in done]
    whole = [1000 * took for _, took in done]
    rest = [all_ms - train for all_ms, train in zip(whole, trained, strict=True)]
    others = [ms - receive for ms, receive in zip(rest, received, strict=True)]
    named = {
        "training and evaluation": trained,
        "layers from node to node": received,
        "all the rest": others,
        "the hop beside training": rest,
    }
    rows = [[what, f"{median(ms):.0f}", f"{min(ms):.0f}", f"{max(ms):.0f}"] for what, ms in named.items()]
    return [*rows, ["processor time of moving, a hop", f"{1000 * spent / len(done):.0f}", "", ""]]


def steps(loaded: Service) -> list[list[str]]:
    """What a hop does to layers, one by one: processor time, ms."""
    state = loaded.model.initial_state(0)
    layers: dict[Key, Any] = dict(enumerate_layers(state.layers))
    packed = pack(Parcel(layers))
    own = unpack(packed).layers
    tensors = [tensor for layer in layers.values() for tensor in layer.values()]
    todo: dict[str, Callable[[], Any]] = {
        "pack": lambda: pack(Parcel(layers)),
        "unpack": lambda: unpack(packed),
        "check": lambda: check_layers(own, own, state, "it", None),
        "one copy of it all, for comparison": lambda: [tensor.clone() for tensor in tensors],
    }
    return [[what, f"{_processor_ms(step):.1f}"] for what, step in todo.items()]


def enumerate_layers(layers: Any) -> Any:
    """As keys of a store."""
    return (((i, 0), layer) for i, layer in enumerate(layers))


def _processor_ms(step: Callable[[], Any], times: int = 15) -> float:
    step()
    found = []
    for _ in range(times):
        start = time.process_time()
        step()
        found.append(time.process_time() - start)
    return 1000 * median(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=float, default=40.0)
    parser.add_argument("--hops", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    loaded = service(options.mb)
    print(in_words(describe_machine()))
    print(f"\nA hop of {options.mb:g} MB, ms\n")
    print(table(["step, in one program", "processor"], steps(loaded)), flush=True)
    print()
    print(table(["between two nodes", "median", "least", "most"], between_nodes(loaded, options.hops)))


if __name__ == "__main__":
    main()
