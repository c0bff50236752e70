from dataclasses import replace
from itertools import repeat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.advance import advance
from snakegym.network.network import Network, NodeProfile, constant_network, draw_network
from snakegym.network.records import PCE, Transfer, Work
from snakegym.network.simulator import simulate
from snakegym.network.traces.trace import LinkTrace, Trace, TraceLibrary
from snakegym.scenario import load_scenario

PROFILE = NodeProfile("node", 1e6, 1e6, 2.0, 0.5)


def job(receive=0, flops=0.0, send=None, *, sender=PCE, node=0, start=0.0):
    upload = None if send is None else Transfer(node, PCE, send)
    return Work(node, start, Transfer(sender, node, receive), flops, upload)


def pair(*, up=8000.0, down=8000.0, share=1.0, timeout=10.0, rtt=0.0):
    """Two nodes; each of the rates is a number for both, or a trace for node 0 with 8000 or 1 for node 1."""

    def traces(value, other):
        return [value if isinstance(value, Trace) else Trace("c", [0], [value]), Trace("c", [0], [other])]

    computes = traces(share, 1.0)
    ups, downs = traces(up, 8000.0), traces(down, 8000.0)
    links = [LinkTrace("l", u, d, rtt) for u, d in zip(ups, downs, strict=True)]
    return Network([PROFILE, PROFILE], computes, links, timeout_s=timeout)


# --- advance -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("segments", "amount", "expected"),
    [
        ([(10, 2.0)], 8, (8, 4, True)),
        ([(10, 2.0), (10, 1.0)], 25, (25, 15, True)),
        ([(10, 2.0), (5, 0.0), (10, 1.0)], 25, (25, 20, True)),
        ([(10, 2.0), (10, 0.0), (10, 1.0)], 25, (25, 25, True)),  # as long as the timeout, no longer
        ([(10, 2.0), (11, 0.0), (10, 1.0)], 25, (20, 20, False)),
        ([(10, 2.0), (6, 0.0), (6, 0.0), (10, 1.0)], 25, (20, 20, False)),  # one outage in two pieces
        ([(1, 2.0), (6, 0.0), (1, 2.0), (6, 0.0), (9, 1.0)], 6, (6, 16, True)),  # two outages
        ([(11, 0.0), (10, 1.0)], 6, (0, 10, False)),
        ([(10, 2.0), (99, 0.0)], 20, (20, 10, True)),  # done when the outage begins
        ([(99, 0.0)], 0, (0, 0, True)),
    ],
)
def test_advance_by_hand(segments, amount, expected):
    progress = advance(segments, amount, timeout_s=10)
    assert (progress.done, progress.elapsed_s, progress.complete) == expected


def test_an_endless_outage_ends_at_the_timeout():
    assert advance(repeat((1.0, 0.0)), 5, timeout_s=7.5).elapsed_s == 7.5
    with pytest.raises(SnakegymError, match="endless"):
        advance([(1, 1)], 5, timeout_s=7.5)


# --- by hand -------------------------------------------------------------------------------------


def test_client_server_hop_on_a_constant_network():
    network = constant_network([PROFILE], 0.5, 8000, 16000, rtt_s=0.25)
    phases = simulate(network, job(receive=4000, flops=3e6, send=1000))
    assert (phases.receive_s, phases.compute_s, phases.send_s) == (2.25, 6.0, 1.25)
    assert (phases.bytes_sent, phases.bytes_received, phases.bytes_lost) == (5000, 5000, 0)
    assert phases.node_energy_j == 0.5 * (2 + 1) + 2.0 * 3  # 6 s at half the device are 3 busy seconds
    assert phases.sender_energy_j == 0
    assert (phases.trained_share, phases.interrupted, phases.update_sent) == (1, None, True)
    assert phases.duration_s == 9.5


