"""`snakegym compare` as a user runs it, on tiny models."""

from __future__ import annotations

import io
import json
import pathlib
import re

import pytest
import torch
import yaml

from snakegym.errors import SnakegymError
from snakegym.scenario import PoolConfig, list_scenarios, load_scenario
from snakegym.training.cli import main, run
from snakegym.training.frameworks import runs as compare_runs
from snakegym.training.frameworks.compare import compare
from snakegym.training.frameworks.config import CompareConfig, Comparison
from snakegym.training.frameworks.results import final
from snakegym.training.frameworks.runs import Piece, Runner

SMALL = {"cycles": 2, "seeds": "0", "jobs": 1, "frameworks": "fedavg,snake"}
FIELDS = {"model.options.width": 8, "network.nodes": 3}


def config(out, fields=None, **changes) -> CompareConfig:
    """Of the smallest comparison, with other options, and other fields of the scenario."""
    chosen = () if "scenario" in changes else FIELDS.items()
    changed = [f"{name}={value}" for name, value in [*chosen, *(fields or {}).items()]]
    return CompareConfig(out, set=tuple(changed), **(SMALL | changes))


def results(out):
    found = json.loads((out / "compare.json").read_text())["results"]
    for result in found:
        del result["wall_s"]
    return found


def test_compare_leaves_table_pictures_and_everything_in_json(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--set", "model.options.width=8", "--set", "network.nodes=3"]
    options += ["--cycles", "2", "--seeds", "0,1", "--jobs", "1"]
    main(["compare", "--out", str(out), "--frameworks", "fedavg,snake,snake-reverse", *options])
    printed = capsys.readouterr().out
    assert "Snake Learning, P2P" in printed
    assert "In per cent of FedAvg's" in printed
    assert "FedAvg" in (out / "table.txt").read_text()
    names = {p.name for p in out.iterdir() if not p.name.startswith(".")}
    pictures = {f"accuracy_{x}.png" for x in ("passes", "bytes", "time")} | {"layer_order.png"}
    assert names == pictures | {"table.txt", "compare.json", "comparison.json", "runs"}
    everything = json.loads((out / "compare.json").read_text())
    assert set(everything["summary"]) == {"fedavg", "snake-p2p", "snake-reverse"}
    assert [(r["framework"], r["seed"]) for r in everything["results"]][:2] == [("fedavg", 0), ("fedavg", 1)]
    relative = everything["relative_to_fedavg"]["snake-p2p"]["n_bytes"]["value"]
    assert 0.3 < relative < 0.5  # a node fetches what changed since its last visit, and uploads nothing


def test_nodes_may_hold_different_amounts_of_data(tmp_path, capsys):
    skewed = {"data.partition": "quantity", "data.alpha": 0.5}
    compare(config(tmp_path, skewed, frameworks="fedavg", cycles=1))
    assert "(quantity, alpha 0.5)" in capsys.readouterr().out
    (result,) = results(tmp_path)
    assert max(result["samples"]) > 2 * min(result["samples"])


def test_other_frameworks_join_the_same_folder(tmp_path):
    compare(config(tmp_path, frameworks="fedavg"))
    before = (tmp_path / "runs" / "fedavg-0.json").stat().st_mtime_ns
    compare(config(tmp_path, frameworks="snake"))
    assert [r["framework"] for r in results(tmp_path)] == ["fedavg", "snake-p2p"]
    assert (tmp_path / "runs" / "fedavg-0.json").stat().st_mtime_ns == before


def test_another_comparison_is_refused(tmp_path):
    compare(config(tmp_path, frameworks="fedavg"))
    with pytest.raises(SnakegymError, match=r"another comparison, field 'scenario\.learning\.epochs'"):
        compare(config(tmp_path, {"learning.epochs": 2}))


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SnakegymError, match=r"found thesis\.tex, expected"):
        compare(config(tmp_path))


