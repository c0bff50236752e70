"""What a comparison keeps on the disk: taken up again after kills, refused where it is damaged."""

from __future__ import annotations

import io
import json
import math
import pathlib
import re

import pytest
import torch

from snakegym.errors import SnakegymError
from snakegym.training.frameworks import runs as compare_runs
from snakegym.training.frameworks.compare import compare
from snakegym.training.frameworks.config import Comparison
from snakegym.training.frameworks.runs import Piece, Runner


def test_a_killed_comparison_goes_on_where_it_was(tmp_path, monkeypatch, config, results):
    monkeypatch.setattr(compare_runs, "CHECKPOINT_S", -1.0)  # after every round
    names = "fedavg,accelerated-fl,random-walking-snakes,snake-cs"
    compare(config(tmp_path / "straight", frameworks=names, cycles=3))
    comparison = Comparison.of(config(tmp_path, cycles=3))
    (tmp_path / "killed" / "runs").mkdir(parents=True)
    runner = Runner(comparison, tmp_path / "killed" / "runs", "cpu")

    class Killed(Exception):
        pass

    def kill():
        raise Killed

    for name in names.split(","):
        with pytest.raises(Killed):
            runner.run(Piece(name, 0), kill)
        assert runner.rounds_done(Piece(name, 0)) == 1
    (tmp_path / "killed" / "comparison.json").write_text(json.dumps(comparison.identity()))
    compare(config(tmp_path / "killed", frameworks=names, cycles=3))
    assert results(tmp_path / "killed") == results(tmp_path / "straight")
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize("content", [None, b'{"framework": "fedavg", "se', b""])
def test_what_a_kill_left_is_no_result_and_goes(tmp_path, content, config):
    """A kill between writing a file and moving it to its place leaves it under a temporary name."""
    compare(config(tmp_path, frameworks="fedavg", seeds="0,1"))
    before = (tmp_path / "compare.json").read_bytes()
    finished = (tmp_path / "runs" / "fedavg-0.json").read_bytes()
    left = [
        tmp_path / "runs" / ".snakegym-4711-fedavg-0.json",
        tmp_path / "runs" / ".snakegym-4711-fedavg-0.pt",
        tmp_path / ".snakegym-4711-compare.json",
    ]
    for path in left:
        path.write_bytes(finished if content is None else content)
    mine = tmp_path / "runs" / "fedavg-0 (copy).json"
    mine.write_bytes(finished)
    compare(config(tmp_path, frameworks="fedavg", seeds="0,1"))
    assert (tmp_path / "compare.json").read_bytes() == before
    assert not any(path.exists() for path in left)
    assert mine.exists()


def spoil(result):
    result = json.loads(result)
    yield "no JSON", "{", "not valid JSON"
    yield "a name twice", json.dumps(result)[:-1] + ', "seed": 0}', "found 'seed' twice"
    yield "a list", "[]", "should be an object"
    yield "no rounds", json.dumps({k: v for k, v in result.items() if k != "rounds"}), "field 'rounds'"
    yield "a field more", json.dumps(result | {"more": 1}), "field 'more'"
    yield "another seed", json.dumps(result | {"seed": 7}), "field 'seed': found 7, expected 0"
    yield "fewer rounds", json.dumps(result | {"rounds": []}), "field 'rounds': found 0, expected 2"
    rounds = [result["rounds"][0] | {"time_s": "long"}, result["rounds"][1]]
    yield "a word", json.dumps(result | {"rounds": rounds}), "field 'rounds.0.time_s'"
    rounds = [result["rounds"][0] | {"time_s": float("nan")}, result["rounds"][1]]
    yield "nan", json.dumps(result | {"rounds": rounds}), "field 'rounds.0.time_s'"


def test_a_damaged_result_is_one_clear_error(tmp_path, config):
    compare(config(tmp_path, frameworks="fedavg"))
    path = tmp_path / "runs" / "fedavg-0.json"
    for what, text, message in list(spoil(path.read_text())):
        path.write_text(text)
        with pytest.raises(SnakegymError) as error:
            compare(config(tmp_path, frameworks="fedavg"))
        assert str(path) in str(error.value), what
        assert message in str(error.value), what
        assert "\n" not in str(error.value), what


@pytest.fixture
def checkpoint(tmp_path, monkeypatch, config):
    """The path of a checkpoint after one of two rounds, and its runner."""
    monkeypatch.setattr(compare_runs, "CHECKPOINT_S", -1.0)
    runner = Runner(Comparison.of(config(tmp_path)), tmp_path, "cpu")

    class Killed(Exception):
        pass

    def kill():
        raise Killed

    with pytest.raises(Killed):
        runner.run(Piece("snake-p2p", 0), kill)
    return tmp_path / "snake-p2p-0.pt", runner


def damaged(content):
    saved = torch.load(io.BytesIO(content), weights_only=True)
    text = json.loads(saved["text"])
    yield "empty", b""
    yield "cut short", content[: len(content) // 2]
    yield "no checkpoint", b"no checkpoint"
    for changes in (
        {"layers": 3},
        {"layers": [{"x": "y"}]},
        {"layers": saved["layers"][:-1]},
        {"layers": [{name: t[:1] for name, t in layer.items()} for layer in saved["layers"]]},
        {"text": "{"},
        {"text": json.dumps(text | {"records": [{}]})},
        {"text": json.dumps(text | {"journal": {}})},
        {"text": json.dumps(text | {"journal": text["journal"] | {"process": {}}})},
        {"text": json.dumps(text | {"journal": text["journal"] | {"rounds": "two"}})},
        {"text": json.dumps(text | {"journal": text["journal"] | {"rounds": math.inf}})},
        {"text": saved["text"].replace('"wall_s"', '"wall_s": 1, "wall_s"')},
        {"text": json.dumps(text | {"journal": text["journal"] | {"rounds": 2}})},
        {"text": json.dumps(text | {"journal": text["journal"] | {"rounds": None}})},
        {"text": json.dumps(text | {"journal": text["journal"] | {"clock_s": math.nan}})},
        {"text": re.sub(r'"waits": [0-9]+', '"waits": null', saved["text"])},
        {"text": re.sub(r'"metric": [0-9.]+', '"metric": NaN', saved["text"])},
    ):
        buffer = io.BytesIO()
        torch.save(saved | changes, buffer)
        yield str(changes)[:60], buffer.getvalue()
    buffer = io.BytesIO()
    torch.save([1, 2], buffer)
    yield "a list", buffer.getvalue()


def test_a_damaged_checkpoint_is_one_clear_error(checkpoint):
    path, runner = checkpoint
    for what, content in list(damaged(path.read_bytes())):
        path.write_bytes(content)
        with pytest.raises(SnakegymError) as error:
            runner.run(Piece("snake-p2p", 0), lambda: None)
        assert str(path) in str(error.value), what
        assert "delete the file to start over" in str(error.value), what
        assert "\n" not in str(error.value), what


def test_no_code_in_a_checkpoint_is_run(checkpoint):
    path, runner = checkpoint
    torch.save({"layers": [], "text": pathlib.PurePosixPath("x")}, path)
    with pytest.raises(SnakegymError, match=r"cannot read this checkpoint \(UnpicklingError\)"):
        runner.run(Piece("snake-p2p", 0), lambda: None)