def test_peer_to_peer_takes_the_slower_end_and_the_round_trips_of_both():
    network = constant_network(
        [PROFILE, replace(PROFILE, radio_power_w=0.1)], 1, [8000, 4000], [2000, 9000], rtt_s=[0.1, 0.3]
    )
    forth = simulate(network, job(receive=1000, sender=0, node=1))
    back = simulate(network, job(receive=1000, sender=1, node=0))
    assert forth.receive_s == 1.0 + (0.1 + 0.3)
    assert back.receive_s == 4.0 + (0.1 + 0.3)
    assert forth.sender_energy_j == 0.5
    assert forth.node_energy_j == pytest.approx(0.1)
    assert back.sender_energy_j == pytest.approx(0.4)
    assert back.node_energy_j == 2.0


def test_nothing_to_do_takes_no_time():
    phases = simulate(constant_network([PROFILE], 0, 0, 0, rtt_s=1), job(send=0))
    assert phases.duration_s == phases.costs.energy_j == phases.bytes_sent == 0
    assert (phases.trained_share, phases.interrupted) == (1, None)


def test_rates_that_change_during_the_hop_are_integrated():
    down = Trace("t", [0, 2], [8000, 4000], 1000)
    share = Trace("t", [0, 5], [1.0, 0.25], 1000)
    phases = simulate(pair(down=down, share=share), job(receive=3000, flops=2e6, start=0.0))
    assert phases.receive_s == 2 + 2
    assert phases.compute_s == 1 + 4  # from 4 s: one second at full speed, the rest at a quarter
    assert phases.node_energy_j == 0.5 * 4 + 2.0 * 2


def test_both_ends_links_are_merged():
    up = Trace("t", [0, 3], [1000, 8000], 6)  # sender node 0
    network = Network(
        [PROFILE, PROFILE],
        [Trace("c", [0], [1])] * 2,
        [
            LinkTrace("a", up, up, 0.0),
            LinkTrace("b", up, Trace("t", [0, 2], [8000, 500], 4), 0.0),
        ],
    )
    # seconds 0-2: 1000, 2-3: 500, 3-4: 500, 4-6: 8000 bit/s
    assert simulate(network, job(receive=375, sender=0, node=1)).receive_s == 4
    assert simulate(network, job(receive=1375, sender=0, node=1)).receive_s == 5


def test_interrupted_receive_loses_what_was_sent():
    down = Trace("t", [0, 2], [8000, 0], 1000)
    phases = simulate(pair(down=down, rtt=0.5), job(receive=3000, flops=1e6, send=10, sender=1))
    assert (phases.receive_s, phases.compute_s, phases.send_s) == (12, 0, 0)
    assert (phases.bytes_sent, phases.bytes_received, phases.bytes_lost) == (2000, 0, 2000)
    assert phases.node_energy_j == phases.sender_energy_j == 0.5 * 12
    assert (phases.trained_share, phases.interrupted, phases.update_sent) == (0, "receive", False)
    assert simulate(pair(down=down), job(receive=3000, flops=1e6, sender=1)).update_sent


def test_an_outage_under_way_counts_from_the_start_of_the_phase():
    down = Trace("t", [0, 50], [0, 8000], 1000)
    assert simulate(pair(down=down), job(receive=1000, start=30)).receive_s == 10
    late = simulate(pair(down=down), job(receive=1000, start=45))
    assert (late.receive_s, late.interrupted) == (6, None)


def test_interrupted_compute_keeps_a_share_and_still_sends():
    share = Trace("t", [0, 3], [0.5, 0], 1000)
    phases = simulate(pair(share=share), job(flops=6e6, send=1000))
    assert (phases.compute_s, phases.send_s) == (13, 1)
    assert phases.trained_share == 0.25
    assert phases.node_energy_j == 2.0 * 1.5 + 0.5 * 1
    assert (phases.interrupted, phases.update_sent) == ("compute", True)


