"""Parts of the comparison that need neither root nor Ray."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")

from snakegym.errors import SnakegymError
from snakegym.network.network import Network, NodeProfile
from snakegym.network.traces.trace import LinkTrace, Trace
from snakegym.training.cluster.fidelity.laboratory import check_machine
from snakegym.training.cluster.fidelity.plan import DUTY, QUOTA, read_command
from snakegym.training.cluster.fidelity.quota import Group, portion
from snakegym.training.cluster.fidelity.replay import Replay
from snakegym.training.cluster.fidelity.report import off


@pytest.mark.parametrize("share", [1.0, 0.5, 0.3, 0.04, 0.005])
def test_quota_and_period_come_to_the_share(share: float) -> None:
    quota_us, period_us = portion(share)
    assert quota_us / period_us == pytest.approx(share, rel=1e-3)
    assert quota_us >= 1_000
    assert 1_000 <= period_us <= 1_000_000, "what the kernel takes"


def test_next_to_nothing_gets_what_little_can_be_had() -> None:
    assert portion(0.0) == (4_000, 1_000_000)


def test_a_group_of_version_1(tmp_path: Path) -> None:
    for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us"):  # as the kernel makes them with the folder
        path = tmp_path / "snakegym-fidelity" / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    group = Group("a", tmp_path)
    group.take(17)
    group.limit(0.3)
    found = {p.name: p.read_text() for p in (tmp_path / "snakegym-fidelity" / "a").iterdir()}
    assert found == {"cgroup.procs": "17", "cpu.cfs_quota_us": "6000", "cpu.cfs_period_us": "20000"}


def test_a_group_of_version_2(tmp_path: Path) -> None:
    above = tmp_path / "snakegym-fidelity"
    above.mkdir()
    for folder in (tmp_path, above):
        (folder / "cgroup.subtree_control").touch()
    Group("a", tmp_path).limit(0.3)
    assert (above / "a" / "cpu.max").read_text() == "6000 20000"
    for folder in (tmp_path, above):
        assert (folder / "cgroup.subtree_control").read_text() == "+cpu"


class Notes:
    """Dials that note how they are turned, and when."""

    def __init__(self) -> None:
        self.turned: dict[str, list[tuple[float, float]]] = {}

    def uplink(self, node: int, bps: float) -> None:
        self._note(f"up {node}", bps)

    def downlink(self, node: int, bps: float) -> None:
        self._note(f"down {node}", bps)

    def compute(self, node: int, share: float) -> None:
        self._note(f"compute {node}", share)

    def _note(self, what: str, value: float) -> None:
        self.turned.setdefault(what, []).append((time.time(), value))


def test_traces_are_played_from_their_offsets_on() -> None:
    link = LinkTrace("l", Trace("u", [0, 0.2, 0.4], [1e6, 2e6, 3e6], 0.6), Trace("d", [0.0], [5e6]))
    compute = Trace("c", [0, 0.3], [0.5, 1.0], 0.6)
    network = Network(
        [NodeProfile("n", 1e9, 1e9, 1, 1)], [compute], [link], compute_offsets_s=0.3, link_offsets_s=0.1
    )
    notes = Notes()
    replay = Replay(network, notes)
    time.sleep(0.75)
    replay.stop()
    n = len(notes.turned["up 0"])
    assert [value for _, value in notes.turned["up 0"]][:4] == [1e6, 2e6, 3e6, 1e6]
    assert [value for _, value in notes.turned["compute 0"]][:3] == [1.0, 0.5, 1.0]
    assert [value for _, value in notes.turned["down 0"]] == [5e6]
    for what, due in (("up 0", (0.0, 0.1, 0.3, 0.5)), ("compute 0", (0.0, 0.3, 0.6))):
        for (at, _), due_s in zip(notes.turned[what], due, strict=False):
            assert at - replay.zero_s >= due_s - 1e-3, "never before it is due"
    time.sleep(0.3)
    assert len(notes.turned["up 0"]) == n, "nothing is turned afterwards"


def test_differences_are_shares_of_what_was_measured() -> None:
    assert off([(1.1, 1.0), (0.01, 0.02), (1.0, 2.0)]) == [pytest.approx(0.1), -0.5]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--hops", "0"], "--hops: found 0, expected 1 to 10000"),
        (["--nodes", "1"], "--nodes: found 1, expected 2 to 64"),
        (["--seed", "-1"], "--seed: found -1"),
        (["--scheduler", "nobody"], "nobody"),
        (["--scheduler", "hindsight"], "hindsight"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(SnakegymError, match=said):
        read_command([str(tmp_path), *words])


def test_how_nodes_are_held_back_can_be_chosen(tmp_path: Path) -> None:
    plans = [read_command([str(tmp_path), "--compute", how])[2] for how in ("quota", "duty")]
    assert [plan.compute for plan in plans] == [QUOTA, DUTY]


def test_the_same_seed_gives_the_same_network_and_data(tmp_path: Path) -> None:
    one, same, other = (read_command([str(tmp_path), "--seed", seed])[2] for seed in ("1", "1", "2"))
    assert one.network.link_names == same.network.link_names != other.network.link_names
    assert [own.tolist() for own in one.indices] == [own.tolist() for own in same.indices]
    assert one.shares == [pytest.approx(peak / 4e10) for peak in one.network.peak_flops]


@pytest.mark.parametrize("lacking", ["root", "tc"])
def test_without_root_or_tools_one_line_says_so(monkeypatch: pytest.MonkeyPatch, lacking: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000 if lacking == "root" else 0)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == lacking else f"/usr/sbin/{name}")
    said = "another user" if lacking == "root" else "no tc"
    with pytest.raises(SnakegymError, match=f"fidelity: found {said}, expected root on Linux"):
        check_machine()
