"""The command line against a provider that runs, is killed, or is not there."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from snakegym.training.cluster.commands.telling import told

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.cluster


def test_from_submit_to_the_end(serve: Any, snakegym: Run, tiny: str, sessions: Any) -> None:
    provider = serve()
    here = ("--provider", provider.url)
    status, out, err = snakegym("submit", tiny, "--scheduler", "fastest", "--watch", *here)
    assert (status, err) == (0, "")
    process, *lines = out.splitlines()
    assert process.startswith("tiny-")
    assert sum(" trained layer " in line for line in lines) == 5
    assert lines[-1].split("  ", 1)[1].startswith("ended (hops): accuracy ")
    status, out, _ = snakegym("watch", process, "--since", 100, *here)
    assert (status, out) == (0, "")
    status, out, _ = snakegym("processes", *here)
    assert [word in out for word in (process, "terminated", "fastest")] == [True] * 3
    status, out, _ = snakegym("nodes", *here)
    assert [f"local-{i}" in out for i in (1, 4)] == [True, True]
    assert snakegym("stop", process, *here)[::2] == (
        2,
        f"error: process '{process}': is terminated already\n",
    )
    assert provider.end()[0] == 130
    assert sessions.wait_for_end(provider.process.pid, 10) == [], "no process is left behind"


def test_stop_and_migrate(serve: Any, snakegym: Run, tiny: str, tmp_path: Path) -> None:
    provider = serve("--pace", 0.5)
    here = ("--provider", provider.url)
    endless = tmp_path / "endless.yaml"
    endless.write_text(Path(tiny).read_text().replace("{time_s: 600, hops: 5}", "{time_s: 1.0e+6}"))
    process = snakegym("submit", str(endless), "--scheduler", "fastest", *here)[1].strip()
    provider.wait_for(process, "started")
    assert snakegym("migrate", process, *here)[:2] == (0, f"migrate of {process}: done\n")
    assert snakegym("stop", process, *here)[:2] == (0, f"stop of {process}: done\n")
    kinds = [event["kind"] for event in provider.wait_for(process, "ended")]
    assert kinds.count("resumed") == 1


def test_a_killed_provider_goes_on(serve: Any, snakegym: Run, tiny: str, start_snakegym: Any) -> None:
    provider = serve("--pace", 0.3)
    process = snakegym("submit", tiny, "--scheduler", "fastest", "--provider", provider.url)[1].strip()
    watching = start_snakegym("watch", process, "--provider", provider.url, cwd=provider.folder)
    provider.wait_for(process, "hop")
    token = provider.token
    provider.end(signal.SIGKILL)
    provider.begin()
    assert provider.token == token
    events = provider.wait_for(process, "ended")
    assert [e["hop"] for e in events if e["kind"] == "hop"] == list(range(5)), "each hop once"
    assert [e["number"] for e in events] == list(range(1, len(events) + 1))
    out, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (0, "")
    assert out.count(" trained layer ") == 5, "who looks on does not notice"


def as_client(provider: Any) -> tuple[object, ...]:
    return ("--provider", provider.url, "--token", provider.folder / "provider" / "token")


def test_services_in_files(shared: Any, snakegym: Run, tiny: str, tmp_path: Path) -> None:
    here = as_client(shared)
    service = tmp_path / "service.json"
    document = {"name": "mine", "scenario": "tiny.yaml", "scheduler": "fastest"}
    service.write_text(json.dumps(document))
    assert snakegym("submit", service, *here)[0] == 0
    assert snakegym("submit", service, *here)[0] == 0, "it is registered already, and the same"
    assert shared.ask("GET", "/services/mine")["description"]["scenario"]["name"] == "tiny"
    service.write_text(json.dumps(document | {"sla": {"priority": 9}}))
    status, _, err = snakegym("submit", service, *here)
    assert status == 2
    assert (
        "service 'mine' is registered already, and another: field 'sla.priority': found 9, expected 5" in err
    )


BAD = (
    ("watch", "none", "error: process 'none': found none of that id"),
    ("stop", "none", "error: process 'none': found none of that id"),
    ("migrate", "none", "error: process 'none': found none of that id"),
    ("submit", "atlantis", "error: unknown scenario 'atlantis'"),
)


def test_what_the_provider_objects_to_is_one_line(shared: Any, snakegym: Run, tmp_path: Path) -> None:
    here = as_client(shared)
    for command, word, expected in BAD:
        status, out, err = snakegym(command, word, *here)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert err.startswith(expected)
    (tmp_path / "wrong").write_text("nonsense\n")
    status, _, err = snakegym("processes", "--provider", shared.url, "--token", "wrong")
    assert (status, err.count("\n")) == (2, 1)
    assert "this token is not good, expected that in the provider's folder" in err
    status, _, err = snakegym("submit", "crowd", *here)
    assert (status, err) == (
        2,
        "error: service 'crowd': wants 32 nodes at least, found 4 that are authorised\n",
    )


def test_no_provider(snakegym: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    here = ("--provider", f"http://127.0.0.1:{port}")
    status, _, err = snakegym("processes", *here)
    assert (status, err.count("\n")) == (2, 1)
    assert "found no token (provider/token" in err
    monkeypatch.setenv("SNAKEGYM_TOKEN", "x")
    status, _, err = snakegym("processes", *here)
    assert (status, err.count("\n")) == (2, 1)
    assert err.startswith(f"error: http://127.0.0.1:{port}: found no provider there (")
    monkeypatch.setenv("SNAKEGYM_TOKEN", "☃")
    assert "SNAKEGYM_TOKEN: found no token" in snakegym("nodes", *here)[2]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--port", "99999"), "--port: found 99999"),
        (("--pace", "-1"), "--pace: found -1"),
        (("--simulated", "0"), "--simulated: found 0"),
        (("--certificate", "x.pem"), "expected both or none"),
        (("--certificate", "x.pem", "--key", "x.pem"), "--certificate x.pem, --key x.pem: No such file"),
        (("--host", "256.1.1.1"), "256.1.1.1:8080: cannot listen there"),
        (("--port", "0", "--database", "nonsense"), "--database: "),
    ],
)
def test_a_provider_that_cannot_begin(snakegym: Run, options: tuple[str, ...], named: str) -> None:
    status, out, err = snakegym("serve", *options)
    assert (status, out, err.count("\n")) == (2, "", 1), err
    assert named in err


def test_one_provider_a_folder_and_a_port(shared: Any, snakegym: Run) -> None:
    folder = shared.folder / "provider"
    status, _, err = snakegym("serve", "--port", 0, "--folder", folder)
    assert (status, err) == (2, f"error: {folder}: another snakegym command is writing to this folder\n")
    status, _, err = snakegym("serve", "--folder", "other", "--port", shared.port)
    assert (status, err) == (
        2,
        f"error: 127.0.0.1:{shared.port}: cannot listen there: Address already in use\n",
    )


def test_over_tls(serve: Any, snakegym: Run, tmp_path: Path) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", str(key)]
    made += ["-out", str(certificate), "-subj", "/CN=here", "-addext", "subjectAltName=IP:127.0.0.1"]
    try:
        subprocess.run(made, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    provider = serve("--certificate", certificate, "--key", key)
    assert provider.url.startswith("https://")
    here = ("--provider", provider.url)
    assert snakegym("nodes", "--ca", certificate, *here)[0] == 0
    status, _, err = snakegym("nodes", *here)
    assert (status, err.count("\n")) == (2, 1)
    assert "certificate verify failed" in err
    status, _, err = snakegym("nodes", "--ca", "none.pem", *here)
    assert (status, err) == (2, "error: --ca: none.pem: No such file or directory\n")


def test_without_its_packages(snakegym: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snakegym.training.cluster.optional.PACKAGES", ("httpx", "no_such_package"))
    for command in (("serve",), ("nodes",), ("stop", "x")):
        status, _, err = snakegym(*command)
        assert status == 2
        assert err == "error: found no no_such_package, expected them: pip install 'snakegym[cluster]'\n"


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"kind": "sla", "promise": "deadline", "state": "broken", "found": 10.0, "promised": 9.0}, "broken"),
        (
            {"kind": "recovery", "lost": "a", "source": None, "hops_lost": 2, "clock_s": 1.0},
            "the PCE: 2 hops",
        ),
        (
            {"kind": "waited", "reason": "illegal", "shadow": {"scheduler": "milp", "decision": "finish"}},
            "[milp",
        ),
        ({"kind": "lost", "node": "a"}, "lost: a"),
        ({"kind": "pool", "node": "a", "joined": False, "reason": "battery"}, "a left (battery)"),
        ({"kind": "started", "machine": "m", "metric": 0.1, "called": "score"}, "begun on m, score 10.0 %"),
        (
            {"kind": "ended", "reason": "hops", "metric": 0.5, "called": "score", "test_accuracy": None},
            "ended (hops): score 50.0 %, on the test part -",
        ),
        ({"kind": "of tomorrow"}, "of tomorrow"),
    ],
)
def test_events_in_words(event: dict[str, Any], words: str) -> None:
    assert words in told({"at": 0.0, **event})


def test_answers_do_not_wait_for_acknowledgements(shared: Any) -> None:
    """With Nagle's algorithm on, each takes the 40 ms after which the other side's kernel acknowledges."""
    least = math.inf
    with httpx.Client(base_url=shared.url, trust_env=False) as client:
        assert client.get("/health").status_code == 200
        for _ in range(1000):  # on a busy machine most of them take long anyway
            begun = time.perf_counter()
            assert client.get("/health").status_code == 200
            least = min(least, time.perf_counter() - begun)
            if least < 0.03:
                return
    raise AssertionError(f"none of 1,000 answers came within 30 ms, the first after {1000 * least:.0f} ms")


def test_the_folder_is_for_its_owner_alone(shared: Any) -> None:
    folder = shared.folder / "provider"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "token").stat().st_mode & 0o777 == 0o600
    assert os.listdir(folder)