def test_an_evaluation_follows_the_training_and_is_charged():
    share = Trace("t", [0, 4], [1.0, 0.5], 1000)
    phases = simulate(pair(share=share), replace(job(flops=3e6, send=1000), evaluation_flops=2e6))
    assert (phases.compute_s, phases.evaluate_s, phases.send_s) == (3, 1 + 2, 1)
    assert phases.duration_s == 7
    assert phases.node_energy_j == 2.0 * 5 + 0.5 * 1
    assert (phases.evaluated, phases.interrupted) == (True, None)


def test_an_interrupted_evaluation_measures_nothing_but_what_was_trained_is_sent():
    share = Trace("t", [0, 4], [1.0, 0], 1000)
    phases = simulate(pair(share=share), replace(job(flops=3e6, send=1000), evaluation_flops=2e6))
    assert (phases.trained_share, phases.evaluate_s, phases.send_s) == (1, 1 + 10, 1)
    assert (phases.interrupted, phases.reason, phases.evaluated) == ("evaluate", "node", False)
    assert phases.update_sent
    early = Trace("t", [0, 2], [1.0, 0], 1000)
    phases = simulate(pair(share=early), replace(job(flops=3e6), evaluation_flops=2e6))
    assert (phases.interrupted, phases.evaluate_s, phases.evaluated) == ("compute", 0, False)


@pytest.mark.parametrize(
    ("battery", "interrupted", "seconds", "share", "lost"),
    [
        (0.5, "receive", (1 + 10, 0, 0, 0), 0, 1000),  # 2 s of radio at 0.5 W take 1 J
        (1.0 + 3.0, "compute", (2, 1.5 + 10, 0, 0), 0.5, 0),  # 3 s of computing at 2 W take 6 J
        (1.0 + 6.0 + 1.0, "evaluate", (2, 3, 0.5 + 10, 0), 1, 0),
        (1.0 + 6.0 + 2.0 + 0.25, "send", (2, 3, 1, 0.5 + 10), 1, 500),
    ],
)
def test_an_empty_battery_ends_the_hop_where_it_is(battery, interrupted, seconds, share, lost):
    work = replace(job(receive=2000, flops=3e6, send=1000), evaluation_flops=1e6, battery_j=battery)
    phases = simulate(pair(), work)
    assert (phases.interrupted, phases.reason, phases.battery_empty) == (interrupted, "battery", True)
    assert (phases.receive_s, phases.compute_s, phases.evaluate_s, phases.send_s) == seconds
    assert phases.trained_share == share
    assert phases.bytes_lost == lost
    assert phases.node_energy_j == battery
    assert not phases.update_sent
    enough = simulate(pair(), replace(work, battery_j=1.0 + 6.0 + 2.0 + 0.5))
    assert enough == simulate(pair(), replace(work, battery_j=float("inf")))


def test_a_sender_whose_battery_runs_out_leaves_the_receiver_searching():
    work = replace(job(receive=2000, flops=3e6, sender=1), sender_battery_j=0.25)
    phases = simulate(pair(), work)
    assert (phases.interrupted, phases.reason, phases.receive_s) == ("receive", "battery", 0.5 + 10)
    assert (phases.bytes_lost, phases.bytes_received, phases.trained_share) == (500, 0, 0)
    assert phases.sender_energy_j == 0.25
    assert phases.node_energy_j == 0.5 * 10.5
    both = simulate(pair(), replace(work, battery_j=1.0))
    assert (both.sender_energy_j, both.node_energy_j) == (0.25, 1.0)


def test_interrupted_send_loses_the_upload():
    up = Trace("t", [0, 3], [8000, 0], 1000)
    phases = simulate(pair(up=up), job(receive=1000, flops=1e6, send=5000))
    assert (phases.receive_s, phases.compute_s, phases.send_s) == (1, 1, 11)
    assert (phases.bytes_sent, phases.bytes_received, phases.bytes_lost) == (2000, 1000, 1000)
    assert (phases.trained_share, phases.interrupted, phases.update_sent) == (1, "send", False)


