"""`snakegym report`: evaluations as one page."""

import copy
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.training.analysis.read import merge, read_evaluation
from snakegym.training.analysis.summary import analyse
from snakegym.training.evaluate import results
from snakegym.training.report import page as html
from snakegym.training.report import pictures
from snakegym.training.report.config import ReportConfig
from snakegym.training.report.page import report

Run = Callable[..., tuple[int, str, str]]
ReadPage = Callable[[Path], Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where evaluations are kept that were played once."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def folder(
    snakegym: Run,
    tiny: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kept: Path,
) -> Callable[..., Path]:
    """Write an evaluation folder of rules on two short episodes, which are played once for all tests."""
    monkeypatch.setattr(results, "write_pictures", lambda *_: [])
    text = Path(tiny).read_text().replace("budget: {time_s: 600, hops: 5}", "budget: {time_s: 20}")
    Path(tiny).write_text(text)

    def write(name: str, *schedulers: str, seed: int = 0, baseline: str | None = None) -> Path:
        done = kept / "-".join((*schedulers, str(seed), str(baseline)))
        if done.exists():
            return Path(shutil.copytree(done, tmp_path / name))
        asked = [part for s in schedulers for part in ("--scheduler", s)]
        status, _, err = snakegym(
            "evaluate",
            *asked,
            "--scenario",
            tiny,
            "--episodes",
            2,
            "--seed",
            seed,
            "--jobs",
            1,
            "--out",
            name,
            *(() if baseline is None else ("--baseline", baseline)),
        )
        assert status == 0, err
        shutil.copytree(tmp_path / name, done)
        return tmp_path / name

    return write


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change evaluation.json."""
    path = folder / "evaluation.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest."""
    monkeypatch.setattr(html, "section_pictures", lambda *_: [])


@pytest.mark.painted
def test_the_page_needs_nothing_but_itself(
    folder: Callable[..., Path], snakegym: Run, tmp_path: Path, read_page: ReadPage
) -> None:
    folder("one", "serpentine", "random", "fastest")
    status, out, err = snakegym("report", "one", "--out", "pages/report.html")
    assert status == 0, err
    assert "P(Return)" in out
    page = read_page(tmp_path / "pages" / "report.html")
    assert len(page.images) == 7
    assert all(len(str(image["alt"])) > 30 for image in page.images)
    for text in ("Compared with serpentine", "generated-link"):
        assert text in page.source


@pytest.mark.usefixtures("without_pictures")
def test_other_episodes_have_a_section_of_their_own(
    folder: Callable[..., Path], snakegym: Run, tmp_path: Path, read_page: ReadPage
) -> None:
    folder("one", "serpentine", "random")
    folder("two", "random", seed=1)
    assert snakegym("report", "one", "two")[0] == 0
    page = read_page(tmp_path / "report.html")
    assert page.headings.count(2) == 4
    for text in ("Overview", "scenario &#39;tiny&#39;, seed 0", "scenario &#39;tiny&#39;, seed 1"):
        assert text in page.source
    assert snakegym("report", "one", "two")[0] == 0
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page.source


@pytest.mark.usefixtures("without_pictures")
def test_training_seeds_are_one_row_and_names_are_escaped(
    folder: Callable[..., Path], snakegym: Run, tmp_path: Path, read_page: ReadPage
) -> None:
    one = folder("one", "serpentine", "random")

    def pretend(data: dict[str, Any]) -> None:
        data["episodes"] |= {f"<b>{i}": data["episodes"]["random"] for i in range(2)}
        data["request"]["scheduler"] += ["<b>0", "<b>1"]
        data["trained"] = {f"<b>{i}": {"seed": i, "settings": "same"} for i in range(2)}

    rewrite(one, pretend)
    (one / "traces.json").unlink()
    assert snakegym("report", "one", "--target", 0.01)[0] == 0
    page = read_page(tmp_path / "report.html")
    for text in ("&lt;b&gt;* (2 seeds)", "Every training run by itself", "Time to 1% validation accuracy"):
        assert text in page.source
    assert "<b>" not in page.source


