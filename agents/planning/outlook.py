"""What hops cost that are only planned: one seam for forecasts and, as a yardstick, for the true future."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from snakegym.agents.planning.forecasts import RateForecast, RecentRates
from snakegym.agents.planning.state import PlanState
from snakegym.control.forecast import (
    HopForecast,
    Rates,
    companion_rank,
    hop_flops,
    price,
    together,
    upload_bytes,
)
from snakegym.control.view import Floats
from snakegym.network import costs
from snakegym.network.records import PCE
from snakegym.scenario import Objective


@dataclass(frozen=True)
class HopCosts:
    """Of every next hop of B plans, each [B, n_nodes, n_middle]; with its companions in parallel mode."""

    time_s: Floats
    """Infinite where it could not be carried out."""
    energy_j: Floats
    """Of all who take part; there infinite too, unless the radios take no power."""
    n_bytes: Floats
    node_energy_j: Floats
    """Of the node that trains alone: what its battery has to have."""
    delivered: Floats
    """Probability, in [0, 1], that nothing drops out so that its gain comes to the model."""

    def price(self, objective: Objective) -> Floats:
        """[B, n_nodes, n_middle]: in reward units; infinite where the time is."""
        return price(objective, self.time_s, self.energy_j, self.n_bytes)


class Outlook(Protocol):
    """Says what hops will cost that are planned from a state, each plan at its own clock."""

    def hop_costs(self, state: PlanState) -> HopCosts:
        """Of every pair of node and middle layer as the next hop of every plan, legal or not."""
        ...


class NominalOutlook:
    """What the scenario says that a hop costs: for hops of nodes of which nothing is known at present."""

    def hop_costs(self, state: PlanState) -> HopCosts:
        """See `Outlook`; all are delivered, and no battery is asked for anything."""
        view, nominal = state.view, state.view.objective.nominal
        shape = len(state), view.n_nodes, view.n_middle
        return HopCosts(
            np.full(shape, nominal.time_s),
            np.full(shape, nominal.energy_j),
            np.full(shape, nominal.n_bytes),
            node_energy_j=np.zeros(shape),
            delivered=np.ones(shape),
        )


class ForecastOutlook:
    """Costs at forecast rates: those expected of the time in which the hop begins stay until it ends.

    On a network whose rates never change it is exact; with `RecentRates`, costs of a state without a
    planned hop are those of `snakegym.control.forecast`.
    """

    def __init__(self, rates: RateForecast | None = None) -> None:
        self.rates = RecentRates() if rates is None else rates

    def hop_costs(self, state: PlanState) -> HopCosts:
        """See `Outlook`."""
        view = state.view
        rates = self.rates.expected(view, state.clock_s - view.clock_s)
        hop, link_s, compute_s = _alone(state, rates)
        if view.parallel > 1:
            rank = companion_rank(view.companions, hop.time_s, state.divergence)
            hop = together(state.legal, view.parallel, hop, rank)
        hazards = self.rates.hazards(view)
        drops = hazards.link[:, None] * np.where(np.isfinite(link_s), link_s, 0.0)
        # Of training that is interrupted half is done, on average, and comes to the model all the same.
        drops = drops + hazards.compute[:, None] / 2 * np.where(np.isfinite(compute_s), compute_s, 0.0)
        return HopCosts(hop.time_s, hop.energy_j, hop.n_bytes, hop.node_energy_j, delivered=np.exp(-drops))


def _alone(state: PlanState, rates: Rates) -> tuple[HopForecast, Floats, Floats]:
    """Each [B, n_nodes, n_middle], of the node by itself, and seconds on the air and of computing.

    `rates` are [B, n_nodes].
    """
    view, nodes, b = state.view, state.view.nodes, np.arange(len(state))
    sent = state.holder != PCE
    sender_up = np.where(sent, rates.uplink_bps[b, state.holder], np.inf)
    sender_rtt, sender_w = (np.where(sent, a[state.holder], 0.0) for a in (nodes.rtt_s, nodes.radio_power_w))
    missing = state.missing_bytes
    air_s = costs.air_time(missing, np.minimum(sender_up[:, None], rates.downlink_bps))
    receive_s = air_s + costs.round_trip_time(missing, sender_rtt[:, None] + nodes.rtt_s)
    flops, peak = hop_flops(view), nodes.peak_flops[:, None]
    compute_s = costs.compute_time(flops, peak, rates.availability[:, :, None])
    compute_j = costs.compute_energy(nodes.compute_power_w[:, None], costs.busy_time(flops, peak))
    link_s = receive_s[:, :, None]
    time_s = link_s + compute_s
    own_j = costs.radio_energy(nodes.radio_power_w, air_s)[:, :, None] + compute_j
    upload = upload_bytes(view, state.lacking_pce)
    if upload.any():
        sent_s = costs.air_time(upload, rates.uplink_bps[:, :, None])
        send_s = sent_s + costs.round_trip_time(upload, nodes.rtt_s[:, None])
        link_s, time_s = link_s + send_s, time_s + send_s
        own_j = own_j + costs.radio_energy(nodes.radio_power_w[:, None], sent_s)
    both_j = own_j + costs.radio_energy(sender_w[:, None], air_s)[:, :, None]
    hop = HopForecast(time_s, both_j, missing[:, :, None] + upload, own_j)
    return hop, link_s, compute_s
