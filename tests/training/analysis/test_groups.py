"""Training seeds taken together, and the time to a target accuracy."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from snakegym.training.analysis.groups import (
    Runs,
    Training,
    choose_baseline,
    flat,
    group,
    one_seed,
    table,
    trainings,
)
from snakegym.training.analysis.targets import default_target, reach_times, time_to_target


def episode(i: int = 0, accuracies: tuple[float, ...] = (0.5,), **fields: Any) -> Any:
    """An episode of hops of 10 s that lead to these validation accuracies."""
    trace = [
        {"start_s": 10.0 * h, "receive_s": 2.0, "compute_s": 7.0, "send_s": 1.0, "metric": a}
        for h, a in enumerate(accuracies)
    ]
    defaults = {"initial_accuracy": 0.1, "validation_accuracy": accuracies[-1]}
    return {"episode": i, "trace": trace, **defaults, **fields}


def learned(seed: int, settings: str = "same") -> Training:
    return Training(seed=seed, settings=settings)


def rule(*episodes: Any) -> Runs:
    return Runs([episodes], trained=False)


def records(*specs: str) -> dict[str, list[Any]]:
    return {spec: [episode(i, spec=spec) for i in range(2)] for spec in specs}


def test_runs_that_differ_in_the_seed_alone_are_one_scheduler() -> None:
    groups = group(
        records("greedy", "runs/ppo-seed0", "runs/other", "runs/ppo-seed1"),
        {"runs/ppo-seed0": learned(0), "runs/ppo-seed1": learned(1), "runs/other": learned(2, "other")},
    )
    assert list(groups) == ["greedy", "runs/ppo-seed* (2 seeds)", "runs/other"]
    assert [len(runs.seeds) for runs in groups.values()] == [1, 2, 1]
    assert [runs.trained for runs in groups.values()] == [False, True, True]
    assert one_seed(groups) == ["runs/other"]
    assert [e["spec"] for e in flat(groups)["runs/ppo-seed* (2 seeds)"]] == [  # type: ignore[typeddict-item]
        "runs/ppo-seed0",
        "runs/ppo-seed0",
        "runs/ppo-seed1",
        "runs/ppo-seed1",
    ]


def test_a_copy_of_a_run_is_no_second_seed() -> None:
    groups = group(records("a", "b"), {"a": learned(0), "b": learned(0)})
    assert list(groups) == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("x1", "x11"), "x1* (2 seeds)"),
        (("s0/ppo", "s1/ppo"), "s*/ppo (2 seeds)"),
        (("mon", "tue"), "mon + tue (2 seeds)"),
    ],
)
def test_names_of_groups(names: tuple[str, str], label: str) -> None:
    assert list(group(records(*names), {names[0]: learned(0), names[1]: learned(1)})) == [label]


def test_two_groups_never_share_a_name() -> None:
    trained = {s: learned(i % 2, str(i // 2)) for i, s in enumerate(("r/a", "r/b", "r/c", "r/d"))}
    assert len(group(records(*trained), trained)) == 2


def test_the_baseline_is_a_rule_if_there_is_one() -> None:
    assert choose_baseline(group(records("runs/a", "random", "greedy"))) == "random"
    assert choose_baseline(group(records("runs/a", "runs/b"))) == "runs/a"


def test_settings_are_those_that_change_what_is_learned(tmp_path: Path) -> None:
    common = {"algo": "ppo", "scenario": {"name": "x"}, "ppo": {"gamma": None}}
    runs = {
        "a": {"seed": 0, "run_id": "1", "wandb": "auto"},
        "b": {"seed": 1, "run_id": "2", "wandb": "disabled"},
        "c": {"seed": 2, "run_id": "3", "ppo": {"gamma": 0.9}},
    }
    for name, own in runs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(common | own))
    a, b, c = trainings([str(tmp_path / name) for name in runs]).values()
    assert a["settings"] == b["settings"] != c["settings"]
    assert (a["seed"], b["seed"]) == (0, 1)
    assert trainings(["greedy"]) == {}


def test_a_table_has_a_row_a_seed() -> None:
    groups = group(records("a", "b"), {"a": learned(0), "b": learned(1)})
    (runs,) = groups.values()
    assert table(runs, "validation_accuracy").shape == (2, 2)


class TestTimeToTarget:
    def test_it_is_the_end_of_the_first_hop_that_reaches_it(self) -> None:
        runs = rule(
            episode(accuracies=(0.3, 0.6, 0.4, 0.7)), episode(accuracies=(0.1,), initial_accuracy=0.9)
        )
        assert reach_times(runs, 0.5, 100).tolist() == [[20, 0]]

    def test_what_never_gets_there_counts_with_the_budget(self) -> None:
        runs = rule(*[episode(accuracies=(0.9,))] * 2, *[episode(accuracies=(0.2,))] * 2)
        reached = time_to_target(runs, 0.9, 50)
        assert reached.share.value == 0.5
        assert reached.time_s.value == pytest.approx((10 + 50) / 2)
        assert reached.is_bound

    def test_after_the_budget_is_too_late(self) -> None:
        runs = rule(*[episode(accuracies=(0.2, 0.9))] * 4)
        assert reach_times(runs, 0.9, 19).tolist() == [[math.inf] * 4]
        in_time = time_to_target(runs, 0.9, 20)
        assert (in_time.share.value, in_time.time_s.value, in_time.is_bound) == (1, 20, False)

    def test_the_default_is_what_the_baseline_reaches(self) -> None:
        groups = {"random": rule(*(episode(accuracies=(a,)) for a in (0.1, 0.871, 0.879, 0.99)))}
        assert default_target(groups, "random") == 0.87
