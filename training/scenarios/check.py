"""`snakegym scenarios check`: is a scenario worth solving?

Three questions, answered by measuring: can it be learned at all, do the decisions matter, and is
the reward of one decision more than the noise of its training?
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.markup import escape

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.analysis.groups import Records
from snakegym.training.analysis.intervals import LEVEL, estimate
from snakegym.training.analysis.statistics import Spread, spread
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed
from snakegym.training.scenarios.config import CheckScenario
from snakegym.training.show.evaluation import measures_table
from snakegym.training.show.tables import console, plain_table, print_tables

RULES = ("serpentine", "random", "fastest", "most-data", "same-node")
REACHES = 0.85
"""Validation accuracy that round robin should see before its budget ends."""
DIFFERENCE = 0.05
"""Accuracy by which the best and the worst rule should differ, beyond their intervals."""
SHARE = 0.5
"""Share of a hop's variance of gain that should lie between actions."""
FACTOR = 2.0
"""How far a nominal cost may be off."""
PROBE_HOPS = (0, 4, 9, 16, 25)
"""Hops of a round-robin episode before which the spread is measured."""
PROBE_ACTIONS = 8
PROBE_SEEDS = 4


@dataclass(frozen=True)
class Verdict:
    """One question with its measured answer."""

    good: bool
    text: str


@dataclass(frozen=True)
class CheckResult:
    """What was measured of a scenario."""

    records: Records
    """Episodes of each fixed rule."""
    probes: Mapping[int, Spread]
    """Spread of one hop's gain after so many hops."""
    verdicts: Sequence[Verdict]


def check(config: CheckScenario) -> CheckResult:
    """Measure and print. Raises SnakegymError for a scenario that does not load."""
    config.validate()
    torch.set_num_threads(1)
    scenario = scenario_of(config.name, config.skip_bad_traces, config.trace_format)
    env = SerpentineEnv(scenario, split=config.split, traces=config.traces)
    records = play_rules(env, config)
    probes = probe(env, config.seed)
    _print_rules(env, config, records)
    _print_probes(probes)
    _print_nominal(env, records)
    out = console()
    found = verdicts(env, records, probes)
    for verdict in found:
        mark = "[green]yes[/]" if verdict.good else "[red]NO [/]"
        out.print(f"{mark}  {escape(verdict.text)}")
    return CheckResult(records, probes, found)


def play_rules(env: SerpentineEnv, config: CheckScenario) -> dict[str, list[EpisodeRecord]]:
    """The same episodes under each fixed rule."""
    records: dict[str, list[EpisodeRecord]] = {}
    with progress(len(RULES) * config.episodes, "rules", "episode", leave=False) as bar:
        for name in RULES:
            scheduler = make_scheduler(name, env.scenario)
            records[name] = []
            for i in range(config.episodes):
                records[name].append(play_scheduler(env, scheduler, i, episode_seed(config.seed, i)))
                bar.update()
    return records


def probe(env: SerpentineEnv, seed: int) -> dict[int, Spread]:
    """Spread of one hop's gain over actions and over training seeds, at states of a round-robin episode."""
    rng = np.random.default_rng(derive_seed(seed, "probe"))
    scheduler = make_scheduler("serpentine", env.scenario)
    scheduler.reset(0)
    env.reset(seed=episode_seed(seed, 0, "probe"))
    found: dict[int, Spread] = {}
    with progress(len(PROBE_HOPS), "probes", "state", leave=False) as bar:
        while not env.controller.ended and len(found) < len(PROBE_HOPS):
            hops = len(env.controller.history)
            if hops in PROBE_HOPS and hops not in found and np.count_nonzero(env.action_masks()) > 2:
                found[hops] = spread(gains(env, rng))
                bar.update()
            env.step(env.codec.encode(scheduler.schedule(env.view())))
    return found


