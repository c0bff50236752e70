"""Oort: guided selection of participants, known from federated learning, carried over to nodes and layers.

Lai, Zhu, Madhyastha and Chowdhury, "Oort: Efficient Federated Learning via Guided Participant Selection",
OSDI 2021 (arXiv:2010.06081), algorithm 1.
"""

from __future__ import annotations

import numpy as np

from snakegym.agents.rules import next_layer
from snakegym.control.forecast import forecast
from snakegym.control.records import Assignment
from snakegym.control.view import Bools, Floats, ProcessView
from snakegym.scenario import Scenario

EXPLORATION, EXPLORATION_DECAY, LEAST_EXPLORATION = 0.9, 0.98, 0.2
PENALTY = 2.0
"""Exponent with which a hop beyond the preferred duration loses utility."""
PACER_WINDOW = 20
"""Hops after which the preferred duration is looked at again."""
PACER_STEP = 10
"""Percentiles of the forecast durations by which it is then relaxed; it begins at the first step."""
CUT_OFF = 0.95
"""Share of the highest utility from which pairs are drawn."""
CLIP = 95
"""Percentile at which utilities are capped, against outliers."""


class OortScheduler:
    """Statistical times system utility, with a bonus for who was long away, and exploration.

    With probability 0.9, falling by 2 % a hop to 0.2, a pair is drawn of a node that has not trained yet,
    faster ones more likely. Otherwise one is drawn of the pairs with the highest utility, in proportion to
    it: what the pair brought last, scaled to [0, 1], and sqrt(0.1 log R / L) at hop R if it trained at hop L
    last, times (T / t)**2 where its forecast duration t exceeds the preferred one T. A pacer lets T grow when
    the last 20 hops brought less than the 20 before.

    What differs from the paper, as one hop is no round of hundreds of clients:

    - *Statistical utility* there comes from the training losses on a client's samples, which a Process
      Controller does not see. Here it is the measured gain of the pair's last hop; of a pair that was never
      tried on a node that was, the mean of the node's last gain and the layer's.
    - Durations are forecast and not those of the last time, so T is a percentile of the forecasts.
    - One pair is chosen (its companions in parallel mode by the process), and it has to be legal.
    - While new nodes are drawn their layers come from early to deep, as those of all rules here.

    It waits only if nothing is legal, and never finishes.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.reset(0)

    def reset(self, seed: int) -> None:
        """Forget the last episode and seed the draws."""
        self._rng = np.random.default_rng(seed)
        self._exploration = EXPLORATION
        self._percentile = float(PACER_STEP)
        self._brought: list[float] = []
        self._hops, self._metric = 0, 0.0

    def schedule(self, view: ProcessView) -> Assignment | None:
        """A new node's pair or one of the most useful; None if nothing is legal."""
        self._follow(view)
        if not view.legal.any():
            return None
        time_s = forecast(view).time_s
        new = view.legal & (view.nodes.visits == 0)[:, None]
        explores = self._rng.random() < self._exploration
        self._exploration = max(LEAST_EXPLORATION, self._exploration * EXPLORATION_DECAY)
        tried = view.legal & ~new
        if new.any() and (explores or not tried.any()):
            return self._new(view, new, time_s)
        return self._known(view, tried, time_s)

    def _follow(self, view: ProcessView) -> None:
        """Keep what the hops since the last decision brought; the pacer relaxes where that dwindles."""
        if view.hops > self._hops:
            self._brought.append(view.metric - self._metric)
            full, rest = divmod(len(self._brought), PACER_WINDOW)
            if rest == 0 and full > 1:
                latest = sum(self._brought[-PACER_WINDOW:])
                if latest < sum(self._brought[-2 * PACER_WINDOW : -PACER_WINDOW]):
                    self._percentile = min(100.0, self._percentile + PACER_STEP)
        self._hops, self._metric = view.hops, view.metric

    def _new(self, view: ProcessView, new: Bools, time_s: Floats) -> Assignment:
        """A pair of a node that has not trained yet, by speed."""
        layer = int(np.flatnonzero(new.any(axis=0))[0])
        usual = next_layer(view)
        if usual is not None and new[:, usual].any():
            layer = usual
        speed = np.where(new[:, layer], 1 / np.maximum(time_s[:, layer], 1e-9), 0.0)
        return Assignment(self._draw(speed, new[:, layer]), layer)

    def _known(self, view: ProcessView, tried: Bools, time_s: Floats) -> Assignment:
        """One of the most useful pairs of nodes that have trained."""
        utility = self.utility(view, tried, time_s)
        chosen = tried & (utility >= CUT_OFF * utility[tried].max())
        pair = self._draw(np.where(chosen, utility, 0.0).ravel(), chosen.ravel())
        return Assignment(*divmod(pair, view.n_middle))

    def utility(self, view: ProcessView, pairs: Bools, time_s: Floats) -> Floats:
        """[n_nodes, n_middle], >= 0: of the marked pairs, whose forecast durations are `time_s`; else 0."""
        before = view.pairs.last_hop >= 0
        guess = (view.nodes.last_gain[:, None] + view.layers.last_gain) / 2
        gain = np.where(before, view.pairs.last_gain, guess)
        least = float(gain[pairs].min())
        most = max(float(np.percentile(gain[pairs], CLIP)), least)
        scaled = np.clip((gain - least) / (most - least), 0.0, 1.0) if most > least else np.ones_like(gain)
        last = np.where(before, view.pairs.last_hop, 0) + 1
        stale = np.sqrt(0.1 * np.log(view.hops + 1) / last)
        preferred = float(np.percentile(time_s[pairs], self._percentile))
        slow = (preferred / np.maximum(time_s, preferred)) ** PENALTY if np.isfinite(preferred) else 1.0
        return np.where(pairs, (scaled + stale) * slow, 0.0)

    def _draw(self, weights: Floats, allowed: Bools) -> int:
        """One of the allowed, in proportion to its weight; if none weighs anything, each alike."""
        total = float(weights.sum())
        chances = weights / total if 0 < total < np.inf else allowed / allowed.sum()
        return int(self._rng.choice(len(chances), p=chances))
