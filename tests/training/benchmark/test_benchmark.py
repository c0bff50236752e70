"""`snakegym benchmark`: the command, its files, its resumption, and what it refuses."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from snakegym.agents import registry
from snakegym.errors import SnakegymError
from snakegym.training.benchmark import benchmark as command
from snakegym.training.benchmark import results
from snakegym.training.benchmark.benchmark import benchmark
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.benchmark.pieces import Piece, Player
from snakegym.training.cli import main
from snakegym.training.report import page as html

Run = Callable[..., tuple[int, str, str]]
Rules = tuple[str, ...]


@pytest.fixture
def short(tiny: str, tmp_path: Path) -> list[str]:
    """Two scenarios of two hops."""
    text = Path(tiny).read_text().replace("hops: 5", "hops: 2")
    other = tmp_path / "other.yaml"
    other.write_text(text.replace("name: tiny", "name: other").replace("alpha: 0.5", "alpha: 5.0"))
    Path(tiny).write_text(text)
    return [tiny, str(other)]


@pytest.fixture
def run(snakegym: Run, short: list[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Two rules on two episodes of two scenarios, without pictures: drawing takes longer than playing."""
    monkeypatch.setattr(html, "section_pictures", lambda *_: [])
    monkeypatch.setattr(results, "_figures", lambda *_: {})

    def run(out: str, *more: object, scenarios: list[str] = short, rules: Rules = ("random",)) -> Any:
        asked = [part for s in scenarios for part in ("--scenario", s)]
        asked += [part for s in rules for part in ("--scheduler", s)]
        given = {"--episodes": 2, "--jobs": 1, "--one": "greedy"}
        given |= dict(zip(map(str, more[::2]), more[1::2], strict=True))
        return snakegym("benchmark", *asked, *(w for o in given.items() for w in o), "--out", out)

    return run


def files(folder: Path) -> dict[str, bytes]:
    """All but how long decisions took."""
    found = (p for p in folder.rglob("*") if p.is_file() and p.parent.name != "latency")
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[Piece]:
    """The pieces that are played from now on."""
    pieces: list[Piece] = []
    original = Player.__call__

    def play(player: Player, piece: Piece, *rest: object) -> Any:
        pieces.append(piece)
        return original(player, piece, *rest)

    monkeypatch.setattr(Player, "__call__", play)
    return pieces


@pytest.mark.slow
@pytest.mark.painted
def test_the_whole_command(
    snakegym: Run, tiny: str, tmp_path: Path, read_page: Callable[[Path], Any]
) -> None:
    args = ("--scenario", tiny, "--scheduler", "random", "--one", "most-data")
    status, out, err = snakegym("benchmark", *args, "--episodes", 9, "--jobs", 1, "--out", "out")
    assert status == 0, err
    names = {"request.json", *(f"benchmark.{e}" for e in ("json", "csv", "md", "html")), "pieces/tiny.jsonl"}
    assert names <= set(files(tmp_path / "out"))
    for text in ("Scores", "Who is told apart from whom in tiny", "A decision, ms", "clearly better"):
        assert text in out
    page = read_page(tmp_path / "out" / "benchmark.html")
    assert len(page.images) == 9
    for text in ("serpentine is 0 and most-data is 1", "Performance profiles", "Time to"):
        assert text in page.source
    assert "A decision, ms" not in page.source, "wall time repeats nowhere"


def test_numbers_of_all_files_agree(run: Run, tmp_path: Path) -> None:
    status, _, err = run("out")
    assert status == 0, err
    data = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert list(data["scenarios"]) == ["tiny", "other"]
    with (tmp_path / "out" / "benchmark.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(r["scenario"], r["scheduler"], r["episode"]) for r in rows] == [
        (scenario, scheduler, str(episode))
        for scenario in ("tiny", "other")
        for scheduler in ("random", "serpentine", "greedy")
        for episode in range(2)
    ]
    for scenario in ("tiny", "other"):
        found = data["scenarios"][scenario]
        returns = {
            s: [float(r["total_reward"]) for r in rows if (r["scenario"], r["scheduler"]) == (scenario, s)]
            for s in ("random", "serpentine", "greedy")
        }
        for scheduler, values in returns.items():
            assert found["summary"][scheduler]["total_reward"]["value"] == pytest.approx(sum(values) / 2)
        pair = found["paired_difference"]["random"]["greedy"]
        assert pair["value"] == pytest.approx(sum(returns["random"]) / 2 - sum(returns["greedy"]) / 2)
        assert found["not_told_apart"]["random"] == ["serpentine", "greedy"], (
            "two episodes tell nothing apart"
        )
        seeds = {(r["episode"], r["seed"]) for r in rows if r["scenario"] == scenario}
        assert len(seeds) == 2, "the same for every scheduler"
    markdown = (tmp_path / "out" / "benchmark.md").read_text()
    assert "| Scheduler | tiny | other |" in markdown
    assert "## other" in markdown
    latency = json.loads((tmp_path / "out" / "latency" / "latency.json").read_text())
    assert len(latency["greedy"]["other"]) == 2
    assert all(
        e["decisions"] >= 2 and 0 < e["median_ms"] <= e["worst_ms"] for e in latency["greedy"]["other"]
    )


