"""The vectorised environment as Stable-Baselines3 wants it."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from snakegym.envs.vector import make_members, prepare_step


class _Infos(list[dict[str, Any]]):
    """The infos of a step. DummyVecEnv copies them deeply, but here every step makes new ones."""

    def __deepcopy__(self, memo: dict[int, Any]) -> list[dict[str, Any]]:
        return list(self)


class SerpentineVecEnv(DummyVecEnv):
    """`n_envs` processes as SB3's `VecEnv`, whose hops are trained together in every step.

    All else is `DummyVecEnv` with as many `SerpentineEnv`: seeds (`seed(7)` gives 7, 8, 9 …), immediate
    resets with `terminal_observation` and `TimeLimit.truncated`, `env_method("action_masks")`. It may be
    wrapped in VecMonitor and VecNormalize; wrappers of single environments have no place in it.

    Args:
        n_envs: how many, at least 1.
        kwargs: of `SerpentineEnv`.

    Raises:
        SnakegymError: an argument is wrong.
    """

    def __init__(self, n_envs: int, **kwargs: Any) -> None:
        self.members = make_members(n_envs, **kwargs)
        super().__init__([lambda m=m: m for m in self.members])  # type: ignore[misc]
        self.buf_infos = _Infos(self.buf_infos)

    def step_wait(self) -> VecEnvStepReturn:
        """Finish the step whose actions `step_async` got. Raises what `prepare_step` raises."""
        prepare_step(self.members, self.actions)
        return super().step_wait()
