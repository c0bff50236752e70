"""MaskablePPO with a pull: what it was without one, near the teacher with it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from snakegym.agents.algorithms import make_algorithm
from snakegym.agents.kickstart import Pull, outputs
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.scenario import Scenario, load_scenario

SETTINGS = {"n_steps": 32, "batch_size": 16, "n_epochs": 3, "target_kl": 0.0}


@pytest.fixture(scope="module")
def small() -> Scenario:
    scenario = load_scenario("default").model_dump()
    scenario["network"]["nodes"] = 4
    scenario["model"] = {"name": "mlp", "options": {"width": 8, "middle": 3}}
    scenario["process"]["budget"] = {"time_s": 1e6, "hops": 6}
    return Scenario.model_validate(scenario)


def learned(scenario: Scenario, pull: Pull | None, **settings: Any) -> Any:
    """After one rollout and its update; pulled towards a policy of another seed."""
    env = SerpentineVecEnv(2, scenario=scenario)
    given = SETTINGS | settings
    model: Any = make_algorithm("maskable-ppo", env, 3, given, kickstarted=pull is not None)
    if pull is not None:
        model.begin_from(pull, _teacher(scenario).policy.state_dict())
    model.set_random_seed(3)
    model.learn(32)
    return model


def _teacher(scenario: Scenario) -> Any:
    """A policy that prefers some pairs clearly."""
    model: Any = make_algorithm("maskable-ppo", SerpentineVecEnv(1, scenario=scenario), 9, {})
    with torch.no_grad():
        model.policy.action_net.score.weight.normal_(0, 1, generator=torch.Generator().manual_seed(0))
    return model


@pytest.mark.parametrize("clip_range_vf", [0.0, 0.1])
def test_a_pull_of_next_to_nothing_is_none(small: Scenario, clip_range_vf: float) -> None:
    """So the update that is written anew is that of sb3-contrib."""
    ours = learned(small, Pull(1e-9, 1e9), clip_range_vf=clip_range_vf)
    theirs = learned(small, None, clip_range_vf=clip_range_vf)
    for (name, a), b in zip(
        ours.policy.state_dict().items(), theirs.policy.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3, msg=name)


def test_the_pull_brings_the_policy_nearer(small: Scenario) -> None:
    teacher = _teacher(small).policy

    @torch.no_grad()
    def away(model: Any) -> float:
        buffer = model.rollout_buffer
        observed = {k: torch.as_tensor(v.reshape(-1, v.shape[-1])) for k, v in buffer.observations.items()}
        masks = torch.as_tensor(buffer.action_masks.reshape(len(observed["process"]), -1)).bool()
        wanted, _ = outputs(teacher, observed, masks)
        log_p, _ = outputs(model.policy, observed, masks)
        return float((wanted.exp() * (wanted - log_p)).sum(dim=1).mean())

    free, pulled = (learned(small, Pull(weight, 1e9), n_epochs=20) for weight in (0.0, 5.0))
    assert away(pulled) < 0.6 * away(free)


@given(st.floats(0, 100), st.floats(0.01, 1), st.floats(0, 1), st.floats(0, 1))
def test_the_pull_falls_from_its_weight_to_nothing(
    weight: float, share: float, one: float, other: float
) -> None:
    pull = Pull(weight, share)
    assert pull.at(max(one, other)) >= pull.at(min(one, other)) >= 0, "less of the training left, less pull"
    assert pull.at(1.0) == weight
    assert Pull(weight, 0.0).at(1.0) == 0
    assert pull.at(max(0.0, 1 - share)) == pytest.approx(0, abs=1e-9)
