"""`snakegym compare --task lm`, on a tiny model."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.cli import main
from snakegym.training.frameworks.compare import compare
from snakegym.training.frameworks.config import CompareConfig, Comparison

TINY = (
    "model.options.width=16",
    "model.options.hidden=16",
    "model.options.middle=2",
    "model.pretraining.epochs=1",
    "network.nodes=3",
    "data.samples=60",
    "data.text.vocabulary=300",
)


@pytest.mark.painted
def test_perplexities_even_and_by_topic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    options = [word for change in TINY for word in ("--set", change)]
    command = ["compare", "--task", "lm", "--preset", "smoke", "--cycles", "1", "--seeds", "0", "--jobs", "1"]
    main([*command, *options, "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    for said in ("perplexity", "FedAvg with LoRA", "Split Learning", "Snake Learning, CS", "cities"):
        assert said in printed
    assert (tmp_path / "perplexity.png").stat().st_size > 10_000
    for folder, partition in (("iid", "iid"), ("by-topic", "dirichlet")):
        found = json.loads((tmp_path / folder / "compare.json").read_text())
        assert found["comparison"]["scenario"]["data"]["partition"] == partition
        assert (tmp_path / folder / "perplexity_bytes.png").exists()
        for result in found["results"]:
            last = result["rounds"]["test_loss"][-1]
            assert 0 < last < math.log(300) + 1
            assert sorted(result["topics"]) == ["cities", "numbers", "opposites", "work"]
            assert min(result["topics"].values()) < last < max(result["topics"].values())
            shown = found["summary"][result["framework"]]["test_perplexity"]["value"]
            assert shown == pytest.approx(math.exp(last), rel=1e-5)
    before = (tmp_path / "iid" / "runs" / "split-0.json").stat().st_mtime_ns
    main([*command, *options, "--out", str(tmp_path)])
    assert (tmp_path / "iid" / "runs" / "split-0.json").stat().st_mtime_ns == before, "nothing is done twice"


def test_one_partition_where_it_is_said_which(tmp_path: Path) -> None:
    config = CompareConfig(tmp_path, task="lm", set=("data.partition=iid",))
    assert config.partitions() == {}
    assert set(CompareConfig(tmp_path, task="lm").partitions()) == {"iid", "by-topic"}
    assert CompareConfig(tmp_path).partitions() == {}


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SnakegymError, match="--preset: found paper for --task lm, expected smoke"):
        CompareConfig(out, task="lm", preset="paper").validate()
    (out / "mine").mkdir(parents=True)
    with pytest.raises(SnakegymError, match="found mine, expected a new or empty folder"):
        compare(CompareConfig(out, task="lm", cycles=1))
    assert [path.name for path in out.iterdir()] == ["mine"]


def test_texts_of_ones_own(tmp_path: Path, shared_data: Path) -> None:
    pytest.importorskip("transformers")
    folder = tmp_path / "texts"
    folder.mkdir()
    for topic in ("ai", "food", "money", "science", "sports"):
        shutil.copy(shared_data / "text" / "chatterbot" / f"{topic}.yml", folder)
    lines = (shared_data / "text" / "gsm8k_train.jsonl").read_text().splitlines()[:40]
    (folder / "sums.jsonl").write_text("\n".join(lines))
    options = [word for change in TINY for word in ("--set", change)]
    command = ["compare", "--task", "lm", "--data", str(folder), "--cycles", "1", "--seeds", "0"]
    some = ["--jobs", "1", "--frameworks", "fedavg,snake-p2p", "--out", str(tmp_path / "out")]
    main([*command, *options, *some])
    for part in ("iid", "by-topic"):
        found = json.loads((tmp_path / "out" / part / "compare.json").read_text())
        data = found["comparison"]["scenario"]["data"]
        assert (data["dataset"], data["root"]) == ("text", str(folder))
        assert data["text"]["set_apart"] == ["food", "science", "sums"]
        for result in found["results"]:
            assert sorted(result["topics"]) == ["ai", "money", "sports"]
    few = tmp_path / "few"
    few.mkdir()
    shutil.copy(folder / "sums.jsonl", few)
    scenario = Comparison.of(CompareConfig(tmp_path, task="lm", data=str(few))).scenario
    assert scenario.model.pretraining is None
    assert scenario.data.text is not None
    assert scenario.data.text.set_apart == ()
    (few / "sums.jsonl").unlink()
    with pytest.raises(SnakegymError, match="found no text in"):
        Comparison.of(CompareConfig(tmp_path, task="lm", data=str(few)))