def test_the_first_interruption_gives_the_name():
    dead = Trace("t", [0, 1], [1.0, 0], 1000)
    up = Trace("t", [0, 1], [8000, 0], 1000)
    phases = simulate(pair(share=dead, up=up), job(flops=6e6, send=5000))
    assert (phases.interrupted, phases.update_sent) == ("compute", False)
    assert (phases.compute_s, phases.send_s) == (11, 10)


def test_transfers_need_two_ends():
    with pytest.raises(SnakegymError, match="found node 0 at both ends"):
        simulate(pair(), job(receive=10, sender=0, node=0))
    assert simulate(pair(), job(receive=0, flops=1e6, sender=0, node=0)).duration_s == 1
    with pytest.raises(SnakegymError, match="PCE at both ends"):
        pair().link_course(PCE, PCE)


# --- properties ----------------------------------------------------------------------------------


@given(
    st.floats(0.01, 1),
    st.floats(1e3, 1e9),
    st.floats(1e3, 1e9),
    st.floats(0, 1),
    st.integers(0, 10**9),
    st.floats(0, 1e12),
    st.integers(0, 10**9),
)
def test_the_forecasts_formulas_agree_exactly_on_a_constant_network(
    share, up, down, rtt, receive, flops, send
):
    network = constant_network([PROFILE, PROFILE], share, up, down, rtt_s=rtt)
    phases = simulate(network, job(receive, flops, send, sender=1))
    assert phases.receive_s == costs.transfer_time(receive, min(up, down), rtt + rtt)
    assert phases.compute_s == costs.compute_time(flops, 1e6, share)
    assert phases.send_s == costs.transfer_time(send, up, rtt)
    receive_j = costs.radio_energy(0.5, costs.air_time(receive, min(up, down)))
    send_j = costs.radio_energy(0.5, costs.air_time(send, up))
    compute_j = costs.compute_energy(2.0, costs.busy_time(flops, 1e6))
    assert phases.node_energy_j == receive_j + compute_j + send_j


def random_network(seed):
    """Traces with outages of all lengths, on both sides of the timeout."""
    rng = np.random.default_rng(seed)

    def trace(scale):
        size = int(rng.integers(1, 15))
        steps = rng.exponential(8, size) + 0.01
        times = np.cumsum(steps) - steps
        return Trace(
            "r", times, scale * rng.random(size) * rng.integers(0, 3, size).clip(0, 1), times[-1] + steps[-1]
        )

    links = tuple(LinkTrace("r", trace(1e4), trace(1e4)) for _ in range(5))
    library = TraceLibrary(links, tuple(trace(1.0) for _ in range(5)))
    config = load_scenario("default").network.model_copy(update={"nodes": 4})
    return draw_network(config, library, rng)


jobs = st.builds(
    job,
    receive=st.integers(0, 20000),
    flops=st.floats(0, 1e8),
    send=st.none() | st.integers(0, 20000),
    sender=st.sampled_from([PCE, 1, 2, 3]),
    start=st.floats(0, 1000),
)


@given(st.integers(0, 10**6), jobs)
def test_bytes_are_conserved_and_costs_are_sane(seed, work):
    network = random_network(seed)
    phases = simulate(network, work)
    asked = work.receive.n_bytes + (work.send.n_bytes if work.send else 0)
    assert phases.bytes_sent == phases.bytes_received + phases.bytes_lost
    assert phases.bytes_sent <= asked
    assert (phases.bytes_lost > 0) <= (phases.interrupted is not None)
    assert 0 <= phases.trained_share <= 1
    if phases.interrupted is None:
        assert phases.bytes_received == asked
        assert phases.trained_share == 1
    assert phases.update_sent or phases.bytes_received < asked or phases.interrupted
    assert min(phases.receive_s, phases.compute_s, phases.send_s) >= 0
    assert np.isfinite(phases.duration_s)
    most = network.compute_power_w[0] * phases.compute_s + network.radio_power_w[0] * (
        phases.receive_s + phases.send_s
    )
    assert 0 <= phases.node_energy_j <= most * (1 + 1e-9)


