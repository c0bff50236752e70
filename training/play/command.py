"""`snakegym play`: one episode as a moving picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.control.records import Decision
from snakegym.control.view import ProcessView
from snakegym.envs.render import draw_frame
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.play import EpisodeRecord, episode_seed, play_scheduler
from snakegym.training.play.config import PlayConfig
from snakegym.training.play.film import open_film
from snakegym.training.runs.folder import make_folder, replacing
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.runs.progress import progress

LAST_FRAME_S = 2.0
"""How long the end of the episode is shown."""


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
    make_folder(config.out.parent)
    with replacing(config.out) as temporary:
        temporary.touch()  # a folder that cannot be written to is found out now, not after the episode
        record = _film(env, scheduler, config, temporary)
    print(
        f"{config.scheduler} on '{env.scenario.name}' ({config.split} traces, seed {config.seed}): return "
        f"{record['total_reward']:.2f}, validation accuracy {record['validation_accuracy']:.1%}, "
        f"{record['hops']} hops in {record['time_s']:.0f} s, ended by: {record['ended']}"
    )
    print(f"written to {config.out}")
    return record


def _film(env: SerpentineEnv, scheduler: Scheduler, config: PlayConfig, path: Path) -> EpisodeRecord:
    total = int(env.scenario.process.budget.time_s)
    bar = progress(total, "play", "s")
    with bar, open_film(path, config.fps) as add:

        def show(view: ProcessView) -> None:
            add(draw_frame(view, env.controller.history))
            bar.update(min(int(view.clock_s), total) - bar.n)

        record = play_scheduler(env, _Filmed(scheduler, show), 0, episode_seed(config.seed, 0))
        for _ in range(max(1, round(LAST_FRAME_S * config.fps))):
            show(env.view())
    return record


class _Filmed:
    """A scheduler whose every view is shown before it decides."""

    def __init__(self, scheduler: Scheduler, show: Callable[[ProcessView], None]) -> None:
        self._scheduler, self._show = scheduler, show

    def reset(self, seed: int) -> None:
        self._scheduler.reset(seed)

    def watch(self, env: SerpentineEnv) -> None:
        """As of the scheduler, if it has it."""
        getattr(self._scheduler, "watch", lambda _: None)(env)

    def schedule(self, view: ProcessView) -> Decision:
        """What the scheduler decides."""
        self._show(view)
        return self._scheduler.schedule(view)
