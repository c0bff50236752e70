"""The outlook that nobody has: costs along the traces as they will be, for yardsticks alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snakegym.agents.planning.outlook import HopCosts
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import HopForecast, companion_rank, hop_flops, together, upload_bytes
from snakegym.control.view import Bools, Floats, Ints, ProcessView
from snakegym.errors import SnakegymError
from snakegym.network import costs
from snakegym.network.curve import Advanced, Curves
from snakegym.network.network import Network
from snakegym.network.records import PCE

COMPUTE, UPLINK, DOWNLINK = range(3)
"""Of each node by itself, kind by kind: its work, and its links to and from the PCE."""
OWN = PCE - 1
"""Where these are kept; links between nodes are by who sends."""
FORESIGHT_S = 86400.0
"""How far ahead of a process's clock traces are laid out; hops that end later are taken for impossible."""


class TrueOutlook:
    """What hops will really cost: traces are integrated as the simulator does.

    Outages count: a hop that they interrupt takes as long as it takes to give it up, costs what was spent,
    and counts as delivered to the share that was trained where its update arrives all the same. Out of
    account are batteries that run out during a hop, and nodes that join or leave the pool.

    Args:
        network: of the process.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._curves: dict[int, Curves] = {}
        self._end_s = 0.0

    def hop_costs(self, state: PlanState) -> HopCosts:
        """See `Outlook`. Impossible, with infinite times, are hops that begin while either end is away."""
        view, network = state.view, self._network
        self._look_ahead(view, float(state.clock_s.max()))
        start_s = np.where(self._begins(state), state.clock_s[:, None], np.inf)
        missing, sent = state.missing_bytes, state.holder != PCE
        receive = self._receive(state, start_s, missing * costs.BITS_PER_BYTE)
        sender_rtt, sender_w = (
            np.where(sent, a[state.holder], 0.0)[:, None] for a in (network.rtt_s, network.radio_power_w)
        )
        receive_s = receive.elapsed_s + receive.complete * costs.round_trip_time(
            missing, sender_rtt + network.rtt_s
        )
        trains_at = np.where(receive.complete, start_s + receive_s, np.inf)[:, :, None]
        return self._rest(state, start_s, receive, receive_s, trains_at, sender_w)

    def companions(self, state: PlanState, node: int, layer: int) -> tuple[int, ...]:
        """Who goes along by the scenario's rule, given true times: legal nodes other than `node`, best first.

        `state` is one plan without a hop yet.
        """
        view = state.view
        alone = self.hop_costs(replace(state, view=replace(view, parallel=1)))
        rank = companion_rank(view.companions, alone.time_s, state.divergence)[0, :, layer]
        rank = np.where(view.legal[:, layer] & (np.arange(view.n_nodes) != node), rank, np.inf)
        first = np.argsort(rank, kind="stable")[: view.parallel - 1]
        return tuple(int(n) for n in first if np.isfinite(rank[n]))

    def _rest(
        self,
        state: PlanState,
        start_s: Floats,
        receive: Advanced,
        receive_s: Floats,
        trains_at: Floats,
        sender_w: Floats,
    ) -> HopCosts:
        view, network = state.view, self._network
        flops, upload = hop_flops(view), upload_bytes(view, state.lacking_pce)
        train = self._each_node(COMPUTE, trains_at, flops[None])
        came = receive.complete[:, :, None]
        power, radio = network.compute_power_w[:, None], network.radio_power_w
        done = np.where(came, train.done, 0.0)
        own_j = costs.compute_energy(power, costs.busy_time(done, network.peak_flops[:, None]))
        own_j = own_j + costs.radio_energy(radio, receive.elapsed_s)[:, :, None]
        time_s, arrives = np.where(came, train.elapsed_s, 0.0), came
        if upload.any():
            bits = upload * costs.BITS_PER_BYTE
            send = self._each_node(UPLINK, trains_at + train.elapsed_s, bits)
            rtt_s = costs.round_trip_time(upload, network.rtt_s[:, None])
            time_s = time_s + np.where(came, send.elapsed_s + send.complete * rtt_s, 0.0)
            own_j = own_j + costs.radio_energy(radio[:, None], np.where(came, send.elapsed_s, 0.0))
            arrives = came & send.complete if view.mode == "cs" else came
        time_s = receive_s[:, :, None] + time_s
        both_j = own_j + costs.radio_energy(sender_w, receive.elapsed_s)[:, :, None]
        n_bytes = state.missing_bytes[:, :, None] + np.where(came, upload, 0.0)
        hop = HopForecast(time_s, both_j, n_bytes, own_j)
        if view.parallel > 1:
            rank = companion_rank(view.companions, time_s, state.divergence)
            hop = together(state.legal & np.isfinite(start_s)[:, :, None], view.parallel, hop, rank)
        share = np.clip(done / np.maximum(flops - view.evaluation_flops, 1e-300), 0.0, 1.0)
        return HopCosts(hop.time_s, hop.energy_j, hop.n_bytes, hop.node_energy_j, share * arrives)

    def _look_ahead(self, view: ProcessView, latest_s: float) -> None:
        """See to it that curves reach far enough."""
        deadline_s = view.budget.time_s
        if self._end_s < min(deadline_s, latest_s + FORESIGHT_S / 2):
            self._end_s = min(deadline_s, latest_s + FORESIGHT_S)
            network, nodes = self._network, range(self._network.n_nodes)
            courses = [network.compute_course(node) for node in nodes]
            courses += [network.link_course(node, PCE) for node in nodes]
            courses += [network.link_course(PCE, node) for node in nodes]
            self._curves = {OWN: Curves(courses, self._end_s, network.timeout_s)}

    def _begins(self, state: PlanState) -> Bools:
        """[B, n_nodes]: whether the node and whoever holds the model are there at the plan's clock."""
        n = state.view.n_nodes
        rates = self._curves[OWN].rate(state.clock_s[:, None], np.arange(3 * n))
        up: Bools = np.all(rates.reshape(-1, 3, n) > 0, axis=1)
        holder_up = (state.holder == PCE) | up[np.arange(len(state)), state.holder]
        begins: Bools = up & holder_up[:, None]
        return begins

    def _receive(self, state: PlanState, start_s: Floats, bits: Floats) -> Advanced:
        """[B, n_nodes]: of the transfer from each plan's holder."""
        here = np.isfinite(start_s)  # all that the holder itself needs: it lacks nothing
        found = Advanced(np.zeros_like(start_s), np.where(here, 0.0, np.inf), here)
        nodes = np.arange(state.view.n_nodes)
        for holder in np.unique(state.holder).tolist():
            rows, others = np.flatnonzero(state.holder == holder)[:, None], nodes[nodes != holder]
            at = rows, others
            curves, row = self._sent_from(holder, others)
            got = curves.advance(start_s[at], bits[at], row)
            found.done[at], found.elapsed_s[at], found.complete[at] = got.done, got.elapsed_s, got.complete
        return found

    def _sent_from(self, holder: int, others: Ints) -> tuple[Curves, Ints]:
        """Curves of the links from one end, and the rows in them of those to other nodes."""
        if holder == PCE:
            return self._curves[OWN], DOWNLINK * self._network.n_nodes + others
        if holder not in self._curves:
            network = self._network
            courses = [network.link_course(holder, node) for node in others.tolist()]
            self._curves[holder] = Curves(courses, self._end_s, network.timeout_s)
        return self._curves[holder], np.arange(len(others))

    def _each_node(self, kind: int, start_s: Floats, amount: Floats) -> Advanced:
        """[B, n_nodes, n_middle]: of every node's upload or own work."""
        n = self._network.n_nodes
        return self._curves[OWN].advance(start_s, amount, (kind * n + np.arange(n))[:, None])


def unwatched(name: str, why: str) -> SnakegymError:
    """That a yardstick was asked without an environment: `why` it needs one."""
    return SnakegymError(
        f"scheduler '{name}': found no environment to look into, expected one: it {why}, and can neither "
        "drive a real process nor decide from a view"
    )
