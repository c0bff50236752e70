"""What the commands' options have in common: types of values, and checks of them.

Each command has its options in a dataclass of its own, in the `config` module beside it. tyro makes
the command line from these classes; their docstrings are its help. Nothing heavy is imported there,
so `--help` answers at once. Values are checked by `validate`, not on construction: tyro would turn
such an error into a box of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import tyro

from snakegym.errors import SnakegymError


def said_default(default: str) -> str:
    """What help says of a default: nothing of None, as the option's own words say what that means."""
    return "" if default == "None" else f"(default: {default})"


Int = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint=said_default)]
Folder = Annotated[str | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint=said_default)]
RayAddress = Annotated[str | None, tyro.conf.arg(metavar="ADDRESS", help_behavior_hint=said_default)]
Text = Annotated[str | None, tyro.conf.arg(metavar="TEXT", help_behavior_hint=said_default)]


MOST = {
    "jobs": 1024,
    "links": 10_000,
    "computes": 10_000,
    "episodes": 100_000,
    "seeds": 10_000,
    "cycles": 100_000,
}
"""What these options may be at most: beyond, memory ends before the work does. Others: 10^12."""


def at_least_one(**counts: float) -> None:
    """Raise SnakegymError for the first of these options that is below 1, or more than `MOST` allows."""
    for name, value in counts.items():
        most = MOST.get(name, 10**12)
        if not 1 <= value <= most:
            expected = "1 or more" if value < 1 else f"at most {most:,}"
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected {expected}")


def above_zero(**numbers: float) -> None:
    """Raise SnakegymError for the first of these options that is not a finite number above 0."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected a number above 0")


def not_negative(**numbers: float) -> None:
    """Raise SnakegymError for the first of these options that is below 0, or 2^63 or more, as no seed is."""
    for name, value in numbers.items():
        if not 0 <= value < 2**63:
            expected = "less than 2^63" if value > 0 else "0 or more"
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected {expected}")


def said_once(option: str, values: Sequence[str]) -> None:
    """Raise SnakegymError if one of the values of a repeatable option is given twice."""
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        raise SnakegymError(f"--{option}: found {', '.join(twice)} twice, expected each once")


def printable(option: str, values: Sequence[str]) -> None:
    """Raise SnakegymError for the first value that no page could hold: half of a surrogate pair is in it."""
    for value in values:
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise SnakegymError(f"--{option}: found {value!r}, expected a name that can be written as text")
