from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario
from snakegym.training.scenarios.central import central_accuracy
from snakegym.training.scenarios.check import RULES, check
from snakegym.training.scenarios.config import CheckScenario

Run = Callable[..., tuple[int, str, str]]


FEW = ("--episodes", 2, "--states", 3)


def test_a_check_measures_judges_and_fails_where_it_should(snakegym: Run, tiny: str) -> None:
    status, out, err = snakegym("scenarios", "check", tiny, *FEW, "--markdown", "table.md")
    assert status == 1, err
    for text in (
        "serpentine",
        "same-node",
        "Node x layer",
        "Repetition",
        "objective.nominal.time_s",
        "decisions matter",
        "layers matter",
        "of central training",
    ):
        assert text in out
    # Five hops are too few to learn anything: the check says so.
    assert "NO   it can be learned" in out
    table = Path("table.md").read_text(encoding="utf-8")
    assert "| `tiny` |" in table
    assert "**no**" in table


def test_of_several_each_has_its_row(snakegym: Run, tiny: str) -> None:
    status, _, err = snakegym("scenarios", "check", tiny, tiny, *FEW, "--markdown", "table.md")
    assert status == 1, err
    assert Path("table.md").read_text(encoding="utf-8").count("| `tiny` |") == 2
    status, out, err = snakegym("scenarios", "check", tiny, "nobody", *FEW)
    assert (status, out) == (2, "")
    assert "unknown scenario 'nobody'" in err


def test_test_traces_are_not_for_checking(snakegym: Run, tiny: str) -> None:
    assert snakegym("scenarios", "check", tiny, "--split", "test")[0] == 2
    with pytest.raises(SnakegymError, match="--split: found 'test', expected train or validation"):
        check(CheckScenario((tiny,), split="test"))  # type: ignore[arg-type]


def test_a_check_takes_traces_of_ones_own(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    status, _, err = snakegym("scenarios", "check", tiny, "--traces", "nowhere")
    assert status == 2
    assert "nowhere" in err
    assert snakegym("traces", "generate", "--links", 40, "--computes", 40, "--out", "traces")[0] == 0
    status, out, err = snakegym("scenarios", "check", tiny, *FEW, "--traces", "traces")
    assert status == 1, err
    assert "serpentine" in out


def test_from_python_the_result_comes_back(tiny: str) -> None:
    (result,) = check(CheckScenario((tiny,), episodes=1, states=3))
    assert set(result.records) == set(RULES)
    assert len(result.verdicts) == 7
    assert not result.good
    assert [v.required for v in result.verdicts] == [True] * 6 + [False]
    found = result.shares
    assert found.node + found.layer + found.both + found.repetition == pytest.approx(1)
    assert found.pairs == sum(np.isfinite(p.rewards).all(axis=2).sum() for p in result.probes)
    with pytest.raises(SnakegymError, match="--episodes: found 0"):
        check(CheckScenario((tiny,), episodes=0))


def test_central_training_is_the_best_one_can_do_and_always_the_same(tiny: str) -> None:
    scenario = load_scenario(tiny)
    accuracy = central_accuracy(scenario, 0)
    assert 0.9 < accuracy <= 1
    assert accuracy == central_accuracy(scenario, 0)
