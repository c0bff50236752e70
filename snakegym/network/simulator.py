"""One hop on the network: receive, compute, send, each integrated along the traces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.network import Network
from snakegym.network.records import PCE, Phase, Phases, Transfer, Work


@dataclass(frozen=True, slots=True)
class Progress:
    """How far work of a certain amount got at a varying rate."""

    done: float
    """Of the amount; exactly the amount if complete."""
    elapsed_s: float
    complete: bool
    """False: interrupted by an outage longer than the timeout."""


def advance(segments: Iterable[tuple[float, float]], amount: float, timeout_s: float) -> Progress:
    """Work through `amount` at the rates of `segments`, (duration in s, rate) pairs.

    Takes the smallest T with the integral of the rate over T equal to the amount. An outage (rate
    0) that lasts longer than `timeout_s` ends it at the outage's start plus the timeout; an outage
    already under way counts from the start of the work. An amount of 0 takes no time.
    """
    done = elapsed = outage = 0.0
    if amount <= 0:
        return Progress(0.0, 0.0, True)
    for duration, rate in segments:
        if rate > 0:
            outage = 0.0
            left = amount - done
            if rate * duration >= left:
                return Progress(amount, elapsed + left / rate, True)
            done = min(amount, done + rate * duration)
        elif done >= amount:  # rounding took care of the last crumb
            return Progress(amount, elapsed, True)
        else:
            if outage + duration > timeout_s:
                return Progress(done, elapsed + (timeout_s - outage), False)
            outage += duration
        elapsed += duration
    raise SnakegymError("segments: found their end before the amount was reached, expected endless ones")


@dataclass(frozen=True, slots=True)
class _Moved:
    """What became of a transfer; the default is one that never began."""

    seconds: float = 0.0
    air_s: float = 0.0
    received: float = 0.0
    lost: float = 0.0
    complete: bool = True


def simulate(network: Network, work: Work) -> Phases:
    """Time, bytes and energy of a hop on the network.

    The phases follow one another. Each ends early if link or node is out for longer than the
    network's timeout; what was spent until then is charged:

    - interrupted receive: the node has nothing to train, so the hop ends, with `trained_share` 0;
    - interrupted compute: `trained_share` is the share of the FLOPs done, and the node still sends;
    - interrupted send: its bytes are lost.

    Work with a `forced_share` is interrupted after that share of its FLOPs, if not before.

    A transfer ends one round trip after its last byte was sent; an interrupted one is never
    acknowledged, and one of 0 bytes takes no time.

    Energy: the training node pays for computing and for its radio while receiving and sending; the
    radio of the node at the other end is `sender_energy_j`; the PCE pays nothing.

    Raises:
        SnakegymError: a transfer of more than 0 bytes from a node to itself.
    """
    profile = network.profiles[work.node]
    receive = _transfer(network, work.receive, work.start_s)
    begin = work.start_s + receive.seconds
    done = _train(network, work, begin) if receive.complete else Progress(0.0, 0.0, False)
    sends = work.send if receive.complete else None
    send = _Moved() if sends is None else _transfer(network, sends, begin + done.elapsed_s)

    received, lost = receive.received + send.received, receive.lost + send.lost
    busy_s = costs.busy_time(done.done, profile.peak_flops)
    return Phases(
        receive_s=receive.seconds,
        compute_s=done.elapsed_s,
        send_s=send.seconds,
        bytes_sent=received + lost,
        bytes_received=received,
        bytes_lost=lost,
        node_energy_j=costs.compute_energy(profile.compute_power_w, busy_s)
        + costs.radio_energy(profile.radio_power_w, receive.air_s + send.air_s),
        sender_energy_j=_radio(network, work.receive.sender, receive.air_s)
        + (0.0 if sends is None else _radio(network, sends.receiver, send.air_s)),
        trained_share=1.0 if done.complete else done.done / (work.flops or 1.0),
        interrupted=_first_interrupted(receive.complete, done.complete, send.complete),
        update_sent=work.send is None or (receive.complete and send.complete),
    )


def _transfer(network: Network, transfer: Transfer, start_s: float) -> _Moved:
    if transfer.n_bytes == 0:
        return _Moved()
    sender, receiver = transfer.sender, transfer.receiver
    if sender == receiver:
        raise SnakegymError(f"transfer: found node {sender} at both ends, expected two different ends")
    bits = transfer.n_bytes * costs.BITS_PER_BYTE
    air = advance(network.link_segments(sender, receiver, start_s), bits, network.timeout_s)
    if not air.complete:
        return _Moved(air.elapsed_s, air.elapsed_s, 0.0, air.done / costs.BITS_PER_BYTE, False)
    rtt_s = network.link_rtt_s(sender, receiver)
    return _Moved(air.elapsed_s + rtt_s, air.elapsed_s, float(transfer.n_bytes))


def _train(network: Network, work: Work, start_s: float) -> Progress:
    node, forced = work.node, work.forced_share
    peak = network.profiles[node].peak_flops
    pieces = ((duration, peak * share) for duration, share in network.compute_segments(node, start_s))
    if forced is None:
        return advance(pieces, work.flops, network.timeout_s)
    done = advance(pieces, forced * work.flops, network.timeout_s)
    # The node is silent from here on, and the timeout has to pass as after any other drop-out.
    return Progress(done.done, done.elapsed_s + network.timeout_s * done.complete, False)


def _radio(network: Network, end: int, air_s: float) -> float:
    return 0.0 if end == PCE else costs.radio_energy(network.profiles[end].radio_power_w, air_s)


def _first_interrupted(*complete: bool) -> Phase | None:
    phases: tuple[Phase, ...] = ("receive", "compute", "send")
    return next((phase for phase, whole in zip(phases, complete, strict=True) if not whole), None)