@pytest.mark.usefixtures("without_pictures")
def test_one_training_seed_is_said_to_be_one(
    folder: Callable[..., Path], snakegym: Run, tmp_path: Path
) -> None:
    rewrite(
        folder("one", "serpentine", "random"),
        lambda d: d.update(trained={"random": {"seed": 3, "settings": "x"}}),
    )
    status, out, err = snakegym("report", "one")
    assert status == 0, err
    for text in (out, (tmp_path / "report.html").read_text(encoding="utf-8")):
        assert "random: one training seed, intervals are over episodes alone" in " ".join(text.split())
        assert "Student" in text


def test_the_chart_says_which_layers_fit_whom(
    folder: Callable[..., Path], snakegym: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder("one", "random", "serpentine")
    drawn: dict[str, Any] = {}
    monkeypatch.setattr(pictures, "drawn", lambda title, *about: drawn.update({title: about[-1]}))
    evaluation = read_evaluation(Path("one"))
    analysis = analyse(evaluation.records, evaluation.trained, evaluation.scenario)
    list(pictures.section_pictures(evaluation, analysis))
    chart = drawn["Who did what when"]
    assert [ax.get_title() for ax in chart.axes if ax.get_images()] == ["layers that fit"] * 2
    named = [text.get_text() for text in chart.legends[0].get_texts()]
    assert named[0].startswith("trains layer 0, ")
    assert evaluation.terrain.n_nodes == 3


def test_the_same_episodes_are_shown_together(folder: Callable[..., Path], tmp_path: Path) -> None:
    one, two, other = (
        folder("one", "serpentine"),
        folder("two", "random", "serpentine"),
        folder("other", "random", seed=1),
    )
    both, alone = merge([read_evaluation(f) for f in (one, two, other)])
    assert list(both.records) == ["serpentine", "random"]
    assert both.folders == (one, two)
    assert list(alone.records) == ["random"]
    shutil.copytree(two, tmp_path / "changed")
    rewrite(tmp_path / "changed", lambda d: d["episodes"]["serpentine"][0].update(total_reward=0.0))
    assert len(merge([read_evaluation(f) for f in (one, tmp_path / "changed")])) == 2


MARKUP = (
    "<script>alert(1)</script>",
    "$\\frac$",
    "$x$",
    "[red]x[/blue]",
    "_hidden",
    "{{ title }}",
    "a\nb",
    "",
    "\U0001f40d",
)


@pytest.mark.slow
@pytest.mark.painted
def test_any_name_is_shown_as_it_is(
    folder: Callable[..., Path], snakegym: Run, tmp_path: Path, read_page: ReadPage
) -> None:
    """Names of folders, schedulers, scenarios: no markup of a page, a terminal or a picture."""
    one = folder("one", "random")

    def rename(data: dict[str, Any]) -> None:
        episodes = data["episodes"]["random"]
        data["request"]["scheduler"] = list(MARKUP)
        data["episodes"] = dict.fromkeys(MARKUP, episodes)
        data["scenario"].update(name="$\\frac$ <script>", summary="<script>[/red]")

    rewrite(one, rename)
    odd = one.rename(tmp_path / "$\\frac$ <script>[red]")
    status, out, err = snakegym("report", odd.name)
    assert status == 0, err
    assert not err
    assert "[red]x[/blue]" in out
    page = read_page(tmp_path / "report.html")
    assert "<script" not in page.source
    assert len(page.images) == 7
    assert "{{ title }}" in page.source


OTHERS = ("", "x", "\ud800", [], {}, [[]], {"a": 1})
WEIRD = st.sampled_from(
    [None, True, -1, 0, 10**400, 1e308, -1e308, 1e-320, float("nan"), float("inf"), *OTHERS]
)


def _mutate(data: Any, draw: st.DrawFn) -> None:
    """Drop, replace or add something somewhere."""
    while isinstance(data, dict | list) and data:
        key = draw(st.sampled_from(sorted(data) if isinstance(data, dict) else range(len(data))))
        if not (isinstance(data[key], dict | list) and data[key]) or draw(st.integers(0, 3)) == 0:
            match draw(st.integers(0, 2)):
                case 0:
                    del data[key]
                case 1:
                    data[key] = draw(WEIRD)
                case _ if isinstance(data, dict):
                    data["unknown"] = draw(WEIRD)
                case _:
                    data.append(copy.deepcopy(data[key]))
            return
        data = data[key]


@pytest.mark.usefixtures("without_pictures")
def test_no_mutation_ends_in_a_traceback(folder: Callable[..., Path], snakegym: Run, tmp_path: Path) -> None:
    one = folder("one", "serpentine", "random")
    whole = {name: json.loads((one / name).read_text()) for name in ("evaluation.json", "traces.json")}

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        for name, content in whole.items():
            changed = copy.deepcopy(content)
            for _ in range(data.draw(st.integers(0, 2))):
                data.draw(st.composite(lambda draw, c=changed: _mutate(c, draw))())
            (one / name).write_text(json.dumps(changed))
        status, _, err = snakegym("report", "one")
        assert status in (0, 2)
        if status:
            assert err.startswith(("error: one/evaluation.json: ", "error: one/traces.json: "))
            assert err.count("\n") == 1
            assert len(err) < 400

    attack()


def _first(data: dict[str, Any]) -> dict[str, Any]:
    """The first episode."""
    episode: dict[str, Any] = data["episodes"]["random"][0]
    return episode


class TestRefused:
    """Bad input: one line, and nothing written."""

    def check(self, run: tuple[int, str, str], *named: str) -> None:
        status, _, err = run
        assert status == 2
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        for text in named:
            assert text in err

    def test_what_is_no_evaluation(self, snakegym: Run, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "partial").mkdir()
        (tmp_path / "partial" / "partial.jsonl").touch()
        self.check(snakegym("report"), "RESULTS")
        self.check(snakegym("report", "nowhere"), "nowhere: found no evaluation.json")
        self.check(snakegym("report", "empty"), "empty: found no evaluation.json")
        self.check(snakegym("report", "partial"), "unfinished")
        self.check(snakegym("report", "empty", "--target", 90), "--target: found 90")
        assert not (tmp_path / "report.html").exists()

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (lambda d: d.pop("request"), "field 'request': field required"),
            (lambda d: d["scenario"].pop("network"), "field 'scenario.network': field required"),
            (lambda d: d["episodes"]["random"].pop(), "'episodes.random': found 1 episodes, expected 2"),
            (lambda d: d["episodes"].clear(), "'episodes.random': found 0 episodes, expected 2"),
            (lambda d: _first(d).pop("time_s"), "'episodes.random.0.time_s': field required"),
            (lambda d: _first(d)["trace"][0].update(metric="x"), 'random.0.trace.0.metric\': found "x"'),
            (
                lambda d: _first(d).update(hops="x"),
                "'episodes.random.0.hops': found \"x\", input should be a",
            ),
            (lambda d: _first(d).update(energy_j=1e200), "random.0.energy_j': found 1e+200"),
            (lambda d: _first(d).update(energy_j=float("nan")), "NaN"),
            (lambda d: _first(d)["rewards"].pop("gain"), "random.0.rewards.gain': found nothing"),
            (lambda d: _first(d).update(test_accuracy=None), "random.0.test_accuracy': found nothing"),
            (lambda d: d["request"].update(scheduler="random"), "'request.scheduler': found \"random\""),
            (lambda d: d["request"].pop("split"), "field 'request.split': field required"),
            (lambda d: d["scenario"]["process"].update(target="high"), 'process.target\': found "high"'),
            (lambda d: d["scenario"].update(summary="\ud800"), "half of a surrogate pair"),
            (lambda d: d.update(trained={"random": {"seed": 1}}), "'trained.random.settings': field"),
            (lambda d: d.update(weights=3), "field 'weights': found 3"),
            (
                lambda d: d["terrain"]["memory_bytes"].pop(),
                "'terrain': found 2 nodes and 7 layers, but",
            ),
            (lambda d: d["terrain"]["peak_flops"].append(-1), "terrain.peak_flops.3': found -1"),
            (lambda d: d["terrain"].update(fits=[]), "field 'terrain': found 3 nodes"),
            (
                lambda d: _first(d)["trace"][0].update(node=3),
                "trace.0.node': found 3, expected less",
            ),
            (lambda d: d.clear(), "field required"),
        ],
    )
    def test_damaged_evaluations(
        self,
        folder: Callable[..., Path],
        snakegym: Run,
        tmp_path: Path,
        change: Callable[[dict[str, Any]], object],
        named: str,
    ) -> None:
        rewrite(folder("one", "random"), change)
        self.check(snakegym("report", "one"), named)
        assert not (tmp_path / "report.html").exists()

    @pytest.mark.parametrize(
        ("entries", "named"),
        [({}, "found {"), ([3], "field '0': found 3"), ([{"kind": 1}], "'0.kind': found 1")],
    )
    def test_a_damaged_list_of_traces(
        self, folder: Callable[..., Path], snakegym: Run, entries: object, named: str
    ) -> None:
        (folder("one", "random") / "traces.json").write_text(json.dumps(entries))
        self.check(snakegym("report", "one"), "traces.json: ", named)

    def test_a_truncated_file(self, folder: Callable[..., Path], snakegym: Run) -> None:
        path = folder("one", "random") / "evaluation.json"
        path.write_bytes(path.read_bytes()[:1000])
        self.check(snakegym("report", "one"), "evaluation.json: cannot read it as JSON")

    def test_other_files_are_not_overwritten(
        self, folder: Callable[..., Path], snakegym: Run, tmp_path: Path
    ) -> None:
        folder("one", "random")
        (tmp_path / "thesis.html").write_text("precious")
        self.check(snakegym("report", "one", "--out", "thesis.html"), "thesis.html: found another file")
        self.check(snakegym("report", "one", "--out", "one"), "one: ")
        assert (tmp_path / "thesis.html").read_text() == "precious"


