import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from snakegym.errors import SnakegymError
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.evaluate import results
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.evaluate.evaluate import evaluate as evaluation
from snakegym.training.evaluate.stage import Stage
from snakegym.training.runs.partial import Task

Run = Callable[..., tuple[int, str, str]]
Names = tuple[str, ...]
PICTURES = ("gantt.png", "accuracy.png", "costs.png", "returns.png")


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than playing these episodes."""
    monkeypatch.setattr(results, "write_pictures", lambda *_: [])


@pytest.fixture
def evaluate(snakegym: Run, tiny: str) -> Run:
    """Two rules on three short episodes."""

    def run(
        out: str, *more: object, schedulers: tuple[str, ...] = ("serpentine", "random")
    ) -> tuple[int, str, str]:
        asked = [part for s in schedulers for part in ("--scheduler", s)]
        given = {"--episodes": 3, "--jobs": 1} | dict(zip(more[::2], more[1::2], strict=True))
        flat = [part for option in given.items() for part in option]
        return snakegym("evaluate", *asked, "--scenario", tiny, "--out", out, *flat)

    return run


@pytest.mark.painted
def test_an_evaluation_repeats_byte_for_byte(evaluate: Run, tmp_path: Path) -> None:
    for out in ("a", "b"):
        assert evaluate(out)[0] == 0
    for name in (
        "evaluation.json",
        "evaluation.csv",
        "gantt.png",
        "accuracy.png",
        "costs.png",
        "returns.png",
        "traces.json",
    ):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert {p.suffix for p in (tmp_path / "a").iterdir()} == {".json", ".csv", ".png", ".yml", ".txt"}


@pytest.mark.usefixtures("without_pictures")
def test_an_evaluation_may_be_repeated_in_its_own_folder(evaluate: Run, tmp_path: Path) -> None:
    evaluate("out")
    before = (tmp_path / "out" / "evaluation.json").read_bytes()
    (tmp_path / "out" / "evaluation.csv").write_text("spoilt")
    status, _, err = evaluate("out")
    assert status == 0, err
    assert (tmp_path / "out" / "evaluation.json").read_bytes() == before
    assert "spoilt" not in (tmp_path / "out" / "evaluation.csv").read_text()


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(evaluate: Run, tmp_path: Path) -> None:
    evaluate("one")
    status, _, err = evaluate("two", "--jobs", 2)
    assert status == 0, err
    assert (tmp_path / "one" / "evaluation.json").read_bytes() == (
        tmp_path / "two" / "evaluation.json"
    ).read_bytes()


@pytest.mark.usefixtures("without_pictures")
def test_schedulers_meet_the_same_episodes(evaluate: Run, tmp_path: Path) -> None:
    evaluate("out")
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    serpentine, random = data["episodes"]["serpentine"], data["episodes"]["random"]
    assert [e["seed"] for e in serpentine] == [e["seed"] for e in random]
    assert [e["initial_accuracy"] for e in serpentine] == [e["initial_accuracy"] for e in random]
    assert len({e["seed"] for e in serpentine}) == 3


@pytest.mark.usefixtures("without_pictures")
def test_an_episode_does_not_depend_on_those_before_it(evaluate: Run, tmp_path: Path) -> None:
    evaluate("three")
    evaluate("two", "--episodes", 2, schedulers=("random",))
    three, two = (json.loads((tmp_path / f / "evaluation.json").read_text()) for f in ("three", "two"))
    assert three["episodes"]["random"][:2] == two["episodes"]["random"]


@pytest.mark.usefixtures("without_pictures")
def test_numbers_of_an_episode_agree(evaluate: Run, tmp_path: Path) -> None:
    evaluate("out")
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    prices = data["scenario"]["objective"]
    for episode in [e for episodes in data["episodes"].values() for e in episodes]:
        assert sum(episode["rewards"].values()) == pytest.approx(episode["total_reward"])
        hops = episode["trace"]
        assert len(hops) == episode["hops"]
        assert sum(h["n_bytes"] for h in hops) == pytest.approx(episode["n_bytes"])
        assert sum(h["energy_j"] for h in hops) == pytest.approx(episode["energy_j"])
        gained = episode["validation_accuracy"] - episode["initial_accuracy"]
        assert episode["rewards"]["gain"] == pytest.approx(prices["gain"] * gained)
        assert 0 <= episode["test_accuracy"] <= 1
    with (tmp_path / "out" / "evaluation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["scheduler"], r["episode"]) for r in rows] == [
        (s, str(i)) for s in ("serpentine", "random") for i in range(3)
    ]
    assert float(rows[0]["total_reward"]) == data["episodes"]["serpentine"][0]["total_reward"]


@pytest.mark.usefixtures("without_pictures")
def test_the_table_names_schedulers_and_units(evaluate: Run) -> None:
    _, out, _ = evaluate("out")
    for text in (
        "serpentine",
        "random",
        "Return",
        "accuracy %",
        "Hops",
        "Compared with serpentine",
        "P(Return)",
        "95 % interval by Student's t (t: fewer than 8 episodes",
        "exact binomial interval",
    ):
        assert text in " ".join(out.split())
    assert "*" not in out.replace("*: it excludes 0", ""), "three episodes are too few for a star"


@pytest.mark.usefixtures("without_pictures")
def test_the_others_are_compared_with_the_baseline(evaluate: Run, tmp_path: Path) -> None:
    _, out, _ = evaluate("out", "--baseline", "random")
    assert "Compared with random" in out
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert data["baseline"] == "random"
    assert list(data["paired_difference"]) == ["serpentine"]
    status, _, err = evaluate("other", "--baseline", "greedy")
    assert (status, err) == (2, "error: --baseline: found 'greedy', expected one of serpentine, random\n")


@pytest.mark.usefixtures("without_pictures")
def test_from_python_the_result_comes_back(tiny: str, tmp_path: Path) -> None:
    config = EvaluateConfig(("random", "serpentine"), tmp_path / "out", tiny, episodes=2, jobs=1)
    result = evaluation(config)
    data = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert result.folder == tmp_path / "out"
    assert result.records == data["episodes"]
    assert result.header["scenario"] == data["scenario"]
    assert result.analysis.baseline == data["baseline"] == "random"
    with pytest.raises(SnakegymError, match="--episodes: found 0"):
        evaluation(replace(config, episodes=0))


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize(
    ("more", "named"),
    [(("--seed", 5), "'seed'"), (("--episodes", 4), "'episodes'"), (("--split", "train"), "'split'")],
)
def test_another_evaluation_is_not_overwritten(
    evaluate: Run, tmp_path: Path, more: tuple[object, ...], named: str
) -> None:
    evaluate("out")
    before = (tmp_path / "out" / "evaluation.json").read_bytes()
    status, _, err = evaluate("out", *more)
    assert status == 2
    assert named in err
    assert err.count("\n") == 1
    assert (tmp_path / "out" / "evaluation.json").read_bytes() == before


@pytest.mark.usefixtures("without_pictures")
def test_a_folder_with_other_files_is_refused(evaluate: Run, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    status, _, err = evaluate("out")
    assert status == 2
    assert "thesis.tex" in err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]


@pytest.mark.usefixtures("without_pictures")
class TestInterrupted:
    """An evaluation that is stopped after four of its six episodes."""

    @pytest.fixture
    def played(self, evaluate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Task]:
        evaluate("whole")
        played: list[Task] = []
        original = Stage.play

        def play(stage: Stage, task: Task, *_: object) -> EpisodeRecord:
            if len(played) == 4:
                played.clear()
                raise KeyboardInterrupt
            played.append(task)
            return original(stage, task)

        monkeypatch.setattr(Stage, "play", play)
        status, _, err = evaluate("out")
        assert status == 130
        assert "4 of 6 episodes are kept" in err
        return played

    def whole(self, tmp_path: Path) -> bool:
        files = [(tmp_path / f / "evaluation.json").read_bytes() for f in ("whole", "out")]
        return files[0] == files[1]

    def test_it_goes_on(self, played: list[Task], evaluate: Run, tmp_path: Path) -> None:
        assert not (tmp_path / "out" / "evaluation.json").exists()
        status, _, err = evaluate("out")
        assert status == 0, err
        assert "going on after 4 of 6" in err
        assert len(played) == 2
        assert self.whole(tmp_path)

    def test_a_line_cut_short_is_played_again(
        self, played: list[Task], evaluate: Run, tmp_path: Path
    ) -> None:
        partial = tmp_path / "out" / "partial.jsonl"
        partial.write_bytes(partial.read_bytes()[:-20])
        _, _, err = evaluate("out")
        assert "going on after 3 of 6" in err
        assert self.whole(tmp_path)

    def test_rows_of_another_evaluation_are_not_used(
        self, played: list[Task], evaluate: Run, tiny: str
    ) -> None:
        Path(tiny).write_text(Path(tiny).read_text().replace("alpha: 0.5", "alpha: 0.7"))
        _, _, err = evaluate("out")
        assert "going on" not in err
