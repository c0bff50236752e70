"""`snakegym scenarios check`: is a scenario worth solving?

Four questions, answered by measuring: can it be learned at all, do the decisions matter, is the
reward of one decision more than the noise of its training, and does the layer matter beside the node?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from rich.markup import escape

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.analysis.groups import Records
from snakegym.training.analysis.intervals import LEVEL, estimate
from snakegym.training.analysis.variance import Shares
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.progress import progress
from snakegym.training.scenarios.config import CheckScenario
from snakegym.training.scenarios.probes import Probe, print_probes, probe, shares
from snakegym.training.show.evaluation import measures_table
from snakegym.training.show.tables import console, plain_table, print_tables

RULES = ("serpentine", "random", "fastest", "most-data", "same-node")
REACHES = 0.85
"""Validation accuracy that round robin should see before its budget ends."""
DIFFERENCE = 0.05
"""Accuracy by which the best and the worst rule should differ, beyond their intervals."""
NOISE = 0.1
"""Share of the variance of a hop's reward that may lie between repetitions."""
LAYERS_MATTER = 0.3
"""Share that that should come from the layer, and from which node trains which."""
FACTOR = 2.0
"""How far a nominal cost may be off."""


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
    probes: Sequence[Probe]
    """Rewards of single hops from the same states."""
    shares: Shares
    """What these rewards depend on."""
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
    print_probes(probes)
    _print_nominal(env, records)
    out = console()
    parts = shares(probes)
    found = verdicts(env, records, parts)
    for verdict in found:
        mark = "[green]yes[/]" if verdict.good else "[red]NO [/]"
        out.print(f"{mark}  {escape(verdict.text)}")
    return CheckResult(records, probes, parts, found)


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


def verdicts(env: SerpentineEnv, records: dict[str, list[EpisodeRecord]], parts: Shares) -> list[Verdict]:
    """What the measurements say."""
    return [
        _learnable(records["serpentine"]),
        _decisions_matter(records),
        _signal(parts),
        _layers_matter(parts),
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


def _signal(found: Shares) -> Verdict:
    return Verdict(
        found.variance > 0 and found.repetition <= NOISE,
        f"a hop's reward is more than noise: {found.repetition:.1%} of its variance lies between repetitions "
        f"(expected {NOISE:.0%} or less)",
    )


def _layers_matter(found: Shares) -> Verdict:
    share = found.layer + found.both
    return Verdict(
        share >= LAYERS_MATTER,
        f"layers matter: {share:.1%} of the variance of a hop's reward comes from the layer "
        f"({found.layer:.1%}) and from which node trains which ({found.both:.1%}) (expected "
        f"{LAYERS_MATTER:.0%} or more)",
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
