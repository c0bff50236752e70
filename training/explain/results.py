"""What `snakegym explain` prints and leaves: tables, a page, pictures, numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from matplotlib.figure import Figure

from snakegym.training.explain import pictures
from snakegym.training.explain.explanation import Explained, Explanation, document
from snakegym.training.explain.states import KINDS
from snakegym.training.explain.tables import SHARE, WAYS, name_of, policy_tables, ranked
from snakegym.training.report.page import Section, render_page
from snakegym.training.report.pictures import Picture, drawn
from snakegym.training.report.tables import trace_table
from snakegym.training.runs.conventions import COMMAND_FILE, CONFIG_FILE
from snakegym.training.runs.folder import write_json, write_text
from snakegym.training.runs.manifest import MANIFEST
from snakegym.training.show.evaluation import evaluation_tables
from snakegym.training.show.figures import save
from snakegym.training.show.gantt import gantt
from snakegym.training.show.tables import Table, console, number, print_tables

DOCUMENT, PAGE = "explain.json", "explain.html"
PICTURES = ("importance.png", "disagreement.png", "gantt.png", "course.png")


def files_of(n_policies: int) -> list[str]:
    """Names of all files that an explanation of at most so many policies leaves."""
    own = [_name(i, n, picture) for n in range(1, n_policies + 1) for i in range(n) for picture in PICTURES]
    return [DOCUMENT, PAGE, MANIFEST, CONFIG_FILE, COMMAND_FILE, *dict.fromkeys(own)]


def _name(place: int, n_policies: int, picture: str) -> str:
    return picture if n_policies == 1 else f"{place + 1}-{picture}"


def write_files(folder: Path, explanation: Explanation) -> list[str]:
    """Write pictures, page and numbers; their names."""
    n, written, sections = len(explanation.policies), [], []
    for place, (label, policy) in enumerate(explanation.policies.items()):
        figures = _figures(label, policy, explanation)
        for picture, figure in figures.items():
            save(figure, folder / _name(place, n, picture))
            written.append(_name(place, n, picture))
        sections.append(_section(label, policy, explanation, figures))
    page = render_page(
        _title(explanation), sections, _overview(explanation), command="explain", template=PAGE
    )
    write_text(folder / PAGE, page)
    write_json(folder / DOCUMENT, document(explanation), indent=1)
    return [DOCUMENT, PAGE, *written]


def print_results(explanation: Explanation) -> None:
    """Print all tables."""
    own = [
        table
        for label, policy in explanation.policies.items()
        for table in policy_tables(label, explanation.planner, policy)
    ]
    print_tables(console(), [*_overview(explanation), *own])


def _title(explanation: Explanation) -> str:
    who = ", ".join(explanation.policies)
    request, scenario = explanation.header["request"], explanation.header["scenario"]
    return (
        f"{who} beside {explanation.planner}: {request['episodes']} {request['split']} episodes of scenario "
        f"'{scenario['name']}', seed {request['seed']}"
    )


def _overview(explanation: Explanation) -> list[Table]:
    return evaluation_tables("What they reach and spend", explanation.analysis)[:2]


def _section(
    label: str, policy: Explained, explanation: Explanation, figures: Mapping[str, Figure]
) -> Section:
    request, d = explanation.header["request"], policy.disagreement
    same = number(d.all.of_kind["same"], SHARE)
    facts = {
        "Runs": ", ".join(policy.runs),
        "Planner": explanation.planner,
        "Decisions": f"{d.all.decisions} in {request['episodes']} episodes of {len(policy.runs)} runs",
        "The same decision": f"{same} %",
        "Weights (SHA-256)": ", ".join(
            f"{run}: {digest[:12]}"
            for run in policy.runs
            if (digest := explanation.header["weights"].get(run))
        ),
    }
    return Section(
        title=label,
        summary=str(explanation.header["scenario"]["summary"]),
        facts={name: fact for name, fact in facts.items() if fact},
        tables=list(policy_tables(label, explanation.planner, policy)),
        pictures=_pictures(label, policy, explanation, figures),
        traces=trace_table(explanation.traces),
        trace_names=[
            f"{t.get('kind')} {t.get('name')} ({t.get('split')}) {str(t.get('sha256'))[:12]}"
            for t in explanation.traces
        ],
    )


def _figures(label: str, policy: Explained, explanation: Explanation) -> dict[str, Figure]:
    first = {label: policy.episodes[0][0].record, explanation.planner: explanation.planned[0]}
    terrain, metric = explanation.terrain, explanation.analysis.metric
    gain = float(explanation.header["scenario"]["objective"]["gain"])
    figures = {
        "disagreement.png": pictures.disagreement(policy.disagreement),
        "gantt.png": gantt({name: [record] for name, record in first.items()}, terrain, metric),
        "course.png": pictures.course(first, gain, explanation.prices, metric),
    }
    if policy.weights:
        figures = {"importance.png": pictures.importance(policy.weights), **figures}
    return figures


def _pictures(
    label: str, policy: Explained, explanation: Explanation, figures: Mapping[str, Figure]
) -> Iterator[Picture]:
    first = {label: policy.episodes[0][0].record, explanation.planner: explanation.planned[0]}
    course = "; ".join(
        f"{name} ends at {r['validation_accuracy']:.1%} after {r['time_s']:.0f} s, {r['hops']} hops and "
        f"{r['energy_j']:.0f} J, return {r['total_reward']:.2f}"
        for name, r in first.items()
    )
    moving = ", ".join(
        f"{name_of(w)} {w.changed.value:.1%}" for way in WAYS for w in ranked(policy.weights, way)[:3]
    )
    kinds = ", ".join(
        f"{words} {policy.disagreement.all.of_kind[kind].value:.1%}" for kind, words in KINDS.items()
    )
    texts = {
        "importance.png": (
            "What moves the choice",
            "The share of decisions whose most likely action changes if a feature is permuted; lines are "
            "95 % intervals.",
            f"Those that move it most: {moving}.",
        ),
        "disagreement.png": (
            f"Where it differs from {explanation.planner}",
            "The share of the decisions that differ, by kind; what is missing up to 100 % is the same.",
            f"Over all decisions: {kinds}.",
        ),
        "gantt.png": (
            "The first episode side by side",
            "The same world by both, with the first training seed. Nodes go from small to large devices, the "
            "strip on the left shows for which layers each has the memory.",
            course,
        ),
        "course.png": (
            "The same episode over time",
            f"{explanation.analysis.metric.capitalize()}, return so far (gain minus costs) and costs; dots "
            "are the ends.",
            course,
        ),
    }
    for name, figure in figures.items():
        yield drawn(*texts[name], figure)
