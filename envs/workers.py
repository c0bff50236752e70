"""Environments in several processes for one learner: each process trains its own together."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env.base_vec_env import (
    VecEnv,
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from snakegym.envs.arguments import checked_count
from snakegym.envs.sb3 import SerpentineVecEnv
from snakegym.envs.vector import checked_actions
from snakegym.errors import SnakegymError
from snakegym.processes import deaf_to_ctrl_c

GRACE_S = 5.0
"""For a worker to end by itself."""


class SerpentineWorkers(VecEnv):
    """`n_envs` processes as SB3's `VecEnv`, in `n_workers` operating-system processes.

    Each of these is a `SerpentineVecEnv` with its share of the environments, on one thread; their numbers
    follow from seed, `n_envs` and `n_workers` alone, and are those of `SerpentineVecEnv(n_envs)` up to
    rounding (which jobs are trained together depends on who is in a process). Everything else is as there.
    Close it when done.

    Args:
        n_workers: how many processes, at least 1.
        n_envs: how many environments in all, at least one a worker.
        kwargs: of `SerpentineVecEnv`.

    Raises:
        SnakegymError: an argument is wrong; later: a worker died.
    """

    def __init__(self, n_workers: int, n_envs: int, **kwargs: Any) -> None:
        n_workers, n_envs = checked_count("n_workers", n_workers), checked_count("n_envs", n_envs)
        if n_envs < n_workers:
            raise SnakegymError(
                f"n_envs: found {n_envs} for {n_workers} workers, expected one or more for each"
            )
        self._shares = [part.tolist() for part in np.array_split(np.arange(n_envs), n_workers)]
        with deaf_to_ctrl_c():
            self._workers = [_Worker(len(share), kwargs) for share in self._shares]
        self._masks: NDArray[np.bool_] | None = None
        try:
            (observation_space, action_space), *_ = self._receive()
            super().__init__(n_envs, observation_space, action_space)
        except BaseException:
            self.close()
            raise

    def reset(self) -> VecEnvObs:
        """Start all processes anew."""
        for worker, share in zip(self._workers, self._shares, strict=True):
            worker.send("reset", [self._seeds[i] for i in share], [self._options[i] for i in share])
        observations, infos, masks = zip(*self._receive(), strict=True)
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [info for part in infos for info in part]
        self._masks = np.concatenate(masks)
        return _joined(observations)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Begin a step of all. Raises SnakegymError for a wrong action; then nobody has begun."""
        checked = checked_actions(self.num_envs, int(self.action_space.n), actions)  # type: ignore[attr-defined]
        for worker, share in zip(self._workers, self._shares, strict=True):
            worker.send("step", [checked[i] for i in share])

    def step_wait(self) -> VecEnvStepReturn:
        """The step that was begun; ended episodes are begun anew, as `DummyVecEnv` does."""
        observations, rewards, dones, infos, begun, masks = zip(*self._receive(), strict=True)
        for share, starts in zip(self._shares, begun, strict=True):
            for i, info in starts.items():
                self.reset_infos[share[i]] = info
        self._masks = np.concatenate(masks)
        flat = [info for part in infos for info in part]
        return _joined(observations), np.concatenate(rewards), np.concatenate(dones), flat

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of the environments; it has to be picklable."""
        return self._ask("get_attr", indices, attr_name)

    def has_attr(self, attr_name: str) -> bool:
        """Whether all environments have it, picklable or not."""
        return all(self._ask("has_attr", None, attr_name))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of the environments themselves, not of the monitors around them."""
        self._ask("set_attr", indices, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """What a method of the environments returns; masks came with the last step."""
        if method_name == "action_masks" and self._masks is not None:
            return [self._masks[i] for i in self._get_indices(indices)]
        return self._ask("env_method", indices, method_name, method_args, method_kwargs)

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Whether the environments are wrapped in it."""
        return self._ask("env_is_wrapped", indices, wrapper_class)

    def _ask(self, what: str, indices: VecEnvIndices, *arguments: Any) -> list[Any]:
        """Answers of these environments, in their order."""
        wanted = list(self._get_indices(indices))
        asked = []
        for worker, share in zip(self._workers, self._shares, strict=True):
            own = [i for i in share if i in wanted]
            if own:
                worker.send(what, [share.index(i) for i in own], *arguments)
                asked.append((worker, own))
        answers: dict[int, Any] = {}
        for (_, own), part in zip(asked, self._receive([worker for worker, _ in asked]), strict=True):
            answers.update(zip(own, part, strict=True))
        return [answers[i] for i in wanted]

    def _receive(self, workers: Sequence[_Worker] | None = None) -> list[Any]:
        """An answer from each; if one of them is an error, it is raised when all have answered."""
        answers = [worker.receive() for worker in (self._workers if workers is None else workers)]
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers


class _Worker:
    """A process with environments, as the learner sees it."""

    def __init__(self, n_envs: int, kwargs: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, n_envs, kwargs), daemon=True)
        self._process.start()
        theirs.close()

    def send(self, *message: Any) -> None:
        """Ask for something."""
        try:
            self._connection.send(message)
        except OSError:
            raise self._died() from None

    def receive(self) -> Any:
        """The answer; an error that happened there is one."""
        try:
            return self._connection.recv()
        except (EOFError, OSError):
            return self._died()

    def end(self) -> None:
        """Close the connection, on which the process ends, or is ended."""
        self._connection.close()
        self._process.join(GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _died(self) -> SnakegymError:
        return SnakegymError("a worker process died (out of memory?): try again with fewer workers")


def _joined(observations: Sequence[Any]) -> VecEnvObs:
    """Of all workers, along the first axis."""
    if isinstance(observations[0], dict):
        return {key: np.concatenate([o[key] for o in observations]) for key in observations[0]}
    joined: NDArray[Any] = np.concatenate(observations)
    return joined


def _work(connection: Connection, n_envs: int, kwargs: dict[str, Any]) -> None:
    """The process: answers what it is asked until the connection is closed."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    try:
        env = SerpentineVecEnv(n_envs, **kwargs)
        connection.send((env.observation_space, env.action_space))
    except Exception as error:
        _answer(connection, error)
        return
    desk = _Desk(env)
    while True:
        try:
            what, *arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = getattr(desk, what)(*arguments)
        except Exception as error:
            answer = error
        if not _answer(connection, answer):
            return


def _answer(connection: Connection, answer: Any) -> bool:
    """Send it; whether somebody is still there."""
    try:
        connection.send(answer)
    except OSError:
        return False
    except Exception as error:  # what cannot be pickled
        connection.send(RuntimeError(f"{type(answer).__name__} cannot be sent: {error}"))
    return True


class _Desk:
    """What a worker can be asked."""

    def __init__(self, env: SerpentineVecEnv) -> None:
        self._env = env

    def reset(self, seeds: list[int | None], options: list[dict[str, Any]]) -> Any:
        env = self._env
        env._seeds, env._options = seeds, options
        return env.reset(), env.reset_infos, self._masks()

    def step(self, actions: list[int]) -> Any:
        env = self._env
        observations, rewards, dones, infos = env.step(np.array(actions))
        begun = {int(i): env.reset_infos[i] for i in np.flatnonzero(dones)}
        return observations, rewards, dones, list(infos), begun, self._masks()

    def get_attr(self, indices: Iterable[int], name: str) -> list[Any]:
        return self._env.get_attr(name, indices)

    def has_attr(self, indices: Iterable[int], name: str) -> list[bool]:
        return [hasattr(self._env.members[i], name) for i in indices]

    def set_attr(self, indices: Sequence[int], name: str, value: Any) -> list[None]:
        self._env.set_attr(name, value, indices)
        return [None] * len(indices)

    def env_method(
        self, indices: Iterable[int], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[Any]:
        return self._env.env_method(name, *args, indices=indices, **kwargs)

    def env_is_wrapped(self, indices: Iterable[int], wrapper: type) -> list[bool]:
        return self._env.env_is_wrapped(wrapper, indices)

    def _masks(self) -> NDArray[np.bool_]:
        return np.stack([member.action_masks() for member in self._env.members])
