"""Fields of a scenario that the command line sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, parse_scenario


def changed(scenario: Scenario, changes: Sequence[str]) -> Scenario:
    """The scenario with fields that have other values.

    Args:
        scenario: what it is without them.
        changes: `FIELD=VALUE` each: sections, and places in lists, have dots between them; values are YAML.

    Raises:
        SnakegymError: a change of another form, an unknown field, one that is given twice (a section
            after a field of it, too), or a value that the field cannot have.
    """
    fields = scenario.model_dump(mode="json")
    done: list[list[str]] = []
    for change in changes:
        name, equals, text = change.partition("=")
        path = name.strip().split(".")
        if not equals or not all(path):
            raise SnakegymError(f"--set: found '{change}', expected FIELD=VALUE, like learning.epochs=2")
        place = [str(int(key)) if key.isdecimal() else key for key in path]
        if any(earlier[: len(place)] == place for earlier in done):
            raise SnakegymError(
                f"--set: found '{change}' after another value of it, expected each field once"
            )
        done.append(place)
        _put(fields, path, _value(change, text), change)
    return parse_scenario(yaml.safe_dump(fields), "--set") if changes else scenario


def _put(fields: Any, path: Sequence[str], value: Any, change: str) -> None:
    for place, key in enumerate(path):
        if isinstance(fields, list) and key.isdecimal() and int(key) < len(fields):
            where: Any = int(key)
        elif isinstance(fields, dict):
            where = key
        else:
            raise SnakegymError(f"--set: found '{change}', but '{'.'.join(path[:place])}' has no '{key}'")
        if place == len(path) - 1:
            fields[where] = value
        elif isinstance(fields, dict) and fields.get(where) is None:
            fields[where] = {}
        fields = fields[where]


def _value(change: str, text: str) -> Any:
    try:
        return parse_yaml(text, "--set")
    except SnakegymError as error:
        raise SnakegymError(
            f"--set: found '{change}', expected a value in YAML behind the '=': {error}"
        ) from None
