"""Forecasts of rates, from what the view shows: how fast nodes and links will be, and whether they stay.

All are exact on a network whose rates never change.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from snakegym.control.forecast import Rates, expected_rates
from snakegym.control.view import Floats, ProcessView


class RateForecast(Protocol):
    """Expects rates from a view."""

    def expected(self, view: ProcessView, ahead_s: Floats) -> Rates:
        """Each [B, n_nodes]: of a hop that begins `ahead_s` [B] seconds, each >= 0, after the view."""
        ...

    def hazard(self, view: ProcessView) -> Floats:
        """[n_nodes]: drop-outs that interrupt a hop, per second of the hop."""
        ...


class RecentRates:
    """Half what is measured now and half the recent mean, however far ahead; nothing drops out.

    As `control.forecast.expected_rates`, which the Process Controller itself goes by.
    """

    def expected(self, view: ProcessView, ahead_s: Floats) -> Rates:
        """See `RateForecast`."""
        rates, shape = expected_rates(view), (len(ahead_s), view.n_nodes)
        return Rates(
            np.broadcast_to(rates.availability, shape),
            np.broadcast_to(rates.uplink_bps, shape),
            np.broadcast_to(rates.downlink_bps, shape),
        )

    def hazard(self, view: ProcessView) -> Floats:
        """See `RateForecast`."""
        return np.zeros(view.n_nodes)
