"""How quickly a provider answers: 1,000 idle nodes in its registry, ten processes at work, on one machine.

Prints the time until an answer by kind of request, on the clock, and the CPU time of the provider: whatever
else the machine is doing is in the first, but not in the second. The target is 50 ms at the 95th percentile.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from snakegym.training.cluster.hosting import NodeReport
from snakegym.training.cluster.provider.nodes import Nodes
from snakegym.training.cluster.registry.store import Registry

TARGET_MS = 50.0
RATE = 40.0
"""Requests a second."""


@contextmanager
def provider(folder: Path, pace: float, nodes: int) -> Iterator[tuple[httpx.Client, psutil.Process]]:
    (folder / "provider").mkdir()
    registry = Registry(f"sqlite:///{folder / 'provider' / 'registry.db'}")
    for number in range(nodes):  # before it begins, as this is not what is measured
        Nodes(registry).register(NodeReport(f"idle-{number:04}", samples=100, battery=0.9), authorised=True)
    registry.close()
    command = [sys.executable, "-m", "snakegym.training.cli", "serve", "--port", "0", "--rate", "10000"]
    command += ["--simulated", "8", "--slots", "16", "--pace", str(pace)]
    with subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found, "the provider began"
        token = (folder / "provider" / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=found[0], headers=headers, trust_env=False, timeout=30) as client:
            yield client, psutil.Process(process.pid)
        process.terminate()


def ask(client: httpx.Client, method: str, path: str, **more: Any) -> Any:
    answer = client.request(method, path, **more)
    answer.raise_for_status()
    return answer.json()


def prepare(client: httpx.Client, processes: int) -> list[str]:
    """Start processes; their ids, once all of them run."""
    service = {"name": "load", "scenario": "default", "scheduler": "fastest"}
    ask(client, "POST", "/services", json={**service, "devices": {"start_nodes": 8}})
    asked = [ask(client, "POST", "/processes", json={"service": "load", "seed": i}) for i in range(processes)]
    until = time.monotonic() + 120
    while time.monotonic() < until:
        running = ask(client, "GET", "/processes?state=running")
        if len(running) == processes:
            return [operation["process"] for operation in asked]
        time.sleep(0.5)
    raise SystemExit(f"{len(running)} of {processes} processes run after two minutes")


def measure(client: httpx.Client, processes: list[str], seconds: float) -> dict[str, list[float]]:
    """Milliseconds until the answer, by kind of request."""
    taken: dict[str, list[float]] = defaultdict(list)
    begun, number = time.perf_counter(), 0
    while time.perf_counter() < begun + seconds:
        process = processes[number % len(processes)]
        kinds = {
            "GET /processes": ("GET", "/processes", None),
            "GET /processes/{id}": ("GET", f"/processes/{process}", None),
            "GET …/events": ("GET", f"/processes/{process}/events?limit=100", None),
            "GET /nodes (100)": ("GET", "/nodes", None),
            "GET /nodes/{name}": ("GET", "/nodes/idle-0500", None),
            "PUT /nodes/{name}": ("PUT", f"/nodes/idle-{number % 1000:04}", {"battery": 0.8}),
            "GET /services": ("GET", "/services", None),
            "GET /operations": ("GET", "/operations", None),
        }
        name, (method, path, body) = list(kinds.items())[number % len(kinds)]
        at = time.perf_counter()
        ask(client, method, path, json=body)
        taken[name].append(1000 * (time.perf_counter() - at))
        number += 1
        time.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
    return taken


def cpu_of(server: psutil.Process, do: Callable[[], Any]) -> tuple[float, Any]:
    """CPU time of the provider meanwhile (its processes' own not counted), and what came of it."""
    before = sum(server.cpu_times()[:2])
    done = do()
    return sum(server.cpu_times()[:2]) - before, done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pace", type=float, default=0.5, help="wall seconds per simulated one")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        provider(Path(folder), options.pace, options.nodes) as (client, server),
    ):
        processes = prepare(client, options.processes)
        hops = sum(p["hops"] for p in ask(client, "GET", "/processes"))
        idle_s = cpu_of(server, lambda: time.sleep(options.seconds))[0]
        cpu_s, taken = cpu_of(server, lambda: measure(client, processes, options.seconds))
        hops = sum(p["hops"] for p in ask(client, "GET", "/processes")) - hops
    everything = [ms for some in taken.values() for ms in some]
    print(f"{len(everything)} requests, {hops} hops meanwhile")
    each_ms = 1000 * (cpu_s - idle_s) / len(everything)
    print(f"CPU of the provider: {100 * idle_s / options.seconds:.0f} % unasked, {each_ms:.1f} ms an answer")
    print("| request | n | median ms | 95 % | 99 % |\n|---|---|---|---|---|")
    rows = {}
    for name, some in [*taken.items(), ("all", everything)]:
        rows[name] = [len(some), *np.percentile(some, [50, 95, 99]).round(1).tolist()]
        print(f"| `{name}` | {' | '.join(map(str, rows[name]))} |")
    met = rows["all"][2] <= TARGET_MS
    print(f"target of {TARGET_MS:g} ms at the 95th percentile: {'met' if met else 'NOT met'}")
    if options.json:
        options.json.write_text(
            json.dumps({"rows": rows, "hops": hops, "idle_s": idle_s, "cpu_s": cpu_s}, indent=2) + "\n"
        )
    sys.exit(not met)


if __name__ == "__main__":
    main()
