"""The network learns what there is to learn; errors say how much that was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from snakegym.agents.planning.fitted.features import FEATURES, GAINS
from snakegym.errors import SnakegymError
from snakegym.training.fit.errors import explained, held_out, optimism, split
from snakegym.training.fit.network import fit_network
from snakegym.training.fit.record import HopRow, Recording

METRIC, NODE_GAIN = GAINS["metric"], GAINS["node_gain"]


def recordings(n: int, hops: int = 20, noise: float = 0.0) -> list[Recording]:
    """Processes in which layer 0 brings a fifth of what is left below 0.9, and layer 1 a tenth."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(n):
        metric, recent, rows = float(rng.uniform(0.1, 0.6)), 0.0, []
        for i in range(hops):
            layer = int(rng.integers(2))
            gain = (0.9 - metric) * (0.2, 0.1)[layer] + noise * float(rng.normal())
            x = np.zeros(len(FEATURES))
            x[METRIC], x[GAINS["recent_gain"]], x[FEATURES.index("hops")] = metric, recent, np.log1p(i)
            rows.append(HopRow(i, layer, gain, 0.0, x.tolist(), True))
            metric, recent = metric + gain, recent + (gain - recent) / 4
        found.append(Recording(rows))
    return found


def test_what_can_be_known_is_learned() -> None:
    model = fit_network(recordings(60), 2, 0)
    x = np.zeros(len(FEATURES))
    x[METRIC], x[FEATURES.index("hops")] = 0.5, np.log1p(5)
    np.testing.assert_allclose(model.of(x), [0.08, 0.04], atol=0.01)
    assert model.ceiling < 0.95


def test_errors_of_one_hop_and_of_several() -> None:
    found, compared = held_out(recordings(60), 2, 0)
    assert found.episodes == 12
    assert [a.hops for a in found.ahead] == [1, 2, 4, 8]
    assert min(a.r2 for a in found.ahead) > 0.95
    assert found.nodes_alone < found.ahead[0].r2 - 0.05, "the layer matters"
    assert found.formula < 0, "it expected nothing of any hop"
    assert len(compared[8].measured) == 12 * 13
    assert explained(compared[8].expected, compared[8].measured) == found.ahead[-1].r2


def test_hops_that_were_cut_short_do_not_count() -> None:
    whole = recordings(20)
    cut = [Recording([replace(h, whole=i % 2 == 0, gain=h.gain if i % 2 == 0 else 5.0)
                      for i, h in enumerate(r.hops)]) for r in whole]  # fmt: skip
    assert fit_network(cut, 2, 0).highest < 1.0
    found, compared = held_out(cut, 2, 0)
    assert found.hops == 4 * 10
    assert len(compared[2].measured) == 0, "no two in a row are left"


def test_too_few_hops_are_refused() -> None:
    with pytest.raises(SnakegymError, match="found 19 whole hops in 1 of them, expected 20 or more"):
        fit_network(recordings(1, hops=19), 2, 0)


def test_optimism_is_that_of_the_last_part() -> None:
    """Promises of 0.1 in the last quarter: 0.1 less the mean gain of those hops; all others do not count."""
    found = recordings(8)
    for i, recording in enumerate(found):
        hops = [replace(h, chosen_for=0.1 if i >= 6 else 9.0) for h in recording.hops]
        found[i] = Recording([*hops, replace(hops[0], whole=False), replace(hops[0], chosen_for=None)])
    gains = [h.gain for r in found[6:] for h in r.hops[:20]]
    too_much, chosen = optimism(found)
    assert chosen == 40
    assert too_much == pytest.approx(0.1 - np.mean(gains))


def test_one_episode_of_five_is_held_out() -> None:
    all_of_them = recordings(10, hops=1)
    known, held = split(all_of_them)
    assert held == [all_of_them[4], all_of_them[9]]
    assert len(known) == 8
