"""What cannot be carried out is refused before anything is made."""

import time

import numpy as np
import pytest

from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario


def changed(section, scenario=None, **changes):
    scenario = scenario or load_scenario("default")
    part = getattr(scenario, section).model_copy(update=changes)
    return scenario.model_copy(update={section: part})


def devices(**changes):
    network = load_scenario("default").network
    return changed("network", devices=tuple(d.model_copy(update=changes) for d in network.devices))


def slow():
    process = load_scenario("default").process
    budget = process.budget.model_copy(update={"time_s": 1e12})
    return changed("process", devices(peak_flops=1.0), budget=budget)


@pytest.mark.parametrize(
    ("scenario", "message"),
    [
        (
            changed("network", nodes=5000),
            r"'network\.nodes': found 5000 nodes, expected at most one a sample",
        ),
        (changed("network", nodes=10**6), r"'network\.nodes'.*found 1000000"),
        (changed("learning", slow(), epochs=1000), r"'network\.devices': the smallest peak_flops is 1,"),
        (devices(memory_bytes=10.0), r"'network\.devices': the largest memory_bytes is 10,"),
        (changed("model", options={"width": 1e9}), r"model\.options\.width"),
        (
            changed("model", name="mlp", options={"width": 2**16, "middle": 100}),
            r"model\.options'.*1\.72e\+12 bytes",
        ),
        (changed("model", options={"middle": 10**9}), r"model\.options\.middle"),
        (changed("model", name="vgg", options={"width": 2**40}), r"model\.options\.width"),
        (changed("model", options={"width": float("inf")}), r"model\.options\.width"),
    ],
)
def test_refused_by_name_and_soon(scenario, message):
    start = time.process_time()
    with pytest.raises(SnakegymError, match=message) as error:
        load_service(scenario)
    assert "\n" not in str(error.value)
    assert time.process_time() - start < 5


def test_an_episode_of_waits_ends_by_the_number_of_decisions():
    process = load_scenario("default").process
    budget = process.budget.model_copy(update={"decisions": 7})
    controller, _ = load_service(changed("process", budget=budget, wait_s=1e-3)).start(
        np.random.default_rng(0)
    )
    for waits in range(7):
        assert controller.ended == ""
        assert controller.view().waits == waits
        controller.wait()
    assert controller.ended == "decisions"


def test_requests_to_leave_of_decades_are_not_drawn_one_by_one():
    pool = load_scenario("default").pool.model_copy(update={"leave_rate_per_h": 3600.0})
    scenario = load_scenario("default").model_copy(update={"pool": pool})
    controller, _ = load_service(scenario).start(np.random.default_rng(0))
    start = time.process_time()
    controller.pool.review(controller.network.measure(1e12, 60.0), 1e12)
    assert controller.pool.counts()["request"] == scenario.network.nodes
    assert time.process_time() - start < 5


def test_a_clock_too_late_for_its_window_still_measures():
    controller, _ = load_service("default").start(np.random.default_rng(0))
    measured = controller.network.measure(1e15, 1e-3)
    assert np.isfinite(measured.mean_uplink_bps).all()
    assert (measured.mean_availability <= 1).all()
