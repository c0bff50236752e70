"""`snakegym explain`: the command, its files, and what is refused."""

from __future__ import annotations

import json
import shutil

import pytest

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.training.explain.command import explain
from snakegym.training.explain.config import ExplainConfig
from snakegym.training.explain.importance import all_features
from snakegym.training.explain.states import play_both

FEW = ("--episodes", 2, "--repetitions", 1, "--states", 6, "--baseline", "milp", "--split", "validation")


def told(folder):
    return json.loads((folder / "explain.json").read_text())


@pytest.mark.painted
def test_a_run_is_explained_on_one_page(snakegym, trained, tmp_path, read_page):
    options = ("--scenario", trained / "tiny.yaml", *FEW)
    status, out, err = snakegym("explain", trained / "a-0", *options, "--out", "out")
    assert status == 0, err
    assert "Where" in out
    assert {f.name for f in (tmp_path / "out").iterdir()} == {
        "explain.html",
        "explain.json",
        "importance.png",
        "disagreement.png",
        "gantt.png",
        "course.png",
        "traces.json",
        "config.yml",
        "command.txt",
    }
    page = read_page(tmp_path / "out" / "explain.html")
    assert len(page.images) == 4
    assert "Mann-Whitney" not in page.source

    (policy,) = told(tmp_path / "out")["policies"].values()
    assert [w["feature"] for w in policy["importance"]] == [
        {"part": f.part, "name": f.name, "way": f.way} for f in all_features()
    ]
    assert policy["disagreement"]["all"]["decisions"] == len(policy["decisions"]) >= 2

    before = {f.name: f.read_bytes() for f in (tmp_path / "out").iterdir()}
    status, _, err = snakegym("explain", "--config", "out/config.yml", "--out", "again")
    assert status == 0, err
    after = {f.name: f.read_bytes() for f in (tmp_path / "again").iterdir()}
    assert [name for name in before if before[name] != after[name]] == []


def test_asking_the_planner_changes_no_episode(snakegym, trained, tmp_path):
    scenario = ("--scenario", trained / "tiny.yaml")
    assert snakegym("explain", trained / "a-0", *scenario, *FEW, "--out", "out")[0] == 0
    both = ("--scheduler", trained / "a-0", "--scheduler", "milp", "--split", "validation", "--episodes", 2)
    assert snakegym("evaluate", *scenario, *both, "--out", "evaluated")[0] == 0
    evaluated = json.loads((tmp_path / "evaluated" / "evaluation.json").read_text())
    assert told(tmp_path / "out")["episodes"] == evaluated["episodes"]


@pytest.mark.parametrize("algo", ["dqn", "recurrent-ppo"])
def test_features_are_shown_of_policies_with_values_or_a_memory(algo, snakegym, trained, tmp_path):
    scenario = ("--scenario", trained / "tiny.yaml")
    short = ("--timesteps", 16, "--n-steps", 16, "--batch-size", 16, "--eval-episodes", 1)
    status, _, err = snakegym(
        "train", "--algo", algo, *scenario, *short, "--wandb", "disabled", "--out", "run"
    )
    assert status == 0, err
    status, _, err = snakegym("explain", "run", *scenario, *FEW, "--out", "out")
    assert status == 0, err
    (policy,) = told(tmp_path / "out")["policies"].values()
    assert len(policy["importance"]) == len(all_features())
    assert any(w["divergence"]["value"] > 0 for w in policy["importance"])


def test_the_planner_is_told_what_was_decided_instead(trained):
    class Planner:
        """Writes down what it says and what it is told."""

        def __init__(self):
            self.said, self.told = [], []

        def reset(self, seed):
            pass

        def schedule(self, view):
            self.said.append(view.hops)
            return None

        def follow(self, view, decision):
            self.told.append((view.hops, decision))

    env, planner = SerpentineEnv(str(trained / "tiny.yaml")), Planner()
    played = play_both(env, make_scheduler("serpentine", env.scenario), planner, 0, 0)
    assert planner.told == [(state.hops, state.chosen) for state in played.states]
    assert [hops for hops, _ in planner.told] == planner.said
    assert len(planner.told) >= 2


def test_runs_that_differ_in_the_seed_are_one_policy(snakegym, trained, tmp_path, read_page):
    (tmp_path / "b").mkdir()
    runs = (trained / "a-0", trained / "a-1", "random")
    status, _, err = snakegym(
        "explain", *runs, "--scenario", trained / "tiny.yaml", *FEW, "--out", tmp_path / "out"
    )
    assert status == 0, err
    policies = told(tmp_path / "out")["policies"]
    assert list(policies) == [f"{trained}/a-* (2 seeds)", "random"]
    both, rule = policies.values()
    assert both["runs"] == [str(run) for run in runs[:2]]
    assert both["importance"][0]["changed"]["units"] == 2
    assert rule["importance"] == []
    pictures = {f.name for f in (tmp_path / "out").glob("*.png")}
    assert {"1-importance.png", "1-gantt.png", "2-gantt.png"} < pictures
    assert "2-importance.png" not in pictures
    assert len(read_page(tmp_path / "out" / "explain.html").images) == 7


def test_a_policy_and_its_copy_never_differ(trained, tmp_path):
    shutil.copytree(trained / "a-0", tmp_path / "copy")
    found = explain(
        ExplainConfig(
            (str(trained / "a-0"),),
            tmp_path / "out",
            scenario=str(trained / "tiny.yaml"),
            baseline=str(tmp_path / "copy"),
            episodes=1,
            repetitions=1,
            states=1,
        )
    )
    (policy,) = found.policies.values()
    assert policy.disagreement.all.of_kind["same"].value == 1
    assert policy.disagreement.qualities == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "RUN: found none"),
        (["milp"], "--baseline: found 'milp', which is to be explained"),
        (["random", "random"], "--run: found random twice"),
        (["nobody"], "nobody"),
        (["random", "--baseline", "nobody"], "nobody"),
        (["random", "--episodes", 0], "--episodes: found 0"),
        (["random", "--repetitions", 0], "--repetitions: found 0"),
        (["random", "--states", 0], "--states: found 0"),
        (["random", "--seed", -1], "--seed: found -1"),
        (["random", "--set", "network.nodes=none"], "network.nodes"),
        (["random", "--out", "full"], "found mine in it"),
        (["random", "--out", "full/mine/x"], "full/mine"),
    ],
)
def test_what_is_refused_leaves_nothing(snakegym, tiny, tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    out = () if "--out" in arguments else ("--out", "out")
    status, _, err = snakegym("explain", *arguments, "--scenario", tiny, *out)
    assert status == 2
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_another_explanation_is_not_overwritten(snakegym, tiny, tmp_path):
    few = ("--scenario", tiny, "--episodes", 1, "--baseline", "greedy", "--out", "out")
    assert snakegym("explain", "random", *few)[0] == 0
    before = (tmp_path / "out" / "explain.json").read_bytes()
    status, _, err = snakegym("explain", "random", *few, "--seed", 1)
    assert status == 2
    assert "holds another explanation: field 'seed'" in err
    assert (tmp_path / "out" / "explain.json").read_bytes() == before


def test_ranks_that_are_chosen_have_no_tables(tiny, tmp_path):
    ranks = ("learning.trains=middle", "learning.lora.rank=free", "learning.lora.ranks=[1, 2]")
    config = ExplainConfig(run=("greedy",), out=tmp_path / "out", scenario=tiny, set=ranks)
    with pytest.raises(SnakegymError, match=r"'learning\.lora\.rank': found 'free'"):
        explain(config)
    assert not (tmp_path / "out").exists()
