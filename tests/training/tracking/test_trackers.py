"""What every tracker promises: it keeps what it is told, and never ends what it tracks."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from snakegym.errors import SnakegymError
from snakegym.training.tracking.guarded import Guarded
from snakegym.training.tracking.options import TRACKERS, Labels, tracker_names
from snakegym.training.tracking.tracker import About, NoTracker, Tracker
from snakegym.training.tracking.trackers import Several, start_trackers

Run = Callable[..., tuple[int, str, str]]
TRACKED = [
    pytest.param(
        name,
        marks=[
            pytest.mark.skipif(importlib.util.find_spec(name) is None, reason=f"{name} is not installed"),
            *([pytest.mark.slow] if name == "wandb" else []),
        ],
    )
    for name in TRACKERS
]


@dataclass
class Kept:
    """What a tracker has kept of a run."""

    config: dict[str, Any]
    metrics: dict[str, float]
    """The last of each."""
    rows: dict[str, int]
    """Of each table."""
    pictures: set[str]


def from_wandb(folder: Path) -> Kept:
    (run,) = (folder / "wandb").glob("offline-run-*")
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(run)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    summary = found["summary"]
    media = {name: v for name, v in summary.items() if isinstance(v, dict) and "_type" in v}
    return Kept(
        config=found["config"],
        metrics={name: v for name, v in summary.items() if isinstance(v, int | float)},
        rows={name: v["nrows"] for name, v in media.items() if v["_type"] == "table-file"},
        pictures={name for name, v in media.items() if v["_type"] in ("image-file", "video-file")},
    )


def events(folder: Path) -> Any:
    """As the pages of TensorBoard read them: by plugin and tag, each step and tensor."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return {
        plugin: {
            tag: [(e.step, make_ndarray(e.tensor_proto)) for e in found.Tensors(tag)]
            for tag in found.PluginTagToContent(plugin)
        }
        for plugin in ("scalars", "text", "images")
        if plugin in found.ActivePlugins()
    }


def from_tensorboard(folder: Path) -> Kept:
    found = events(folder)
    texts = {tag.removesuffix("/text_summary"): e[-1][1].flat[0].decode() for tag, e in found["text"].items()}
    return Kept(
        config=json.loads(texts["config"].strip("`")),
        metrics={tag: float(e[-1][1]) for tag, e in found["scalars"].items()},
        rows={tag: text.count("\n") - 1 for tag, text in texts.items() if text.startswith("|")},
        pictures={tag for tag, e in found.get("images", {}).items() if len(e[-1][1][2]) > 40},
    )


READERS = {"wandb": from_wandb, "tensorboard": from_tensorboard}


