from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cli import main
from snakegym.training.experiment import interruption as experiment
from snakegym.training.experiment.config import ExperimentConfig
from snakegym.training.experiment.interruption import FILES, SHARES


def test_the_interruption_experiment_writes_what_it_prints(tmp_path: Path, capsys):
    out = tmp_path / "e"
    main(["experiment", "interruption", "--seeds", "2", "--cycles", "1", "--out", str(out)])
    printed = capsys.readouterr().out
    assert sorted(p.name for p in out.iterdir()) == sorted(FILES)
    document = json.loads((out / FILES[0]).read_text())
    for data in ("iid", "dirichlet"):
        runs = document["runs"][data]
        assert set(runs) == {"normal", *SHARES}
        for name in SHARES:
            pairs = zip(runs[name], runs["normal"], strict=True)
            assert all(a["validation"][0] == b["validation"][0] for a, b in pairs), "the same initial models"
            ratio = np.mean([r["test"] for r in runs[name]]) / np.mean([r["test"] for r in runs["normal"]])
            assert document["kept"][data][name]["value"] == pytest.approx(ratio)
            assert f"{ratio:.1%}" in printed
    assert "Student's t" in printed
    first = (out / FILES[0]).read_bytes()
    with pytest.raises(SystemExit):
        main(["experiment", "interruption", "--seeds", "2", "--cycles", "2", "--out", str(out)])
    assert "holds another experiment: field 'cycles': found 2, expected 1" in capsys.readouterr().err
    assert (out / FILES[0]).read_bytes() == first
    (out / "mine.txt").write_text("")
    with pytest.raises(SystemExit):
        main(["experiment", "interruption", "--seeds", "2", "--out", str(out)])
    assert "mine.txt" in capsys.readouterr().err


def test_an_interrupted_experiment_goes_on(tmp_path: Path, monkeypatch, capsys):
    def command(out: str) -> list[str]:
        return ["experiment", "interruption", "--seeds", "2", "--cycles", "1", "--out", str(tmp_path / out)]

    main(command("whole"))
    train, left = experiment.train, [5]

    def until_ctrl_c(*arguments: Any) -> experiment.Run:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(experiment, "train", until_ctrl_c)
    with pytest.raises(SystemExit) as stop:
        main(command("cut"))
    assert stop.value.code == 130
    assert "5 of 12 runs are kept" in capsys.readouterr().err
    left[0] = 7
    main(command("cut"))
    for name in FILES:
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert sorted(p.name for p in (tmp_path / "cut").iterdir()) == sorted(FILES)


def test_from_python_the_result_comes_back(tmp_path: Path):
    result = experiment.experiment(ExperimentConfig("interruption", tmp_path / "e", seeds=2, cycles=1))
    document = json.loads((tmp_path / "e" / FILES[0]).read_text())
    assert result.folder == tmp_path / "e"
    for data, runs in document["runs"].items():
        assert [run.test for run in result.runs[data]["normal"]] == [run["test"] for run in runs["normal"]]
        assert set(result.kept[data]) == set(SHARES)
        for name, value in result.kept[data].items():
            assert value.value == document["kept"][data][name]["value"]


def test_an_interval_needs_two_seeds():
    with pytest.raises(SnakegymError, match="--seeds: found 1"):
        ExperimentConfig("interruption", Path("x"), seeds=1).validate()
