"""Several environments in step, whose networks are trained together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from gymnasium import Env
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import TimeLimit
from numpy.typing import ArrayLike, NDArray

from snakegym.control.execution.executor import run_together
from snakegym.control.records import Outcome
from snakegym.envs.arguments import checked_count, plain_spec
from snakegym.envs.serpentine import Observation, SerpentineEnv, StepResult
from snakegym.errors import SnakegymError

BatchedStep = tuple[Observation, NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class Member(SerpentineEnv):
    """An environment whose step can be prepared: begun and trained together with others'.

    A prepared step is finished by the next `step`, so that whoever loops over environments (gymnasium,
    Stable-Baselines3) need not know; an unprepared one is done by the environment alone.
    """

    _prepared = False
    _outcome: Outcome | None = None

    def prepare(self, outcome: Outcome | None) -> None:
        """Supply the outcome of the job that `begin` gave (None if it gave none)."""
        self._prepared, self._outcome = True, outcome

    def reset(self, **kwargs: Any) -> tuple[Observation, dict[str, Any]]:
        """As of any environment; forgets a prepared step."""
        self._prepared, self._outcome = False, None
        return super().reset(**kwargs)

    def step(self, action: np.int64 | int) -> StepResult:
        """Finish the prepared step, whose action was given when it began; else do a whole one."""
        if not self._prepared:
            return super().step(action)
        outcome, self._prepared, self._outcome = self._outcome, False, None
        return self.finish(outcome)


def make_members(n: int, **kwargs: Any) -> list[Member]:
    """Environments that can be trained together.

    Args:
        n: how many, at least 1.
        kwargs: of `SerpentineEnv`.

    Raises:
        SnakegymError: `n` is no integer of 1 or more, or an argument is wrong.
    """
    return [Member(**kwargs) for _ in range(checked_count("num_envs", n))]


def limited(env: Env[Any, Any], max_episode_steps: int | None) -> Env[Any, Any]:
    """The environment, truncated after that many steps; None: as it is. Raises SnakegymError."""
    if max_episode_steps is None:
        return env
    return TimeLimit(env, checked_count("max_episode_steps", max_episode_steps))


def prepare_step(members: Sequence[Member], actions: ArrayLike) -> None:
    """Begin a step of every member and train all their jobs in one call of their engine.

    Args:
        members: of one service, none of whose episodes is over.
        actions: integers [n], one for each member.

    Raises:
        SnakegymError: an action is not in the action space; then no member has begun.
    """
    if not members:
        return
    checked = checked_actions(len(members), members[0].codec.n_actions, actions)
    jobs = [m.begin(a) for m, a in zip(members, checked, strict=True)]
    busy = [(m.executor, job) for m, job in zip(members, jobs, strict=True) if job is not None]
    outcomes = iter(run_together([e for e, _ in busy], [job for _, job in busy]) if busy else ())
    for member, job in zip(members, jobs, strict=True):
        member.prepare(None if job is None else next(outcomes))


def checked_actions(n: int, n_actions: int, actions: ArrayLike) -> list[int]:
    """The actions as integers. Raises SnakegymError if they are not `n` of them, each in [0, n_actions)."""
    found = np.asarray(actions)
    fits = found.shape == (n,) and found.dtype.kind in "iu"
    if not fits or found.min() < 0 or found.max() >= n_actions:
        raise SnakegymError(
            f"actions: found {found.tolist()!r:.200}, expected {n} integers in [0, {n_actions})"
        )
    return [int(a) for a in found]


class SerpentineVectorEnv(SyncVectorEnv):
    """`num_envs` processes at once: `gym.make_vec("snakegym/Serpentine-v1", num_envs=16)`.

    What gymnasium's `SyncVectorEnv` of as many `SerpentineEnv` gives, step by step, but the
    hops of one step are trained and evaluated together by the stacked engine. Observations are
    batched along a first axis, rewards are float64 [num_envs], infos as gymnasium groups them.
    `action_masks()` and `info["action_mask"]` are [num_envs, n_actions].

    ## Arguments
    * `num_envs`: how many.
    * `autoreset_mode`: what follows an episode that ended: `NextStep` (default; the next step resets it
      and ignores its action), `SameStep` (reset at once, the last observation and info under `final_obs`
      and `final_info`) or `Disabled` (call `reset(options={"reset_mask": mask})`).
    * `max_episode_steps`: truncate episodes after that many steps, as `gym.make` does; None: never.
    * all arguments of `SerpentineEnv`. With `engine="sequential"` the numbers are exactly those of single
      environments with that engine, with `stacked` those of single ones up to rounding.

    ## Seeding
    `reset(seed=7)` seeds the environments 7, 8, 9 …; a list seeds each on its own.
    """

    _spec: EnvSpec | None = None

    def __init__(
        self,
        num_envs: int = 1,
        *,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        max_episode_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        mode = _mode(autoreset_mode)
        self.members = make_members(num_envs, **kwargs)
        # Not lambdas, which would keep the environment from being pickled.
        super().__init__([partial(limited, m, max_episode_steps) for m in self.members], autoreset_mode=mode)

    @property
    def spec(self) -> EnvSpec | None:
        """How `gym.make_vec` made this environment, in plain data."""
        return self._spec

    @spec.setter
    def spec(self, spec: EnvSpec | None) -> None:
        self._spec = plain_spec(spec)

    def step(self, actions: Any) -> BatchedStep:
        """One step of all environments. Raises what `prepare_step` raises, and ResetNeeded."""
        actions = checked_actions(self.num_envs, self.members[0].codec.n_actions, actions)
        resetting = self._autoreset_envs & (self.autoreset_mode is AutoresetMode.NEXT_STEP)
        over = np.array([bool(member.controller.ended) for member in self.members])
        if self.autoreset_mode is AutoresetMode.DISABLED:
            over |= self._autoreset_envs  # truncated by a limit, of which no controller knows
        if (over & ~resetting).any():
            raise ResetNeeded(
                f"the episodes of environments {np.flatnonzero(over).tolist()} are over: call reset() with "
                "their reset_mask"
            )
        going = np.flatnonzero(~resetting)
        prepare_step([self.members[i] for i in going], [actions[i] for i in going])
        return super().step(np.array(actions))

    def action_masks(self) -> NDArray[np.bool_]:
        """Bool [num_envs, n_actions]: legal actions."""
        return np.stack([member.action_masks() for member in self.members])


def _mode(mode: str | AutoresetMode) -> AutoresetMode:
    try:
        return AutoresetMode(mode)
    except ValueError:
        expected = ", ".join(m.value for m in AutoresetMode)
        raise SnakegymError(f"autoreset_mode: found {mode!r:.80}, expected {expected}") from None
