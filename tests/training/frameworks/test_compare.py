"""`snakegym compare` as a user runs it, on tiny models."""

from __future__ import annotations

import json

import pytest
import yaml

from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario
from snakegym.training.cli import main
from snakegym.training.frameworks.compare import compare
from snakegym.training.runs.conventions import REQUEST_FILES


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
    assert names == pictures | {"table.txt", "compare.json", "comparison.json", "runs", *REQUEST_FILES}
    everything = json.loads((out / "compare.json").read_text())
    assert set(everything["summary"]) == {"fedavg", "snake-p2p", "snake-reverse"}
    assert [(r["framework"], r["seed"]) for r in everything["results"]][:2] == [("fedavg", 0), ("fedavg", 1)]
    relative = everything["relative_to_fedavg"]["snake-p2p"]["n_bytes"]["value"]
    assert 0.3 < relative < 0.5  # a node fetches what changed since its last visit, and uploads nothing


def test_nodes_may_hold_different_amounts_of_data(tmp_path, capsys, config, results):
    skewed = {"data.partition": "quantity", "data.alpha": 0.5}
    found = compare(config(tmp_path, skewed, frameworks="fedavg", cycles=1))
    assert "(quantity, alpha 0.5)" in capsys.readouterr().out
    (result,) = results(tmp_path)
    assert found.folder == tmp_path
    assert [(r["framework"], r["seed"], r["samples"]) for r in found.results] == [
        ("fedavg", 0, result["samples"])
    ]
    assert found.summary["fedavg"]["test_accuracy"].value == pytest.approx(
        result["rounds"]["test_accuracy"][-1]
    )
    assert max(result["samples"]) > 2 * min(result["samples"])


def test_other_frameworks_join_the_same_folder(tmp_path, config, results):
    compare(config(tmp_path, frameworks="fedavg"))
    before = (tmp_path / "runs" / "fedavg-0.json").stat().st_mtime_ns
    compare(config(tmp_path, frameworks="snake"))
    assert [r["framework"] for r in results(tmp_path)] == ["fedavg", "snake-p2p"]
    assert (tmp_path / "runs" / "fedavg-0.json").stat().st_mtime_ns == before


def test_another_comparison_is_refused(tmp_path, config):
    compare(config(tmp_path, frameworks="fedavg"))
    with pytest.raises(SnakegymError, match=r"another comparison, field 'scenario\.learning\.epochs'"):
        compare(config(tmp_path, {"learning.epochs": 2}))


def test_a_folder_of_something_else_is_refused(tmp_path, config):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(SnakegymError, match=r"found thesis\.tex, expected"):
        compare(config(tmp_path))


def test_a_node_without_the_memory_is_named_before_anything_starts(tmp_path, config):
    hop = r"node 0 \(medium\) has 2000000 bytes .* layer 0 needs \d+$"
    whole = r"node 1 \(small\) has 1000000 bytes of memory, but FedAvg needs \d+$"
    for frameworks, message in (("snake,fedavg", hop), ("snake-rotating", hop), ("fedavg,snake", whole)):
        bad = config(tmp_path / "out", {"model.options.width": 256}, frameworks=frameworks)
        with pytest.raises(SnakegymError, match=message):
            compare(bad)
        assert not bad.out.exists()


@pytest.mark.slow
def test_several_processes_give_the_same_results(tmp_path, config, results):
    for jobs in (1, 2):
        compare(config(tmp_path / str(jobs), jobs=jobs))
    assert results(tmp_path / "1") == results(tmp_path / "2")


def test_frameworks_are_compared_on_a_scenario_of_ones_own(tmp_path, config, results):
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


def test_frameworks_of_ones_own_are_compared(tmp_path, capsys, config, results):
    (tmp_path / "mine.py").write_text(MINE)
    out, name = tmp_path / "out", f"{tmp_path}/mine.py:Mine"
    compare(config(out, frameworks=f"fedavg,{name}", cycles=1))
    assert "My own" in capsys.readouterr().out
    compare(config(out, frameworks=name, cycles=1))
    fedavg, mine = results(out)
    assert mine["framework"] == name
    assert mine["rounds"] == fedavg["rounds"]
