"""The page about scenarios says what the schema says."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic.fields import FieldInfo

from snakegym.scenario import Scenario, Section
from snakegym.training.scenarios.reference import OPTIONS, _section_in, _unwrapped, reference

PAGE = Path(__file__).parents[3] / "docs" / "scenarios.md"


def fields(section: type[Section], path: str) -> list[tuple[str, FieldInfo]]:
    found = []
    for name, field in section.model_fields.items():
        found.append((f"{path}.{name}", field))
        if inner := _section_in(_unwrapped(field)[0]):
            found += fields(inner, f"{path}.{name}")
    return found


ALL = [
    *fields(Scenario, "scenario"),
    *(pair for name, section in OPTIONS.items() for pair in fields(section, name)),
]


def test_the_page_is_up_to_date() -> None:
    hint = (
        "write what `python -m snakegym.training.scenarios.reference` prints at the end of docs/scenarios.md"
    )
    assert PAGE.read_text(encoding="utf-8").endswith(reference().rstrip() + "\n"), hint


@pytest.mark.parametrize(("path", "field"), ALL, ids=[path for path, _ in ALL])
def test_every_field_is_described_and_every_number_bounded_on_both_sides(path: str, field: FieldInfo) -> None:
    kind, metadata, _ = _unwrapped(field)
    assert (field.description or "").strip().endswith("."), path
    if kind in (int, float):
        rules = {type(rule).__name__ for rule in metadata}
        assert rules & {"Ge", "Gt"}, path
        assert rules & {"Le", "Lt"}, path
