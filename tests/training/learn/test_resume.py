"""Going on with a run: what it takes up, and what it refuses."""

import base64
import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch

from snakegym.errors import SnakegymWarning

Run = Callable[..., tuple[int, str, str]]
Rows = Callable[..., list[dict[str, str]]]
Contents = Callable[[Path], dict[str, bytes]]


def test_a_run_goes_on_and_keeps_its_curve(train: Run, tmp_path: Path, rows: Rows) -> None:
    train()
    before = rows(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64)
    assert status == 0, err
    after = rows(tmp_path / "run")
    assert after[: len(before)] == before
    assert [row["timesteps"] for row in after] == ["0", "16", "32", "48", "64"]
    # The random streams go on, too: no episode of the start comes again.
    returns = [row["train_return"] for row in after if row["train_return"]]
    assert len(set(returns)) == len(returns)


def test_a_finished_run_has_nothing_to_resume(train: Run, tmp_path: Path, rows: Rows) -> None:
    train()
    status, _, err = train("--resume")
    assert status == 0
    assert "nothing to do" in err
    assert len(rows(tmp_path / "run")) == 3


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"seed": 1}, "'seed'"), ({"batch_size": 8}, "'ppo.batch_size'"), ({"algo": "ppo"}, "'algo'")],
)
def test_a_run_cannot_go_on_as_another(
    train: Run, tmp_path: Path, changed: dict[str, object], named: str, contents: Contents
) -> None:
    train()
    before = contents(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64, **changed)
    assert status == 2
    assert named in err
    assert contents(tmp_path / "run") == before


def test_a_changed_scenario_is_another_run(train: Run, tmp_path: Path, tiny: str) -> None:
    train()
    Path(tiny).write_text(Path(tiny).read_text().replace("alpha: 0.5", "alpha: 0.7"))
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "'scenario.data.alpha': found 0.7, expected 0.5" in err


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_checkpoint_is_named(train: Run, tmp_path: Path, damage: str, contents: Contents) -> None:
    train()
    path = tmp_path / "run" / "checkpoints" / "latest.zip"
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "flipped": data}[damage])
    before = contents(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip" in err
    assert err.count("\n") == 1
    assert contents(tmp_path / "run") == before


def replace_member(path: Path, name: str, content: bytes) -> None:
    """Write a checkpoint again with one member replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)


def test_resuming_runs_nothing_that_is_pickled_in_a_checkpoint(train: Run, tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "proof",)

    train()
    pickled = base64.b64encode(cloudpickle.dumps(Malicious())).decode()
    data = json.dumps({"policy_class": {":type:": "x", ":serialized:": pickled}}).encode()
    replace_member(tmp_path / "run" / "checkpoints" / "latest.zip", "data", data)
    status, _, err = train("--resume", timesteps=64)
    assert status == 0, err
    assert not (tmp_path / "proof").exists()


STATE = {"algo": "maskable-ppo", "timesteps": 32, "episodes": 6, "curve": [{"timesteps": 32, "episodes": 6}]}


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ([], "shape of snakegym.json"),
        ({**STATE, "timesteps": "many"}, "'timesteps'"),
        ({**STATE, "timesteps": -1}, "'timesteps'"),
        ({**STATE, "best_score": [1]}, "'best_score"),
        ({**STATE, "curve": {"a": 1}}, "'curve'"),
        ({**STATE, "curve": [{"train_return": 1.0}]}, "'curve.0'"),
        ({**STATE, "curve": [{"timesteps": 32, "episodes": None}]}, "'curve.0.episodes"),
        ({**STATE, "more": 1}, "'more'"),
        ({**STATE, "algo": "ppo"}, "holds a policy of 'ppo'"),
        ('{"algo": "ppo", ' + json.dumps(STATE)[1:], "found 'algo' twice"),
    ],
)
def test_a_state_of_another_shape_is_refused(
    train: Run, tmp_path: Path, state: object, named: str, contents: Contents
) -> None:
    train()
    text = state if isinstance(state, str) else json.dumps(state)
    replace_member(tmp_path / "run" / "checkpoints" / "latest.zip", "snakegym.json", text.encode())
    before = contents(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip" in err
    assert err.count("\n") == 1
    assert named in err
    assert contents(tmp_path / "run") == before


def test_a_checkpoint_of_another_network_is_called_so(train: Run, tmp_path: Path, contents: Contents) -> None:
    train(policy="mlp")
    (tmp_path / "run").rename(tmp_path / "mlp")
    train()
    latest = tmp_path / "run" / "checkpoints" / "latest.zip"
    shutil.copy(tmp_path / "mlp" / "checkpoints" / "latest.zip", latest)
    before = contents(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip: holds the weights of another algorithm or policy" in err
    assert contents(tmp_path / "run") == before


def test_an_optimiser_of_other_weights_is_called_so(train: Run, tmp_path: Path) -> None:
    train()
    latest = tmp_path / "run" / "checkpoints" / "latest.zip"
    with zipfile.ZipFile(latest) as archive:
        state = torch.load(io.BytesIO(archive.read("policy.optimizer.pth")), weights_only=True)
    state["state"][0]["exp_avg"] = torch.zeros(3)
    file = io.BytesIO()
    torch.save(state, file)
    replace_member(latest, "policy.optimizer.pth", file.getvalue())
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip: found the optimiser of other weights" in err


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew_and_says_so(
    train: Run, tmp_path: Path, rows: Rows
) -> None:
    train()
    undisturbed = rows(tmp_path / "run")
    config = (tmp_path / "run" / "config.json").read_text()
    shutil.rmtree(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(config)
    status, _, err = train("--resume")
    assert status == 0, err
    assert "no checkpoint to resume from, training starts anew" in err
    assert rows(tmp_path / "run") == undisturbed


@pytest.mark.parametrize("left", ["best.zip", "progress.csv"])
def test_what_was_learned_is_not_overwritten_for_want_of_a_checkpoint(
    train: Run, tmp_path: Path, left: str, contents: Contents
) -> None:
    train()
    run = tmp_path / "run"
    shutil.rmtree(run / "checkpoints")
    if left == "progress.csv":
        (run / "best.zip").unlink()
    else:
        (run / "progress.csv").unlink()
        # Whatever the best model of these few steps was: it was not the first.
        state = json.dumps({**STATE, "best_score": 1.0, "best_timesteps": 32}).encode()
        replace_member(run / "best.zip", "snakegym.json", state)
    before = contents(run)
    status, _, err = train("--resume")
    assert status == 2
    assert f"found no checkpoints/latest.zip to go on from, but {left} of a training" in err
    assert contents(run) == before


def test_a_resumed_run_says_that_it_is_not_the_uninterrupted_one(train: Run) -> None:
    train()
    _, _, err = train("--resume", timesteps=64)
    assert "resuming run at 32 steps; episodes begin anew" in err


def test_going_on_with_other_versions_is_said(train: Run, tmp_path: Path) -> None:
    train()
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config["versions"]["torch"] = "2.6.0"
    path.write_text(json.dumps(config))
    with pytest.warns(SnakegymWarning, match="run: the run goes on with other versions: field 'torch'"):
        train("--resume", timesteps=64)
    assert json.loads(path.read_text())["versions"]["torch"] != "2.6.0"


def test_a_run_of_an_older_version_is_called_so(train: Run, tmp_path: Path, contents: Contents) -> None:
    train()
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    del config["versions"], config["masked"], config["sizes"]
    path.write_text(json.dumps(config))
    before = contents(tmp_path / "run")
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "made by an older version of snakegym" in err
    assert contents(tmp_path / "run") == before
