"""`snakegym train --imitate`: from collecting to reinforcement learning."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from snakegym.agents.improved.experience import COLUMNS, HOP, Experience
from snakegym.agents.improved.traits import TRAITS
from snakegym.agents.learned import build_policy
from snakegym.agents.trained.config import Network
from snakegym.envs.features.process import PROCESS_FEATURES
from snakegym.envs.problems import scenarios_of
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.learn.imitation.collect import collect
from snakegym.training.learn.imitation.improve import learn
from snakegym.training.learn.imitation.play import EPISODES, Batch, Pilot, Player
from snakegym.training.learn.imitation.states import States, load_states

Run = Callable[..., tuple[int, str, str]]
Rows = Callable[..., list[dict[str, str]]]
OPTIONS = {
    "imitate": "lookahead",
    "imitate_states": 60,
    "imitate_rounds": 1,
    "imitate_epochs": 3,
    "pull": 0.5,
}


@pytest.fixture
def imitate(train: Run) -> Run:
    """The shortest training that begins with a planner."""

    def run(*more: object, **changed: object) -> tuple[int, str, str]:
        return train(*more, **(OPTIONS | changed))

    return run


@pytest.fixture
def brief(tmp_path: Path, tiny: str) -> str:
    """A scenario of another size, as short as the small one."""
    path = tmp_path / "brief.yaml"
    text = Path(tiny).read_text().replace("name: tiny", "name: brief").replace("nodes: 3", "nodes: 2")
    path.write_text(text.replace("middle: 7", "middle: 4"))
    return str(path)


@pytest.fixture
def player(tiny: str, brief: str) -> Player:
    settings = {"scenario": [*scenarios_of(tiny), *scenarios_of(brief)]}
    return Player(settings, "lookahead", temperature=0.05, noise=0.5, gamma=1.0, seed=0)


def arrays(states: States) -> list[np.ndarray]:
    return [*vars(states).values()]


def test_a_run_begins_as_the_clone_of_its_teacher(imitate: Run, tmp_path: Path, rows: Rows) -> None:
    status, _, err = imitate(timesteps=64, imitate_epochs=30, imitate_states=320, imitate_temperature=0)
    assert status == 0, err
    assert "cloned lookahead" in err
    run = tmp_path / "run"
    table = [{k: float(v) for k, v in row.items() if v} for row in rows(run, "imitation/clone.csv")]
    best = min(table, key=lambda row: row["loss"])
    assert best["agreement"] > table[0]["agreement"] + 0.1
    assert best["loss"] < 0.5 * table[0]["loss"]
    config = json.loads((run / "config.json").read_text())
    assert config["imitation"]["imitate"] == "lookahead"
    assert "clone of lookahead" in (run / "model_card.md").read_text()
    assert rows(run)[0]["timesteps"] == "0", "the clone is evaluated, before it learns anything else"
    pulls = [float(row["train/pull"]) for row in rows(run, "learner.csv") if row["train/pull"]]
    assert pulls == sorted(pulls, reverse=True)
    assert pulls[0] > pulls[-1] == 0


def test_it_repeats_itself(imitate: Run, tmp_path: Path, rows: Rows) -> None:
    imitate()
    (tmp_path / "run").rename(tmp_path / "first")
    imitate()
    for name in ("progress.csv", "imitation/clone.csv"):
        first, second = ((tmp_path / folder / name).read_text() for folder in ("first", "run"))
        assert first == second


def test_what_was_collected_and_cloned_is_not_done_again(imitate: Run, tmp_path: Path, rows: Rows) -> None:
    longer = {"pull_share": 1}
    imitate(**longer)
    run, first = tmp_path / "run", tmp_path / "first"
    shutil.copytree(run, first)
    shutil.rmtree(run / "checkpoints")
    for name in ("best.zip", "best_model.zip", "progress.csv", "imitation/clone.zip"):
        (run / name).unlink()
    before = {p.name: p.stat().st_mtime_ns for p in (run / "imitation").glob("*.npz")}
    status, _, err = imitate("--resume", **longer)  # killed after the states were there
    assert status == 0, err
    assert {p.name: p.stat().st_mtime_ns for p in (run / "imitation").glob("*.npz")} == before
    assert (run / "progress.csv").read_text() == (first / "progress.csv").read_text()
    cloned = (run / "imitation" / "clone.zip").stat().st_mtime_ns
    status, _, err = imitate("--resume", timesteps=64, **longer)  # and after some steps
    assert status == 0, err
    assert (run / "imitation" / "clone.zip").stat().st_mtime_ns == cloned
    assert "cloned" not in err
    pulls = [row["train/pull"] for row in rows(run, "learner.csv")]
    assert float(pulls[3]) > 0, "a longer training is pulled for longer"
    assert float(pulls[-1]) == 0


def test_a_damaged_file_is_collected_again_and_a_damaged_clone_refused(imitate: Run, tmp_path: Path) -> None:
    imitate()
    run = tmp_path / "run"
    (run / "imitation" / "clone.zip").write_bytes(b"PK\x03\x04")
    status, _, err = imitate("--resume", timesteps=64)
    assert status == 2
    assert "clone.zip" in err
    (run / "imitation" / "clone.zip").unlink()
    status, _, err = imitate("--resume", timesteps=64)
    assert status == 2, "what has learned cannot be pulled towards another clone"
    assert "clone.zip" in err
    shutil.rmtree(run / "checkpoints")
    for name in ("best.zip", "progress.csv"):
        (run / name).unlink()
    states = run / "imitation" / "states-0-00-00000.npz"
    whole = states.read_bytes()
    states.write_bytes(whole[: len(whole) // 2])
    status, _, err = imitate("--resume", timesteps=64)
    assert status == 0, err
    assert len(states.read_bytes()) == len(whole)


def test_several_scenarios_of_different_sizes_in_two_rounds(
    imitate: Run, tmp_path: Path, tiny: str, brief: str, rows: Rows
) -> None:
    several = f"{tiny},{brief}"
    status, _, err = imitate(scenario=several, imitate_rounds=2)
    assert status == 0, err
    assert {row["round"] for row in rows(tmp_path / "run", "imitation/clone.csv")} == {"0", "1"}
    sizes = {load_states(path).mask.shape[1] for path in (tmp_path / "run" / "imitation").glob("*.npz")}
    assert sizes == {3 * 7 + 2, 2 * 4 + 2}
    shutil.rmtree(tmp_path / "run")
    status, _, err = imitate(scenario=several, policy="mlp")
    assert status == 2
    assert "different sizes" in err


def test_more_can_be_imitated_than_is_trained_in(imitate: Run, tmp_path: Path, tiny: str, brief: str) -> None:
    status, _, err = imitate(scenario=tiny, imitate_scenario=f"{brief},{tiny}")
    assert status == 0, err
    run = tmp_path / "run"
    sizes = {load_states(path).mask.shape[1] for path in (run / "imitation").glob("*.npz")}
    assert sizes == {3 * 7 + 2, 2 * 4 + 2}
    assert json.loads((run / "config.json").read_text())["scenario"]["network"]["nodes"] == 3


def test_processes_collect_the_same(player: Player, tmp_path: Path) -> None:
    found = []
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        folder.mkdir()
        found.append(collect(player, 150, processes, folder))
    for one, two in zip(*found, strict=True):
        for a, b in zip(arrays(one), arrays(two), strict=True):
            np.testing.assert_array_equal(a, b)


def test_states_are_what_a_pupil_needs(player: Player) -> None:
    said: list[int] = []
    states = player(Batch(0, 0), said.append)
    assert len(states) == sum(said)
    assert len(np.unique(states.episode)) == EPISODES
    assert not states.label[~states.mask].any()
    np.testing.assert_allclose(states.label.sum(axis=1), 1, atol=0.01)
    for episode in np.unique(states.episode):
        of = states.take(states.episode == episode)
        assert of.valued.all() if episode % 2 == 0 else True, "every second one is the teacher's own"
        assert (np.diff(of.valued.astype(int)) >= 0).all()
    assert not states.valued.all()


def test_noise_is_what_was_asked_for(player: Player) -> None:
    quiet = Player(player.settings, "lookahead", 0.05, noise=0.0, gamma=1.0, seed=0)
    assert quiet(Batch(0, 0), lambda n: None).valued.all()


def who_waits(tiny: str) -> Pilot:
    """A policy that waits, whatever happens."""
    env = SerpentineEnv(tiny)
    network = Network(policy="pairwise", width=4)
    policy = build_policy(network, True, env.observation_space, env.codec.n_actions)
    with torch.no_grad():
        policy.action_net.finish.bias.fill_(0.0)
        policy.action_net.wait.bias.fill_(30.0)
    return Pilot(network, True, policy.state_dict())


def test_a_pilot_plays_and_the_teacher_says_what_it_would_have_done(player: Player, tiny: str) -> None:
    env, pilot = SerpentineEnv(tiny), who_waits(tiny)
    states = replace(player, turn=1, pilot=pilot, _tables={})(Batch(0, 0), lambda n: None)
    assert states.valued.all()
    assert (states.label[:, env.codec.wait] == 0).any(), "which no planner would"
    hops = states.process[:, PROCESS_FEATURES.index("hops_spent")]
    assert not hops.any()


def test_a_planner_is_improved_between_rounds(imitate: Run, tmp_path: Path, rows: Rows) -> None:
    """It plays every second episode of the later rounds; what it has learned follows from what is kept."""
    improved = {"imitate": "improved", "imitate_rounds": 2, "imitate_states": 120}
    status, _, err = imitate(**improved)
    assert status == 0, err
    assert "cloned improved" in err
    run, first = tmp_path / "run", tmp_path / "first"
    states = load_states(run / "imitation" / "states-1-00-00000.npz")
    assert states.experience.shape == (len(states), len(COLUMNS))
    assert {row["round"] for row in rows(run, "imitation/clone.csv")} == {"0", "1"}
    shutil.copytree(run, first)
    for name in ("imitation/states-1-00-00000.npz", "imitation/clone.zip", "best.zip", "progress.csv"):
        (run / name).unlink()
    shutil.rmtree(run / "checkpoints")
    status, _, err = imitate("--resume", **improved)  # killed in the second round
    assert status == 0, err
    for name in ("progress.csv", "imitation/clone.csv"):
        assert (run / name).read_text() == (first / name).read_text()
    again = load_states(run / "imitation" / "states-1-00-00000.npz")
    np.testing.assert_array_equal(again.label, states.label)


def test_who_has_learned_plays_every_second_episode_and_its_pupil_the_others(
    player: Player, tiny: str
) -> None:
    planned = replace(player, teacher="improved")(Batch(0, 0), lambda n: None)
    learned = [learn(planned, *scenarios_of(tiny), 7, seed=0)]
    both = replace(player, teacher="improved", turn=1, pilot=who_waits(tiny), learned=learned, _tables={})
    states = both(Batch(0, 0), lambda n: None)
    hopped = Experience(states.experience.astype(np.float64)).hopped
    assert not hopped[states.episode % 2 == 1].any()
    assert all(hopped[states.episode == episode].any() for episode in np.unique(states.episode)[::2])


def test_what_hops_brought_is_noted(player: Player, tiny: str) -> None:
    states = replace(player, teacher="improved")(Batch(0, 0), lambda n: None)
    seen = Experience(states.experience.astype(np.float64))
    metric = TRAITS.index("metric")
    followed = np.flatnonzero((np.diff(states.episode) == 0) & seen.hopped[:-1])
    gains = (seen.traits[followed + 1] - seen.traits[followed])[:, metric]
    np.testing.assert_allclose(seen.of("gain")[followed], gains, atol=1e-6)
    assert (seen.of("time_s")[seen.hopped] > 0).all()
    np.testing.assert_allclose(seen.rest, states.returns, rtol=1e-5, atol=1e-5)


def test_what_it_learns_is_what_the_hops_brought(player: Player, tiny: str) -> None:
    """Of rows whose gain follows from layer and accuracy, and whose rest is worth what time is left."""
    rng, n = np.random.default_rng(0), 3000
    table = rng.uniform(0, 1, (n, len(COLUMNS)))
    layer = rng.integers(3, size=n)
    of = {name: table[:, COLUMNS.index(name)] for name in (*HOP, "rest", "time_left")}
    feature = table[:, len(TRAITS) + 1]  # the first of them
    of["layer"][:], of["delivered"][:], of["whole"][:] = layer, 1.0, 1.0
    of["gain"][:] = 0.1 * layer * (1 - feature) - 0.02
    of["expected_s"][:], of["time_s"][:] = 10.0, 15.0
    of["rest"][:] = 5 * of["time_left"]
    table[::7, COLUMNS.index(HOP[0]) :] = np.nan  # waits
    states = player(Batch(0, 0), lambda n: None)
    some = np.resize(np.arange(len(states)), n)
    states = replace(states.take(some), experience=table, valued=np.ones(n, dtype=bool))
    found = learn(states, *scenarios_of(tiny), 3, seed=0)
    assert found is not None
    seen = Experience(table)
    assert np.abs(found.value.of(seen.traits) - seen.rest).mean() < 0.2
    hopped = seen.hopped
    expected = found.gains.of(seen.features[hopped])[np.arange(hopped.sum()), layer[hopped]]
    assert np.abs(expected - seen.of("gain")[hopped]).mean() < 0.02
    np.testing.assert_allclose(found.surprises[:, 0], seen.of("gain")[hopped] - expected)
    np.testing.assert_allclose(found.surprises[:, 1], 1.5)
    assert learn(states.take(np.arange(5)), *scenarios_of(tiny), 3, seed=0) is None


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"imitate": "improved"}, "--imitate-rounds: found 1, expected 2 or more"),
        ({"imitate": "nobody"}, "nobody"),
        ({"imitate": "clairvoyant"}, "--imitate-privileged"),
        ({"imitate_states": 0}, "--imitate-states"),
        ({"imitate_noise": 1.5}, "--imitate-noise"),
        ({"imitate_rounds": 0}, "--imitate-rounds"),
        ({"imitate_scenario": "nowhere"}, "nowhere"),
        ({"learner_device": "abacus"}, "--learner-device"),
        ({"imitate_temperature": -1}, "--imitate-temperature"),
        ({"pull": float("nan")}, "--pull"),
        ({"algo": "ppo"}, "--pull"),
        (
            {"algo": "recurrent-ppo"},
            "--imitate: found algorithm 'recurrent-ppo', expected maskable-ppo or ppo",
        ),
    ],
)
def test_what_is_impossible_is_refused_before_anything_is_written(
    imitate: Run, tmp_path: Path, changed: dict[str, object], named: str
) -> None:
    status, _, err = imitate(**changed)
    assert status == 2
    assert named in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_its_options_are_of_no_use_alone(train: Run) -> None:
    status, _, err = train(pull=2)
    assert status == 2
    assert "--imitate" in err


@pytest.mark.parametrize("options", [{"imitate": "milp"}, {"algo": "ppo", "pull": 0}])
def test_other_teachers_and_algorithms(imitate: Run, options: dict[str, object]) -> None:
    status, _, err = imitate(**options)
    assert status == 0, err


def test_a_privileged_teacher_can_be_asked_for(imitate: Run) -> None:
    status, _, err = imitate("--imitate-privileged", imitate="clairvoyant")
    assert status == 0, err
