"""The chart of who trained which layer when says why it suits them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

import snakegym
from snakegym.control.view import ProcessView
from snakegym.envs.info import ENDINGS
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.play import EpisodeRecord, play_scheduler
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.show.figures import save
from snakegym.training.show.gantt import ENDS, gantt

pytestmark = pytest.mark.painted
SMALL, LARGE = 4.5e5, 8.0e6
"""Memory of the default's smallest and largest devices, bytes."""


@pytest.fixture(scope="module")
def played() -> tuple[EpisodeRecord, ProcessView]:
    """Three hops in the default scenario, and how it began."""
    data: dict[str, Any] = snakegym.load_scenario("default").model_dump()
    data["process"]["budget"]["hops"] = 3
    env = SerpentineEnv(data, split="test")
    record = play_scheduler(env, snakegym.make_scheduler("serpentine", env.scenario), 0, 5)
    env.reset(seed=5)
    return record, env.view()


def title(figure: Figure) -> str:
    """Of the only chart."""
    return figure.axes[-1].get_title(loc="left")


def legend(figure: Figure) -> list[str]:
    """What it says."""
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_rows_go_from_small_to_large_devices_and_are_named_by_them(
    played: tuple[EpisodeRecord, ProcessView], tmp_path: Path
) -> None:
    record, view = played
    figure = gantt({"serpentine": [record]}, Terrain.of(view))
    save(figure, tmp_path / "x.png")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    nodes = [int(name.partition(":")[0]) for name in names]
    assert sorted(nodes) == list(range(view.n_nodes))
    memory = view.nodes.memory_bytes[nodes]
    assert (np.diff(memory) >= 0).all()
    assert memory[0] == SMALL
    assert memory[-1] == LARGE
    assert names[0].endswith(": 450 kB, 20 MFLOP/s")
    assert names[-1].endswith(": 8 MB, 120 MFLOP/s")
    # The first hop lies in the row of its node.
    first = record["trace"][0]
    row = nodes.index(first["node"])
    heights = [path.vertices for bar in figure.axes[1].collections for path in bar.get_paths()]
    begins = [xy for xy in map(np.asarray, heights) if xy[:, 0].min() == pytest.approx(first["start_s"])]
    assert begins
    assert all(abs(xy[:, 1].mean() - row) < 0.5 for xy in begins)


def test_the_strip_shows_the_pairs_that_are_legal_for_their_memory(
    played: tuple[EpisodeRecord, ProcessView],
) -> None:
    record, view = played
    terrain = Terrain.of(view)
    # At the start every layer is open: a reachable node may train what it has the memory for.
    reachable = view.nodes.reachable
    assert (terrain.fits[reachable] == view.legal[reachable]).all()
    assert 0 < terrain.fits.sum() < terrain.fits.size
    figure = gantt({"serpentine": [record]}, terrain)
    (image,) = [child for child in figure.axes[0].get_children() if isinstance(child, AxesImage)]
    cells = np.asarray(image.get_array())
    assert ((cells > 0) == terrain.fits[terrain.order()]).all()
    assert len(figure.axes[0].lines) == (~terrain.fits).sum()
    assert "no memory for it" in legend(figure)


def test_the_legend_names_the_sizes_of_the_layers(played: tuple[EpisodeRecord, ProcessView]) -> None:
    record, view = played
    named = legend(gantt({"serpentine": [record]}, Terrain.of(view)))
    assert named[0] == "trains layer 0, 1.39 kB"
    assert named[view.n_middle - 1] == "trains layer 6, 63.1 kB"


def test_how_the_process_ended_is_marked(played: tuple[EpisodeRecord, ProcessView]) -> None:
    record, view = played
    cut = gantt({"serpentine": [record]}, Terrain.of(view))
    assert "3 hops, out of hops after" in title(cut)
    assert legend(cut)[-1] == "over: budget or target"
    by_choice: EpisodeRecord = {**record, "ended": "finish"}
    done = gantt({"serpentine": [by_choice]}, Terrain.of(view))
    assert "3 hops, finished after" in title(done)
    assert legend(done)[-1] == "finished"
    assert set(ENDS) == set(ENDINGS)  # each has its words
