"""A node as an actor of Ray, on the raylet that was started for it, and how it is reached."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import ray
from ray import exceptions

from snakegym.cluster.node import Node, Task
from snakegym.cluster.parcels import Parcel
from snakegym.cluster.reach import Reach
from snakegym.cluster.statements import Beat, Enrolment, Lost, Means, Report
from snakegym.control.records import Job
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, in_one_line
from snakegym.models.store import Need
from snakegym.network.records import PCE
from snakegym.training.cluster.onray.packing import Packed, pack, unpack
from snakegym.training.cluster.onray.session import LABEL, NAMESPACE, NODE

FETCH_S = 600.0
"""For layers to come from another node; the controller gives up earlier."""
THREADS = 8
"""A node answers while it trains."""
Found = TypeVar("Found")


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)
class NodeActor:
    """A `Node`, which is what its raylet's environment says."""

    def __init__(self) -> None:
        import torch

        from snakegym.cluster import measuring
        from snakegym.cluster.samples import read_samples

        torch.set_num_threads(1)
        offer = parse_json(os.environ[NODE], NODE)
        name, folder = offer["name"], Path(offer["data"])
        means = Means(
            name,
            offer.get("memory_bytes") or measuring.memory_bytes(),
            offer.get("peak_flops") or measuring.peak_flops(),
            **{key: offer[key] for key in ("compute_power_w", "radio_power_w", "slots") if key in offer},
        )
        share = Path(offer["share"]) if "share" in offer else None
        free = None if share is None else (lambda: measuring.stated_share(share))
        pace = (offer["throttle"], free) if "throttle" in offer else ()
        self._node = Node(means, lambda task: read_samples(name, folder, task), *pace)
        self._pulse = measuring.Pulse(self._node.life, free)

    def means(self) -> Means:
        """What it is."""
        return self._node.means

    def beat(self) -> Beat:
        """How it is."""
        return self._pulse.beat()

    def enrol(self, task: Task) -> Enrolment:
        """See `Node`; it gets ready meanwhile."""
        told = self._node.enrol(task)
        threading.Thread(target=self._node.warm_up, args=(task.process,), daemon=True).start()
        return told

    def release(self, process: str) -> None:
        """See `Node`."""
        self._node.release(process)

    def cut_short(self, process: str, job: int) -> None:
        """See `Node`."""
        self._node.cut_short(process, job)

    def take(self, process: str, needs: Sequence[Need]) -> Packed:
        """Layers that the node hands on: a result, as what is put into the store would die with it."""
        return pack(self._node.take(process, needs))

    @ray.method(num_returns=2)
    def hop(self, process: str, job: Job, given: Sequence[Any]) -> tuple[Report, Packed]:
        """See `Node`; `given` is empty or has the reference to layers, wherever they lie."""

        def fetch() -> Parcel:
            try:
                return unpack(ray.get(given[0], timeout=FETCH_S))
            except exceptions.RayError as error:
                raise _of_sender(ours(error), job.receive.sender) from None

        report, update = self._node.hop(process, job, fetch)
        return report, pack(update)


class RayReach:
    """A `Reach` of a node's actor.

    Args:
        actor: of the node.
        process: that it is reached for.
    """

    def __init__(self, actor: Any, process: str) -> None:
        self.actor, self.process = actor, process

    def begin(self, job: Job, source: Reach | Parcel) -> tuple[Future[Report], Future[Parcel]]:
        """As `Reach`: between nodes go references, what they refer to goes straight from one to the other."""
        given = []
        if isinstance(source, RayReach):
            given = [source.actor.take.remote(source.process, job.needs)]
        elif isinstance(source, Parcel) and source:
            given = [ray.put(pack(source))]
        report, update = self.actor.hop.remote(self.process, job, given)
        return _heard(report, lambda found: found), _heard(update, unpack)

    def fetch(self, needs: tuple[Need, ...]) -> Future[Parcel]:
        return _heard(self.actor.take.remote(self.process, needs), unpack)

    def cut_short(self, job: int) -> None:
        self.actor.cut_short.remote(self.process, job)


def _of_sender(error: BaseException, seat: int) -> BaseException:
    """What became of layers on their way is the sender's matter."""
    return Lost(error.message, None if seat == PCE else seat) if isinstance(error, Lost) else error


def _heard(ref: Any, made: Callable[[Any], Found]) -> Future[Found]:
    """What comes of a call, with errors as this program has them."""
    heard: Future[Found] = Future()

    def done(theirs: Future[Any]) -> None:
        try:
            heard.set_result(made(theirs.result()))
        except BaseException as error:
            heard.set_exception(ours(error))

    ref.future().add_done_callback(done)
    return heard


def ours(error: BaseException) -> BaseException:
    """What Ray raises, as one line; what the node raised itself, if it is an error of ours."""
    cause = error
    while isinstance(cause, exceptions.RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    if isinstance(cause, SnakegymError):
        return cause
    said = in_one_line(cause)[:200]
    return Lost(f"{type(cause).__name__.removesuffix('Error')}: {said}")


def node_actor(name: str) -> Any:
    """The actor of a node that is there. Raises LookupError."""
    try:
        return ray.get_actor(f"node-{name}", namespace=NAMESPACE)
    except ValueError:
        raise LookupError(f"node '{name}': found none of that name, expected one that has joined") from None


def admit(name: str) -> Any:
    """The actor of the node, which is begun if it is not there, on the raylet with the node's label."""
    return NodeActor.options(  # type: ignore[attr-defined, unused-ignore]
        name=f"node-{name}",
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        label_selector={LABEL: name},
        max_concurrency=THREADS,
    ).remote()


def joined() -> dict[str, str]:
    """Nodes whose raylets are alive, by name, with their addresses."""
    return {
        raylet["Labels"][LABEL]: raylet["NodeManagerAddress"]
        for raylet in ray.nodes()  # type: ignore[no-untyped-call, unused-ignore]
        if raylet["Alive"] and LABEL in raylet.get("Labels", {})
    }