@pytest.fixture
def about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> About:
    for name in ("WANDB_MODE", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    config = {"gamma": 0.5, "net_arch": [32, 16], "scenario_settings": {"nodes": 3}}
    labels = Labels(wandb_group="mine")
    return About(tmp_path / "run", "a1b2", "name", "train", config, labels)


def tell(tracker: Tracker, folder: Path) -> None:
    """Everything that can be."""
    Image.new("RGB", (4, 3)).save(folder / "a.png")
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    frames[0].save(folder / "b.gif", save_all=True, append_images=frames[1:])
    (folder / "best.zip").write_bytes(b"PK")
    tracker.log({"validation/return": 1.0}, 16)
    tracker.log({"validation/return": 2.0, "train/loss": 0.5}, 32)
    tracker.table("episode/hops", ("hop", "node"), [[1, "a|b"], [2.5, "c"], [3, None]])
    tracker.picture("media/curve", folder / "a.png", "a curve")
    tracker.picture("media/episode", folder / "b.gif")
    tracker.model("tiny", [folder / "best.zip"], {"timesteps": 16})
    assert not tracker.stop
    tracker.finish({"best_validation_return": 2.0, "stopped_early": False})


@pytest.mark.parametrize("name", TRACKED)
def test_it_keeps_what_it_is_told(
    name: str, about: About, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about.folder.mkdir()
    tell(start_trackers(name, "offline", about), tmp_path)
    kept = READERS[name](about.folder)
    assert kept.config["gamma"] == 0.5
    assert kept.config["scenario_settings"] == {"nodes": 3}
    assert kept.metrics["validation/return"] == 2.0
    assert kept.metrics["train/loss"] == 0.5
    assert kept.metrics["best_validation_return"] == 2.0
    assert kept.rows == {"episode/hops": 3}
    assert kept.pictures == {"media/curve", "media/episode"}
    assert capsys.readouterr().err == ""
    assert {p.name for p in about.folder.iterdir()} == {name}


@pytest.mark.parametrize("name", TRACKED)
def test_nothing_follows_the_end(name: str, about: About, capsys: pytest.CaptureFixture[str]) -> None:
    about.folder.mkdir()
    tracker = start_trackers(name, "offline", about)
    tracker.log({"b": 1.0}, 1)
    tracker.finish({})
    tracker.log({"a": 1.0}, 2)
    tracker.finish({}, 1)
    assert capsys.readouterr().err == ""
    assert READERS[name](about.folder).metrics.keys() & {"a", "b"} == {"b"}


@pytest.mark.parametrize("name", TRACKERS)
def test_what_is_not_installed_is_one_warning(
    name: str, about: About, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    assert isinstance(start_trackers(name, "offline", about), NoTracker)
    err = capsys.readouterr().err
    assert err.count("\n") == err.count(f"snakegym[{name}]") == 1


@pytest.mark.parametrize("name", TRACKED)
def test_a_place_where_nothing_can_be_written_is_one_warning(
    name: str, about: About, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about.folder.mkdir()
    (about.folder / name).touch()
    tell(start_trackers(name, "offline", about), tmp_path)
    assert capsys.readouterr().err.count("warning:") == 1


def test_a_disk_that_fills_up_is_one_warning(
    about: About, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full to write to")
    tracker = start_trackers("tensorboard", "offline", about)
    tracker.log({"a": 1.0}, 1)
    (path,) = (about.folder / "tensorboard").iterdir()
    (writing,) = [f for f in Path("/proc/self/fd").iterdir() if f.exists() and f.samefile(path)]
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, int(writing.name))
    tell(tracker, tmp_path)
    err = capsys.readouterr().err
    assert err == (
        "warning: TensorBoard failed, training goes on without it: [Errno 28] No space left on device\n"
    )
    assert from_tensorboard(about.folder).metrics == {"a": 1.0}
    os.close(full)


class Broken(NoTracker):
    """Raises at everything but `stop`."""

    def __getattribute__(self, name: str) -> Any:
        if name in ("log", "table", "picture", "model", "finish"):
            raise RuntimeError("gone\naway")
        return super().__getattribute__(name)


def test_the_first_fault_is_said_and_the_others_are_told_all_the_same(
    about: About, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    whole = start_trackers("tensorboard", "offline", about)
    tell(Several([Guarded(Broken(), "Mine"), whole]), tmp_path)
    assert capsys.readouterr().err == "warning: Mine failed, training goes on without it: gone away\n"
    assert from_tensorboard(about.folder).metrics["validation/return"] == 2.0


def test_what_a_resumed_run_logs_takes_the_place_of_what_was_lost(about: About) -> None:
    pytest.importorskip("tensorboard")
    first = start_trackers("tensorboard", "offline", about)
    for step in (16, 32, 48):
        first.log({"a": float(step)}, step)
    second = start_trackers("tensorboard", "offline", about)  # from a checkpoint after 16 steps
    for step in (32, 48):
        second.log({"a": -float(step)}, step)
    assert events(about.folder)["scalars"]["a"] == [(16, 16), (32, -32), (48, -48)]


def test_names_are_checked() -> None:
    assert tracker_names("tensorboard, wandb,tensorboard") == ["tensorboard", "wandb"]
    with pytest.raises(
        SnakegymError, match="--track: found 'mlflow', expected wandb or tensorboard, or both"
    ):
        tracker_names("wandb,mlflow")


@pytest.mark.slow
@pytest.mark.painted
def test_a_training_and_an_evaluation_are_logged_to_both(
    snakegym: Run, tiny: str, tmp_path: Path, short: dict[str, object]
) -> None:
    pytest.importorskip("tensorboard")
    options = [part for option in short.items() for part in option]
    tracked = ("--track", "wandb,tensorboard", "--scenario", tiny)
    status, _, err = snakegym("train", "--out", "run", *tracked, *options)
    assert status == 0, err
    kept = from_tensorboard(tmp_path / "run")
    assert kept.metrics["validation/best_return"] == pytest.approx(kept.metrics["best_validation_return"])
    assert {"train/approx_kl", "rollout/reward_gain", "time/fps"} <= kept.metrics.keys()
    assert kept.config["n_steps"] == 16
    assert {"media/learning_curve", "media/episode", "media/gantt"} <= kept.pictures
    status, _, err = snakegym(
        "evaluate", "--out", "out", *tracked, "--scheduler", "random", "--episodes", 2, "--jobs", 1
    )
    assert status == 0, err
    kept = from_tensorboard(tmp_path / "out")
    assert kept.rows["evaluation/episodes"] == 2
    assert "random/total_reward" in kept.metrics
