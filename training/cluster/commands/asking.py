"""The commands that ask a provider."""

from __future__ import annotations

import sys
from typing import Any

from snakegym.envs.render import amount
from snakegym.errors import SnakegymError
from snakegym.files import read_text, user_path
from snakegym.scenario import load_scenario
from snakegym.training.cluster.commands.client import Client
from snakegym.training.cluster.commands.config import (
    ClientConfig,
    MigrateConfig,
    NodesConfig,
    ProcessesConfig,
    StopConfig,
    SubmitConfig,
    WatchConfig,
)
from snakegym.training.cluster.commands.telling import duration, percent, told
from snakegym.training.cluster.description import ServiceDescription, describe, read_description
from snakegym.training.runs.folder import first_difference
from snakegym.training.show.tables import NONE, Cell, Table, console, print_tables

SUFFIXES = (".yaml", ".yml", ".json")


def ask(command: ClientConfig) -> None:
    """Carry out a client's command; exits with 1 if a watched process fails. Raises SnakegymError."""
    with Client(command) as client:
        match command:
            case SubmitConfig():
                _submit(client, command)
            case ProcessesConfig():
                _processes(client, command)
            case NodesConfig():
                _nodes(client)
            case WatchConfig():
                _watch(client, command.process, command.since)
            case StopConfig():
                _wait(client, f"/processes/{command.process}/stop")
            case MigrateConfig():
                _wait(client, f"/processes/{command.process}/migrate", {"machine": command.machine})


def described(file: str) -> ServiceDescription:
    """The service in a file or of a scenario's name, with the files that it names read in.

    Raises:
        SnakegymError: it is none; names file and field.
    """
    if not file.endswith(SUFFIXES):
        return describe({"name": file, "scenario": load_scenario(file).name}, file)
    path = user_path(file)
    service = read_description(read_text(path, "the service"), file)
    if isinstance(service.scenario, str) and service.scenario.endswith(SUFFIXES):
        inner = load_scenario(path.parent / user_path(service.scenario))
        return service.model_copy(update={"scenario": inner.model_dump(mode="json", exclude_defaults=True)})
    return service


def _submit(client: Client, command: SubmitConfig) -> None:
    service = described(command.file)
    document = service.model_dump(mode="json")
    known = {one["name"] for one in client.ask("GET", "/services", limit=1000)}
    if service.name in known:
        there = client.ask("GET", f"/services/{service.name}")["description"]
        if difference := first_difference(document, there):
            raise SnakegymError(
                f"{command.file}: service '{service.name}' is registered already, and another: {difference}; "
                "choose another name"
            )
    else:
        client.ask("POST", "/services", document)
    wishes = {
        "service": service.name,
        "scheduler": command.scheduler,
        "shadow": command.shadow,
        "seed": command.seed,
        "priority": command.priority,
    }
    operation = client.ask("POST", "/processes", wishes)
    print(operation["process"], flush=True)
    if command.watch:
        _watch(client, operation["process"])


def _watch(client: Client, process: str, since: int = 0) -> None:
    last: dict[str, Any] = {}
    for last in client.follow(process, since):
        print(told(last), flush=True)
    if last.get("kind") == "failed":
        sys.exit(1)


def _wait(client: Client, path: str, body: Any = None) -> None:
    operation = client.wait_for(client.ask("POST", path, body))
    print(f"{operation['kind']} of {operation['process']}: done")


def _processes(client: Client, command: ProcessesConfig) -> None:
    found = client.ask("GET", "/processes", service=command.service)
    head = [
        "process",
        "state",
        "metric",
        "time",
        "energy",
        "bytes",
        "hops",
        "nodes",
        "priority",
        "scheduler",
    ]
    rows = [
        (
            p["id"],
            _cells(
                p["state"] + "".join(f"\n{k}: {v}" for k, v in p["promises"].items()),
                percent(p["metric"]),
                duration(p["clock_s"]),
                amount(p["energy_j"], "J"),
                amount(p["n_bytes"], "B"),
                p["hops"],
                len(p["nodes"]),
                p["priority"],
                p["scheduler"],
            ),
        )
        for p in found
    ]
    _print("Processes", head, rows)


def _nodes(client: Client) -> None:
    found = client.ask("GET", "/nodes", limit=1000)
    head = ["node", "state", "free", "up", "down", "battery", "samples", "slots", "processes"]
    rows = []
    for n in found:
        state = "not authorised" if not n["authorised"] else "gone" if not n["alive"] else "idle"
        r = n["report"]
        rates = [
            NONE if r[way] is None else amount(r[way], "bit/s") for way in ("uplink_bps", "downlink_bps")
        ]
        cells = _cells(
            "leased" if state == "idle" and n["processes"] else state,
            percent(r["availability"]),
            *rates,
            percent(r["battery"]),
            NONE if r["samples"] is None else r["samples"],
            n["slots"],
            "\n".join(n["processes"]) or NONE,
        )
        rows.append((n["name"], cells))
    _print("Nodes", head, rows)


def _cells(*values: Any) -> list[Cell]:
    return [Cell(str(value)) for value in values]


def _print(caption: str, head: list[str], rows: list[tuple[str, list[Cell]]]) -> None:
    print_tables(console(), [Table(caption, "" if rows else "none", head, rows)])
