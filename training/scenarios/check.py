"""`snakegym scenarios check`: are scenarios worth solving?

Four questions, answered by measuring: can it be learned, is the reward of one decision more than the noise of
its training, does the layer matter beside the node, and does the file state the costs that a hop has?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.markup import escape

from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import list_scenarios, score_name
from snakegym.training.analysis.groups import Records
from snakegym.training.analysis.variance import Shares
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.runs.folder import write_text
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.progress import progress
from snakegym.training.scenarios.central import central_accuracy
from snakegym.training.scenarios.config import CheckScenario
from snakegym.training.scenarios.probes import Probe, print_probes, probe, shares
from snakegym.training.scenarios.verdicts import Verdict, accuracy, nominal_costs, verdicts
from snakegym.training.show.evaluation import measures_table
from snakegym.training.show.tables import console, plain_table, print_tables

RULES = ("serpentine", "random", "fastest", "most-data", "same-node")


@dataclass(frozen=True)
class CheckResult:
    """What was measured of a scenario."""

    name: str
    records: Records
    """Episodes of each fixed rule."""
    probes: Sequence[Probe]
    """Rewards of single hops from the same states."""
    shares: Shares
    """What these rewards depend on."""
    central: float
    """Validation accuracy of central training (`central_accuracy`)."""
    verdicts: Sequence[Verdict]

    @property
    def good(self) -> bool:
        """Whether everything that is required of a scenario is there."""
        return all(verdict.good for verdict in self.verdicts if verdict.required)


def check(config: CheckScenario) -> list[CheckResult]:
    """Measure and print, one scenario after the other. Raises SnakegymError for one that does not load."""
    config.validate()
    torch.set_num_threads(1)
    names = [n for name in config.names for n in (list_scenarios() if name == "all" else (name,))]
    scenarios = [scenario_of(name, config.skip_bad_traces, config.trace_format) for name in names]
    envs = [SerpentineEnv(s, split=config.split, traces=config.traces) for s in scenarios]
    results = [check_one(env, config) for env in envs]
    if config.markdown is not None:
        write_text(config.markdown, as_markdown(results))
    return results


def check_one(env: SerpentineEnv, config: CheckScenario) -> CheckResult:
    """Measure and print the scenario of an environment, which is used up."""
    records = play_rules(env, config)
    probes = probe(env, config.seed, config.states)
    central = central_accuracy(env.scenario, config.seed, config.split, config.traces)
    _print_rules(env, config, records)
    print_probes(probes)
    _print_nominal(env, records)
    out = console()
    found = verdicts(env.scenario, records, shares(probes), central)
    for verdict in found:
        mark = "[green]yes[/]" if verdict.good else "[red]NO [/]" if verdict.required else "[yellow]no [/]"
        out.print(f"{mark}  {escape(verdict.text)}")
    return CheckResult(env.scenario.name, records, probes, shares(probes), central, found)


def as_markdown(results: Sequence[CheckResult]) -> str:
    """A table, a row a scenario; shares and accuracies in %."""
    titles = (
        "scenario",
        "node",
        "layer",
        "node x layer",
        "layers together",
        "repetition",
        "pairs",
        "round robin",
        "central",
        "of central",
        "passes",
    )
    rows = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for r in results:
        s, rule = r.shares, accuracy(r.records["serpentine"])
        shown = [s.node, s.layer, s.both, s.layer + s.both, s.repetition]
        cells = [f"`{r.name}`", *(f"{100 * x:.0f}" for x in shown), str(s.pairs)]
        cells += [f"{100 * x:.0f}" for x in (rule, r.central, rule / max(r.central, 1e-9))]
        rows.append(f"| {' | '.join([*cells, 'yes' if r.good else '**no**'])} |")
    return "\n".join(rows) + "\n"


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


def _print_rules(env: SerpentineEnv, config: CheckScenario, records: dict[str, list[EpisodeRecord]]) -> None:
    from snakegym.training.analysis.groups import group
    from snakegym.training.analysis.summary import summarise

    title = f"Fixed rules on {config.episodes} {config.split} episodes of scenario '{env.scenario.name}'"
    metric = score_name(env.scenario.data.dataset)
    print_tables(console(), [measures_table(title, summarise(group(records)), metric=metric)])


def _print_nominal(env: SerpentineEnv, records: dict[str, list[EpisodeRecord]]) -> None:
    table = plain_table("Mean costs of a hop")
    for title in ("Rule", "Time s", "Energy J", "Bytes kB"):
        table.add_column(title, justify="left" if title == "Rule" else "right")
    for name, episodes in records.items():
        time_s, energy_j, n_bytes = (measured for _, _, measured, _ in nominal_costs(env.scenario, episodes))
        table.add_row(name, f"{time_s:.2f}", f"{energy_j:.2f}", f"{n_bytes / 1000:.1f}")
    nominal = env.scenario.objective.nominal
    table.add_section()
    table.add_row(
        "in the scenario", f"{nominal.time_s:.2f}", f"{nominal.energy_j:.2f}", f"{nominal.n_bytes / 1000:.1f}"
    )
    out = console()
    out.print(table)
    out.print()
