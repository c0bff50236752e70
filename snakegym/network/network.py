"""A network of nodes: what they are, how fast they are at any time, and how it is drawn from traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from snakegym.arrays import read_only
from snakegym.errors import SnakegymError
from snakegym.network.advance import Course
from snakegym.network.bank import TraceBank
from snakegym.network.records import PCE
from snakegym.network.traces.trace import Floats, LinkTrace, Trace, TraceLibrary
from snakegym.scenario import DeviceConfig, NetworkConfig

PAST_WINDOWS = 4
"""How many windows of measurement are remembered."""


@dataclass(frozen=True)
class NodeProfile:
    """What a node is: the part that does not change during an episode."""

    name: str
    peak_flops: float
    """FLOP/s in training when all of the node's compute is free, > 0."""
    memory_bytes: float
    compute_power_w: float
    radio_power_w: float
    battery_j: float = float("inf")
    """Energy the node may spend in an episode; inf for mains."""

    @classmethod
    def of(cls, device: DeviceConfig) -> NodeProfile:
        """The profile that a scenario's device describes."""
        battery = float("inf") if device.battery_j is None else device.battery_j
        return cls(
            device.name,
            device.peak_flops,
            device.memory_bytes,
            device.compute_power_w,
            device.radio_power_w,
            battery,
        )


@dataclass(frozen=True)
class Measurement:
    """What nodes report at a moment: present values and means over the windows behind.

    Each is [N] where nothing else is said, and read-only.
    """

    availability: Floats
    """Share of the node's compute that is free, in [0, 1]."""
    uplink_bps: Floats
    """bit/s, node to network."""
    downlink_bps: Floats
    mean_availability: Floats
    mean_uplink_bps: Floats
    mean_downlink_bps: Floats
    past_availability: Floats
    """[N, PAST_WINDOWS], oldest first: means over the last windows; the newest is the mean above."""
    past_uplink_bps: Floats
    past_downlink_bps: Floats
    past_up: Floats
    """[N, PAST_WINDOWS], in [0, 1]: share of these windows that the link was up (of its directions the one
    that was so for less), times the share that compute was."""
    up: NDArray[np.bool_]
    """Whether compute and both directions of the link are there at this moment."""


class Monitor(Protocol):
    """Who tells a Process Controller of its nodes: a simulated `Network`, or what measures real ones.

    Arrays are [N] and read-only, as in `Network`.
    """

    peak_flops: Floats
    memory_bytes: Floats
    compute_power_w: Floats
    radio_power_w: Floats
    battery_j: Floats
    rtt_s: Floats

    @property
    def n_nodes(self) -> int:
        """Number of nodes, which never changes."""
        ...

    def measure(self, time_s: float, window_s: float) -> Measurement:
        """As `Network.measure`; `time_s` is never before that of an earlier call."""
        ...


class Network:
    """N nodes, each with a profile, a compute trace and a link trace. Immutable: copies share it.

    Args:
        profiles: N >= 1 of them.
        computes: N traces, shares in [0, 1].
        links: N link traces.
        compute_offsets_s: [N] or a number: where in its trace a node starts, >= 0.
        link_offsets_s: the same for links.
        rtt_s: round-trip time of nodes whose link trace states none.
        timeout_s: an outage that lasts longer interrupts a hop.

    Attributes:
        compute_names, link_names: names of the traces in use, per node.
        peak_flops, memory_bytes, compute_power_w, radio_power_w, battery_j: the profiles as
            read-only arrays [N] (battery: inf for mains).
        rtt_s: [N], read-only, seconds, from node to network and back.

    Raises:
        SnakegymError: no node, or not as many traces as profiles.
    """

    def __init__(
        self,
        profiles: Sequence[NodeProfile],
        computes: Sequence[Trace],
        links: Sequence[LinkTrace],
        *,
        compute_offsets_s: ArrayLike = 0.0,
        link_offsets_s: ArrayLike = 0.0,
        rtt_s: float = 0.0,
        timeout_s: float = 10.0,
    ) -> None:
        n = len(profiles)
        if n == 0 or len(computes) != n or len(links) != n:
            raise SnakegymError(
                f"network: found {n} profiles, {len(computes)} compute traces and {len(links)} link traces, "
                "expected the same number of each, at least 1"
            )
        self.profiles = tuple(profiles)
        self.timeout_s = timeout_s
        self.compute_names = tuple(t.name for t in computes)
        self.link_names = tuple(t.name for t in links)
        self.peak_flops = _frozen([p.peak_flops for p in profiles])
        self.memory_bytes = _frozen([p.memory_bytes for p in profiles])
        self.compute_power_w = _frozen([p.compute_power_w for p in profiles])
        self.radio_power_w = _frozen([p.radio_power_w for p in profiles])
        self.battery_j = _frozen([p.battery_j for p in profiles])
        self.rtt_s = _frozen([rtt_s if t.rtt_s is None else t.rtt_s for t in links])
        # One bank for everything (rows: N computes, N uplinks, N downlinks), so that a measurement
        # costs one search instead of three.
        offsets = [np.broadcast_to(np.asarray(o, np.float64), n) for o in (compute_offsets_s, link_offsets_s)]
        self._bank = TraceBank(
            [*computes, *(t.uplink for t in links), *(t.downlink for t in links)],
            np.concatenate([offsets[0], offsets[1], offsets[1]]),
        )

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.profiles)

    def __copy__(self) -> Network:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Network:
        return self

    def measure(self, time_s: float, window_s: float) -> Measurement:
        """Present values at `time_s` >= 0 and means over the windows of `window_s` before it.

        Windows are cut at time 0, before which nothing is known: one that lies before it is given the means
        of the one that follows; at time 0 all means are the present values.
        """
        edges = np.maximum(0.0, time_s - window_s * np.arange(PAST_WINDOWS, -1.0, -1.0))
        now, means, ups = self._bank.look_back(edges)
        n, past, shares = self.n_nodes, means.T, ups.T
        past_up = np.minimum(shares[n : 2 * n], shares[2 * n :]) * shares[:n]
        read_only(now), read_only(means), read_only(past)
        availability, uplink, downlink = now[:n], now[n : 2 * n], now[2 * n :]
        up = np.minimum(np.minimum(availability, uplink), downlink) > 0
        recent = means[-1]
        return Measurement(
            availability=availability,
            uplink_bps=uplink,
            downlink_bps=downlink,
            mean_availability=recent[:n],
            mean_uplink_bps=recent[n : 2 * n],
            mean_downlink_bps=recent[2 * n :],
            past_availability=past[:n],
            past_uplink_bps=past[n : 2 * n],
            past_downlink_bps=past[2 * n :],
            past_up=read_only(past_up),
            up=read_only(up),
        )

    def compute_course(self, node: int) -> Course:
        """FLOP/s of `node` over time."""
        return Course((self._bank.placed(node),), self.profiles[node].peak_flops)

    def link_course(self, sender: int, receiver: int) -> Course:
        """Rate in bit/s from `sender` to `receiver` over time.

        The smaller of the sender's uplink and the receiver's downlink; the PCE's own link is never
        the bottleneck.
        """
        n = self.n_nodes
        if sender == PCE and receiver == PCE:
            raise SnakegymError("transfer: found the PCE at both ends, expected a node at one or both")
        rows = [n + sender] * (sender != PCE) + [2 * n + receiver] * (receiver != PCE)
        return Course(tuple(self._bank.placed(row) for row in rows))

    def link_rtt_s(self, sender: int, receiver: int) -> float:
        """Round-trip time between two ends: over the links of both; the PCE adds none."""
        return sum(float(self.rtt_s[end]) for end in (sender, receiver) if end != PCE)


