"""Where a policy and a planner differ."""

from __future__ import annotations

import numpy as np
import pytest

from snakegym.agents.rules import SerpentineScheduler
from snakegym.control.records import FINISH, Assignment
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.explain.disagreement import disagreement
from snakegym.training.explain.states import State, kind_of, play_both


@pytest.fixture
def env(tiny):
    env = SerpentineEnv(tiny, split="validation")
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(
    ("chosen", "planned", "kind"),
    [
        (Assignment(0, 0), Assignment(0, 0), "same"),
        (Assignment(0, 0), Assignment(0, 0, companions=(1,)), "same"),
        (Assignment(0, 0), Assignment(1, 0), "node"),
        (Assignment(0, 0), Assignment(0, 1), "layer"),
        (Assignment(0, 0), Assignment(1, 1), "both"),
        (Assignment(0, 0), None, "hops"),
        (Assignment(0, 0), FINISH, "later"),
        (Assignment(0, 99), Assignment(0, 0), "illegal"),
        (None, None, "same"),
        (None, Assignment(0, 0), "waits"),
        (None, FINISH, "later"),
        (FINISH, FINISH, "same"),
        (FINISH, None, "earlier"),
        (FINISH, Assignment(0, 0), "earlier"),
    ],
)
def test_kinds(env, chosen, planned, kind):
    assert kind_of(chosen, planned, env.view()) == kind


class Backwards:
    """Does as round robin does, but for the layer: the highest that is legal on the node."""

    def __init__(self, scenario):
        self.rule = SerpentineScheduler(scenario)

    def reset(self, seed):
        self.rule.reset(seed)

    def schedule(self, view):
        said = self.rule.schedule(view)
        if not isinstance(said, Assignment):
            return said
        return Assignment(said.node, int(np.flatnonzero(view.legal[said.node])[-1]))


def test_what_differs_is_told_of_a_played_episode(env):
    policy, planner = SerpentineScheduler(env.scenario), Backwards(env.scenario)
    played = play_both(env, policy, planner, 0, 0)
    assert [s.kind for s in played.states] == ["layer"] * 5
    assert [s.position for s in played.states] == [0, 1, 2, 3, 4]
    assert [s.progress for s in played.states] == [0, 0.2, 0.4, 0.6, 0.8]
    assert played.sights == []
    found = disagreement([[played.states]], env.codec.n_middle)
    assert found.all.of_kind["layer"].value == 1
    assert list(found.by_position) == ["0", "1", "2", "3", "4"]
    assert found.qualities["samples"].difference.value == 0
    sizes = env.view().layers.n_bytes / 1e3
    assert found.qualities["layer_bytes"].policy == pytest.approx(sizes[:5].mean())


def state(progress, kind, position=0):
    return State(progress, 0.0, 0, position, None, None, kind, None)


def test_shares_are_of_the_decisions_and_intervals_over_seeds_or_episodes():
    one = [state(0, "same"), state(0.5, "waits")]
    other = [state(0, "same"), state(0.25, "same"), state(0.5, "same"), state(0.75, "later")]
    found = disagreement([[one, other]], 7)
    assert found.all.decisions == 6
    shares = found.all.of_kind
    assert {k: s.value for k, s in shares.items() if s.value} == pytest.approx(
        {"same": 4 / 6, "waits": 1 / 6, "later": 1 / 6}
    )
    assert all(0 <= s.low <= s.value <= s.high <= 1 and s.units == 2 for s in shares.values())
    assert {name: s.decisions for name, s in found.by_quarter.items()} == {
        "first quarter": 2,
        "second": 1,
        "third": 2,
        "last": 1,
    }
    assert found.by_quarter["last"].of_kind["later"].value == 1
    assert disagreement([[one, other], [one], [other]], 7).all.of_kind["same"].units == 3


def test_many_layers_are_taken_together():
    found = disagreement([[[state(0, "same", position) for position in range(32)]]], 32)
    assert sum(s.decisions for s in found.by_position.values()) == 32
    assert list(found.by_position)[:2] == ["0 to 3", "4 to 7"]
    assert list(found.by_position)[-1] == "29 to 31"
