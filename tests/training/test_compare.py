"""`snakegym compare` as a user runs it, on tiny models."""

from __future__ import annotations

import json

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cli import main, run
from snakegym.training.frameworks import runs as compare_runs
from snakegym.training.frameworks.compare import compare
from snakegym.training.frameworks.config import CompareConfig, Comparison
from snakegym.training.frameworks.results import final
from snakegym.training.frameworks.runs import Piece, Runner

SMALL = {"width": 8.0, "cycles": 2, "nodes": 3, "seeds": "0", "jobs": 1}


def config(out, **changes) -> CompareConfig:
    return CompareConfig(out, **(SMALL | {"frameworks": "fedavg,snake"} | changes))


def results(out):
    found = json.loads((out / "compare.json").read_text())["results"]
    for result in found:
        del result["wall_s"]
    return found


def test_compare_leaves_table_pictures_and_everything_in_json(tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--width", "8", "--cycles", "2", "--nodes", "3", "--seeds", "0,1", "--jobs", "1"]
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
    compare(config(tmp_path, frameworks="fedavg", partition="quantity", alpha=0.5, cycles=1))
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
        compare(config(tmp_path, epochs=2))


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


@pytest.mark.slow
def test_several_processes_give_the_same_results(tmp_path):
    for jobs in (1, 2):
        compare(config(tmp_path / str(jobs), jobs=jobs))
    assert results(tmp_path / "1") == results(tmp_path / "2")


def test_a_broken_checkpoint_is_named(tmp_path):
    comparison = Comparison.of(config(tmp_path))
    (tmp_path / "fedavg-0.pt").write_bytes(b"no checkpoint")
    with pytest.raises(SnakegymError, match=r"fedavg-0\.pt: cannot read this checkpoint"):
        Runner(comparison, tmp_path, "cpu").rounds_done(Piece("fedavg", 0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frameworks": "fedprox"}, "unknown framework 'fedprox'"),
        ({"frameworks": " , "}, "--frameworks: found none"),
        ({"seeds": "0,x"}, "--seeds: found '0,x'"),
        ({"cycles": 0}, "--cycles: found 0"),
        ({"alpha": -1.0}, "field 'data.alpha'"),
        ({"model": "resnet"}, "unknown model 'resnet'"),
        ({"width": 0}, "field 'model.options.width'"),
        ({"device": "tpu:7"}, "--device: found 'tpu:7'"),
        ({"dataset": "cifar10", "data": "/nowhere", "width": 0.1}, "found '/nowhere'"),
    ],
)
def test_bad_options_are_named(tmp_path, changes, message):
    bad = config(tmp_path / "out", **changes)
    with pytest.raises(SnakegymError) as error:
        run(bad)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not bad.out.exists()


def test_presets_fill_in_what_is_left_out(tmp_path):
    assert CompareConfig(tmp_path).chosen("dataset") == "digits"
    paper = CompareConfig(tmp_path, dataset="cifar10", width=0.25)
    assert (paper.chosen("model"), paper.chosen("width"), paper.chosen("alpha")) == ("vgg11", 0.25, 2.0)
    assert CompareConfig(tmp_path, preset="paper", seeds="5").seed_list() == [5]
    assert "splitfed-v2" in CompareConfig(tmp_path).framework_list()
    assert CompareConfig(tmp_path, frameworks="snake,snake-p2p").framework_list() == ["snake-p2p"]


def test_the_final_measures_add_up_rounds():
    costs = {"node_memory_bytes": 7, "node_flops": 4, "synchronisations": 2, "energy_j": 0.5, "time_s": 3}
    rounds = [
        {"test_accuracy": 0.5, "validation_accuracy": 0.4, "n_bytes": 10, **costs},
        {"test_accuracy": 0.4, "validation_accuracy": 0.6, "n_bytes": 30, **costs},
    ]
    measures = final({"rounds": rounds})
    assert measures["test_accuracy"] == 0.4
    assert measures["best_test_accuracy"] == 0.5
    assert measures["bytes_per_round"] == 20
    assert measures["n_bytes"] == 40
    assert measures["time_s"] == 6
    assert measures["node_flops_per_round"] == 4
