"""Nodes in this program: the contract of executors, and the same model as in a simulation, bit by bit."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from threading import Event
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.cluster.clock import WallClock
from snakegym.cluster.executor import NodesExecutor
from snakegym.cluster.monitor import MeasuredNodes
from snakegym.cluster.node import Node, Task
from snakegym.cluster.parcels import Parcel
from snakegym.cluster.reach import Near
from snakegym.cluster.statements import Beat, Lost, Means, Refused
from snakegym.control.execution.engines import ProcessComputationEngine
from snakegym.control.nodes.holdings import Holdings
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.data.datasets import Dataset
from snakegym.errors import SnakegymError
from snakegym.learning.stacked.engine import make_engine
from snakegym.network.network import NodeProfile, constant_network
from snakegym.scenario import Scenario, load_scenario
from snakegym.testing import check_executor

N = 3


def scenario(mode: str = "p2p", parallel: int = 1, evaluation: str = "node", **learning: Any) -> Scenario:
    plain = load_scenario("default").model_dump()
    plain["network"].update(mode=mode, nodes=N)
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    plain["process"].update(parallel=parallel, evaluation=evaluation, budget={"time_s": 1e6})
    plain["learning"].update({"batch_size": 32, "learning_rate": 0.002, **learning})
    return Scenario.model_validate(plain)


class Cluster:
    """Nodes in this program with the samples that the simulation gives them."""

    def __init__(self, config: Scenario, memory: float = 8e6) -> None:
        service = load_service(config)
        simulated, self.simulator = service.start(np.random.default_rng(0))
        profiles = [NodeProfile(f"n{i}", 1e7, memory, 10, 1) for i in range(N)]
        self.simulated = simulated
        simulated.network = constant_network(profiles, 1, 1e8, 1e8)
        data = simulated.managers.data
        self.samples = [
            Dataset(data.train.inputs[own], data.train.targets[own], data.train.n_classes)
            for own in data.indices
        ]
        self.nodes = [Node(Means(f"n{i}", memory, 1e9), lambda _, i=i: self.samples[i]) for i in range(N)]
        self.reach = {i: Near(node, "p") for i, node in enumerate(self.nodes)}
        told = [
            node.enrol(Task("p", i, config, service.data.validation)) for i, node in enumerate(self.nodes)
        ]
        counts = np.array([t.counts for t in told])
        holdings = Holdings(
            counts.sum(axis=1), counts / counts.sum(axis=1, keepdims=True), len(service.data.validation)
        )
        monitor = MeasuredNodes(N)
        for i, node in enumerate(self.nodes):
            monitor.sit(i, node.means)
            monitor.beat(i, 0.0, Beat(node.life, 1.0))
        self.monitor = monitor
        self.controller = service.control(np.random.default_rng(0), monitor, holdings, Ticking(self))
        engine = make_engine(service.model, "stacked")
        pce = ProcessComputationEngine(engine, service.data.validation)
        self.now = 0.0
        self.patience_s = 20.0
        self.executor = NodesExecutor(
            self.controller,
            self.reach.__getitem__,
            pce,
            simulated.state,
            lambda: self.now,
            lambda _: self.patience_s,
        )


class Ticking:
    """A clock that agrees with what hops say; nodes are heard of however long one took on a busy machine."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def after(self, clock_s: float, spent_s: float) -> float:
        now_s = clock_s + min(spent_s, 1.0) + 1e-3 + spent_s
        for seat, node in enumerate(self._cluster.nodes):
            self._cluster.monitor.beat(seat, now_s, Beat(node.life, 1.0))
        return now_s


PLAN = [(0, 0), (1, 1), (1, 2), (2, 0), (0, 2), (2, 1), (0, 1)]


def equal(one: Any, other: Any) -> bool:
    return all(
        torch.equal(a[name], b[name]) for a, b in zip(one.layers, other.layers, strict=True) for name in a
    )


