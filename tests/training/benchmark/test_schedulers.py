"""From what is typed after --scheduler to who plays, and where."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.benchmark.schedulers import Entrant, entrant_of, find_entrants

Make = Callable[..., None]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make the config.json of a training run in the working directory."""
    monkeypatch.chdir(tmp_path)

    def make(folder: str, seed: int = 0, scenario: str = "tiny", gamma: float = 0.9) -> None:
        config = {
            "algo": "ppo",
            "seed": seed,
            "run_id": folder,
            "masked": False,
            "ppo": {"gamma": gamma, "policy": "mlp", "net_arch": [8]},
            "sizes": {"nodes": 3, "layers": 7, "actions": 23},
            "versions": {},
            "scenario": {"name": scenario},
        }
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "config.json").write_text(json.dumps(config))

    return make


def who(*asked: str) -> dict[str, list[str]]:
    return {e.label: [r.spec for r in e.runs] for e in find_entrants(asked)}


def test_rules_are_called_as_they_are(run: Make) -> None:
    assert who("greedy", "random") == {"greedy": ["greedy"], "random": ["random"]}


def test_runs_that_differ_in_seed_and_scenario_are_one_scheduler(run: Make) -> None:
    run("out/a-0", 0)
    run("out/a-1", 1)
    run("out/a-crowd", 0, "crowd")
    run("out/b", 0, gamma=0.5)
    found = find_entrants(["out/a-0", "greedy", "out/b", "out/a-1", "out/a-crowd"])
    assert [e.label for e in found] == ["out/a-*", "greedy", "out/b"]
    assert found[0].specs("tiny") == ["out/a-0", "out/a-1"]
    assert found[0].specs("crowd") == ["out/a-crowd"]
    assert found[0].specs("large") == []
    assert found[1].specs("large") == ["greedy"]
    assert [e.is_trained for e in found] == [True, False, True]


@pytest.mark.parametrize(("policy", "elsewhere"), [("mlp", []), ("pairwise", ["a"])])
def test_a_run_on_several_scenarios_plays_wherever_its_weights_fit(
    run: Make, policy: str, elsewhere: list[str]
) -> None:
    run("a", 0)
    path = Path("a") / "config.json"
    config = json.loads(path.read_text())
    config["scenario"] = {"name": "x,y", "summary": "", "each_of": [{"name": "x"}, {"name": "y"}]}
    config["ppo"]["policy"] = policy
    path.write_text(json.dumps(config))
    (found,) = find_entrants(["a"])
    assert [found.specs(name) for name in ("x", "y", "z")] == [["a"], ["a"], elsewhere]


def test_names_and_patterns(run: Make) -> None:
    run("out/ppo-0", 0)
    run("out/ppo-1", 1)
    run("out/other", 2, gamma=0.5)
    (Path("out") / "ppo-notes.txt").touch()
    assert who("out/ppo-*") == {"out/ppo-*": ["out/ppo-0", "out/ppo-1"]}
    assert who("mine=out/ppo-*,out/other", "best=greedy") == {
        "mine": ["out/ppo-0", "out/ppo-1", "out/other"],
        "best": ["greedy"],
    }
    run("x=[1]", 5)
    assert who("x=[1]") == {"x=[1]": ["x=[1]"]}, "a folder's own name comes first"


def test_those_that_know_the_future_are_marked(run: Make) -> None:
    assert [*who("clairvoyant", "top=oracle-gain", "greedy")] == ["clairvoyant †", "top †", "greedy"]


def test_an_entrant_is_found_by_what_was_typed(run: Make) -> None:
    run("a-0", 0)
    run("a-1", 1)
    entrants = find_entrants(["ppo=a-*", "clairvoyant", "greedy"])

    def label(typed: str) -> Any:
        found = entrant_of(typed, entrants)
        return found.label if isinstance(found, Entrant) else None

    assert [label(t) for t in ("ppo", "ppo=a-*", "clairvoyant", "greedy", "a-0", "random")] == [
        "ppo",
        "ppo",
        "clairvoyant †",
        "greedy",
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["none-*"], "found no folder that matches 'none-*'"),
        (["x="], "found 'x=', expected NAME=SPEC"),
        (["=greedy"], "found '=greedy', expected NAME=SPEC"),
        (["x=greedy,,random"], "expected NAME=SPEC"),
        (["greedy", "x=greedy"], "found two schedulers 'greedy'"),
        (["x=greedy", "x=random"], "found two schedulers called 'x'"),
        (["a", "b"], "found a and b in 'a + b', trained on tiny with one seed (0)"),
        (["x=greedy,random"], "found 'greedy' and others in 'x', expected folders of training runs"),
        (["empty"], "empty: found no config.json, expected the folder of a training run"),
    ],
)
def test_what_is_refused(run: Make, asked: list[str], said: str) -> None:
    run("a")
    run("b")
    Path("empty").mkdir()
    with pytest.raises(SnakegymError) as error:
        find_entrants(asked)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