def test_a_killed_comparison_goes_on_where_it_was(tmp_path, monkeypatch):
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
def test_what_a_kill_left_is_no_result_and_goes(tmp_path, content):
    """A kill between writing a file and moving it to its place leaves it under a temporary name."""
    compare(config(tmp_path, frameworks="fedavg", seeds="0,1"))
    before = (tmp_path / "compare.json").read_bytes()
    finished = (tmp_path / "runs" / "fedavg-0.json").read_bytes()
    left = [
        tmp_path / "runs" / ".4711.fedavg-0.json",
        tmp_path / "runs" / ".4711.fedavg-0.pt",
        tmp_path / ".4711.compare.json",
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
    yield "no JSON", "{", "Invalid JSON"
    yield "a list", "[]", "should be an object"
    yield "no rounds", json.dumps({k: v for k, v in result.items() if k != "rounds"}), "field 'rounds'"
    yield "a field more", json.dumps(result | {"more": 1}), "field 'more'"
    yield "another seed", json.dumps(result | {"seed": 7}), "field 'seed': found 7, expected 0"
    yield "fewer rounds", json.dumps(result | {"rounds": []}), "field 'rounds': found 0, expected 2"
    rounds = [result["rounds"][0] | {"time_s": "long"}, result["rounds"][1]]
    yield "a word", json.dumps(result | {"rounds": rounds}), "field 'rounds.0.time_s'"
    rounds = [result["rounds"][0] | {"time_s": float("nan")}, result["rounds"][1]]
    yield "nan", json.dumps(result | {"rounds": rounds}), "field 'rounds.0.time_s'"


def test_a_damaged_result_is_one_clear_error(tmp_path):
    compare(config(tmp_path, frameworks="fedavg"))
    path = tmp_path / "runs" / "fedavg-0.json"
    for what, text, message in list(spoil(path.read_text())):
        path.write_text(text)
        with pytest.raises(SnakegymError) as error:
            compare(config(tmp_path, frameworks="fedavg"))
        assert str(path) in str(error.value), what
        assert message in str(error.value), what
        assert "\n" not in str(error.value), what


def test_a_node_without_the_memory_is_named_before_anything_starts(tmp_path):
    for frameworks in ("fedavg,snake", "snake-rotating"):
        bad = config(tmp_path / "out", {"model.options.width": 256}, frameworks=frameworks)
        with pytest.raises(SnakegymError, match=r"node 0 \(medium\) has 2000000 bytes .* layer 0 needs \d+$"):
            compare(bad)
        assert not bad.out.exists()


@pytest.mark.slow
def test_several_processes_give_the_same_results(tmp_path):
    for jobs in (1, 2):
        compare(config(tmp_path / str(jobs), jobs=jobs))
    assert results(tmp_path / "1") == results(tmp_path / "2")


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
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
        {"text": saved["text"].replace('"metric": 0.', '"metric": NaN, "was": 0.', 2)},
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frameworks": "fedprox"}, "unknown framework 'fedprox'"),
        ({"frameworks": " , "}, "--frameworks: found none"),
        ({"seeds": "0,x"}, "--seeds: found '0,x'"),
        ({"cycles": 0}, "--cycles: found 0"),
        ({"jobs": 0}, "--jobs: found 0"),
        ({"fields": {"data.alpha": -1.0}}, "--set: field 'data.alpha'"),
        ({"fields": {"model.name": "resnet"}}, "field 'model.name': unknown model 'resnet'"),
        ({"fields": {"model.options.width": 0}}, "field 'model.options.width'"),
        ({"fields": {"learning.epoch": 2}}, "--set: field 'learning.epoch'"),
        ({"fields": {"network.devices.9.memory_bytes": 2}}, "'network.devices' has no '9'"),
        ({"fields": {"network.nodes.many": 2}}, "'network.nodes' has no 'many'"),
        ({"fields": {"learning..epochs": 2}}, "expected FIELD=VALUE"),
        (
            {"fields": {"learning.epochs": "[1"}},
            "--set: found 'learning.epochs=[1', expected a value in YAML",
        ),
        ({"device": "tpu:7"}, "--device: found 'tpu:7'"),
        ({"preset": "smoke", "scenario": "default"}, "--scenario: found 'default' besides --preset smoke"),
        ({"scenario": "nowhere"}, "unknown scenario 'nowhere'"),
        ({"fields": {"data.dataset": "cifar10"}, "data": "/nowhere"}, "found '/nowhere'"),
    ],
)
def test_bad_options_are_named(tmp_path, changes, message):
    bad = config(tmp_path / "out", **changes)
    with pytest.raises(SnakegymError) as error:
        run(bad)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not bad.out.exists()