@pytest.mark.parametrize(("mode", "parallel"), [("p2p", 1), ("cs", 1), ("cs", 2)])
def test_nodes_of_this_program_keep_the_contract(mode: str, parallel: int) -> None:
    def start() -> Any:
        cluster = Cluster(scenario(mode, parallel))
        return cluster.controller, cluster.executor

    check_executor(start, repeatable=False)


@pytest.mark.parametrize(
    ("mode", "parallel", "evaluation", "learning"),
    [
        ("p2p", 1, "node", {}),
        ("p2p", 1, "pce", {}),
        ("cs", 1, "node", {"distillation": {"threshold": 0}}),
        ("cs", 2, "node", {"trains": "last"}),
        ("cs", 1, "node", {"lora": {"rank": "memory", "ranks": [1, 2]}}),
        ("cs", 2, "node", {"lora": {"rank": 2}, "trains": "last"}),
        ("cs", 2, "node", {"lora": {"rank": 1}, "trains": "middle", "frozen": "int8"}),
    ],
)
def test_simulated_and_real_hops_give_the_same_model(
    mode: str, parallel: int, evaluation: str, learning: dict[str, Any]
) -> None:
    cluster = Cluster(scenario(mode, parallel, evaluation, **learning))
    for node, layer in PLAN:
        other = ((node + 1) % N,) if parallel > 1 else ()
        hops = []
        for controller, executor in (
            (cluster.simulated, cluster.simulator),
            (cluster.controller, cluster.executor),
        ):
            if not controller.view().layers.open[layer]:
                continue
            job = controller.dispatch(Assignment(node, layer, other))
            hops.append(controller.complete(job.id, executor.submit(job).result()))
        assert len({(hop.metric, hop.batches, hop.loss, hop.costs.n_bytes) for hop in hops}) <= 1
    state = cluster.executor.collect()
    if parallel == 1:
        assert equal(state, cluster.simulated.state)
    for layer, other in zip(state.layers, cluster.simulated.state.layers, strict=True):
        for name in layer:  # in a simulation companions are trained together, which rounds differently
            torch.testing.assert_close(layer[name], other[name], rtol=0, atol=1e-6)


def history(controller: Any, node: int) -> float:
    """Bytes of what others lack of layers that the node is sent whole: it may have to hand them on."""
    view = controller.view()
    patched = np.where(view.lacking < view.layer_bytes, view.lacking, 0.0).max(axis=0)
    return float(patched[view.lacking[node] == view.layer_bytes].sum())


@pytest.mark.parametrize("frozen", ["fp32", "nf4"])
@pytest.mark.parametrize("evaluation", ["node", "pce"])
@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_adapters_alone_travel_to_who_has_the_rest(mode: str, evaluation: str, frozen: str) -> None:
    """Bytes are those of a simulation, but for what goes along to newcomers, which may have to hand it on."""
    quick = {"batch_size": 256, "epochs": 1, "trains": "middle", "frozen": frozen}
    plain = scenario(mode, 1, evaluation, lora={"rank": 1}, **quick).model_dump()
    plain["process"]["repeat_layers"] = True
    cluster = Cluster(Scenario.model_validate(plain))
    for node, layer in [(0, 0), (1, 0), (2, 1), (0, 1), (1, 1), (1, 0), (2, 0), (0, 2), (2, 2)]:
        along = history(cluster.simulated, node) if mode == "p2p" else 0.0
        job = cluster.simulated.dispatch(Assignment(node, layer))
        expected = cluster.simulated.complete(job.id, cluster.simulator.run(job))
        found = done(cluster, node, layer)
        assert found.costs.n_bytes == expected.costs.n_bytes + along
        assert (found.metric, found.loss) == (expected.metric, expected.loss)
        np.testing.assert_array_equal(cluster.controller.view().lacking, cluster.simulated.view().lacking)
    size, adapters = cluster.controller.view().layer_bytes, 4 * (16 + 16)
    assert expected.costs.n_bytes <= 3 * adapters < size[1:-1].min(), "the last hops are of adapters alone"
    assert equal(cluster.executor.collect(), cluster.simulated.state)


