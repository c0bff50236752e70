"""Options that would ask for memory or time without end are refused before work begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]
COMPARE = ("compare", "--out", "out", "--set")
EVALUATE = ("evaluate", "--scheduler", "random", "--out", "out")


@pytest.mark.parametrize(
    ("command", "named"),
    [
        ((*EVALUATE, "--episodes", "1000000000"), "--episodes: found 1000000000, expected at most 100,000"),
        ((*EVALUATE, "--scheduler", "runs/p\udcff"), "--scheduler: found 'runs/p\\udcff', expected a name"),
        ((*EVALUATE, "--jobs", "1000000"), "--jobs: found 1000000, expected at most 1,024"),
        ((*EVALUATE, "--seed", str(2**64)), "--seed: found 18446744073709551616, expected less than 2^63"),
        (("train", "--out", "out", "--timesteps", "9" * 30), "--timesteps: found"),
        (("train", "--out", "out", "--seed", "9" * 30), "--seed: found"),
        (("experiment", "interruption", "--out", "out", "--seeds", "1000000"), "--seeds: found 1000000"),
        (("traces", "generate", "--out", "out", "--links", "1000000000"), "--links: found 1000000000"),
        ((*COMPARE, "network.nodes=1000000"), "network.nodes"),
        ((*COMPARE, "model.options.width=1000000000"), "model.options.width"),
        ((*COMPARE, "network.nodes=011"), "found '011'"),
        ((*COMPARE, "network.nodes=[1"), "not valid YAML"),
        ((*COMPARE, "learning.epochs=1", "--set", "learning.epochs=1"), "'learning.epochs=1' after another"),
        ((*COMPARE, "learning.epochs=1", "--set", "learning={epochs: 2}"), "expected each field once"),
        ((*COMPARE, "network.devices.0.share=1", "--set", "network.devices.00.share=2"), "each field once"),
        ((*COMPARE, "data.root=/a", "--data", "/b"), "expected each field once"),
    ],
)
def test_refused_in_one_line_and_leaves_nothing(
    snakegym: Run, tmp_path: Path, command: tuple[str, ...], named: str
) -> None:
    status, _, err = snakegym(*command)
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("network: {nodes: 1000000", "network.nodes"),
        ("network: {nodes: 5000", "network.nodes"),
        ("network: {nodes: 011", "found '011'"),
        ("model: {options: {width: .inf}}\nnetwork: {nodes: 9", "model.options.width"),
        ("model: {options: {width: 1000000000}}\nnetwork: {nodes: 9", "model.options.width"),
        ("name: again\nnetwork: {nodes: 9", "found 'name' twice"),
    ],
)
@pytest.mark.parametrize("command", [("train",), ("evaluate", "--scheduler", "random")])
def test_scenarios_that_ask_for_too_much_leave_nothing(
    snakegym: Run, tmp_path: Path, command: tuple[str, ...], change: str, named: str
) -> None:
    (tmp_path / "mine.yaml").write_text(
        f"name: mine\nsummary: x\n{change}, devices: [{{profile: phone}}]}}\n"
        "process: {budget: {time_s: 10}}\nobjective: {nominal: {time_s: 1, energy_j: 1, n_bytes: 1}}\n"
    )
    status, _, err = snakegym(*command, "--out", "out", "--scenario", "mine.yaml")
    assert status == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert named in err
    assert not (tmp_path / "out").exists()
