"""Arrays, numbers and records as plain JSON data, and back."""

from __future__ import annotations

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


def kept(like: object, names: Sequence[str], plain: Plain) -> dict[str, Any]:
    """What `keep` was given: arrays of the types and shapes that they have in `like`, as writable as there.

    Raises:
        SnakegymError: an array of another shape, as of another process, or no finite number where one is.
    """
    found = {}
    for name in names:
        value, now = plain[name], getattr(like, name)
        if isinstance(now, np.ndarray):
            value = np.array(value, dtype=now.dtype)
            if value.shape != now.shape:
                raise SnakegymError(
                    f"checkpoint, field '{name.lstrip('_')}': found shape {list(value.shape)}, "
                    f"expected {list(now.shape)} as in this process"
                )
            value = value if now.flags.writeable else read_only(value)
        elif isinstance(now, int | float) and not (isinstance(value, int | float) and math.isfinite(value)):
            raise SnakegymError(
                f"checkpoint, field '{name.lstrip('_')}': found {value!r:.80}, expected a finite number"
            )
        found[name] = value
    return found


def put_back(owner: object, names: Sequence[str], plain: Plain) -> None:
    """Give `owner` the attributes that `keep` gave. Raises SnakegymError as `kept`."""
    for name, value in kept(owner, names, plain).items():
        setattr(owner, name, value)


def keep_records(records: Sequence[Any]) -> list[Plain]:
    """Dataclasses as plain data."""
    return [asdict(record) for record in records]


def records_of(kind: type[Record], plain: Sequence[Plain]) -> list[Record]:
    """What `keep_records` was given.

    Raises:
        SnakegymError: one of them has a wrong shape.
    """
    try:
        records: list[Record] = TypeAdapter(list[kind]).validate_python(plain)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SnakegymError(f"checkpoint, field '{kind.__name__}.{place}': {first['msg']}") from None
    return records
