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


def test_a_run_goes_on_and_keeps_its_curve(train: Run, a_run: Path, rows: Rows) -> None:
    before = rows(a_run)
    status, _, err = train("--resume", timesteps=64)
    assert status == 0, err
    after = rows(a_run)
    assert after[: len(before)] == before
    assert [row["timesteps"] for row in after] == ["0", "16", "32", "48", "64"]
    # The random streams go on, too: no episode of the start comes again.
    returns = [row["train_return"] for row in after if row["train_return"]]
    assert len(set(returns)) == len(returns)


def test_a_finished_run_has_nothing_to_resume(train: Run, a_run: Path, rows: Rows) -> None:
    status, _, err = train("--resume")
    assert status == 0
    assert "nothing to do" in err
    assert len(rows(a_run)) == 3


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"seed": 1}, "'seed'"), ({"batch_size": 8}, "'ppo.batch_size'"), ({"algo": "ppo"}, "'algo'")],
)
def test_a_run_cannot_go_on_as_another(
    train: Run, a_run: Path, changed: dict[str, object], named: str, contents: Contents
) -> None:
    before = contents(a_run)
    status, _, err = train("--resume", timesteps=64, **changed)
    assert status == 2
    assert named in err
    assert contents(a_run) == before


def test_a_changed_scenario_is_another_run(train: Run, a_run: Path, tiny: str) -> None:
    Path(tiny).write_text(Path(tiny).read_text().replace("alpha: 0.5", "alpha: 0.7"))
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "'scenario.data.alpha': found 0.7, expected 0.5" in err


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped"])
def test_a_damaged_checkpoint_is_named(train: Run, a_run: Path, damage: str, contents: Contents) -> None:
    path = a_run / "checkpoints" / "latest.zip"
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 0xFF
    path.write_bytes({"truncated": data[: len(data) // 2], "empty": b"", "flipped": data}[damage])
    before = contents(a_run)
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip" in err
    assert err.count("\n") == 1
    assert contents(a_run) == before


def replace_member(path: Path, name: str, content: bytes) -> None:
    """Write a checkpoint again with one member replaced."""
    with zipfile.ZipFile(path) as archive:
        members = {n: archive.read(n) for n in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for member, old in members.items():
            archive.writestr(member, content if member == name else old)


def test_resuming_runs_nothing_that_is_pickled_in_a_checkpoint(
    train: Run, a_run: Path, tmp_path: Path
) -> None:
    class Malicious:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "proof",)

    pickled = base64.b64encode(cloudpickle.dumps(Malicious())).decode()
    data = json.dumps({"policy_class": {":type:": "x", ":serialized:": pickled}}).encode()
    replace_member(a_run / "checkpoints" / "latest.zip", "data", data)
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
    train: Run, a_run: Path, state: object, named: str, contents: Contents
) -> None:
    text = state if isinstance(state, str) else json.dumps(state)
    replace_member(a_run / "checkpoints" / "latest.zip", "snakegym.json", text.encode())
    before = contents(a_run)
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip" in err
    assert err.count("\n") == 1
    assert named in err
    assert contents(a_run) == before


def test_a_checkpoint_of_another_network_is_called_so(
    train: Run, a_run: Path, tmp_path: Path, contents: Contents
) -> None:
    a_run.rename(tmp_path / "pairwise")
    train(policy="mlp")
    a_run.rename(tmp_path / "mlp")
    (tmp_path / "pairwise").rename(a_run)
    shutil.copy(tmp_path / "mlp" / "checkpoints" / "latest.zip", a_run / "checkpoints" / "latest.zip")
    before = contents(a_run)
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "latest.zip: holds the weights of another algorithm or policy" in err
    assert contents(a_run) == before


def test_an_optimiser_of_other_weights_is_called_so(train: Run, a_run: Path) -> None:
    latest = a_run / "checkpoints" / "latest.zip"
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
    train: Run, a_run: Path, rows: Rows
) -> None:
    undisturbed = rows(a_run)
    config = (a_run / "config.json").read_text()
    shutil.rmtree(a_run)
    a_run.mkdir()
    (a_run / "config.json").write_text(config)
    status, _, err = train("--resume")
    assert status == 0, err
    assert "no checkpoint to resume from, training starts anew" in err
    assert rows(a_run) == undisturbed


@pytest.mark.parametrize("left", ["best.zip", "progress.csv"])
def test_what_was_learned_is_not_overwritten_for_want_of_a_checkpoint(
    train: Run, a_run: Path, left: str, contents: Contents
) -> None:
    shutil.rmtree(a_run / "checkpoints")
    if left == "progress.csv":
        (a_run / "best.zip").unlink()
    else:
        (a_run / "progress.csv").unlink()
        # Whatever the best model of these few steps was: it was not the first.
        state = json.dumps({**STATE, "best_score": 1.0, "best_timesteps": 32}).encode()
        replace_member(a_run / "best.zip", "snakegym.json", state)
    before = contents(a_run)
    status, _, err = train("--resume")
    assert status == 2
    assert f"found no checkpoints/latest.zip to go on from, but {left} of a training" in err
    assert contents(a_run) == before


def test_a_resumed_run_says_that_it_is_not_the_uninterrupted_one(train: Run, a_run: Path) -> None:
    _, _, err = train("--resume", timesteps=64)
    assert "resuming run at 32 steps; episodes begin anew" in err


def test_going_on_with_other_versions_is_said(train: Run, a_run: Path) -> None:
    path = a_run / "config.json"
    config = json.loads(path.read_text())
    config["versions"]["torch"] = "2.6.0"
    path.write_text(json.dumps(config))
    with pytest.warns(SnakegymWarning, match="run: the run goes on with other versions: field 'torch'"):
        train("--resume", timesteps=64)
    assert json.loads(path.read_text())["versions"]["torch"] != "2.6.0"


def test_a_run_of_an_older_version_is_called_so(train: Run, a_run: Path, contents: Contents) -> None:
    path = a_run / "config.json"
    config = json.loads(path.read_text())
    del config["versions"], config["masked"], config["sizes"]
    path.write_text(json.dumps(config))
    before = contents(a_run)
    status, _, err = train("--resume", timesteps=64)
    assert status == 2
    assert "made by an older version of snakegym" in err
    assert contents(a_run) == before