def gains(env: SerpentineEnv, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gain of one hop [actions, seeds] from the present state, which is left as it is."""
    legal = np.flatnonzero(env.action_masks()[: env.codec.wait])
    actions = rng.choice(legal, size=min(PROBE_ACTIONS, len(legal)), replace=False)
    seeds = rng.integers(2**31, size=PROBE_SEEDS)
    return np.array([[_gain(env, int(action), int(seed)) for seed in seeds] for action in actions])


def _gain(env: SerpentineEnv, action: int, seed: int) -> float:
    trial = copy.deepcopy(env)
    trial.controller.reseed(seed)
    trial.step(action)
    return trial.controller.history[-1].gain


def verdicts(
    env: SerpentineEnv, records: dict[str, list[EpisodeRecord]], probes: dict[int, Spread]
) -> list[Verdict]:
    """What the measurements say."""
    return [
        _learnable(records["serpentine"]),
        _decisions_matter(records),
        _signal(probes),
        *_nominal_verdicts(env, records),
    ]


def _learnable(episodes: Sequence[EpisodeRecord]) -> Verdict:
    start = float(np.mean([e["initial_accuracy"] for e in episodes]))
    best = [max((hop["metric"] for hop in e["trace"]), default=0.0) for e in episodes]
    reached = sum(b >= REACHES for b in best)
    return Verdict(
        reached > len(episodes) / 2,
        f"it can be learned: from {start:.0%}, round robin reaches {REACHES:.0%} validation accuracy "
        f"within its budget in {reached} of {len(episodes)} episodes (at its best it has "
        f"{estimate(best).value:.1%})",
    )


def _decisions_matter(records: dict[str, list[EpisodeRecord]]) -> Verdict:
    ranked = sorted(records, key=lambda name: _accuracy(records[name]))
    worst, best = ranked[0], ranked[-1]
    differences = [
        b["validation_accuracy"] - w["validation_accuracy"]
        for b, w in zip(records[best], records[worst], strict=True)
    ]
    # These two were picked as they differ most: the confidence has to hold for every pair at once.
    pairs = len(ranked) * (len(ranked) - 1) / 2
    difference = estimate(differences, level=1 - (1 - LEVEL) / pairs)
    found = "one episode tells nothing" if difference.low is None else f"found {100 * difference.low:.1f}"
    return Verdict(
        difference.low is not None and difference.low >= DIFFERENCE,
        f"decisions matter: {best} ends {100 * difference.value:.1f} points of accuracy above {worst} "
        f"(expected {100 * DIFFERENCE:.0f} or more with {LEVEL:.0%} confidence, {found})",
    )


def _accuracy(episodes: Sequence[EpisodeRecord]) -> float:
    return estimate([e["validation_accuracy"] for e in episodes]).value


def _signal(probes: dict[int, Spread]) -> Verdict:
    between = sum(p.between**2 for p in probes.values())
    total = between + sum(p.within**2 for p in probes.values())
    share = between / total if total > 0 else 0.0
    return Verdict(
        share >= SHARE,
        f"a hop's gain is more than noise: {share:.0%} of its variance lies between actions, "
        f"the rest between training seeds (expected {SHARE:.0%} or more)",
    )


def _nominal_verdicts(env: SerpentineEnv, records: dict[str, list[EpisodeRecord]]) -> list[Verdict]:
    result = []
    for key, stated, measured, unit in nominal_costs(env, records["serpentine"]):
        result.append(
            Verdict(
                1 / FACTOR <= measured / stated <= FACTOR,
                f"objective.nominal.{key}: {stated:g} {unit} in the scenario, {measured:.4g} under "
                f"round robin (expected within a factor of {FACTOR:g})",
            )
        )
    return result


def nominal_costs(
    env: SerpentineEnv, episodes: Sequence[EpisodeRecord]
) -> list[tuple[str, float, float, str]]:
    """Field, what the scenario states, mean of the hops, unit."""
    hops = [hop for episode in episodes for hop in episode["trace"]]
    nominal = env.scenario.objective.nominal
    times = [h["receive_s"] + h["compute_s"] + h["send_s"] for h in hops]
    measured = (times, [h["energy_j"] for h in hops], [h["n_bytes"] for h in hops])
    fields = (
        ("time_s", nominal.time_s, "s"),
        ("energy_j", nominal.energy_j, "J"),
        ("n_bytes", nominal.n_bytes, "B"),
    )
    return [
        (key, stated, float(np.mean(m)) if m else 0.0, unit)
        for (key, stated, unit), m in zip(fields, measured, strict=True)
    ]


def _print_rules(env: SerpentineEnv, config: CheckScenario, records: dict[str, list[EpisodeRecord]]) -> None:
    from snakegym.training.analysis.groups import group
    from snakegym.training.analysis.summary import summarise

    title = f"Fixed rules on {config.episodes} {config.split} episodes of scenario '{env.scenario.name}'"
    print_tables(console(), [measures_table(title, summarise(group(records)))])


def _print_probes(probes: dict[int, Spread]) -> None:
    table = plain_table("Gain of one hop, in points of accuracy")
    for title in ("State: after", "Spread over actions", "Spread over seeds", "Share of actions"):
        table.add_column(title, justify="right")
    for hops, s in probes.items():
        table.add_row(
            f"{hops} hops", f"{100 * s.between:.2f}", f"{100 * s.within:.2f}", f"{s.share_between:.0%}"
        )
    out = console()
    out.print(table)
    out.print(
        f"[dim]standard deviations; {PROBE_ACTIONS} actions with {PROBE_SEEDS} training seeds each[/dim]\n"
    )


def _print_nominal(env: SerpentineEnv, records: dict[str, list[EpisodeRecord]]) -> None:
    table = plain_table("Mean costs of a hop")
    for title in ("Rule", "Time s", "Energy J", "Bytes kB"):
        table.add_column(title, justify="left" if title == "Rule" else "right")
    for name, episodes in records.items():
        time_s, energy_j, n_bytes = (measured for _, _, measured, _ in nominal_costs(env, episodes))
        table.add_row(name, f"{time_s:.2f}", f"{energy_j:.2f}", f"{n_bytes / 1000:.1f}")
    nominal = env.scenario.objective.nominal
    table.add_section()
    table.add_row(
        "in the scenario", f"{nominal.time_s:.2f}", f"{nominal.energy_j:.2f}", f"{nominal.n_bytes / 1000:.1f}"
    )
    out = console()
    out.print(table)
    out.print()