@pytest.mark.parametrize("mode", ["cs", "p2p"])
def test_no_more_adapters_are_kept_than_somebody_could_want(mode: str) -> None:
    quick = {"batch_size": 256, "epochs": 1, "trains": "middle"}
    plain = scenario(mode, lora={"rank": 8}, **quick).model_dump()
    plain["process"]["repeat_layers"] = True
    cluster = Cluster(Scenario.model_validate(plain))
    for node in (1, 0, 0, 0, 0):
        done(cluster, node, 0)
    everywhere = [cluster.executor._patches, *(node._rooms["p"].patches for node in cluster.nodes)]
    assert max(map(len, everywhere)) == 1, "two are more than the layer: it would be sent whole"
    size = cluster.controller.view().layer_bytes
    assert done(cluster, 1, 1).costs.n_bytes == size[1] + 4 * 8 * (16 + 16) * (mode == "cs")


def test_where_the_pce_has_lost_its_adapters_whole_layers_travel() -> None:
    cluster = Cluster(scenario("cs", lora={"rank": 1}, trains="middle", batch_size=256, epochs=1))
    size = cluster.controller.view().layer_bytes
    for node in (0, 1):
        done(cluster, node, node)
    adapters = 4 * (16 + 16)
    assert done(cluster, 0, 2).costs.n_bytes == 2 * adapters
    executor = cluster.executor
    cluster.executor = NodesExecutor(
        cluster.controller,
        cluster.reach.__getitem__,
        executor.pce,
        executor._like,
        lambda: cluster.now,
        lambda _: cluster.patience_s,
    )
    assert done(cluster, 1, 0).costs.n_bytes == size[3] + adapters


def test_adapters_that_fit_nothing_are_refused() -> None:
    cluster = Cluster(scenario("cs", lora={"rank": 1}, trains="middle", batch_size=256, epochs=1))
    truly = cluster.nodes[0].hop

    def spoilt(*arguments: Any) -> Any:
        report, parcel = truly(*arguments)
        ((key, patch),) = parcel.patches.items()
        part = replace(patch.parts[0], tensors={n: t[:, :-1] for n, t in patch.parts[0].tensors.items()})
        return report, Parcel({}, {key: replace(patch, parts=(part,))})

    cluster.nodes[0].hop = spoilt  # type: ignore[method-assign]
    with pytest.raises(Refused, match="the node on seat 0: adapters of layer 2 in version 1: found") as error:
        hop(cluster, 0, 1)[1].result()
    assert error.value.seat == 0


def hop(cluster: Cluster, node: int, layer: int) -> Any:
    job = cluster.controller.dispatch(Assignment(node, layer))
    return job, cluster.executor.submit(job)


def done(cluster: Cluster, node: int, layer: int) -> Any:
    job, future = hop(cluster, node, layer)
    return cluster.controller.complete(job.id, future.result())


def spoil(cluster: Cluster, node: int, value: Any) -> None:
    """Whatever that node trains comes out so."""
    room = cluster.nodes[node]._rooms["p"]
    train = room.engine.train

    class Spoilt:
        def train(self, jobs: Any) -> Any:
            (result,) = train(jobs)
            layers = {0: {n: value(t) for n, t in result.state.layers[0].items()}}
            return [replace(result, state=result.state.replace(layers))]

        evaluate = room.engine.evaluate

    room.engine = Spoilt()  # type: ignore[assignment]


