"""The vectorised environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from functools import partial
from typing import Any

from gymnasium import Env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from snakegym.envs.vector import Member, limited, make_members, prepare_step


class _Infos(list[dict[str, Any]]):
    """The infos of a step. DummyVecEnv copies them deeply, but here every step makes new ones."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return list(self)


class SerpentineVecEnv(DummyVecEnv):
    """`n_envs` processes as SB3's `VecEnv`, whose hops are trained together in every step.

    All else is `DummyVecEnv` with as many `SerpentineEnv`, each in SB3's `Monitor`: seeds (`seed(7)` gives
    7, 8, 9 …), immediate resets with `terminal_observation` and `TimeLimit.truncated`, the episode's return
    `r`, length `l` and wall-clock time `t` in `info["episode"]`, `env_method("action_masks")`. It may be
    wrapped in VecNormalize; wrappers of single environments have no place in it.

    Args:
        n_envs: how many, at least 1.
        max_episode_steps: truncate episodes after that many steps; None: never.
        kwargs: of `SerpentineEnv`.

    Raises:
        SnakegymError: an argument is wrong.
    """

    def __init__(self, n_envs: int, *, max_episode_steps: int | None = None, **kwargs: Any) -> None:
        self.members = make_members(n_envs, **kwargs)
        super().__init__([partial(_monitored, member, max_episode_steps) for member in self.members])
        self.buf_infos = _Infos(self.buf_infos)

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step whose actions `step_async` got. Raises what `prepare_step` raises."""
        prepare_step(self.members, self.actions)
        return super().step_wait()

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environments themselves, not of the monitors around them."""
        for i in self._get_indices(indices):
            setattr(self.members[i], attr_name, value)


def _monitored(member: Member, max_episode_steps: int | None) -> Env[Any, Any]:
    return Monitor(limited(member, max_episode_steps))
