"""What the page about the service shows works as it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.cluster.commands.config import CLUSTER_COMMANDS
from snakegym.training.cluster.description import check_service, read_description

PAGE = (Path(__file__).parents[4] / "docs" / "cluster-service.md").read_text(encoding="utf-8")


@pytest.mark.cluster
def test_the_curl_examples(shared: Any) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("no curl, or no bash")
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    expected = re.findall(r"^# (\d{3} [A-Za-z ]+)$", block, re.MULTILINE)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=shared.folder,
        env={**os.environ, "PROVIDER": shared.url, "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert re.findall(r"HTTP/1\.1 (\d{3} [A-Za-z ]+)\r?\n", done.stdout) == expected
    assert len(expected) == block.count("curl ") > 5
    assert "event: hop\n" in done.stdout
    assert "event: over\n" in done.stdout


def test_the_service() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    service = read_description(block, "page.yaml")
    scenario = check_service(service)
    assert (scenario.process.target, service.sla.priority) == (0.8, 7)
    assert service.seats(scenario)[:2] == (3, 5)


def test_it_names_every_command_and_route() -> None:
    for command in CLUSTER_COMMANDS:
        assert command in PAGE, command
