"""Frames to a file: GIF by Pillow (which comes with matplotlib), MP4 by the extra `video`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frame = NDArray[np.uint8]
"""An RGB picture [height, width, 3]; all of a film have one even height and one even width."""
COLOURS = 128
"""Of a GIF's frame: it looks the same with them, and is a third smaller than with all 256."""


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
