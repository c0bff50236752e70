"""`snakegym play`: one episode as a moving picture."""

from __future__ import annotations

from pathlib import Path

import torch

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.learning.export import check_exportable, export_model
from snakegym.scenario import score_name
from snakegym.training.episodes.play import EpisodeRecord, episode_seed
from snakegym.training.play.config import PlayConfig
from snakegym.training.runs.folder import make_folder, replacing
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.progress import progress
from snakegym.training.show.film import film_episode


def play(config: PlayConfig) -> EpisodeRecord:
    """Play the episode, write the film, print what came of it; the episode's record.

    Raises:
        SnakegymError: bad input, or the file cannot be written; then nothing was written.
    """
    torch.set_num_threads(1)  # as `evaluate`: another summation order would change the last digits
    env = SerpentineEnv(
        scenario_of(config.scenario, config.skip_bad_traces, config.trace_format),
        split=config.split,
        traces=config.traces,
        layer_order=config.layer_order,
    )
    scheduler = make_scheduler(config.scheduler, env.scenario)
    service = env.service
    if config.model is not None:
        check_exportable(service.model, config.model)
    make_folder(config.out.parent)
    with replacing(config.out) as temporary:
        temporary.touch()  # a folder that cannot be written to is found out now, not after the episode
        record = _film(env, scheduler, config, temporary)
    metric = score_name(env.scenario.data.dataset)
    print(
        f"{config.scheduler} on '{env.scenario.name}' ({config.split} traces, seed {config.seed}): return "
        f"{record['total_reward']:.2f}, validation {metric} {record['validation_accuracy']:.1%}, "
        f"{record['hops']} hops in {record['time_s']:.0f} s, ended by: {record['ended']}"
    )
    print(f"written to {config.out}")
    if config.model is not None:
        export_model(service.model, env.controller.state, config.model, service.data.tokenizer)
        print(f"model written to {config.model}")
    return record


def _film(env: SerpentineEnv, scheduler: Scheduler, config: PlayConfig, path: Path) -> EpisodeRecord:
    total, seed = int(env.scenario.process.budget.time_s), episode_seed(config.seed, 0)
    with progress(total, "play", "s") as bar:
        return film_episode(
            env, scheduler, seed, path, config.fps, lambda now: bar.update(min(int(now), total) - bar.n)
        )
