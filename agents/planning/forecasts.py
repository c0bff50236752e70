"""Forecasts of rates, from what the view shows: how fast nodes and links will be, and whether they stay."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Protocol

import numpy as np
from pydantic import Field, ValidationError

from snakegym.agents.planning.fitted.files import fitted_to
from snakegym.control.forecast import Rates, expected_rates
from snakegym.control.view import Floats, ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, Section, describe_faults
from snakegym.scenario.section import Share


@dataclass(frozen=True)
class Hazards:
    """Drop-outs that interrupt a hop, each [n_nodes], per second."""

    link: Floats
    """While something is on the air."""
    compute: Floats
    """While the node computes."""


class RateForecast(Protocol):
    """Expects rates from a view."""

    def expected(self, view: ProcessView, ahead_s: Floats) -> Rates:
        """Each [B, n_nodes]: of a hop that begins `ahead_s` [B] seconds, each >= 0, after the view."""
        ...

    def hazards(self, view: ProcessView) -> Hazards:
        """How often nodes drop out."""
        ...


class RecentRates:
    """Half what is measured now and half the recent mean, however far ahead; nothing drops out.

    Exact where rates never change.
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

    def hazards(self, view: ProcessView) -> Hazards:
        """See `RateForecast`."""
        return Hazards(np.zeros(view.n_nodes), np.zeros(view.n_nodes))


class Reversion(Section):
    """How a rate goes back to its mean.

    With `now` the present rate, `recent` its mean over the last window of measurement and `own` that over the
    node's whole history, the rate expected t seconds ahead is m + weight * exp(-t / tau_s) * (p - m), where
    p = now_share * now + (1 - now_share) * recent and m = mean + own_share * (own - mean).
    """

    mean: Annotated[float, Field(ge=0)]
    """What rates of all nodes go back to: a share, or bit/s. Below their mean, as slow nodes cost most."""
    tau_s: Annotated[float, Field(gt=0)]
    """Time in which a difference shrinks to 37 %."""
    now_share: Share
    """How much of what shows at present is of this very moment."""
    weight: Share
    """How much of the present difference is more than a moment's."""
    own_share: Share
    """How much of a node's own mean lasts."""

    def expected(self, now: Floats, recent: Floats, own: Floats, ahead_s: Floats, length_s: float) -> Floats:
        """[B, n_nodes], >= 0: mean over `length_s` > 0 seconds from `ahead_s` [B] on.

        Args:
            now: [n_nodes]: rate at present.
            recent: [n_nodes]: mean over the last window.
            own: [n_nodes]: mean over the node's history.
            ahead_s: [B].
            length_s: of what is to be done.
        """
        start, length = ahead_s[:, None] / self.tau_s, length_s / self.tau_s
        remains = self.weight * np.exp(-start) * (-np.expm1(-length) / length)
        towards = self.mean + self.own_share * (own - self.mean)
        present = self.now_share * now + (1.0 - self.now_share) * recent
        expected: Floats = np.maximum(0.0, towards + remains * (present - towards))
        return expected


class DropOuts(Section):
    """How often something that is there drops out for longer than the timeout."""

    always_there: Annotated[float, Field(ge=0)]
    """Per second, of a node that was there all the time lately."""
    always_away: Annotated[float, Field(ge=0)]
    """How many more of one that was away nearly all the time."""

    def per_s(self, away: Floats) -> Floats:
        """[n_nodes], given the share of its history that each was away."""
        hazard: Floats = self.always_there + self.always_away * away
        return hazard


class RateForecasts(Section):
    """What `snakegym fit` finds out about the traces of a scenario."""

    traces: str
    """Which traces these are: see `fingerprint_of_traces`."""
    availability: Reversion
    uplink: Reversion
    downlink: Reversion
    link_drops: DropOuts
    compute_drops: DropOuts


class RevertingRates:
    """Rates go back to their means, as fast as was fitted to the scenario; nodes drop out as often.

    Args:
        fitted: to the scenario's training traces.
    """

    def __init__(self, fitted: RateForecasts) -> None:
        self._fitted = fitted

    def expected(self, view: ProcessView, ahead_s: Floats) -> Rates:
        """See `RateForecast`; means over a nominal hop."""
        nodes, fitted, length_s = view.nodes, self._fitted, view.objective.nominal.time_s

        def rates(of: Reversion, now: Floats, past: Floats) -> Floats:
            return of.expected(now, past[:, -1], past.mean(axis=1), ahead_s, length_s)

        return Rates(
            rates(fitted.availability, nodes.availability, nodes.past_availability),
            rates(fitted.uplink, nodes.uplink_bps, nodes.past_uplink_bps),
            rates(fitted.downlink, nodes.downlink_bps, nodes.past_downlink_bps),
        )

    def hazards(self, view: ProcessView) -> Hazards:
        """See `RateForecast`."""
        away = 1.0 - view.nodes.past_up.mean(axis=1)
        return Hazards(self._fitted.link_drops.per_s(away), self._fitted.compute_drops.per_s(away))


def fingerprint_of_traces(scenario: Scenario) -> str:
    """Of the traces that the scenario asks for, wherever they lie: forecasts for others are not for it."""
    fields = scenario.network.traces.model_dump(mode="json", exclude={"source", "skip_bad"})
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def load_forecast(scenario: Scenario) -> RateForecast:
    """As fitted to the scenario (`snakegym fit`); `RecentRates` where none were, or to other traces.

    Raises SnakegymError if the file that the scenario names is not there or damaged.
    """
    found = fitted_to(scenario)
    if found is None or found.forecasts is None:
        return RecentRates()
    try:
        fitted = RateForecasts.model_validate(found.forecasts)
    except ValidationError as error:
        raise SnakegymError(
            f"fitted to '{found.scenario}', {describe_faults(error, 'forecasts.{}')}"
        ) from None
    return RevertingRates(fitted) if fitted.traces == fingerprint_of_traces(scenario) else RecentRates()
