"""`snakegym explain`: what moves a policy's choice, and where it differs from a planner."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from snakegym import __version__
from snakegym.agents.learned import LearnedScheduler
from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.training.analysis.groups import label_of, trainings
from snakegym.training.analysis.summary import analyse
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.evaluate.stage import content_of, terrain_of
from snakegym.training.explain.config import ExplainConfig
from snakegym.training.explain.disagreement import disagreement
from snakegym.training.explain.explanation import Explained, Explanation
from snakegym.training.explain.importance import Weight, all_features, importance, stack, weigh
from snakegym.training.explain.results import files_of, print_results, write_files
from snakegym.training.explain.states import Played, play_both
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.conventions import write_request
from snakegym.training.runs.manifest import scenario_of, write_manifest
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed

Schedulers = Mapping[str, Scheduler]


def explain(config: ExplainConfig) -> Explanation:
    """Play, ask, permute; print the tables and leave the output folder.

    Raises:
        SnakegymError: bad input; then nothing was written.
    """
    config.validate()
    torch.set_num_threads(1)  # as `evaluate`: another summation order would change the last digits
    env = SerpentineEnv(
        scenario_of(config.scenario, config.skip_bad_traces, config.trace_format, config.set),
        split=config.split,
        traces=config.traces,
    )
    if env.codec.ranks:
        raise SnakegymError(
            f"scenario '{env.scenario.name}', field 'learning.lora.rank': found 'free', which explain has no "
            "tables for, expected a number or a rule"
        )
    schedulers = {spec: make_scheduler(spec, env.scenario) for spec in (*config.run, config.baseline)}
    header = _describe(config, env)
    runfolder.check_results(config.out, "explanation", files_of(len(config.run)), header["request"])
    runfolder.make_folder(config.out)
    with runfolder.locked(config.out):
        played, planned = _play_all(config, env, schedulers)
        explanation = _explained(config, env, schedulers, header, played, planned)
        write_manifest(config.out, env)
        write_request(config.out, config)
        files = write_files(config.out, explanation)
    print_results(explanation)
    print(f"written to {config.out}{os.sep}: {', '.join(files)}")
    return explanation


def _describe(config: ExplainConfig, env: SerpentineEnv) -> dict[str, Any]:
    """What explain.json says about how it was made."""
    everybody = (*config.run, config.baseline)
    return {
        "snakegym": __version__,
        "request": {
            "run": list(config.run),
            "baseline": config.baseline,
            "scenario": config.scenario,
            "set": list(config.set),
            "split": config.split,
            "episodes": config.episodes,
            "seed": config.seed,
            "repetitions": config.repetitions,
            "states": config.states,
            "traces": config.traces,
            "trace_format": config.trace_format,
        },
        "scenario": env.scenario.model_dump(mode="json"),
        "trained": trainings(everybody),
        "weights": {spec: digest for spec in everybody if (digest := content_of(spec))},
    }


def _play_all(
    config: ExplainConfig, env: SerpentineEnv, schedulers: Schedulers
) -> tuple[dict[str, list[Played]], list[EpisodeRecord]]:
    """The episodes of every run, and those of the planner by itself."""
    seeds = [episode_seed(config.seed, episode) for episode in range(config.episodes)]
    planner = schedulers[config.baseline]
    with progress(len(seeds) * (len(config.run) + 1), "explain", "episode") as bar:

        def counted(result: Any) -> Any:
            bar.update()
            return result

        played = {
            spec: [
                counted(play_both(env, schedulers[spec], planner, i, seed)) for i, seed in enumerate(seeds)
            ]
            for spec in config.run
        }
        planned = [counted(play_scheduler(env, planner, i, seed)) for i, seed in enumerate(seeds)]
    return played, planned


def _explained(
    config: ExplainConfig,
    env: SerpentineEnv,
    schedulers: Schedulers,
    header: Mapping[str, Any],
    played: Mapping[str, Sequence[Played]],
    planned: Sequence[EpisodeRecord],
) -> Explanation:
    """All numbers. Runs that differ in the seed alone are one policy."""
    records = {spec: [each.record for each in episodes] for spec, episodes in played.items()}
    records[config.baseline] = list(planned)
    analysis = analyse(records, header["trained"], header["scenario"], baseline=config.baseline)
    together: dict[str, list[str]] = {}
    for spec in config.run:
        together.setdefault(label_of(spec, records, analysis.groups), []).append(spec)
    weights = _weigh_all(config, schedulers, together, played)
    policies = {
        label: Explained(
            runs=specs,
            episodes=[played[spec] for spec in specs],
            disagreement=disagreement(
                [[each.states for each in played[spec]] for spec in specs], env.codec.n_middle
            ),
            weights=weights[label],
        )
        for label, specs in together.items()
    }
    return Explanation(
        header=header,
        policies=policies,
        planned=planned,
        analysis=analysis,
        traces=env.service.library.manifest(),
        terrain=terrain_of(env, config.seed),
        prices=env.scenario.objective.prices(),
    )


def _weigh_all(
    config: ExplainConfig,
    schedulers: Schedulers,
    together: Mapping[str, Sequence[str]],
    played: Mapping[str, Sequence[Played]],
) -> dict[str, list[Weight]]:
    """What moves each policy; nothing of those that were not learned."""
    learned = {
        label: [(spec, found) for spec in specs if isinstance(found := schedulers[spec], LearnedScheduler)]
        for label, specs in together.items()
    }
    weights: dict[str, list[Weight]] = {label: [] for label in together}
    total = len(all_features()) * sum(bool(policies) for policies in learned.values())
    with progress(total, "permute", "feature") as bar:
        for label, policies in learned.items():
            sights = [stack([each.sights for each in played[spec]], config.states) for spec, _ in policies]
            seeds = [derive_seed(config.seed, "explain", i) for i in range(len(policies))]
            moved = [
                importance(policy, seen, config.repetitions, seed)
                for (_, policy), seen, seed in zip(policies, sights, seeds, strict=True)
            ]
            for each in zip(*moved, strict=True):
                feature = each[0][0]
                weights[label].append(
                    weigh(feature, [(seen, found) for seen, (_, found) in zip(sights, each, strict=True)])
                )
                bar.update()
    return weights
