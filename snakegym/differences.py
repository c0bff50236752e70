"""Where two JSON values differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def differences(found: Any, expected: Any, field: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each field that differs (`a.b` for b within a), with what stands there: None where it is missing."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        for key in {**expected, **found}:
            inner = f"{field}.{key}" if field else str(key)
            yield from differences(found.get(key), expected.get(key), inner)
    elif found != expected:
        yield field, found, expected


def brief(value: Any) -> str:
    """A JSON value in at most 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
