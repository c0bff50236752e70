"""Tasks under way on a Ray cluster: given out, listened to, given out anew where their worker died.

Workers have none of our files and keep none for us: work, tasks, messages and results travel through Ray.
Ray itself repeats nothing here; a task whose worker or machine died is given out anew by the command, a few
times.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import time
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import ray
from ray import exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.training.pool.seam import GRACE_S, Heard, Say, Stopped, say_died
from snakegym.training.runs.versions import code_digest, versions

LOOK_S = 2.0
"""Between two looks at how many processors the cluster has: machines come and go."""
AHEAD = 2
"""Tasks given out for each processor, so that none waits for us."""
DEATHS = (
    exceptions.WorkerCrashedError,
    exceptions.NodeDiedError,
    exceptions.LocalRayletDiedError,
    exceptions.OutOfMemoryError,
    exceptions.ObjectLostError,
)


def n_processors() -> int:
    """Of all machines that are there now."""
    return int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call, unused-ignore]


class Crew:
    """Tasks under way in a cluster."""

    def __init__(
        self,
        work: bytes,
        tasks: Sequence[Any],
        width: int,
        heard: Heard | None,
        threads: int | None,
        device: str,
    ) -> None:
        self._width, self._heard = width, heard
        self._mailbox = None
        if heard is not None:  # beside us, so that it dies with no other machine
            here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
            self._mailbox = Mailbox.options(num_cpus=0, scheduling_strategy=here).remote()  # type: ignore[attr-defined, unused-ignore]
        # In a list, so that Ray does not fetch it for each task anew.
        self._settings = [ray.put(work)], self._mailbox, threads, ours()
        self._run = run_task.options(num_cpus=1, num_gpus=int(device.startswith("cuda")), max_retries=0)
        self._waiting, self._running = deque(tasks), dict[Any, Any]()
        self._deaths: Counter[Any] = Counter()
        self._looked = 0.0
        self._room = width

    def give_out(self) -> None:
        """Give out as many tasks as there is room for."""
        while self._waiting and len(self._running) < self._most():
            task = self._waiting.popleft()
            self._running[self._run.remote(*self._settings, task)] = task

    def results(self) -> Iterator[tuple[Any, Any]]:
        """Each task with its result."""
        told: set[str] = set()
        letters = None if self._mailbox is None else self._mailbox.take.remote()
        while self._waiting or self._running:
            self.give_out()
            listened = [] if letters is None else [letters]
            (ready,), _ = ray.wait([*listened, *self._running], num_returns=1)
            if ready == letters:  # through a client it is another object
                self._answer(ray.get(letters))
                letters = self._mailbox.take.remote()  # type: ignore[union-attr, unused-ignore]
                continue
            task = self._running.pop(ready)
            try:
                result, fault, strange = ray.get(ready)
            except DEATHS:
                self._deaths[task] += 1
                advice = "the same command goes on from there"
                say_died(self._deaths[task], f"the worker of a task died, {task}", advice)
                self._waiting.appendleft(task)
                continue
            except exceptions.RayTaskError as error:
                if "No module named 'snakegym" not in str(error):
                    raise  # an error of ours, or of another's part
                raise SnakegymError(
                    "--ray: found a machine without snakegym, expected the same version on all machines (pip "
                    "install snakegym there)"
                ) from None
            if fault is not None:
                raise SnakegymError(fault)
            if strange and strange not in told:
                told.add(strange)
                warnings.warn(strange, SnakegymWarning, stacklevel=2)
            yield task, result

    def end(self) -> None:
        """No task is under way when this returns; those that listen have their grace."""
        left = [*self._running]
        if left and self._mailbox is not None:
            with contextlib.suppress(exceptions.RayError):
                ray.get(self._mailbox.close.remote())
                # A task that is over is not cancelled: while Ray still writes its end down, that kills us.
                _, left = ray.wait(left, num_returns=len(left), timeout=GRACE_S)
        for task in left:
            ray.cancel(task, force=True)
        if self._mailbox is not None:
            ray.kill(self._mailbox)

    def _most(self) -> int:
        """Tasks to have given out, as the cluster is now."""
        if time.monotonic() - self._looked > LOOK_S:
            self._looked = time.monotonic()
            self._room = min(self._width, AHEAD * max(1, n_processors()))
        return self._room

    def _answer(self, letters: Sequence[tuple[int, Any]]) -> None:
        assert self._mailbox is not None
        assert self._heard is not None
        for number, message in letters:
            self._mailbox.answer.remote(number, self._heard(message))


@ray.remote
class Mailbox:
    """Where messages of tasks wait until the command hears them, and tasks until it answers."""

    def __init__(self) -> None:
        self._letters: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[tuple[bool, Any]]] = {}
        self._numbers = itertools.count()
        self._closed = False

    async def say(self, message: Any) -> tuple[bool, Any]:
        """Whether anybody hears it, and the answer."""
        if self._closed:
            return False, None
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._letters.put((number, message))
        heard: tuple[bool, Any] = await answer
        return heard

    async def take(self) -> list[tuple[int, Any]]:
        """All messages since the last time, one at least."""
        letters = [await self._letters.get()]
        while not self._letters.empty():
            letters.append(self._letters.get_nowait())
        return letters

    async def answer(self, number: int, content: Any) -> None:
        """Answer a message."""
        if number in self._answers:
            self._answers.pop(number).set_result((True, content))

    async def close(self) -> None:
        """Nobody hears any more."""
        self._closed = True
        while self._answers:
            self._answers.popitem()[1].set_result((False, None))


def ours() -> dict[str, str]:
    """With what the command computes, which decides on its numbers."""
    return {name: v for name, v in versions().items() if name != "commit"} | {"code": code_digest()}


@ray.remote
def run_task(
    work: Sequence[Any], mailbox: Any, threads: int | None, expected: dict[str, str], task: Any
) -> tuple[Any, str | None, str | None]:
    """In a worker: the result of a task, what is wrong with it, and what is strange about this machine."""
    address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call, unused-ignore]
    here = f"--ray: the machine {address}"
    found = ours()
    if found["code"] != expected["code"]:
        return None, f"{here} has another snakegym than this one, expected the same on all machines", None
    other = [name for name, version in expected.items() if found.get(name) != version]
    strange = f"{here} has other versions than this one ({', '.join(other)}): numbers may differ a little"
    warnings.simplefilter("ignore", SnakegymWarning)  # the command has said it
    if threads is not None:
        import torch

        torch.set_num_threads(threads)

    def say(message: Any) -> Any:
        if mailbox is None:
            return None
        heard, answer = ray.get(mailbox.say.remote(message))
        if not heard:
            raise Stopped
        return answer

    try:
        return _unpickled(work[0])(task, say), None, strange if other else None
    except SnakegymError as error:
        return None, str(error), None
    except Stopped:
        return None, None, None


@cache
def _unpickled(work: Any) -> Callable[[Any, Say], Any]:
    """Once in a worker, which Ray uses for many tasks."""
    made: Callable[[Any, Say], Any] = pickle.loads(ray.get(work))
    return made
