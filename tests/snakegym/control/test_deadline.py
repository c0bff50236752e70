"""The time budget is a deadline: everything stops there, and is charged until then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.control.records import Assignment
from snakegym.errors import SnakegymError
from snakegym.network.network import NodeProfile, constant_network


@pytest.fixture(scope="module")
def start(start):
    """Processes on links so slow that every phase takes its time."""
    profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), 8e6, 0.3, 0.5) for i in range(4)]
    slow = constant_network(profiles, 0.5, 1e5, 1e5, rtt_s=0.1)
    return lambda *args, network=slow, **more: start(*args, network=network, **more)


def until(start, deadline_s: float, mode: str = "p2p", **more):
    return start(mode, budget={"time_s": deadline_s}, **more)


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("phase", ["receive", "compute", "evaluate", "send"])
def test_a_hop_stops_in_whatever_phase_it_is(start, hop, mode, phase):
    evaluation = "pce" if phase == "send" else "node"
    whole = hop(*start(mode, evaluation=evaluation), 0, 1)
    lengths = [getattr(whole.phases, f"{p}_s") for p in ("receive", "compute", "evaluate", "send")]
    at = ("receive", "compute", "evaluate", "send").index(phase)
    if lengths[at] == 0:
        pytest.skip(f"there is no such phase in {mode}")
    deadline = sum(lengths[:at]) + 0.5 * lengths[at]
    controller, executor = until(start, deadline, mode, evaluation=evaluation)
    metric = controller.metric
    done = hop(controller, executor, 0, 1)
    assert controller.clock_s == controller.spent.time_s == deadline
    assert controller.ended == "time"
    assert done.costs.time_s == pytest.approx(deadline)
    assert (done.phases.interrupted, done.phases.reason) == (phase, "deadline")
    assert not done.phases.dropped_out
    assert controller.pool.interruptions.sum() == 0
    assert done.phases.bytes_sent == done.phases.bytes_received + done.phases.bytes_lost
    assert (done.phases.bytes_lost > 0) == (phase in ("receive", "send"))
    assert 0 < done.costs.energy_j < whole.costs.energy_j
    assert done.batches == {"receive": 0}.get(phase, done.batches if phase == "compute" else whole.batches)
    assert done.delivered == (mode == "p2p" and phase != "receive"), "what is on the node is there"
    assert controller.metric == metric, "nobody had the time to measure it"


def test_the_batches_that_fitted_count(start, hop):
    whole = hop(*start(learning={"batch_size": 8}), 0, 1)
    deadline = whole.phases.receive_s + 0.6 * whole.phases.compute_s
    done = hop(*until(start, deadline, learning={"batch_size": 8}), 0, 1)
    assert done.batches == pytest.approx(0.6 * whole.batches, abs=1.5)
    assert done.phases.trained_share == pytest.approx(0.6)
    radio, compute = 0.5 * (whole.phases.receive_s - 0.1), 0.3 * 0.5 * 0.6 * whole.phases.compute_s
    assert done.phases.node_energy_j == pytest.approx(radio + compute)


@pytest.mark.parametrize("left", [0.999, 1.0, 1.001])
def test_a_hop_that_ends_in_time_is_whole(start, hop, left):
    whole = hop(*start("cs"), 0, 1)
    done = hop(*until(start, left * whole.costs.time_s, "cs"), 0, 1)
    assert done.delivered == (left >= 1)
    if left >= 1:
        assert replace(done, parts=()) == replace(whole, parts=())


def test_parts_end_together_and_only_what_was_sent_in_time_is_averaged(start, hop):
    """Node 3 is four times as fast as node 0."""
    whole = hop(*start("cs", parallel=2), 0, 1)
    slow, fast = (part.phases.duration_s for part in whole.parts)
    assert fast < 0.8 * slow
    deadline = (slow + fast) / 2
    controller, executor = until(start, deadline, "cs", parallel=2)
    done = hop(controller, executor, 0, 1)
    assert [part.delivered for part in done.parts] == [False, True]
    assert [part.phases.reason for part in done.parts] == ["deadline", None]
    assert done.delivered
    assert controller.clock_s == deadline
    assert done.metric != whole.metric


def test_a_wait_and_a_silence_stop_there(start, hop):
    controller, _ = until(start, 7.0, wait_s=5.0)
    assert [controller.wait().time_s for _ in range(2)] == [5.0, 2.0]
    assert (controller.clock_s, controller.ended) == (7.0, "time")
    whole = hop(*start(), 0, 1)
    controller, executor = until(start, whole.costs.time_s + 10)
    hop(controller, InterruptingExecutor(executor, 1, 0.5, 1e3), 0, 1)
    assert (controller.clock_s, controller.ended) == (whole.costs.time_s + 10, "time")


def test_finishing_is_possible_between_hops_alone(start):
    controller, executor = start()
    job = controller.dispatch(Assignment(0, 0))
    with pytest.raises(SnakegymError, match="under way"):
        controller.finish()
    controller.complete(job.id, executor.run(job))
    assert (controller.ended, controller.finish().time_s, controller.ended) == ("", 0, "finish")
    other, _ = start()
    other.restore(controller.checkpoint())
    assert other.ended == "finish"


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**31 - 1),
    mode=st.sampled_from(["p2p", "cs"]),
    k=st.integers(1, 3),
    evaluation=st.sampled_from(["node", "pce", "observer"]),
    deadline_s=st.floats(0.25, 120),
)
def test_no_process_outlasts_its_budget(
    start, random_network, strict_pool, seed, mode, k, evaluation, deadline_s
):
    rng = np.random.default_rng(seed)
    controller, executor = until(
        start,
        deadline_s,
        mode,
        network=random_network(rng),
        pool=strict_pool,
        seed=seed,
        parallel=k if mode == "cs" else 1,
        evaluation=evaluation,
        wait_s=4,
    )
    while not controller.ended:
        clock, state, legal = controller.clock_s, controller.state, np.argwhere(controller.view().legal)
        if len(legal) == 0 or rng.random() < 0.1:
            assert 0 < controller.wait().time_s <= 4
            continue
        job = controller.dispatch(Assignment(*(int(i) for i in rng.choice(legal))))
        done = controller.complete(job.id, executor.run(job))
        assert controller.clock_s >= clock
        assert done.delivered or controller.state is state or controller.recoveries
        late = [part.phases for part in done.parts if part.phases.reason == "deadline"]
        if late:
            assert controller.ended == "time"
            assert all(p.duration_s == pytest.approx(deadline_s - clock) for p in late)
    assert controller.clock_s == controller.spent.time_s == deadline_s
    phases = [part.phases for done in controller.history for part in done.parts]
    for p in phases:
        assert p.bytes_sent == p.bytes_received + p.bytes_lost
        numbers = (
            p.receive_s, p.compute_s, p.evaluate_s, p.send_s, p.node_energy_j, p.sender_energy_j, p.bytes_lost
        )  # fmt: skip
        assert min(numbers) >= 0
        assert 0 <= p.trained_share <= 1
    assert controller.spent.energy_j == pytest.approx(controller.pool.energy_j.sum())
    assert (controller.pool.energy_j <= controller.network.battery_j * (1 + 1e-9)).all()
    assert controller.pool.interruptions.sum() == sum(p.dropped_out for p in phases)