@pytest.mark.slow
def test_where_and_how_often_it_is_run_changes_nothing(run: Run, tmp_path: Path, played: list[Piece]) -> None:
    assert run("one")[0] == 0
    assert run("elsewhere/two", "--jobs", 2)[0] == 0
    before = files(tmp_path / "one")
    assert before == files(tmp_path / "elsewhere" / "two")
    played.clear()
    assert run("one")[0] == 0
    assert played == [], "finished pieces are kept"
    assert before == files(tmp_path / "one")


def test_an_interrupted_benchmark_goes_on(
    run: Run, tmp_path: Path, played: list[Piece], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("whole")
    done = played.copy()
    played.clear()
    counted = Player.__call__

    def stop_in_the_second_scenario(player: Player, piece: Piece, *rest: object) -> Any:
        if len(played) == 8:
            raise KeyboardInterrupt
        return counted(player, piece, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(Player, "__call__", stop_in_the_second_scenario)
        status, _, err = run("out")
    assert status == 130
    assert "8 of 12 episodes are kept" in err
    assert not (tmp_path / "out" / "benchmark.json").exists()
    partial = tmp_path / "out" / "pieces" / "tiny.jsonl"
    partial.write_bytes(partial.read_bytes()[:-20])
    played.clear()
    status, _, err = run("out")
    assert "going on after 7 of 12" in err
    assert played == [done[5], *done[8:]]
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_only_what_is_new_is_played(run: Run, short: list[str], tmp_path: Path, played: list[Piece]) -> None:
    run("out", scenarios=short[:1])
    assert len(played) == 6
    run("out", scenarios=short)
    assert {p.scenario for p in played[6:]} == {"other"}
    assert len(played) == 12
    run("out", rules=("fastest", "random"))
    assert {p.scheduler for p in played[12:]} == {"fastest"}
    run("out", "--episodes", 3, rules=("fastest", "random"))
    assert {p.episode for p in played[16:]} == {2}
    run("at-once", "--episodes", 3, rules=("fastest", "random"))
    assert files(tmp_path / "out") == files(tmp_path / "at-once")


def test_who_knows_the_future_is_marked_wherever_it_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_PRIVILEGED", frozenset({"greedy"}))
    status, out, err = run("out")
    assert status == 0, err
    for text in (out, *((tmp_path / "out" / f"benchmark.{e}").read_text() for e in ("md", "html"))):
        assert "greedy †" in text
        assert "greedy" not in text.replace("greedy †", "")
        assert "†: knows what no scheduler can know" in text
    data = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert data["scenarios"]["tiny"]["privileged"] == ["greedy †"]
    with (tmp_path / "out" / "benchmark.csv").open() as file:
        assert {(r["scheduler"], r["privileged"]) for r in csv.DictReader(file)} == {
            ("random", "False"),
            ("serpentine", "False"),
            ("greedy", "True"),
        }


@pytest.mark.slow
def test_training_seeds_are_one_scheduler(run: Run, tiny: str, tmp_path: Path) -> None:
    options = "--timesteps 8 --n-steps 8 --batch-size 8 --n-epochs 1 --eval-episodes 1 --wandb disabled"
    for seed in (0, 1):
        where = ["--scenario", tiny, "--out", str(tmp_path / "runs" / f"ppo-{seed}")]
        main(["train", *where, *options.split(), "--seed", str(seed)])
    with pytest.warns(match=r"'ppo' was trained on tiny: it does not play in other"):
        status, _, err = run("out", rules=("ppo=runs/ppo-*",))
    assert status == 0, err
    data = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert data["scenarios"]["tiny"]["runs"]["ppo"] == ["runs/ppo-0", "runs/ppo-1"]
    assert data["scenarios"]["tiny"]["summary"]["ppo"]["total_reward"]["units"] == 2
    assert "ppo" not in data["scenarios"]["other"]["runs"]
    assert "ppo" not in data["overall"]["score"]
    assert "Every training run by itself" in (tmp_path / "out" / "benchmark.html").read_text()
    with (tmp_path / "out" / "benchmark.csv").open() as file:
        trained = [r for r in csv.DictReader(file) if r["scheduler"] == "ppo"]
    assert [(r["run"], r["training_seed"]) for r in trained] == [
        (f"runs/ppo-{seed}", str(seed)) for seed in (0, 0, 1, 1)
    ]


def test_all_scenarios_are_those_that_can_be_played(
    run: Run, short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SNAKEGYM_DATA", raising=False)
    measured = tmp_path / "measured.yaml"
    text = Path(short[0]).read_text().replace("name: tiny", "name: measured")
    measured.write_text(text.replace("mode: cs", "mode: cs\n  traces: {source: folder}"))
    monkeypatch.setattr(command, "list_scenarios", lambda: (*short, str(measured)))
    with pytest.warns(match=r"scenario '.*measured.yaml' is left out: "):
        status, _, err = run("out", scenarios=["all"])
    assert status == 0, err
    assert list(json.loads((tmp_path / "out" / "benchmark.json").read_text())["scenarios"]) == [
        "tiny",
        "other",
    ]
    status, _, err = run("by-name", scenarios=[*short, str(measured)])
    assert (status, err.count("\n")) == (2, 1)
    assert not (tmp_path / "by-name").exists()


def test_from_python_the_result_comes_back(run: Run, short: list[str], tmp_path: Path) -> None:
    config = BenchmarkConfig(("random",), tmp_path / "out", tuple(short), episodes=1, one="greedy", jobs=1)
    found = benchmark(config)
    assert found.folder == tmp_path / "out"
    assert list(found.standings) == list(found.analyses) == ["tiny", "other"]
    assert set(found.overall.tallies) == {"random", "serpentine", "greedy"}
    with pytest.raises(SnakegymError, match="--episodes: found 0"):
        benchmark(BenchmarkConfig(("random",), tmp_path / "out", episodes=0))


class TestRefused:
    """Bad input: one line, and nothing written."""

    @pytest.mark.parametrize(
        ("more", "rules", "named"),
        [
            (("--episodes", 0), ("random",), "--episodes: found 0, expected 1 or more"),
            (("--jobs", 0), ("random",), "--jobs: found 0, expected 1 or more"),
            (("--seed", -1), ("random",), "--seed: found -1"),
            (("--scenario", "nowhere"), ("random",), "nowhere"),
            (("--scenario", "all"), ("random",), "found all and others"),
            (("--one", "nobody"), ("random",), "unknown scheduler 'nobody'"),
            (("--one", "serpentine"), ("random",), "the same as --zero"),
            (("--one", "runs"), ("random",), "runs: found no config.json"),
            ((), ("nobody",), "unknown scheduler 'nobody'"),
            ((), ("random", "random"), "--scheduler: found random twice"),
            ((), ("none-*",), "found no folder that matches 'none-*'"),
            ((), (), "--scheduler: found none"),
        ],
    )
    def test_options(
        self, run: Run, tmp_path: Path, more: tuple[object, ...], rules: Rules, named: str
    ) -> None:
        (tmp_path / "runs").mkdir()
        status, _, err = run("out", *more, rules=rules)
        assert status == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert named in err
        assert not (tmp_path / "out").exists()

    def test_an_unknown_split(self, run: Run, tmp_path: Path) -> None:
        assert run("out", "--split", "none")[0] == 2
        assert not (tmp_path / "out").exists()

    def test_two_scenarios_of_one_name(self, run: Run, short: list[str], tmp_path: Path) -> None:
        twin = tmp_path / "twin.yaml"
        twin.write_text(Path(short[0]).read_text())
        status, _, err = run("out", scenarios=[short[0], str(twin)])
        assert (status, err) == (2, "error: --scenario: found two called 'tiny', expected each once\n")

    def test_the_folder_of_another_benchmark(
        self, run: Run, short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run("out")
        before = files(tmp_path / "out")
        for more, named in ((("--seed", 1), "'seed'"), (("--split", "train"), "'split'")):
            status, _, err = run("out", *more)
            assert status == 2
            assert f"out: holds another benchmark: field {named}" in err
        Path(short[1]).write_text(Path(short[1]).read_text().replace("alpha: 5.0", "alpha: 0.7"))
        status, _, err = run("out")
        assert status == 2
        assert "other.jsonl: holds pieces of another benchmark: field 'scenario.data.alpha'" in err
        assert err.count("\n") == 1
        monkeypatch.setattr("snakegym.training.benchmark.benchmark.code_digest", lambda: "other code")
        assert "field 'code_sha256'" in run("out", scenarios=short[:1])[2]
        assert files(tmp_path / "out") == before

    def test_planners_that_were_fitted_anew(self, run: Run, short: list[str], tmp_path: Path) -> None:
        fitted = tmp_path / "gains.json"
        fitted.write_text("{}")  # rules do not read it
        Path(short[0]).write_text(f"{Path(short[0]).read_text()}fitted: gains.json\n")
        assert run("out", "--one", "fastest", scenarios=short[:1])[0] == 0
        fitted.write_text("[]")
        status, _, err = run("out", "--one", "fastest", scenarios=short[:1])
        assert status == 2
        assert "field 'fitted_sha256'" in err

    def test_a_folder_with_something_else(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("precious")
        status, _, err = run("out")
        assert status == 2
        assert "thesis.tex" in err
        assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.tex"]

    def test_other_weights_are_played_again(self, run: Run, tmp_path: Path, played: list[Piece]) -> None:
        own = tmp_path / "mine.py"
        own.write_text("from snakegym.agents.rules import RandomScheduler as Mine\n")
        run("out", rules=("mine.py:Mine",))
        assert len(played) == 12
        own.write_text(own.read_text() + "# better now\n")
        run("out", rules=("mine.py:Mine",))
        assert {p.scheduler for p in played[12:]} == {"mine.py:Mine"}
        assert len(played) == 16
