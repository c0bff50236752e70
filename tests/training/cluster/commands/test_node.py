"""`snakegym node`: a machine joins a provider that has a cluster of its own, trains for it, and leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import torch

pytest.importorskip("ray")

from snakegym.cluster.samples import write_shares
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario
from snakegym.training.cluster.commands.config import NodeConfig


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"name": "Phone 3"}, "--name: found 'Phone 3'"),
        ({"slots": 0}, "slots"),
        ({"throttle": 0.5}, "--throttle: found 0.5"),
        ({"memory_bytes": -1.0}, "memory-bytes|memory_bytes"),
        ({"provider": "ftp://x"}, "--provider"),
    ],
)
def test_impossible_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(SnakegymError, match=said):
        NodeConfig(**{"name": "phone", "data": Path(), **options}).validate()


def scenario() -> dict[str, Any]:
    plain = load_scenario("default").model_dump(mode="json")
    plain["network"]["nodes"] = 2
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    plain["process"].update(budget={"time_s": 600, "hops": 6}, wait_s=0.5)
    plain["fitted"] = None
    return plain


@pytest.mark.cluster
def test_a_node_joins_trains_and_leaves(tmp_path: Path, serve: Callable[..., Any]) -> None:
    train = load_service(scenario()).data.train
    write_shares([tmp_path / "samples"], "digits", train, [torch.arange(400)])
    provider = serve("--ray", "start")
    common = ["--provider", provider.url, "--data", str(tmp_path / "samples")]
    command = [sys.executable, "-m", "snakegym.training.cli", "node", "--name", "phone-3", *common]
    node = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert node.stdout is not None
        assert "node phone-3 has joined" in node.stdout.readline()
        twin = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200)
        assert twin.returncode != 0
        assert "node 'phone-3': is there already, expected a name of its own" in twin.stderr
        devices = {"least_nodes": 1, "start_nodes": 1}
        service = {"name": "s", "scenario": scenario(), "scheduler": "fastest", "devices": devices}
        provider.ask("POST", "/services", json=service)
        process = provider.ask("POST", "/processes", json={"service": "s"})["process"]
        events = provider.wait_for(process, "ended")
        assert {e["node"] for e in events if e["kind"] == "hop"} == {"phone-3"}
        assert events[-1]["test_accuracy"] > 0.3
        for child in psutil.Process(node.pid).children():  # its raylet, as of one that the head took for dead
            child.terminate()
        assert "joins anew" in node.stdout.readline()
        assert "node phone-3 has joined" in node.stdout.readline()
        process = provider.ask("POST", "/processes", json={"service": "s"})["process"]
        assert provider.wait_for(process, "ended")[-1]["test_accuracy"] > 0.3
        node.send_signal(signal.SIGTERM)
        said, _ = node.communicate(timeout=100)
        assert (node.returncode, said.strip()) == (0, "node phone-3 leaves")
    finally:
        node.kill()
        provider.end(signal.SIGTERM)
    assert not (tmp_path / "provider" / "ray.json").exists(), "its cluster ends with it"


def test_a_provider_of_simulated_nodes_lets_none_join(shared: Any) -> None:
    headers = {"Authorization": f"Bearer {shared.token}"}
    answer = httpx.post(f"{shared.url}/nodes/x/join", headers=headers, trust_env=False)
    assert answer.status_code == 409
    assert "serve --ray" in answer.json()["detail"]
    assert os.path.exists(shared.folder)
