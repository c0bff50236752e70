"""One hop on the network: receive, compute, send, each integrated along the traces."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.network import Network
from snakegym.network.records import PCE, Phase, Phases, Transfer, Work


@dataclass(frozen=True, slots=True)
class _Moved:
    """What became of a transfer; the default is one that never began."""

    seconds: float = 0.0
    sender_j: float = 0.0
    receiver_j: float = 0.0
    received: float = 0.0
    lost: float = 0.0
    complete: bool = True
    battery_empty: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class _Computed:
    """What became of a computation; the default is one that never began."""

    seconds: float = 0.0
    energy_j: float = 0.0
    share: float = 0.0
    """Of its FLOPs done; exactly 1 if complete."""
    complete: bool = False
    battery_empty: bool = False
    late: bool = False


_DONE = _Computed(share=1.0, complete=True)


def simulate(network: Network, work: Work) -> Phases:
    """Time, bytes and energy of a hop on the network.

    The phases follow one another. Each ends early if link or node is out for longer than the
    network's timeout; what was spent until then is charged:

    - interrupted receive: the node has nothing to train, so the hop ends, with `trained_share` 0;
    - interrupted compute: `trained_share` is the share of the FLOPs done; the node evaluates nothing,
      but still sends;
    - interrupted evaluation: the node still sends;
    - interrupted send: its bytes are lost.

    A battery that runs out ends the hop: the others see nothing more of that node, and the timeout passes
    before they know. No end ever spends more than it has. Work with a `silence` is interrupted after that
    share of its FLOPs, if not before.

    At the deadline everything stops, whatever was under way: what was spent until then is charged, what was
    computed until then is done, and a transfer that is not acknowledged by then is lost.

    A transfer ends one round trip after its last byte was sent; an interrupted one is never
    acknowledged, and one of 0 bytes takes no time.

    Energy: the training node pays for computing and for its radio while receiving and sending; the
    radio of the node at the other end is `sender_energy_j`; the PCE pays nothing.

    Raises:
        SnakegymError: a transfer of more than 0 bytes from a node to itself.
    """
    left_j, now, end_s = work.battery_j, work.start_s, work.deadline_s
    receive = _transfer(network, work.receive, now, work.sender_battery_j, left_j, end_s)
    left_j, now = left_j - receive.receiver_j, now + receive.seconds
    train = _train(network, work, now, left_j) if receive.complete else _Computed()
    left_j, now = left_j - train.energy_j, now + train.seconds
    evaluation = _Computed()
    if train.complete:
        evaluation = _compute(network, work.node, work.evaluation_flops, now, left_j, end_s)
    left_j, now = left_j - evaluation.energy_j, now + evaluation.seconds
    empty = any(phase.battery_empty for phase in (receive, train, evaluation))
    sends = None if empty or not receive.complete else work.send
    send = _Moved() if sends is None else _transfer(network, sends, now, left_j, end_s=end_s)

    received, lost = receive.received + send.received, receive.lost + send.lost
    return Phases(
        receive_s=receive.seconds,
        compute_s=train.seconds,
        evaluate_s=evaluation.seconds,
        send_s=send.seconds,
        bytes_sent=received + lost,
        bytes_received=received,
        bytes_lost=lost,
        node_energy_j=receive.receiver_j + train.energy_j + evaluation.energy_j + send.sender_j,
        sender_energy_j=receive.sender_j + send.receiver_j,
        trained_share=train.share,
        interrupted=_first_interrupted(receive.complete, train.complete, evaluation.complete, send.complete),
        update_sent=work.send is None or (sends is not None and send.complete),
        evaluated=evaluation.complete or work.evaluation_flops <= 0,
        battery_empty=empty or send.battery_empty,
        late=next((phase.late for phase in (receive, train, evaluation, send) if not phase.complete), False),
    )


def _transfer(
    network: Network,
    transfer: Transfer,
    start_s: float,
    sender_left_j: float = math.inf,
    receiver_left_j: float = math.inf,
    end_s: float = math.inf,
) -> _Moved:
    if transfer.n_bytes == 0:
        return _Moved()
    sender, receiver = transfer.sender, transfer.receiver
    if sender == receiver:
        raise SnakegymError(f"transfer: found node {sender} at both ends, expected two different ends")
    bits = transfer.n_bytes * costs.BITS_PER_BYTE
    course = network.link_course(sender, receiver)
    air = course.advance(start_s, bits, network.timeout_s)
    done, on_air_s = air.done, air.elapsed_s
    ends = (
        (sender_left_j, _radio_power(network, sender)),
        (receiver_left_j, _radio_power(network, receiver)),
    )
    lasts = min(_lasts(left, power) for left, power in ends)
    empty = lasts < on_air_s
    if empty:  # the other end searches until its timeout, or until it is empty too
        done = course.within(start_s, lasts)
        on_air_s = lasts + network.timeout_s
    rtt_s = 0.0 if empty or not air.complete else network.link_rtt_s(sender, receiver)
    left_s = max(0.0, end_s - start_s)
    if left_s < min(lasts, on_air_s):
        empty, done = False, min(done, course.within(start_s, left_s))
    late = not empty and on_air_s + rtt_s > left_s
    on_air_s = min(on_air_s, left_s)
    rtt_s = min(rtt_s, left_s - on_air_s)
    sender_j, receiver_j = (min(left, costs.radio_energy(power, on_air_s)) for left, power in ends)
    if empty or late or not air.complete:
        lost = done / costs.BITS_PER_BYTE
        return _Moved(on_air_s + rtt_s, sender_j, receiver_j, 0.0, lost, False, empty, late)
    return _Moved(on_air_s + rtt_s, sender_j, receiver_j, float(transfer.n_bytes))


def _train(network: Network, work: Work, start_s: float, left_j: float) -> _Computed:
    silence = work.silence
    if silence is None:
        return _compute(network, work.node, work.flops, start_s, left_j, work.deadline_s)
    done = _compute(network, work.node, silence.share * work.flops, start_s, left_j, work.deadline_s)
    seconds = done.seconds + silence.seconds * done.complete
    left_s = max(0.0, work.deadline_s - start_s)
    late = done.late or seconds > left_s
    return replace(
        done, seconds=min(seconds, left_s), share=silence.share * done.share, complete=False, late=late
    )


def _compute(
    network: Network, node: int, flops: float, start_s: float, left_j: float, end_s: float
) -> _Computed:
    if flops <= 0:
        return _DONE
    profile = network.profiles[node]
    peak, power = profile.peak_flops, profile.compute_power_w
    affordable = _lasts(left_j, power) * peak
    course = network.compute_course(node)
    progress = course.advance(start_s, min(flops, affordable), network.timeout_s)
    done, left_s = progress.done, max(0.0, end_s - start_s)
    empty = progress.complete and affordable < flops
    seconds = progress.elapsed_s + network.timeout_s * empty
    late = progress.elapsed_s > left_s
    if late:
        empty, done = False, min(done, course.within(start_s, left_s))
    energy_j = min(left_j, costs.compute_energy(power, costs.busy_time(done, peak)))
    whole = progress.complete and not empty and not late
    return _Computed(
        min(seconds, left_s), energy_j, 1.0 if whole else min(1.0, done / flops), whole, empty, late
    )


def _lasts(left_j: float, power_w: float) -> float:
    """For how many seconds a battery feeds a device of that power."""
    return math.inf if math.isinf(left_j) or power_w == 0 else left_j / power_w


def _radio_power(network: Network, end: int) -> float:
    return 0.0 if end == PCE else network.profiles[end].radio_power_w


def _first_interrupted(*complete: bool) -> Phase | None:
    phases: tuple[Phase, ...] = ("receive", "compute", "evaluate", "send")
    return next((phase for phase, whole in zip(phases, complete, strict=True) if not whole), None)
