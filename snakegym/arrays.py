"""Arrays that several objects share."""

from __future__ import annotations

from typing import Any, TypeVar

from numpy.typing import NDArray

_Array = TypeVar("_Array", bound=NDArray[Any])


def read_only(array: _Array) -> _Array:
    """The same array, which can no longer be written into; nor can its views made from now on."""
    array.setflags(write=False)
    return array
