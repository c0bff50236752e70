"""Forecasts that are fitted to traces know how rates go back to their means, and how often nodes drop out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snakegym.agents.planning import forecasts
from snakegym.agents.planning.forecasts import RateForecasts, RecentRates, RevertingRates, load_forecast
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.agents.yardsticks.truth import TrueOutlook
from snakegym.control.view import Floats
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.network.traces.library import load_library
from snakegym.network.traces.trace import LinkTrace, Trace, TraceLibrary
from snakegym.scenario import load_scenario
from snakegym.training.fit.rates import fit_forecasts

SCENARIO = load_scenario("default")
N = 20_000


def library(values: list[Floats]) -> TraceLibrary:
    """Traces with a value a second, for links in both directions and, scaled to shares, for computes."""
    traces = [Trace(f"t{i}", np.arange(len(v)), v) for i, v in enumerate(values)]
    shares = [Trace(t.name, t.times_s, t.values / max(1.0, t.values.max())) for t in traces]
    return TraceLibrary(tuple(LinkTrace(t.name, t, t) for t in traces), tuple(shares))


def wandering(tau_s: float, level: float, rng: np.random.Generator) -> Floats:
    """A rate around `level` that forgets where it was in `tau_s` seconds."""
    value, keep, values = 0.0, np.exp(-1 / tau_s), []
    for shock in rng.standard_normal(N):
        value = keep * value + np.sqrt(1 - keep**2) * shock
        values.append(max(0.0, level * (1 + 0.3 * value)))
    return np.array(values)


@pytest.mark.parametrize("tau_s", [10.0, 100.0])
def test_finds_how_fast_rates_go_back(tau_s: float) -> None:
    rng = np.random.default_rng(0)
    fitted = fit_forecasts(SCENARIO, library([wandering(tau_s, 1e6, rng) for _ in range(4)]))
    assert tau_s / 3 < fitted.downlink.tau_s < tau_s * 3
    assert 0.6e6 < fitted.downlink.mean < 1.05e6


def test_rates_that_never_change_stay() -> None:
    env = SerpentineEnv(SCENARIO, split="train")
    env.reset(seed=0)
    view = env.view()
    fitted = fit_forecasts(SCENARIO, library([np.full(100, level) for level in (1e5, 3e5, 1e6)]))
    nodes = replace(
        view.nodes,
        past_availability=np.repeat(view.nodes.availability[:, None], 4, axis=1),
        past_uplink_bps=np.repeat(view.nodes.uplink_bps[:, None], 4, axis=1),
        past_downlink_bps=np.repeat(view.nodes.downlink_bps[:, None], 4, axis=1),
    )
    rates = RevertingRates(fitted).expected(replace(view, nodes=nodes), np.array([0.0, 500.0]))
    for ahead in range(2):
        np.testing.assert_allclose(rates.uplink_bps[ahead], nodes.uplink_bps)
    assert (RevertingRates(fitted).hazards(view).link == 0).all()


def test_finds_how_often_links_drop_out() -> None:
    """An outage of 30 s in every 300 s, at random; the timeout is 10 s."""
    rng, values = np.random.default_rng(1), np.full(N, 1e6)
    starts = np.flatnonzero(rng.random(N) < 1 / 300)
    for start in starts.tolist():
        values[start : start + 30] = 0.0
    fitted = fit_forecasts(SCENARIO, library([values]))
    lost = 0.1  # a link is away for about a tenth of the time
    assert fitted.link_drops.per_s(np.array([lost]))[0] == pytest.approx(1 / 300, rel=0.4)


@pytest.fixture(scope="module")
def fitted() -> RateForecasts:
    return fit_forecasts(SCENARIO, load_library(SCENARIO.network.traces, split="train"))


def test_fitted_forecasts_err_less_on_other_traces(fitted: RateForecasts) -> None:
    """In the price of hops that are planned a minute ahead, on validation traces."""
    env = SerpentineEnv(SCENARIO, split="validation")
    errors: dict[str, list[Floats]] = {"recent": [], "fitted": []}
    for seed in range(40):
        env.reset(seed=seed)
        for _ in range(24):
            env.step(env.codec.wait)
        state = PlanState.of(env.view())
        later = replace(state, clock_s=state.clock_s + 60)
        truth = TrueOutlook(env.controller.network).hop_costs(later)
        within = np.isfinite(truth.time_s) & state.legal
        for name, outlook in (
            ("recent", ForecastOutlook()),
            ("fitted", ForecastOutlook(RevertingRates(fitted))),
        ):
            said, came = (costs.price(SCENARIO.objective) for costs in (outlook.hop_costs(later), truth))
            errors[name].append((np.minimum(said, 5.0) - np.minimum(came, 5.0))[within])
    recent, ours = (np.sqrt(np.mean(np.concatenate(e) ** 2)) for e in errors.values())
    assert ours < recent, (ours, recent)


def test_what_was_fitted_is_used_where_the_traces_are_the_same(
    fitted: RateForecasts, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Found:
        scenario = "default"
        forecasts = fitted.model_dump(mode="json")

    monkeypatch.setattr(forecasts, "fitted_to", lambda scenario: Found)
    assert isinstance(load_forecast(SCENARIO), RevertingRates)
    assert isinstance(load_forecast(load_scenario("flaky")), RecentRates)
    monkeypatch.setattr(Found, "forecasts", {**Found.forecasts, "uplink": 3})
    with pytest.raises(SnakegymError, match=r"fitted to 'default', forecasts\.uplink"):
        load_forecast(SCENARIO)
