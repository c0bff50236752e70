"""An episode as a moving picture: GIF by Pillow (which comes with matplotlib), MP4 by the extra `video`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.protocol import Scheduler, let_watch
from snakegym.control.records import Decision
from snakegym.control.view import ProcessView
from snakegym.envs.render import draw_frame
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.play import EpisodeRecord, play_scheduler

Frame = NDArray[np.uint8]
"""An RGB picture [height, width, 3]; all of a film have one even height and one even width."""
COLOURS = 128
"""Of a GIF's frame: it looks the same with them, and is a third smaller than with all 256."""

LAST_FRAME_S = 2.0
"""How long the end of the episode is shown."""


def film_episode(
    env: SerpentineEnv,
    scheduler: Scheduler,
    seed: int,
    path: Path,
    fps: float,
    at: Callable[[float], object] = lambda _: None,
) -> EpisodeRecord:
    """Play an episode, as `play_scheduler`, and film it: a frame a decision.

    Args:
        env: left at the end of the episode.
        scheduler: decides.
        seed: of the environment.
        path: as for `open_film`.
        fps: frames a second.
        at: called after each frame with the simulated seconds.
    """
    with open_film(path, fps) as add:

        def show(view: ProcessView) -> None:
            add(draw_frame(view, env.controller.history))
            at(view.clock_s)

        record = play_scheduler(env, _Filmed(scheduler, show), 0, seed)
        for _ in range(max(1, round(LAST_FRAME_S * fps))):
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
        let_watch(self._scheduler, env)

    def schedule(self, view: ProcessView) -> Decision:
        """What the scheduler decides."""
        self._show(view)
        return self._scheduler.schedule(view)


@contextmanager
def open_film(path: Path, fps: float) -> Iterator[Callable[[Frame], None]]:
    """A function that adds a frame; the file is whole when the block ends well.

    Args:
        path: ends in `.gif` or `.mp4`.
        fps: frames a second.
    """
    opened = _gif(path, fps) if path.suffix.lower() == ".gif" else _mp4(path, fps)
    with opened as add:
        yield add


@contextmanager
def _gif(path: Path, fps: float) -> Iterator[Callable[[Frame], None]]:
    from PIL import Image

    frames: list[Image.Image] = []
    yield lambda frame: frames.append(Image.fromarray(frame).quantize(COLOURS))
    first, *more = frames
    first.save(path, save_all=True, append_images=more, duration=round(1000 / fps), loop=0)


@contextmanager
def _mp4(path: Path, fps: float) -> Iterator[Callable[[Frame], None]]:
    import imageio_ffmpeg

    writers: list[Generator[None, Any, None]] = []

    def add(frame: Frame) -> None:
        if not writers:
            size = frame.shape[1], frame.shape[0]
            writers.append(imageio_ffmpeg.write_frames(str(path), size, fps=fps, macro_block_size=2))
            writers[0].send(None)
        writers[0].send(np.ascontiguousarray(frame))

    try:
        yield add
    finally:
        for writer in writers:
            writer.close()
