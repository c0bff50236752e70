"""`snakegym report`: evaluations as one self-contained HTML page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from snakegym import __version__
from snakegym.errors import SnakegymError
from snakegym.training.analysis.read import Evaluation, merge, read_evaluation
from snakegym.training.analysis.summary import Analysis, analyse
from snakegym.training.evaluate.results import print_evaluation
from snakegym.training.report.config import ReportConfig
from snakegym.training.report.pictures import Picture, section_pictures
from snakegym.training.report.tables import overview, section_tables, trace_table
from snakegym.training.runs.folder import make_folder, write_text
from snakegym.training.show.tables import Table, in_line

MARK = '<meta name="generator" content="snakegym report'
"""What tells a report from other files, in its first lines."""


@dataclass(frozen=True)
class Section:
    """Evaluations of the very same episodes."""

    title: str
    summary: str
    facts: Mapping[str, str]
    tables: Sequence[Table]
    pictures: Iterable[Picture]
    traces: Table | None
    trace_names: Sequence[str]


@dataclass(frozen=True)
class ReportResult:
    """What a report shows."""

    page: Path
    """The file."""
    evaluations: Sequence[Evaluation]
    """One a section: those of the very same episodes are together."""
    analyses: Sequence[Analysis]
    """Of each of them: means, intervals and comparisons."""


def report(config: ReportConfig) -> ReportResult:
    """Print the tables and write the page.

    Raises:
        SnakegymError: a folder holds no evaluation, no evaluation holds the baseline, or --out is something
            else than a report.
    """
    config.validate()
    check_out(config.out)
    evaluations = merge([read_evaluation(folder) for folder in config.results])
    asked = config.baseline
    found = list(dict.fromkeys(name for e in evaluations for name in e.records))
    if asked is not None and asked not in found:
        raise SnakegymError(f"--baseline: found '{asked}', expected one of {', '.join(found)}")
    baselines = [asked if asked in e.records else e.baseline for e in evaluations]
    analyses = [
        analyse(e.records, e.trained, e.scenario, config.target, baseline)
        for e, baseline in zip(evaluations, baselines, strict=True)
    ]
    make_folder(config.out.parent)
    write_text(config.out, render(evaluations, analyses))
    for evaluation, analysis in zip(evaluations, analyses, strict=True):
        print_evaluation(_title(evaluation), analysis)
    print(f"written to {config.out}")
    return ReportResult(config.out, evaluations, analyses)


def check_out(path: Path) -> None:
    """Whether the report may be written there. Raises SnakegymError if it is something else's place."""
    try:
        if not path.exists():
            return
        with path.open(encoding="utf-8", errors="replace") as file:
            start = file.read(500)
    except OSError as error:
        raise SnakegymError(f"{path}: {error.strerror or error}, expected a file to write to") from None
    if MARK not in start:
        raise SnakegymError(f"{path}: found another file, expected a new one or a report to overwrite")


def render(evaluations: Sequence[Evaluation], analyses: Sequence[Analysis]) -> str:
    """The page; the same for the same evaluations."""
    sections = [section_of(e, a) for e, a in zip(evaluations, analyses, strict=True)]
    titles = [section.title for section in sections]
    return render_page(
        titles[0] if len(titles) == 1 else f"{len(titles)} evaluations",
        sections,
        tables=[overview(titles, analyses)] if len(sections) > 1 else [],
    )


def render_page(
    title: str,
    sections: Sequence[Section],
    tables: Sequence[Table] = (),
    pictures: Iterable[Picture] = (),
    remarks: Sequence[str] = (),
    command: str = "report",
    template: str = "report.html",
) -> str:
    """A page of sections; the same for the same input.

    Args:
        title: of the page.
        sections: one each set of episodes.
        tables: what all sections say together.
        pictures: of the same.
        remarks: paragraphs about how to read the numbers, beside those of every page.
        command: that makes the page.
        template: name of the page's template, without its `.jinja`.
    """
    environment = Environment(
        loader=PackageLoader("snakegym.training.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["in_line"] = in_line
    return environment.get_template(f"{template}.jinja").render(
        mark=MARK,
        version=__version__,
        title=title,
        sections=sections,
        tables=tables,
        pictures=pictures,
        remarks=remarks,
        command=command,
    )


def section_of(evaluation: Evaluation, analysis: Analysis, more: Sequence[Table] = ()) -> Section:
    """An evaluation as a section of a page, `more` tables before its own."""
    return Section(
        title=_title(evaluation),
        summary=str(evaluation.scenario["summary"]),
        facts=_facts(evaluation),
        tables=[*more, *section_tables(evaluation, analysis)],
        pictures=section_pictures(evaluation, analysis),
        traces=trace_table(evaluation.traces) if evaluation.traces else None,
        trace_names=[
            f"{t.get('kind')} {t.get('name')} ({t.get('split')}) {str(t.get('sha256'))[:12]}"
            for t in evaluation.traces
        ],
    )


def _title(evaluation: Evaluation) -> str:
    request = evaluation.request
    return (
        f"{request['episodes']} {request['split']} episodes of scenario '{evaluation.scenario['name']}', "
        f"seed {request['seed']}"
    )


def _facts(evaluation: Evaluation) -> dict[str, str]:
    scenario, request = evaluation.scenario, evaluation.request
    data, network = scenario["data"], scenario["network"]
    spread = data.get("partition", "")
    if spread == "dirichlet":
        spread += f", alpha {data.get('alpha')}"
    facts = {
        "Model and data": f"{scenario['model']['name']} on {data['dataset']}"
        + (f" ({spread})" if spread else ""),
        "Network": f"{network['nodes']} nodes, {str(network['mode']).upper()}",
        **({"Changed": ", ".join(request["set"])} if request.get("set") else {}),
        "Time budget": f"{scenario['process']['budget']['time_s']:g} simulated seconds an episode",
        "Order of the layers": request.get("layer_order") or scenario["process"].get("layer_order") or "free",
        "Traces": request.get("traces") or "as the scenario says",
        "Evaluated with": f"snakegym {evaluation.version}",
    }
    if evaluation.folders:
        folders = (os.fsencode(folder).decode("utf-8", "replace") for folder in evaluation.folders)
        facts["Evaluated in"] = ", ".join(folders)
    if evaluation.weights:
        facts["Weights (SHA-256)"] = ", ".join(f"{k}: {v[:12]}" for k, v in evaluation.weights.items())
    return facts
