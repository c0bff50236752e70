"""The whole path: train a policy, then compare it with rules."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from snakegym.errors import SnakegymWarning

Run = Callable[..., tuple[int, str, str]]
DRAWN = (("a",), ("b", "--stochastic"), ("c", "--stochastic"))


@pytest.mark.usefixtures("a_run")
def test_a_run_is_a_scheduler_like_any_other(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    schedulers = ("--scheduler", "run", "--scheduler", "random")
    status, out, err = snakegym(
        "evaluate", *schedulers, "--scenario", tiny, "--episodes", 2, "--jobs", 1, "--out", "out"
    )
    assert status == 0, err
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["baseline"] == "random"
    assert list(data["weights"]) == ["run"]
    assert "Compared with random" in out
    assert all(e["illegal"] == 0 for e in data["episodes"]["run"])


@pytest.mark.usefixtures("a_run")
def test_actions_are_drawn_where_that_is_asked_for(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    def evaluated(out: str, *more: object) -> dict[str, Any]:
        options = ("--scenario", tiny, "--episodes", 3, "--jobs", 1, "--out", out)
        torch_state = torch.get_rng_state()
        status, _, err = snakegym("evaluate", "--scheduler", "run", "--scheduler", "random", *options, *more)
        assert status == 0, err
        assert torch.equal(torch.get_rng_state(), torch_state)
        return json.loads((tmp_path / out / "evaluation.json").read_text())  # type: ignore[no-any-return]

    def hops(found: dict[str, Any]) -> list[list[tuple[int, int]]]:
        return [[(h["node"], h["layer"]) for h in e["trace"]] for e in found["episodes"]["run"]]

    likely, drawn, again = (evaluated(out, *more) for out, *more in DRAWN)
    assert hops(likely) != hops(drawn), "an untrained policy is far from certain"
    assert len(set(map(str, hops(drawn)))) == 3
    assert drawn == again, "seeded"
    assert drawn["episodes"]["random"] == likely["episodes"]["random"], "rules are as they were"
    assert [e["illegal"] for e in drawn["episodes"]["run"]] == [0, 0, 0]
    status, _, err = snakegym(
        "evaluate",
        "--scheduler",
        "run",
        "--scheduler",
        "random",
        "--scenario",
        tiny,
        "--episodes",
        3,
        "--out",
        "a",
        "--stochastic",
    )
    assert status == 2
    assert "'stochastic': found true, expected false" in err


@pytest.mark.usefixtures("a_run")
def test_a_run_serves_another_scenario_which_is_said(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(
        Path(tiny).read_text().replace("name: tiny", "name: other").replace("nodes: 3", "nodes: 5")
    )
    with pytest.warns(SnakegymWarning, match="trained on scenario 'tiny', and used on 'other'"):
        status, _, err = snakegym(
            *("evaluate", "--scheduler", "run", "--scenario", other, "--episodes", "1", "--out", "out")
        )
    assert status == 0, err
    (episode,) = json.loads((tmp_path / "out" / "evaluation.json").read_text())["episodes"]["run"]
    assert episode["illegal"] == 0


def test_a_truncated_model_is_refused(snakegym: Run, a_run: Path, tiny: str, tmp_path: Path) -> None:
    best = a_run / "best.zip"
    best.write_bytes(best.read_bytes()[:1000])
    status, _, err = snakegym("evaluate", "--scheduler", "run", "--scenario", tiny, "--out", "out")
    assert status == 2
    assert "best.zip" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()