def test_a_report_compares_with_whom_it_is_told(folder: Callable[..., Path], tmp_path: Path) -> None:
    rules = ("serpentine", "random", "greedy")
    found = report(ReportConfig((folder("e", *rules),), tmp_path / "a.html"))
    assert (found.page, found.analyses[0].baseline) == (tmp_path / "a.html", "serpentine")
    assert list(found.evaluations[0].records) == [*rules]
    told = report(ReportConfig((tmp_path / "e",), tmp_path / "b.html", baseline="greedy"))
    assert told.analyses[0].baseline == "greedy"
    assert {*told.analyses[0].difference} == {"serpentine", "random"}
    assert "Compared with greedy" in told.page.read_text()
    with pytest.raises(SnakegymError, match="--baseline: found 'milp', expected one of serpentine, random"):
        report(ReportConfig((tmp_path / "e",), tmp_path / "c.html", baseline="milp"))
    assert not (tmp_path / "c.html").exists()


def test_a_report_compares_with_whom_the_evaluations_did(folder: Callable[..., Path], tmp_path: Path) -> None:
    first = folder("e", "serpentine", "random", "greedy", baseline="random")
    (analysis,) = report(ReportConfig((first,), tmp_path / "a.html")).analyses
    assert analysis.baseline == "random"
    other = folder("f", "serpentine", "random")
    (analysis,) = report(ReportConfig((first, other), tmp_path / "b.html")).analyses
    assert analysis.baseline == "serpentine", "they do not agree"


def test_of_texts_there_is_no_accuracy(folder: Callable[..., Path], tmp_path: Path) -> None:
    evaluation = folder("e", "serpentine", "random")
    before, after = tmp_path / "before.html", tmp_path / "after.html"
    report(ReportConfig((evaluation,), before))
    rewrite(evaluation, lambda found: found["scenario"]["data"].update(dataset="questions"))
    report(ReportConfig((evaluation,), after))
    texts = [re.sub('base64,[^"]*', "", path.read_text()) for path in (before, after)]
    assert "Test accuracy" in texts[0]
    assert "Test score" in texts[1]
    assert "accuracy" not in texts[1].lower()