@given(st.integers(0, 10**6), jobs, st.floats(1e-6, 1e3), st.floats(1e-6, 1e3), st.floats(0, 1e7))
def test_nobody_spends_more_than_the_battery_holds(seed, work, battery, senders, evaluation_flops):
    network = random_network(seed)
    mains = replace(work, evaluation_flops=evaluation_flops)
    free = simulate(network, mains)
    phases = simulate(network, replace(mains, battery_j=battery, sender_battery_j=senders))
    assert 0 <= phases.node_energy_j <= battery * (1 + 1e-12)
    assert 0 <= phases.sender_energy_j <= senders
    assert phases.bytes_sent == phases.bytes_received + phases.bytes_lost
    assert phases.trained_share <= free.trained_share
    if free.node_energy_j <= battery * (1 - 1e-9) and free.sender_energy_j <= senders * (1 - 1e-9):
        assert phases == free
    else:
        assert phases.battery_empty or phases.interrupted == free.interrupted


def carried(segments, seconds):
    """Integral of the rates over so many seconds."""
    total = 0.0
    for duration, rate in segments:
        if duration >= seconds:
            return total + rate * seconds
        total, seconds = total + rate * duration, seconds - duration
    raise AssertionError("segments are endless")


@given(st.integers(0, 10**6), jobs)
def test_bytes_work_and_energy_are_what_the_traces_carried(seed, work):
    network = random_network(seed)
    phases, sender = simulate(network, work), work.receive.sender
    rtt, compute_at = network.link_rtt_s(sender, 0), work.start_s + phases.receive_s
    received = phases.interrupted != "receive"
    receive_air = phases.receive_s - rtt * (received and work.receive.n_bytes > 0)
    send_air = phases.send_s - network.link_rtt_s(0, PCE) * (phases.update_sent and phases.send_s > 0)
    bits = carried(network.link_course(sender, 0).segments(work.start_s), receive_air)
    bits += carried(network.link_course(0, PCE).segments(compute_at + phases.compute_s), send_air)
    busy_s = carried(network.compute_course(0).segments(compute_at), phases.compute_s)
    about = {"rel": 1e-6, "abs": 1e-3}
    assert phases.bytes_sent == pytest.approx(bits / 8, **about)
    assert work.flops * phases.trained_share == pytest.approx(busy_s * network.peak_flops[0], **about)
    energy = busy_s * network.compute_power_w[0] + (receive_air + send_air) * network.radio_power_w[0]
    assert phases.node_energy_j == pytest.approx(energy, **about)
    radio_w = 0.0 if sender == PCE else network.radio_power_w[sender]
    assert phases.sender_energy_j == pytest.approx(receive_air * radio_w, **about)


@given(st.integers(0, 10**6), jobs, st.integers(0, 5000), st.floats(0, 1e8))
def test_more_work_never_ends_earlier(seed, work, more_bytes, more_flops):
    network = random_network(seed)
    less = simulate(network, work)
    more_receive = simulate(
        network, replace(work, receive=replace(work.receive, n_bytes=work.receive.n_bytes + more_bytes))
    )
    more_compute = simulate(network, replace(work, flops=work.flops + more_flops))
    assert more_receive.receive_s >= less.receive_s - 1e-9
    assert more_compute.compute_s >= less.compute_s - 1e-9
    assert more_compute.receive_s == less.receive_s


@given(st.integers(0, 10**6), jobs)
def test_faster_links_and_free_nodes_never_hurt(seed, work):
    network = random_network(seed)
    measured = network.measure(work.start_s, 60)
    best = constant_network(network.profiles, 1.0, 1e4, 1e4, rtt_s=network.rtt_s)
    slow, fast = simulate(network, work), simulate(best, work)
    assert fast.interrupted is None
    if slow.interrupted is None:
        assert fast.duration_s <= slow.duration_s + 1e-9
    assert measured.availability.max() <= 1