def constant_network(
    profiles: Sequence[NodeProfile],
    availability: ArrayLike,
    uplink_bps: ArrayLike,
    downlink_bps: ArrayLike,
    *,
    rtt_s: ArrayLike = 0.0,
    timeout_s: float = 10.0,
) -> Network:
    """A network whose rates never change: for tests, and to replay plans made with present rates.

    Args:
        profiles: N of them.
        availability: [N] or one number for all, in [0, 1].
        uplink_bps: [N] or one number, bit/s.
        downlink_bps: [N] or one number, bit/s.
        rtt_s: [N] or one number.
        timeout_s: as in `Network`.
    """
    n = len(profiles)
    share, up, down, rtt = (
        np.broadcast_to(np.asarray(a, np.float64), n).tolist()
        for a in (availability, uplink_bps, downlink_bps, rtt_s)
    )
    computes = [_constant(v) for v in share]
    links = [LinkTrace("constant", _constant(up[i]), _constant(down[i]), rtt[i]) for i in range(n)]
    return Network(profiles, computes, links, timeout_s=timeout_s)


def draw_network(config: NetworkConfig, library: TraceLibrary, rng: np.random.Generator) -> Network:
    """A random network: for each node a device, a compute trace and a link trace.

    Devices are drawn by their shares. Traces are drawn without replacement while there are enough
    (with more nodes than traces each is used before any is used again), and every node starts at
    its own random offset into its traces.

    Raises:
        SnakegymError: the library holds no link or no compute trace.
    """
    if not library.links or not library.computes:
        raise SnakegymError(
            f"trace library: found {len(library.links)} link and {len(library.computes)} compute traces, "
            "expected at least one of each"
        )
    shares = np.array([d.share for d in config.devices])
    devices = rng.choice(len(shares), size=config.nodes, p=shares / shares.sum())
    computes = _draw(library.computes, config.nodes, rng)
    links = _draw(library.links, config.nodes, rng)
    return Network(
        [NodeProfile.of(config.devices[i]) for i in devices],
        computes,
        links,
        compute_offsets_s=rng.random(config.nodes) * [t.period_s for t in computes],
        link_offsets_s=rng.random(config.nodes) * [t.uplink.period_s for t in links],
        rtt_s=config.rtt_s,
        timeout_s=config.timeout_s,
    )


_Entry = TypeVar("_Entry", Trace, LinkTrace)


def _draw(traces: Sequence[_Entry], n: int, rng: np.random.Generator) -> list[_Entry]:
    rounds = -(-n // len(traces))
    order = np.concatenate([rng.permutation(len(traces)) for _ in range(rounds)])
    return [traces[i] for i in order[:n]]


def _constant(value: float) -> Trace:
    return Trace("constant", [0.0], [value])


def _frozen(values: Sequence[float]) -> Floats:
    return read_only(np.array(values, np.float64))