def test_presets_say_what_is_left_out(tmp_path):
    smoke = Comparison.of(CompareConfig(tmp_path))
    assert (smoke.scenario.data.dataset, smoke.cycles) == ("digits", 10)
    paper = CompareConfig(tmp_path, preset="paper", data="/a: b", set=("model.options.width=0.25",))
    scenario = Comparison.of(paper).scenario
    assert (scenario.model.name, scenario.model.options, scenario.data.alpha) == (
        "vgg11",
        {"width": 0.25},
        2.0,
    )
    assert scenario.data.root == "/a: b"
    assert paper.seed_list() == [0, 1, 2]
    assert CompareConfig(tmp_path, preset="paper", seeds="5").seed_list() == [5]
    assert "splitfed-v2" in CompareConfig(tmp_path).framework_list()
    assert CompareConfig(tmp_path, frameworks="snake,snake-p2p").framework_list() == ["snake-p2p"]


@pytest.mark.parametrize("name", list_scenarios())
def test_every_scenario_can_be_compared_on(tmp_path, name):
    """Pool rules, batteries and budgets, which the other frameworks do not know, do not count."""
    base = load_scenario(name)
    scenario = Comparison.of(CompareConfig(tmp_path, scenario=name)).scenario
    assert scenario.pool == PoolConfig()
    assert not any(device.battery_j for device in scenario.network.devices)
    assert scenario.learning == base.learning
    assert scenario.process.parallel == base.process.parallel


def test_frameworks_are_compared_on_a_scenario_of_ones_own(tmp_path):
    fields = load_scenario("default").model_dump(mode="json")
    fields["network"] |= {"mode": "cs", "nodes": 3}
    fields["process"] |= {"parallel": 2, "budget": {"time_s": 30}}
    fields["model"]["options"] = {"width": 8, "middle": 3}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(fields))
    compare(config(tmp_path / "out", scenario=str(file), frameworks="snake,snake-cs", cycles=1))
    p2p, cs = results(tmp_path / "out")
    assert p2p["rounds"]["messages"] == [3]
    assert cs["rounds"]["messages"] == [8]  # two hops of two nodes, each receives and sends


MINE = """
from snakegym.frameworks.fedavg import FedAvg

class Mine(FedAvg):
    title = "My own"
"""


def test_frameworks_of_ones_own_are_compared(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(MINE)
    out, name = tmp_path / "out", f"{tmp_path}/mine.py:Mine"
    compare(config(out, frameworks=f"fedavg,{name}", cycles=1))
    assert "My own" in capsys.readouterr().out
    compare(config(out, frameworks=name, cycles=1))
    fedavg, mine = results(out)
    assert mine["framework"] == name
    assert mine["rounds"] == fedavg["rounds"]


def test_the_final_measures_add_up_rounds_and_validation_chooses_the_best():
    costs = {"node_memory_bytes": 7, "node_flops": 4, "synchronisations": 2, "energy_j": 0.5, "time_s": 3}
    rounds = [
        {"test_accuracy": 0.5, "validation_accuracy": 0.4, "n_bytes": 10, **costs},
        {"test_accuracy": 0.4, "validation_accuracy": 0.6, "n_bytes": 30, **costs},
        {"test_accuracy": 0.3, "validation_accuracy": 0.6, "n_bytes": 50, **costs},
    ]
    measures = final({"rounds": rounds})
    assert measures["test_accuracy"] == 0.3
    assert measures["best_test_accuracy"] == 0.4
    assert measures["bytes_per_round"] == 30
    assert measures["n_bytes"] == 90
    assert measures["time_s"] == 9
    assert measures["node_flops_per_round"] == 4
