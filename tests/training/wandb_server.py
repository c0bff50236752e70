"""A stand-in of W&B's HTTP API on loopback: what wandb asks of it, and no more."""

from __future__ import annotations

import gzip
import json
import re
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "k" * 40
VIEWER = {
    "id": "VXNlcjox",
    "entity": "me",
    "username": "me",
    "name": "me",
    "email": "me@here",
    "flags": "{}",
    "admin": False,
    "teams": {"edges": []},
    "apiKeys": {"edges": []},
}
SWEEP = {
    "id": "U3dlZXA=",
    "name": "sw33p",
    "method": "grid",
    "state": "RUNNING",
    "description": None,
    "createdAt": "2026-01-01T00:00:00",
    "heartbeatAt": None,
    "updatedAt": None,
    "earlyStopJobRunning": False,
    "bestLoss": None,
    "controller": None,
    "scheduler": None,
    "runs": {"edges": []},
}


class WandbServer:
    """Answers until it is told to refuse the key, or to hang.

    Args:
        jobs: what agents are given to run, one after the other: run id and parameters.
    """

    def __init__(self, jobs: Sequence[tuple[str, dict[str, Any]]] = ()) -> None:
        self.jobs = list(jobs)
        self.config = ""
        """Of the sweep that agents ask about: the text of its file."""
        self.mode = "answers"
        """Or "refuses", or "hangs"."""
        self.refused = 0
        """Requests."""
        self.then = "answers"
        """The mode when there are no more jobs: agents are told to end, or nothing more."""
        self.runs: dict[str, dict[str, Any]] = {}
        """Variables of the announcement of each run, by its id."""
        self.history: dict[str, list[dict[str, Any]]] = {}
        """Logged rows of each run."""
        self.sweep: dict[str, Any] | None = None
        """Variables of the sweep that was created."""
        self._http = _Quiet(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Take up no more connections."""
        self._http.shutdown()
        self._http.server_close()

    def answer(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        """The data that a GraphQL query asks for."""
        operation = re.search(r"(?:query|mutation)\s+(\w+)", query)
        match operation[1] if operation else "":
            case "UpsertBucket":
                return {"upsertBucket": {"bucket": self._bucket(given), "inserted": True}}
            case "UpsertSweep":
                self.sweep = given
                project = {
                    "id": "p",
                    "name": given.get("projectName") or "snakegym",
                    "entity": {"name": "me"},
                }
                return {
                    "upsertSweep": {
                        "sweep": {"id": "U3dlZXA=", "name": "sw33p", "project": project},
                        "configValidationWarnings": [],
                    }
                }
            case "SweepWithRuns":
                return {"project": {"sweep": {**SWEEP, "config": self.config}}}
            case "CreateAgent":
                return {"createAgent": {"agent": {"id": "QWdlbnQ="}}}
            case "Heartbeat":
                return {
                    "agentHeartbeat": {
                        "agent": {"id": "QWdlbnQ="},
                        "commands": json.dumps(self._commands(json.loads(given.get("runState") or "{}"))),
                    }
                }
            case "CreateRunFiles":
                files = [{"name": n, "uploadUrl": f"{self.url}/upload"} for n in given.get("files", [])]
                return {"createRunFiles": {"runID": "cnVu", "uploadHeaders": [], "files": files}}
            case "Viewer":
                return {"viewer": VIEWER}
            case "CreateArtifact":  # as if it were there already, so that nothing is to be sent
                sequence = {"id": "c2Vx", "name": "sequence", "latestArtifact": None}
                artifact = {"id": "QXJ0", "state": "COMMITTED", "artifactSequence": sequence}
                return {"createArtifact": {"artifact": artifact}}
            case "ArtifactType":
                return {"project": {"artifact": None}}
            case _:
                return {"viewer": VIEWER, "serverInfo": None}

    def _commands(self, running: dict[str, bool]) -> list[dict[str, Any]]:
        if any(running.values()):
            return []
        if not self.jobs:
            self.mode = self.then
            return [{"type": "exit"}] if self.then == "answers" else []
        run_id, parameters = self.jobs.pop(0)
        arguments = {name: {"value": value} for name, value in parameters.items()}
        return [{"type": "run", "run_id": run_id, "program": "snakegym", "args": arguments}]

    def _bucket(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given.get("name") or "unnamed"
        self.runs[name] = {**self.runs.get(name, {}), **{k: v for k, v in given.items() if v is not None}}
        return {
            "id": "cnVu",
            "name": name,
            "displayName": given.get("displayName"),
            "description": None,
            "config": "{}",
            "sweepName": given.get("sweep"),
            "historyLineCount": 0,
            "project": {"id": "p", "name": given.get("project"), "entity": {"id": "e", "name": "me"}},
        }

    def stream(self, run_id: str, files: dict[str, Any]) -> None:
        """Keep what was logged."""
        rows = files.get("wandb-history.jsonl", {}).get("content", [])
        self.history.setdefault(run_id, []).extend(json.loads(row) for row in rows)


class _Quiet(ThreadingHTTPServer):
    """Clients that hang up are no news."""

    def handle_error(self, request: Any, client_address: Any) -> None: ...


def _handler(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            while server.mode == "hangs":
                time.sleep(0.1)
            if server.mode == "refuses" and "otel" not in self.path:
                server.refused += 1
                return self.reply({"errors": [{"message": "invalid API key"}]}, 401)
            if self.path.startswith("/graphql"):
                asked = json.loads(body)
                return self.reply({"data": server.answer(asked["query"], asked.get("variables") or {})})
            if self.path.endswith("/file_stream"):
                server.stream(self.path.split("/")[-2], json.loads(body).get("files") or {})
            self.reply({})

        do_GET = do_PUT = do_POST

        def reply(self, data: dict[str, Any], status: int = 200) -> None:
            content = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler
