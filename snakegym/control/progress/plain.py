"""Arrays, numbers and records as plain JSON data, and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import numpy as np
from pydantic import TypeAdapter, ValidationError

from snakegym.arrays import read_only
from snakegym.errors import SnakegymError

Plain = dict[str, Any]
"""JSON data; numbers may be infinite or nan, as Python's json writes and reads them."""

Record = TypeVar("Record")


def keep(owner: object, names: Sequence[str]) -> Plain:
    """These attributes (arrays and numbers) of `owner` as plain data."""
    found = {name: getattr(owner, name) for name in names}
    return {name: v.tolist() if isinstance(v, np.ndarray) else v for name, v in found.items()}


def kept(
    like: object, names: Sequence[str], plain: Plain, *, open_ended: Sequence[str] = ()
) -> dict[str, Any]:
    """What `keep` was given: arrays and numbers of the types and shapes that they have in `like`.

    Args:
        like: has these attributes; arrays are as writable as there.
        names: of the attributes.
        plain: has a value for each of them.
        open_ended: arrays in which infinity and nan have a meaning.

    Raises:
        SnakegymError: an array of another shape, as of another process, or with values of another type;
            no finite number where one is, or a negative count.
    """
    found = {}
    for name in names:
        value, now = plain[name], getattr(like, name)
        if isinstance(now, np.ndarray):
            value = _array(name, value, now, finite=name not in open_ended)
        elif isinstance(now, bool):
            if not isinstance(value, bool):
                raise _error(name, value, "true or false")
        elif isinstance(now, int):
            value = count(name, value)
        elif isinstance(now, float):
            value = number(name, value)
        found[name] = value
    return found


def put_back(owner: object, names: Sequence[str], plain: Plain, *, open_ended: Sequence[str] = ()) -> None:
    """Give `owner` the attributes that `keep` gave. Raises SnakegymError as `kept`, and then gives none."""
    for name, value in kept(owner, names, plain, open_ended=open_ended).items():
        setattr(owner, name, value)


def number(name: str, value: Any) -> float:
    """The value, if it is a finite number; otherwise raises SnakegymError, which names it."""
    if not _is_number(value, int | float):
        raise _error(name, value, "a finite number")
    return float(value)


def count(name: str, value: Any, least: int = 0, below: float = math.inf) -> int:
    """The value, if it is a whole number of at least `least`, less than `below`. Raises SnakegymError."""
    if not (_is_number(value, int) and least <= value < below):
        most = "" if below == math.inf else f", less than {below}"
        raise _error(name, value, f"a whole number, {least} or more{most}")
    return int(value)


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def _array(name: str, value: Any, now: np.ndarray[Any, Any], *, finite: bool) -> np.ndarray[Any, Any]:
    try:
        found = np.array(value)
    except ValueError:  # rows of several lengths
        raise _error(name, value, f"numbers of shape {list(now.shape)}") from None
    if found.shape != now.shape:
        raise SnakegymError(
            f"checkpoint, field '{name.lstrip('_')}': found shape {list(found.shape)}, "
            f"expected {list(now.shape)} as in this process"
        )
    kinds, expected = {"f": ("if", "numbers"), "i": ("i", "whole numbers"), "b": ("b", "true and false")}[
        now.dtype.kind
    ]
    if found.dtype.kind not in kinds or (finite and not np.isfinite(found).all()):
        raise _error(name, value, f"finite {expected}" if finite and "f" in kinds else expected)
    found = found.astype(now.dtype)
    return found if now.flags.writeable else read_only(found)


def _error(name: str, found: Any, expected: str) -> SnakegymError:
    return SnakegymError(f"checkpoint, field '{name.lstrip('_')}': found {found!r:.80}, expected {expected}")


def keep_records(records: Sequence[Any]) -> list[Plain]:
    """Dataclasses as plain data."""
    return [asdict(record) for record in records]


def records_of(kind: type[Record], plain: Sequence[Plain]) -> list[Record]:
    """What `keep_records` was given; a loss alone may be no finite number, where nothing was trained.

    Raises:
        SnakegymError: one of them has a wrong shape.
    """
    try:  # as JSON, whose lists are tuples, and numbers no texts
        records: list[Record] = TypeAdapter(list[kind]).validate_json(json.dumps(plain), strict=True)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SnakegymError(f"checkpoint, field '{kind.__name__}.{place}': {first['msg']}") from None
    _check_finite(kind.__name__, plain)
    return records


def _check_finite(place: str, plain: Any) -> None:
    if isinstance(plain, float):
        if not math.isfinite(plain):
            raise _error(place, plain, "a finite number")
        return
    pairs = (
        plain.items()
        if isinstance(plain, dict)
        else enumerate(plain)
        if isinstance(plain, list | tuple)
        else ()
    )
    for name, value in pairs:
        if name != "loss":
            _check_finite(f"{place}.{name}", value)
