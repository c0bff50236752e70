"""The accounts of one round on the network, in the units and formulas of a hop."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snakegym.control.records import Hop
from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.advance import Progress
from snakegym.network.network import Network
from snakegym.network.records import PCE


class Ledger:
    """Adds up time, energy, bytes and FLOPs of what happens on a network in one round.

    As for the hops of Snake Learning, nodes pay for computing and for their radio at either end; the
    server (the PCE) computes in no time, pays nothing and is never the bottleneck of a link. Outages
    shorter than the network's timeout are waited for; a longer one is an error, as the other
    frameworks know no way on.

    Args:
        network: nodes and traces.
        start_s: simulated time at which the round begins.
    """

    def __init__(self, network: Network, start_s: float) -> None:
        self.start_s = self.end_s = start_s
        self.n_bytes = 0.0
        self.energy_j = 0.0
        self.messages = 0
        self.synchronisations = 0
        self.flops = np.zeros(network.n_nodes)
        self._network = network

    def send(
        self, sender: int, receiver: int, n_bytes: float, at_s: float, *, acknowledged: bool = True
    ) -> float:
        """A transfer that begins at `at_s`: when its last byte is acknowledged, or has just been sent."""
        if sender == receiver or n_bytes <= 0:
            return at_s
        network = self._network
        bits = n_bytes * costs.BITS_PER_BYTE
        air = network.link_course(sender, receiver).advance(at_s, bits, network.timeout_s)
        _check(air, f"link from {_name(sender)} to {_name(receiver)}", at_s)
        self.messages += 1
        self.n_bytes += n_bytes
        for end in (sender, receiver):
            if end != PCE:
                self.energy_j += costs.radio_energy(float(network.radio_power_w[end]), air.elapsed_s)
        rtt_s = network.link_rtt_s(sender, receiver) if acknowledged else 0.0
        return self._until(at_s + air.elapsed_s + rtt_s)

    def compute(self, node: int, flops: float, at_s: float) -> float:
        """Work of a node that begins at `at_s`: when it is done. The server takes no time."""
        if node == PCE:
            return at_s
        peak = float(self._network.peak_flops[node])
        work = self._network.compute_course(node).advance(at_s, flops, self._network.timeout_s)
        _check(work, f"compute of {_name(node)}", at_s)
        self.flops[node] += flops
        power = float(self._network.compute_power_w[node])
        self.energy_j += costs.compute_energy(power, costs.busy_time(flops, peak))
        return self._until(at_s + work.elapsed_s)

    def book(self, hop: Hop, end_s: float) -> None:
        """A hop that the network simulator has accounted for already, with all nodes that took part."""
        for part in hop.parts:
            self.messages += (part.phases.receive_s > 0) + (part.phases.send_s > 0)
            self.flops[part.node] += part.flops
        self.n_bytes += hop.costs.n_bytes
        self.energy_j += hop.costs.energy_j
        self._until(end_s)

    def _until(self, time_s: float) -> float:
        self.end_s = max(self.end_s, time_s)
        return time_s


def batch_sizes(n_samples: int, batch_size: int, epochs: int) -> Iterator[int]:
    """Samples of the batches of a local training, in order; the last of an epoch may be smaller."""
    full, rest = divmod(n_samples, batch_size)
    for _ in range(epochs):
        yield from [batch_size] * full + ([rest] if rest else [])


def _check(progress: Progress, what: str, at_s: float) -> None:
    if not progress.complete:
        raise SnakegymError(
            f"{what}: found an outage longer than network.timeout_s after {at_s:.0f} s of simulated time, "
            "expected traces without one (the frameworks are compared on a network that comes back)"
        )


def _name(end: int) -> str:
    return "the server" if end == PCE else f"node {end}"
