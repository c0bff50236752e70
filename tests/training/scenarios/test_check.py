from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from snakegym.errors import SnakegymError
from snakegym.training.scenarios.check import RULES, check
from snakegym.training.scenarios.config import CheckScenario

Run = Callable[..., tuple[int, str, str]]


def test_a_check_measures_and_judges(snakegym: Run, tiny: str) -> None:
    status, out, err = snakegym("scenarios", "check", tiny, "--episodes", 2)
    assert status == 0, err
    for text in (
        "serpentine",
        "same-node",
        "Node x layer",
        "Repetition",
        "objective.nominal.time_s",
        "decisions matter",
        "layers matter",
    ):
        assert text in out
    # Five hops are too few to learn anything: the check says so.
    assert "NO   it can be learned" in out


def test_a_check_takes_traces_of_ones_own(snakegym: Run, tiny: str, tmp_path: Path) -> None:
    status, _, err = snakegym("scenarios", "check", tiny, "--traces", "nowhere")
    assert status == 2
    assert "nowhere" in err
    assert snakegym("traces", "generate", "--links", 40, "--computes", 40, "--out", "traces")[0] == 0
    status, out, err = snakegym("scenarios", "check", tiny, "--episodes", 1, "--traces", "traces")
    assert status == 0, err
    assert "serpentine" in out


def test_from_python_the_result_comes_back(tiny: str) -> None:
    result = check(CheckScenario(tiny, episodes=1))
    assert set(result.records) == set(RULES)
    assert len(result.verdicts) == 7
    found = result.shares
    assert found.node + found.layer + found.both + found.repetition == pytest.approx(1)
    assert found.pairs == sum(np.isfinite(p.rewards).all(axis=2).sum() for p in result.probes)
    with pytest.raises(SnakegymError, match="--episodes: found 0"):
        check(CheckScenario(tiny, episodes=0))
