"""Where the agent chooses the rank of adapters as well: actions, masks, observations, planners, learners."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from sb3_contrib import MaskablePPO

import snakegym
from snakegym.agents.learners.dqn import LegalDQN, PairwiseQPolicy
from snakegym.agents.policy import MaskablePairwisePolicy
from snakegym.control.forecast import forecast
from snakegym.control.records import FINISH, Assignment
from snakegym.control.view import ProcessView
from snakegym.envs.features.ranks import RANK_FEATURES
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario

RULES = {"oort", "serpentine", "random"}
RANKS = (2, 4, 12)
N, M, R = 4, 3, len(RANKS)


def scenario(memory: tuple[float, ...] = (8e6,), battery_j: float | None = None, **process: Any) -> Scenario:
    fields = snakegym.load_scenario("default").model_dump(mode="json")
    options = {"width": 16, "middle": M, "smallest": 16, "largest": 256}
    fields["model"] = {"name": "blocks", "options": options}
    fields["learning"].update(trains="middle", lora={"rank": "free", "ranks": [4, 2, 12]}, epochs=1)
    device = {"peak_flops": 1e7, "compute_power_w": 0.3, "radio_power_w": 0.5, "battery_j": battery_j}
    kinds = [{"name": f"d{i}", "memory_bytes": size, **device} for i, size in enumerate(memory)]
    fields["network"].update(nodes=N, devices=kinds, mode="cs")
    fields["process"].update({"budget": {"time_s": 600.0, "hops": 6, "decisions": 12}, **process})
    return Scenario.model_validate({**fields, "fitted": None})


def narrow() -> Scenario:
    """With devices between whose memories ranks make a difference."""
    profile = SerpentineEnv(scenario()).service.profile
    needed = [profile.hop_memory(scenario().learning, rank=rank) for rank in RANKS]
    kept = 1437 * profile.kept_bytes(scenario().learning).max()
    sizes = (float(needed[0].max()) + 1, float(needed[1].mean()) + kept / N, float(needed[2].max()) + kept)
    return scenario(sizes)


def test_the_mask_is_what_may_be_dispatched() -> None:
    env = SerpentineEnv(narrow())
    partly = 0
    for seed in range(3):
        env.reset(seed=seed)
        for _ in range(3):
            view, mask = env.view(), env.action_masks()
            assert mask.shape == (N * M * R + 2,)
            needed = env.service.profile.hop_memory
            for action in range(env.codec.wait):
                hop = env.codec.decode(action, view)
                assert isinstance(hop, Assignment)
                assert env.codec.encode(hop) == action
                kept = view.nodes.samples[hop.node] * view.layers.kept_bytes[hop.layer]
                room = view.nodes.memory_bytes[hop.node] - kept - view.nodes.teacher_bytes[hop.node]
                fits = room >= needed(env.scenario.learning, rank=hop.rank)[hop.layer]
                able = view.nodes.reachable[hop.node] and view.layers.open[hop.layer]
                assert mask[action] == (fits and able), hop
            by_pair = mask[: env.codec.wait].reshape(-1, R).sum(axis=1)
            partly += int(((by_pair > 0) & (by_pair < R)).sum())
            legal = np.flatnonzero(mask[: env.codec.wait])
            env.step(int(env.np_random.choice(legal)) if len(legal) else env.codec.wait)
    assert partly, "somewhere memory does for some ranks and not for others"


def test_batteries_allow_ranks_one_by_one() -> None:
    env = SerpentineEnv(scenario(battery_j=0.8))
    env.reset(seed=0)
    view, legal = env.view(), []
    for one in view.ranks:
        lasts = forecast(view.at_rank(one.rank)).node_energy_j <= view.nodes.battery_j[:, None]
        np.testing.assert_array_equal(one.legal, lasts & view.nodes.reachable[:, None])
        legal.append(one.legal.sum())
    assert legal[0] > legal[-1]


def test_without_a_rank_the_rule_says_it() -> None:
    env = SerpentineEnv(narrow())
    env.reset(seed=0)
    view = env.view()
    for node, layer in np.argwhere(view.legal).tolist():
        fitting = [one.rank for one in view.ranks if one.legal[node, layer]]
        assert view.adapters.ranks[node, layer] == fitting[-1], "the highest that there is room for"
        own = env.codec.encode(Assignment(node, layer), view)
        assert env.codec.decode(own, view) == Assignment(node, layer, rank=fitting[-1])
    with pytest.raises(SnakegymError, match="expected a rank out of 2, 4, 12, or the view"):
        env.codec.encode(Assignment(0, 0))
    with pytest.raises(SnakegymError, match=r"rank=3.*expected a rank out of 2, 4, 12"):
        env.codec.encode(Assignment(0, 0, rank=3))
    with pytest.raises(SnakegymError, match="found rank 3, expected one of 2, 4, 12"):
        view.at_rank(3)


def test_a_fixed_order_leaves_nodes_and_ranks() -> None:
    env = SerpentineEnv(scenario(), layer_order="serpentine")
    env.reset(seed=0)
    assert env.action_space.n == N * R + 2
    for action in range(N * R):
        assert env.codec.decode(action, env.view()) == Assignment(action // R, 0, rank=RANKS[action % R])
        assert env.action_masks()[action]
    observation, *_ = env.step(1 * R + 2)
    assert env.controller.history[0].assignment.rank == 12
    assert env.observation_space.contains(observation)


def test_an_observation_has_every_pair_with_every_rank() -> None:
    env = SerpentineEnv(narrow())
    observation, _ = env.reset(seed=1)
    rows = observation["ranks"].reshape(N, M, R, len(RANK_FEATURES))
    view = env.view()
    at = RANK_FEATURES.index
    np.testing.assert_array_equal(rows[..., at("legal")].ravel(), env.action_masks()[: env.codec.wait])
    np.testing.assert_allclose(rows[0, 0, :, at("rank")], [2 / 12, 4 / 12, 1])
    for k, rank in enumerate(RANKS):
        ahead = forecast(view.at_rank(rank)).n_bytes / view.objective.nominal.n_bytes
        np.testing.assert_allclose(rows[:, :, k, at("n_bytes")], ahead / (1 + ahead), rtol=1e-5)
    assert (np.diff(rows[..., at("memory_room")], axis=2) < 0).all()
    flat, _ = SerpentineEnv(narrow(), observation="flat").reset(seed=1)
    assert len(flat) == sum(len(part) for part in observation.values())


@pytest.mark.parametrize("form", ["dict", "flat", "masked"])
def test_gymnasium_finds_nothing_to_complain_of(form: Any) -> None:
    fields = scenario().model_dump(mode="json")
    env = gym.make("snakegym/Serpentine-v1", scenario=fields, observation=form)
    check_env(env.unwrapped, skip_render_check=True)


def test_copies_go_on_the_same() -> None:
    rewards = []
    for _ in range(2):
        env = SerpentineEnv(scenario())
        env.reset(seed=4)
        rewards.append([env.step(int(np.flatnonzero(env.action_masks())[1]))[1] for _ in range(3)])
    assert rewards[0] == rewards[1]


@pytest.mark.parametrize("policy", [MaskablePairwisePolicy, "MultiInputPolicy"])
def test_maskable_ppo_learns(policy: Any) -> None:
    env = SerpentineEnv(scenario())
    model = MaskablePPO(policy, env, n_steps=16, batch_size=8, n_epochs=1, seed=0)
    model.learn(32)
    observation, _ = env.reset(seed=0)
    likely = model.policy.get_distribution(model.policy.obs_to_tensor(observation)[0]).distribution.probs[0]
    assert len(likely) == N * M * R + 2
    action, _ = model.predict(observation, action_masks=env.action_masks(), deterministic=True)
    assert env.action_masks()[int(action)]


@pytest.mark.parametrize("order", ["free", "reverse"])
def test_what_takes_no_masks_chooses_what_is_legal(order: Any) -> None:
    env = SerpentineEnv(narrow(), layer_order=order)
    model = LegalDQN(PairwiseQPolicy, env, learning_starts=6, buffer_size=50, batch_size=4, seed=0)
    model.learn(12)
    assert env.reset(seed=0)[1]["illegal"] == 0
    observation, _ = env.reset(seed=0)
    for _ in range(4):
        action, _ = model.predict(observation, deterministic=True)
        assert env.action_masks()[int(action)]
        observation, *_, over, _, _ = env.step(int(action))
        if over:
            break


@pytest.mark.parametrize(
    "spec",
    ["greedy", "lookahead", "milp", "milp-sequential", "evolutionary", "oort", "serpentine", "random",
     "static", "clairvoyant", "oracle-gain"],
)  # fmt: skip
def test_every_scheduler_goes_on_working(spec: str) -> None:
    env = SerpentineEnv(narrow())
    with pytest.warns(snakegym.errors.SnakegymWarning) if spec not in RULES else nullcontext():
        scheduler: Any = snakegym.make_scheduler(spec, env.scenario)
    env.reset(seed=2)
    scheduler.reset(2)
    if hasattr(scheduler, "watch"):
        scheduler.watch(env)
    for _ in range(3):
        decision = scheduler.schedule(env.view())
        if isinstance(decision, Assignment):
            assert env.view().allows(decision.node, decision.layer, decision.rank)
            assert (decision.rank is None) == (spec in RULES - {"random"})
        _, _, over, _, info = env.step_as(decision)
        assert info["illegal"] == 0
        if over:
            break
    assert env.controller.history or decision is FINISH


def at_link(view: ProcessView, bps: float) -> ProcessView:
    from dataclasses import replace

    slow = np.full(N, bps)
    nodes = replace(
        view.nodes, uplink_bps=slow, downlink_bps=slow, mean_uplink_bps=slow, mean_downlink_bps=slow,
        missing_bytes=np.zeros(N),
    )  # fmt: skip
    return replace(view, nodes=nodes, lacking=np.zeros_like(view.lacking))


def test_greed_chooses_a_smaller_rank_on_a_slow_link() -> None:
    from snakegym.agents.planning.gain import FormulaGain
    from snakegym.agents.planning.greedy import GreedyScheduler
    from snakegym.agents.planning.outlook import ForecastOutlook

    env = SerpentineEnv(scenario())
    env.reset(seed=0)
    scheduler = GreedyScheduler(env.scenario, FormulaGain(), ForecastOutlook())
    chosen = []
    for bps in (1e9, 50.0):
        scheduler.reset(0)
        decision = scheduler.schedule(at_link(env.view(), bps))
        assert isinstance(decision, Assignment)
        chosen.append(decision.rank)
    assert chosen == [12, 2]


def test_scenarios_with_other_ranks_do_not_go_together() -> None:
    fixed = scenario().model_dump(mode="json")
    fixed["learning"]["lora"] = {"rank": 4}
    fixed["name"] = "fixed"
    with pytest.raises(SnakegymError, match=r"found ranks to choose among .default: 2, 4, 12; fixed: none."):
        SerpentineEnv([scenario(), fixed])
