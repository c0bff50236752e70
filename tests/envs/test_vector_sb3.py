"""The SB3 adapter under Stable-Baselines3's own wrappers, callbacks and algorithms."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.logger import configure
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecNormalize

from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError

N = 3


@pytest.fixture
def env(brief):
    return SerpentineVecEnv(N, scenario=brief)


def play(env, steps: int, seed: int = 5):
    """Observations, rewards, dones and infos of legal actions."""
    env.seed(seed)
    trail = [env.reset()]
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        masks = get_action_masks(env)
        trail.append(env.step(np.array([rng.choice(np.flatnonzero(m[:-1])) for m in masks])))
    return trail


def test_is_step_by_step_the_vector_of_single_environments(brief):
    ours = play(SerpentineVecEnv(N, scenario=brief, engine="sequential"), 8)
    single = lambda: Monitor(SerpentineEnv(brief, engine="sequential"))  # noqa: E731
    theirs = play(DummyVecEnv([single] * N), 8)
    for *_, infos in (*ours[1:], *theirs[1:]):
        for info in infos:
            info.get("episode", {}).pop("t", None)  # wall-clock time
    np.testing.assert_equal(ours, theirs)
    infos = [info for _, _, _, infos in ours[1:] for info in infos]
    ended = [info for info in infos if "terminal_observation" in info]
    assert {info["ended_target"] for info in ended} == {0, 1}
    assert not any(info["TimeLimit.truncated"] for info in ended), (
        "nothing follows, so nothing is to be guessed"
    )


def test_an_ended_episode_leaves_its_return_and_length(env):
    env.reset()
    totals, lengths, ended = np.zeros(N), np.zeros(N, int), 0
    for _ in range(8):
        _, rewards, dones, infos = env.step(np.argmax(get_action_masks(env), axis=1))
        totals, lengths = totals + rewards, lengths + 1
        for i, (done, info) in enumerate(zip(dones, infos, strict=True)):
            assert ("episode" in info) == ("terminal_observation" in info) == done
            if done:
                assert set(info["episode"]) == {"r", "l", "t"}
                assert info["episode"]["r"] == pytest.approx(totals[i], abs=1e-5)
                assert info["episode"]["l"] == lengths[i]
                totals[i], lengths[i], ended = 0.0, 0, ended + 1
    assert ended > N


def test_a_limit_of_steps_truncates(brief):
    env = SerpentineVecEnv(2, scenario=brief, max_episode_steps=2)
    env.reset()
    wait = np.full(2, env.action_space.n - 2)
    env.step(wait)
    *_, dones, infos = env.step(wait)
    assert dones.all()
    assert [info["TimeLimit.truncated"] for info in infos] == [True, True]
    assert [info["episode"]["l"] for info in infos] == [2, 2]
    env.step(wait)


def test_returns_are_logged_without_any_wrapper(env, tmp_path):
    model = learner(env)
    model.set_logger(configure(str(tmp_path), ["csv"]))
    model.learn(24)
    model.logger.close()
    with (tmp_path / "progress.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert np.isfinite(float(last["rollout/ep_rew_mean"]))
    assert 1 <= float(last["rollout/ep_len_mean"]) <= 60


def test_masks_attributes_and_methods(env):
    env.seed(0)
    env.reset()
    assert is_masking_supported(env)
    assert get_action_masks(env).shape == (N, env.action_space.n)
    assert len(env.env_method("action_masks", indices=[0, 2])) == 2
    env.set_attr("note", "x", indices=1)
    assert env.get_attr("note", indices=1) == [env.members[1].note] == ["x"]
    assert env.env_is_wrapped(Monitor) == [True] * N
    assert env.env_is_wrapped(VecMonitor) == [False] * N
    assert len(set(env.get_attr("np_random_seed"))) == N


@pytest.mark.parametrize(
    ("kwargs", "message"), [({"n_envs": 0}, "num_envs: found 0"), ({"n_envs": 1, "engine": "x"}, "engine")]
)
def test_bad_arguments_are_named(kwargs, message):
    with pytest.raises(SnakegymError, match=message):
        SerpentineVecEnv(**kwargs)


def test_wrong_actions_step_nobody(env):
    env.reset()
    with pytest.raises(SnakegymError, match="actions: found"):
        env.step(np.array([0, 0, 10_000]))
    env.step(np.zeros(N, int))


def learner(env) -> MaskablePPO:
    return MaskablePPO("MultiInputPolicy", env, n_steps=4, batch_size=6, n_epochs=1, seed=0, device="cpu")


# VecMonitor says so where it finds the environments monitored already.
pytestmark = pytest.mark.filterwarnings("ignore:The environment is already wrapped:UserWarning")
WRAPS = {
    "bare": lambda env: env,
    "VecMonitor": VecMonitor,
    "VecNormalize": VecNormalize,
    "both": lambda env: VecNormalize(VecMonitor(env)),
}


@pytest.mark.parametrize("wrap", WRAPS)
def test_maskable_ppo_learns_with_every_wrapper(env, wrap):
    model = learner(WRAPS[wrap](env)).learn(4 * N * 2)
    assert model.num_timesteps == 24
    assert len(model.ep_info_buffer) > 0


def test_learning_repeats_itself(brief):
    def weights() -> np.ndarray:
        model = learner(SerpentineVecEnv(N, scenario=brief)).learn(12)
        return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])

    np.testing.assert_array_equal(weights(), weights())


def test_masked_evaluation_during_learning(env, brief, tmp_path):
    validation = VecMonitor(SerpentineVecEnv(2, scenario=brief, split="validation"))
    callback = MaskableEvalCallback(
        validation, n_eval_episodes=2, eval_freq=4, best_model_save_path=str(tmp_path), verbose=0
    )
    model = learner(VecMonitor(env)).learn(12, callback=callback)
    assert np.isfinite(callback.best_mean_reward)
    assert (tmp_path / "best_model.zip").exists()
    rewards, lengths = evaluate_policy(model, validation, n_eval_episodes=2, return_episode_rewards=True)
    assert len(rewards) == 2
    assert max(lengths) <= 60
    assert sum(info > 0 for info in validation.get_attr("_illegal")) == 0, "masks were respected"
