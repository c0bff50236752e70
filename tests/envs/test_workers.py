"""Environments in several processes are those of one."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.workers import SerpentineWorkers
from snakegym.errors import SnakegymError

pytestmark = pytest.mark.slow
N = 3


@pytest.fixture(scope="module")
def workers(brief):
    """Two processes, with two and one environments."""
    env = SerpentineWorkers(2, N, scenario=brief, engine="sequential")
    yield env
    env.close()


def play(env, steps: int, seed: int = 5):
    """Observations, rewards, dones, infos, masks and infos of resets, of legal actions."""
    env.seed(seed)
    trail = [(env.reset(), [dict(info) for info in env.reset_infos])]
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        masks = get_action_masks(env)
        observations, rewards, dones, infos = env.step(
            np.array([rng.choice(np.flatnonzero(m[:-1])) for m in masks])
        )
        for info in infos:
            info.get("episode", {}).pop("t", None)  # wall-clock time
        starts = [dict(env.reset_infos[i]) for i in np.flatnonzero(dones)]
        trail.append((observations, rewards, dones, list(infos), masks, starts))
    return trail


def test_are_step_by_step_the_environments_of_one_process(brief, workers):
    ours = play(workers, 9)
    np.testing.assert_equal(ours, play(SerpentineVecEnv(N, scenario=brief, engine="sequential"), 9))
    assert sum(dones.any() for _, _, dones, *_ in ours[1:]) > 1
    np.testing.assert_equal(play(workers, 9), ours)


def test_masks_attributes_and_methods(workers):
    workers.seed(0)
    workers.reset()
    assert is_masking_supported(workers)
    masks = get_action_masks(workers)
    assert masks.shape == (N, workers.action_space.n)
    np.testing.assert_array_equal(workers.env_method("action_masks", indices=[2, 0]), masks[[2, 0]])
    workers.set_attr("note", "x", indices=[2])
    assert workers.get_attr("note", indices=2) == ["x"]
    assert not workers.has_attr("note")
    assert workers.env_is_wrapped(Monitor) == [True] * N
    assert workers.env_is_wrapped(VecMonitor) == [False] * N
    assert len(set(workers.get_attr("np_random_seed"))) == N
    assert workers.env_method("get_wrapper_attr", "render_mode", indices=[1]) == [None]


def test_errors_come_from_where_they_happen(workers):
    workers.reset()
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        workers.get_attr("nothing_of_the_kind")
    with pytest.raises(SnakegymError, match="actions: found"):
        workers.step(np.array([0, 0, 10_000]))
    workers.step(np.zeros(N, int))  # nobody was confused


def test_learns_and_repeats_itself(workers):
    def weights() -> np.ndarray:
        model = MaskablePPO(
            "MultiInputPolicy",
            VecNormalize(workers),
            n_steps=4,
            batch_size=6,
            n_epochs=1,
            seed=0,
            device="cpu",
        ).learn(24)
        assert len(model.ep_info_buffer) > 0
        return np.concatenate([p.detach().numpy().ravel() for p in model.policy.parameters()])

    np.testing.assert_array_equal(weights(), weights())


def test_a_worker_that_died_is_said_and_the_others_end(brief):
    env = SerpentineWorkers(2, 2, scenario=brief)
    env.reset()
    os.kill(env._workers[1]._process.pid, signal.SIGKILL)
    env._workers[1]._process.join()
    with pytest.raises(SnakegymError, match="a worker process died"):
        env.step(np.zeros(2, int))
    env.close()
    assert not any(worker._process.is_alive() for worker in env._workers)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "n_workers: found 0"),
        ((3, 2), "n_envs: found 2 for 3 workers"),
        ((1, 1, {"engine": "x"}), "engine: found 'x'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    n_workers, n_envs, *kwargs = arguments
    with pytest.raises(SnakegymError, match=message):
        SerpentineWorkers(n_workers, n_envs, **(kwargs[0] if kwargs else {}))