@pytest.mark.parametrize("mode", ["cs", "p2p"])
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda t: t * float("nan"), "found nan in layer 0"),
        (lambda t: t * 1e9 + 1e9, r"found .*e\+.* in layer 0"),
        (lambda t: t[..., None], "expected"),
    ],
)
def test_an_update_that_is_no_update_is_refused(mode: str, value: Any, said: str) -> None:
    cluster = Cluster(scenario(mode))
    done(cluster, 1, 0)
    state = cluster.controller.progress
    spoil(cluster, 0, value)
    job, future = hop(cluster, 0, 1)
    with pytest.raises(Refused, match=said) as error:
        future.result()
    assert error.value.seat == 0
    cluster.monitor.ban(0)
    cluster.controller.abandon(job.id, str(error.value))
    assert cluster.controller.progress is state
    assert not cluster.controller.view().legal[0].any()
    assert cluster.monitor.banned == ["n0"]
    assert done(cluster, 2, 1).delivered


def test_a_node_that_hands_on_something_else_is_refused_by_the_next() -> None:
    cluster = Cluster(scenario("p2p"))
    first = done(cluster, 0, 0)
    room = cluster.nodes[0]._rooms["p"]
    room.store.put({(0, first.job): {n: t * float("nan") for n, t in room.like.layers[0].items()}})
    with pytest.raises(Refused, match="the node on seat 0: found nan in layer 0") as error:
        hop(cluster, 1, 1)[1].result()
    assert error.value.seat == 0


def test_a_version_that_a_node_should_not_have_is_refused() -> None:
    cluster = Cluster(scenario("cs"))
    truly = cluster.nodes[0].hop

    def more(*arguments: Any) -> Any:
        report, parcel = truly(*arguments)
        return report, Parcel({**parcel.layers, (0, 99): parcel.layers[0, report.job]})

    cluster.nodes[0].hop = more  # type: ignore[method-assign]
    with pytest.raises(Refused, match="layer 0 in version 99 came, of which nobody had asked"):
        hop(cluster, 0, 1)[1].result()


def test_a_node_that_lost_its_layers_or_samples_says_so() -> None:
    cluster = Cluster(scenario("p2p"))
    done(cluster, 0, 0)
    cluster.nodes[0]._rooms["p"].store.keep([])
    job, future = hop(cluster, 1, 1)
    with pytest.raises(SnakegymError, match="found no version"):
        future.result()
    cluster.controller.abandon(job.id, "lost")
    cluster.nodes[1]._rooms["p"].data = cluster.samples[0]
    with pytest.raises(
        SnakegymError, match=r"node 'n1': found \d+ samples, expected \d+, as when it enrolled"
    ):
        hop(cluster, 1, 1)[1].result()
    cluster.nodes[2].release("p")
    job = cluster.controller._running
    assert job is not None
    cluster.controller.abandon(job.id, "samples")
    with pytest.raises(SnakegymError, match="node 'n2': knows no process 'p'"):
        hop(cluster, 2, 1)[1].result()


def test_a_node_serves_as_many_processes_as_it_says() -> None:
    cluster = Cluster(scenario())
    task = cluster.nodes[0]._rooms["p"].task
    told = cluster.nodes[0].enrol(task)
    assert told.samples == len(cluster.samples[0])
    with pytest.raises(SnakegymError, match="node 'n0': serves 1 processes, expected less than 1"):
        cluster.nodes[0].enrol(replace(task, process="q"))
    cluster.nodes[0].release("p")
    assert cluster.nodes[0].enrol(replace(task, process="q", tells_labels=False)).counts == ()
    cluster.nodes[0]._rooms["q"].used -= 1000
    cluster.nodes[0].enrol(task)
    assert [*cluster.nodes[0]._rooms] == ["p"], "whoever is not heard of for long makes way"


FAR_S = 1e6
"""Later than any process of these tests gets."""


def held_up(cluster: Cluster, node: int) -> Event:
    """The node does nothing any more until that is set."""
    train, go_on = cluster.nodes[node].hop, Event()

    def later(*arguments: Any) -> Any:
        go_on.wait()
        return train(*arguments)

    cluster.nodes[node].hop = later  # type: ignore[method-assign]
    return go_on


