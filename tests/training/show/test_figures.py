"""Pictures show names as they are."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from matplotlib.text import Text

import snakegym
from snakegym.control.records import Decision
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.show.figures import legend_right, new_figure, save
from snakegym.training.show.gantt import gantt
from snakegym.training.show.plots import accuracy_over_time

pytestmark = pytest.mark.painted


def draw(path: Path, name: str) -> list[Text]:
    """The texts of a picture in which the name stands wherever a name may."""
    figure, (bars, lines) = new_figure(2)
    bars.barh([0, 1], [1, 2])
    bars.set(yticks=[0, 1], yticklabels=[name, "x"], title=name, xlabel=name)
    lines.plot([1, 10, 100], [1, 2, 3], label=name)
    lines.set_xscale("log")
    lines.annotate(name, (1, 1))
    legend_right(lines)
    figure.suptitle(name)
    save(figure, path)
    return [text for text in figure.findobj(Text) if text.get_text() == name]


@pytest.mark.parametrize("name", [r"$\frac$", "$", "$$", r"\$", "a_{b", "$a$ $b"])
def test_names_are_drawn_as_they_are(tmp_path: Path, name: str) -> None:
    texts = draw(tmp_path / "x.png", name)
    assert len(texts) >= 6
    assert not any(text.get_parse_math() for text in texts)
    assert (tmp_path / "x.png").exists()


def test_powers_of_ten_stay_formulas(tmp_path: Path) -> None:
    figure, (ax,) = new_figure(1)
    ax.plot([1, 1000], [1, 2])
    ax.set_xscale("log")
    save(figure, tmp_path / "x.png")
    assert all(tick.label1.get_parse_math() for tick in ax.xaxis.get_major_ticks())


def test_an_episode_that_ends_at_once_is_drawn(tmp_path: Path) -> None:
    """It takes no time and has no hops: an axis of no length is no axis."""

    class Quit:
        def reset(self, seed: int) -> None: ...
        def schedule(self, view: object) -> Decision:
            return snakegym.FINISH

    env = SerpentineEnv("default")
    env.reset(seed=0)
    terrain = Terrain.of(env.view())
    record = snakegym.run_episode("default", Quit())
    assert (record["time_s"], record["trace"], record["ended"]) == (0, [], "finish")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save(accuracy_over_time({"quit": [record]}), tmp_path / "x.png")
        save(gantt({"quit": [record]}, terrain), tmp_path / "y.png")
