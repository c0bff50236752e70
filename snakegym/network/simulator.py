"""One hop on the network: receive, compute, send, each integrated along the traces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from snakegym.control.records import PCE, Job, Phase, Phases, Transfer
from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.network import Network


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


def simulate(network: Network, job: Job) -> Phases:
    """Time, bytes and energy of a hop on the network.

    The phases follow one another. Each ends early if link or node is out for longer than the
    network's timeout; what was spent until then is charged:

    - interrupted receive: the node has nothing to train, so the hop ends, with `trained_share` 0;
    - interrupted compute: `trained_share` is the share of the FLOPs done, and the node still sends;
    - interrupted send: its bytes are lost.

    `interrupted` names the first phase affected; `delivered` tells whether all bytes arrived. A
    transfer ends one round trip after its last byte was sent (an interrupted one is never
    acknowledged, and one of 0 bytes takes no time).

    Energy: the training node pays for computing and for its radio while receiving and sending; the
    radio of the node at the other end is `sender_energy_j`; the PCE pays nothing.

    Raises:
        SnakegymError: a transfer of more than 0 bytes from a node to itself.
    """
    node = job.assignment.node
    radio_w, peak = float(network.radio_power_w[node]), float(network.peak_flops[node])

    got, receive_s = _transfer(network, job.receive, job.start_s)
    radio_j = costs.radio_energy(radio_w, got.elapsed_s)
    other_j = _other_radio(network, job.receive.sender, got)
    if not got.complete:
        lost = got.done / costs.BITS_PER_BYTE
        return Phases(
            receive_s=receive_s,
            bytes_sent=lost,
            bytes_lost=lost,
            node_energy_j=radio_j,
            sender_energy_j=other_j,
            trained_share=0.0,
            interrupted="receive",
        )

    begin = job.start_s + receive_s
    pieces = ((duration, peak * share) for duration, share in network.compute_segments(node, begin))
    work = advance(pieces, job.flops, network.timeout_s)
    compute_j = costs.compute_energy(float(network.compute_power_w[node]), costs.busy_time(work.done, peak))
    interrupted: Phase | None = None if work.complete else "compute"

    received, lost, send_s = float(job.receive.n_bytes), 0.0, 0.0
    if job.send is not None:
        put, send_s = _transfer(network, job.send, begin + work.elapsed_s)
        radio_j += costs.radio_energy(radio_w, put.elapsed_s)
        other_j += _other_radio(network, job.send.receiver, put)
        if put.complete:
            received += job.send.n_bytes
        else:
            lost = put.done / costs.BITS_PER_BYTE
            interrupted = interrupted or "send"
    return Phases(
        receive_s=receive_s,
        compute_s=work.elapsed_s,
        send_s=send_s,
        bytes_sent=received + lost,
        bytes_received=received,
        bytes_lost=lost,
        node_energy_j=compute_j + radio_j,
        sender_energy_j=other_j,
        trained_share=1.0 if work.complete else work.done / job.flops,
        interrupted=interrupted,
    )


def delivered(job: Job, phases: Phases) -> bool:
    """Whether all bytes that the job had to move arrived where they should."""
    return phases.bytes_received == job.receive.n_bytes + (job.send.n_bytes if job.send else 0)


def _transfer(network: Network, transfer: Transfer, start_s: float) -> tuple[Progress, float]:
    """The air part of a transfer in bits, and the seconds that it takes in all."""
    if transfer.n_bytes == 0:
        return Progress(0.0, 0.0, True), 0.0
    ends = transfer.sender, transfer.receiver
    if ends[0] == ends[1]:
        raise SnakegymError(f"transfer: found node {ends[0]} at both ends, expected two ends")
    air = advance(
        network.link_segments(*ends, start_s), transfer.n_bytes * costs.BITS_PER_BYTE, network.timeout_s
    )
    return air, air.elapsed_s + (network.link_rtt_s(*ends) if air.complete else 0.0)


def _other_radio(network: Network, end: int, air: Progress) -> float:
    return 0.0 if end == PCE else costs.radio_energy(float(network.radio_power_w[end]), air.elapsed_s)