def test_a_hop_ends_when_its_node_is_not_heard_of_and_when_it_takes_too_long() -> None:
    cluster = Cluster(scenario("p2p"))
    done(cluster, 0, 0)
    go_on = held_up(cluster, 1)
    job, future = hop(cluster, 1, 1)
    cluster.now = FAR_S
    with pytest.raises(Lost, match="seat 1 is not heard of any more"):
        future.result()
    late = cluster.controller.abandon(job.id, "silent", after_s=3.0)
    assert late.costs.time_s == 3
    for seat, node in enumerate(cluster.nodes):
        cluster.monitor.beat(seat, FAR_S, Beat(node.life, 1.0))
    cluster.patience_s = 0.2
    with pytest.raises(Lost, match="seat 1 was waited for too long"):
        hop(cluster, 1, 1)[1].result()
    go_on.set()


def test_the_others_updates_count_where_one_of_several_is_lost() -> None:
    cluster = Cluster(scenario("cs", parallel=2))
    go_on, train = held_up(cluster, 1), cluster.nodes[0].hop

    def and_the_other_is_gone(*arguments: Any) -> Any:
        trained = train(*arguments)
        cluster.monitor.gone(1, 0.0)
        return trained

    cluster.nodes[0].hop = and_the_other_is_gone  # type: ignore[method-assign]
    cluster.patience_s = 600.0
    job = cluster.controller.dispatch(Assignment(0, 0, (1,)))
    found = cluster.controller.complete(job.id, cluster.executor.submit(job).result())
    go_on.set()
    assert [part.delivered for part in found.parts] == [True, False]
    assert cluster.controller.view().layers.times_trained[0] == 1


def test_real_time_passes_by_itself() -> None:
    times = iter([100.0, 103.0, 103.5])
    clock = WallClock(7.0, now=lambda: next(times))
    assert clock.after(7.0, spent_s=999.0) == 10.0
    assert clock.elapsed() == 10.5


class TickingTime:
    """Each look at it takes a millisecond, and sleeping as long as was asked for; not for others' threads."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        self.now += 0.001 * (threading.current_thread() is threading.main_thread())
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("share", "expected"), [(None, 1.0), (1.0, 1.0), (0.5, 2.0), (0.2, 5.0)])
def test_a_node_that_is_held_back_takes_as_long_as_its_share_says(
    monkeypatch: pytest.MonkeyPatch, share: float | None, expected: float
) -> None:
    cluster = Cluster(scenario())
    node = Node(Means("slow", 8e6, 1e9), lambda _: cluster.samples[0], 1e3, share and (lambda: share))
    node.enrol(Task("p", 0, scenario(), load_service(scenario()).data.validation))
    job = cluster.controller.dispatch(Assignment(0, 0))
    parcel = Parcel(cluster.controller.store.take(job.fetch))
    monkeypatch.setattr("snakegym.cluster.node.time", TickingTime())
    report, _ = node.hop("p", job, lambda: parcel)
    assert report.compute_s == pytest.approx(expected, rel=0.05 if share else 1e-9)


def test_energy_of_computing_is_that_of_the_share_that_was_free() -> None:
    cluster, shared = Cluster(scenario()), Cluster(scenario())
    shared.monitor.beat(0, 0.0, Beat(shared.nodes[0].life, 0.25))
    hops = []
    for each in (cluster, shared):
        job = each.controller.dispatch(Assignment(0, 0))
        hops.append(each.controller.complete(job.id, each.executor.submit(job).result()))
    for hop, share in zip(hops, (1.0, 0.625), strict=True):  # of the two beats
        busy_s = share * (hop.phases.compute_s + hop.phases.evaluate_s)
        assert hop.costs.energy_j == pytest.approx(10.0 * busy_s + 1.0 * hop.phases.receive_s)
