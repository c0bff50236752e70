"""Commands whose tasks are done where none of their files are: everything needed goes along, all comes back.

A stand-in of a cluster hides the folder of the command, working folder included, whenever a task is at work.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from snakegym.training.pool import opened

Run = Callable[..., tuple[int, str, str]]
OWN = """
from neighbour import pick
from snakegym import Assignment

class Mine:
    def __init__(self, scenario): ...
    def reset(self, seed): ...
    def schedule(self, view):
        nodes, layers = view.legal.nonzero()
        best = pick(view.nodes.visits[nodes])
        return Assignment(int(nodes[best]), int(layers[best]))
"""


class Elsewhere:
    """A pool whose tasks see nothing of a folder."""

    is_remote = True

    def __init__(self, folder: Path) -> None:
        self._folder, self._away = folder, folder.with_name(f"{folder.name}-hidden")
        self.tasks = 0

    def width(self, jobs: int | None, tasks: int, worth_a_worker: int = 1) -> int:
        return 1

    @contextmanager
    def working(
        self, work: Any, tasks: Sequence[Any], width: int, *, heard: Any = None, **_: Any
    ) -> Iterator[Iterator[tuple[Any, Any]]]:
        def say(message: Any) -> Any:
            self._back()
            try:
                return pickle.loads(pickle.dumps(heard(pickle.loads(pickle.dumps(message)))))
            finally:
                self._hide()

        pickled = pickle.dumps(work)

        def results() -> Iterator[tuple[Any, Any]]:
            there: Any = None
            for task in tasks:
                self._hide()
                try:
                    there = there or pickle.loads(pickled)
                    result = there(task, say)
                finally:
                    self._back()
                self.tasks += 1
                yield task, result

        yield results()

    def _hide(self) -> None:
        os.chdir("/")
        self._folder.rename(self._away)

    def _back(self) -> None:
        self._away.rename(self._folder)
        os.chdir(self._folder)


@pytest.fixture
def both(snakegym: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Run a command into the folder `here`, as usual, and into `there`, with its tasks done elsewhere."""

    def run(*command: object) -> None:
        status, _, err = snakegym(*command, "--out", "here")
        assert status == 0, err
        pool = Elsewhere(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(opened, "Processes", lambda: pool)
            status, _, err = snakegym(*command, "--out", "there")
        assert status == 0, err
        assert pool.tasks > 0

    return run


@pytest.fixture
def own(tmp_path: Path) -> str:
    """A scheduler of one's own, whose file imports another one."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "neighbour.py").write_text("def pick(visits):\n    return visits.argmin()\n")
    return "mine.py:Mine"


@pytest.fixture
def traces(snakegym: Run, tmp_path: Path) -> str:
    """A folder of traces."""
    assert snakegym("traces", "generate", "--links", 40, "--computes", 40, "--out", "recorded")[0] == 0
    return "recorded"


def same(tmp_path: Path, *names: str) -> None:
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes(), name


@pytest.mark.painted
@pytest.mark.usefixtures("a_run")
def test_an_evaluation(both: Run, tiny: str, own: str, traces: str, tmp_path: Path) -> None:
    who = [part for spec in (own, "run", "random") for part in ("--scheduler", spec)]
    changes = ("--set", "learning.epochs=2", "--layer-order", "serpentine", "--traces", traces)
    both("evaluate", *who, "--scenario", tiny, "--episodes", 2, "--jobs", 1, *changes)
    same(tmp_path, "evaluation.json", "evaluation.csv", "traces.json", "returns.png")


def test_a_benchmark(both: Run, tiny: str, own: str, tmp_path: Path) -> None:
    other = Path(tiny).with_name("other.yaml")
    other.write_text(Path(tiny).read_text().replace("name: tiny", "name: other"))
    where = ("--scenario", "tiny.yaml", "--scenario", "other.yaml")
    both("benchmark", "--scheduler", own, "--one", "greedy", *where, "--episodes", 2, "--jobs", 1)
    same(tmp_path, "benchmark.json", "benchmark.csv", "pieces/tiny.jsonl", "pieces/other.jsonl")


def test_a_comparison(both: Run, tiny: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from snakegym.frameworks.fedavg import FedAvg as Mine\n")
    names = "snake-cs,mine.py:Mine"
    both("compare", "--scenario", tiny, "--frameworks", names, "--seeds", "0", "--cycles", 2, "--jobs", 1)

    def timeless(out: str) -> Any:
        text = (tmp_path / out / "compare.json").read_text()
        return json.loads(text, object_hook=lambda data: {k: v for k, v in data.items() if k != "wall_s"})

    assert timeless("here") == timeless("there")
    kept = [sorted(p.name for p in (tmp_path / out / "runs").iterdir()) for out in ("here", "there")]
    assert kept[0] == kept[1]


@pytest.fixture
def sweep_file(tmp_path: Path, tiny: str, traces: str, short: dict[str, object]) -> str:
    """Two short trainings on traces of one's own, of which one is stopped early."""
    options = [f"{option}={value}" for option, value in short.items() if option != "--wandb"]
    document = {
        "command": ["snakegym", "train", f"--scenario={tiny}", f"--traces={traces}", *options, "${args}"],
        "method": "grid",
        "metric": {"name": "train/learning_rate", "goal": "maximize"},
        "early_terminate": {"type": "hyperband", "min_iter": 1, "eta": 2},
        "parameters": {"learning_rate": {"values": [1e-3, 1e-4]}, "network.nodes": {"value": 4}},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(document))
    return "mine.yaml"


def test_a_sweep(both: Run, sweep_file: str, tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    options = ("--fresh-seeds", 1, "--workers", 1, "--wandb", "disabled", "--wandb-group", "mine")
    both("sweep", sweep_file, *options)
    here, there = (json.loads((tmp_path / out / "summary.json").read_text()) for out in ("here", "there"))
    assert [t["state"] for t in there["trials"]] == ["finished", "stopped"]
    assert here["trials"] == there["trials"]
    for trial in ("0000/run-0", "0001/run-0", "0000/fresh-0"):
        one, other = (tmp_path / out / "trials" / trial for out in ("here", "there"))
        assert {p.name for p in one.iterdir()} == {p.name for p in other.iterdir()}
        assert (one / "traces.json").read_bytes() == (other / "traces.json").read_bytes()
        ours, theirs = (json.loads((run / "config.json").read_text()) for run in (one, other))
        assert {**ours, "run_id": ""} == {**theirs, "run_id": ""}
        assert (one / "config.yml").read_text() == (other / "config.yml").read_text()
        with np.load(one / "evaluations.npz") as a, np.load(other / "evaluations.npz") as b:
            assert all(np.array_equal(a[key], b[key]) for key in a.files)


def test_a_trial_that_began_here_goes_on_elsewhere(
    snakegym: Run, both: Run, sweep_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    command = ("sweep", sweep_file, "--trials", 1, "--fresh-seeds", 0, "--workers", 1, "--wandb", "disabled")
    both(*command)
    (tmp_path / "here" / "trials" / "0000" / "result.json").unlink()
    before = (tmp_path / "here" / "trials" / "0000" / "run-0" / "progress.csv").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(opened, "Processes", lambda: Elsewhere(tmp_path))
        status, _, err = snakegym(*command, "--out", "here")
    assert status == 0, err
    log = (tmp_path / "here" / "trials" / "0000" / "run-0.log").read_text()
    assert "has 32 steps already, nothing to do" in log
    assert (tmp_path / "here" / "trials" / "0000" / "run-0" / "progress.csv").read_bytes() == before
