"""The tables of an explanation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from snakegym.training.analysis.intervals import Estimate, describe
from snakegym.training.explain.disagreement import Disagreement, Shares
from snakegym.training.explain.explanation import Explained
from snakegym.training.explain.importance import EVERYTHING, FEATURES, Part, Way, Weight
from snakegym.training.explain.states import KINDS, QUALITIES
from snakegym.training.show.tables import NONE, Cell, Column, Table, cell, number

SHARE = Column("share", "Share\n%", 100, 1)
CHANGED = Column("changed", "Choices that\nchange %", 100, 1)
DIVERGENCE = Column("divergence", "Divergence\nmillinats", 1000, 1)
SHOWN = 15
"""Features in a table; all are in explain.json."""
WAYS: dict[Way, str] = {
    "pairs": "By what it tells one node or layer from another",
    "states": "By what it tells one moment from another",
}
HOW: dict[Way, str] = {
    "pairs": "Permuted within a state, among the nodes, layers or pairs that are legal in it.",
    "states": "Taken from another state, for all nodes, layers or pairs together.",
}


def ranked(weights: Sequence[Weight], way: Way) -> list[Weight]:
    """Single features that were permuted this way and moved anything, those that move most first."""
    found = [w for w in weights if w.feature.way == way and w.feature.name != EVERYTHING]
    moving = [w for w in found if w.changed.value > 0 or w.divergence.value > 0]
    return sorted(moving, key=lambda w: (-w.changed.value, -w.divergence.value))


def name_of(weight: Weight) -> str:
    """A feature, with the part of the observation that it is of."""
    return f"{weight.feature.name} ({weight.feature.part})"


def policy_tables(label: str, planner: str, policy: Explained) -> Iterator[Table]:
    """All tables of one policy."""
    if policy.weights:
        yield _parts(policy.weights)
        yield from (_features(policy.weights, way) for way in WAYS)
    found = policy.disagreement
    yield _kinds(f"Where {label} and {planner} differ, by how far into the episode", found, found.by_quarter)
    yield _kinds("The same by how many layers of the cycle are trained", found, found.by_position)
    if found.qualities:
        yield _qualities(label, planner, found)


def _features(weights: Sequence[Weight], way: Way) -> Table:
    shown = ranked(weights, way)[:SHOWN]
    left = len(ranked(weights, way)) - len(shown)
    more = f" {left} more move it less." if left else ""
    return Table(
        WAYS[way],
        f"{HOW[way]} Share of the decisions whose most likely action changes, and Kullback-Leibler "
        f"divergence of the probabilities from what they were; {describe(w.changed for w in shown)}.{more}",
        ["Feature", CHANGED.title, DIVERGENCE.title],
        [(name_of(w), [cell(w.changed, CHANGED), cell(w.divergence, DIVERGENCE)]) for w in shown],
    )


def _parts(weights: Sequence[Weight]) -> Table:
    whole = {(w.feature.part, w.feature.way): w.changed for w in weights if w.feature.name == EVERYTHING}

    def row(part: Part) -> list[Cell]:
        found = (whole.get((part, way)) for way in WAYS)
        return [Cell(NONE) if e is None else cell(e, CHANGED) for e in found]

    return Table(
        "Parts of what is seen",
        "Share of the decisions whose most likely action changes if all features of a part are permuted "
        f"together, among what is legal, or among states; {describe(whole.values())}.",
        ["Part", "among\nlegal %", "among\nstates %"],
        [(part, row(part)) for part in FEATURES],
    )


def _kinds(caption: str, found: Disagreement, columns: Mapping[str, Shares]) -> Table:
    every = {"all": found.all, **columns}
    shown = [kind for kind in KINDS if found.all.of_kind[kind].value > 0]
    rows = [(KINDS[kind], [cell(s.of_kind[kind], SHARE) for s in every.values()]) for kind in shown]
    agree = ("the same", [cell(s.of_kind["same"], SHARE) for s in every.values()])
    estimates = (e for shares in every.values() for e in shares.of_kind.values())
    return Table(
        caption,
        "The policy plays, the planner is asked at each of its decisions. Share of the decisions in %; "
        f"{describe(estimates)}. Last row: decisions.",
        ["Decision", *every],
        [agree, *rows, ("decisions", [Cell(str(s.decisions)) for s in every.values()])],
    )


def _qualities(label: str, planner: str, found: Disagreement) -> Table:
    column = Column("", "", 1, 2)

    def plain(value: float) -> Cell:
        return Cell(number(Estimate(value), column))

    return Table(
        "What they choose where both choose, and differ",
        f"Means over these decisions; {describe(c.difference for c in found.qualities.values())}.",
        ["", label, planner, "Difference"],
        [
            (QUALITIES[name], [plain(c.policy), plain(c.planner), cell(c.difference, column)])
            for name, c in found.qualities.items()
        ],
    )
