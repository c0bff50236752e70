"""Options that are given twice: the parser would take the last without a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import tyro

from snakegym.errors import SnakegymError

_APPENDS = get_args(tyro.conf.UseAppendAction[tuple[str, ...]])[1]


def refuse_repeated(arguments: Sequence[str], command: type[Any]) -> None:
    """Raise SnakegymError for the first option that is given twice and takes one value.

    Args:
        arguments: the command line. `--n_envs`, `--n-envs 1` and `--n-envs=1` are the same option, and so
            are `--resume` and `--no-resume`, `--gamma` and `--ppo.gamma`.
        command: dataclass of the command's options; those marked with `UseAppendAction` may be repeated.
    """
    hints = get_type_hints(command, include_extras=True)
    repeatable = {
        f"--{field.name.replace('_', '-')}"
        for field in fields(command)
        if _APPENDS in get_args(hints[field.name])[1:]
    }
    seen: set[str] = set()
    for word in arguments:
        if word == "--":
            return
        if not word.startswith("--"):
            continue
        option = word.partition("=")[0].replace("_", "-").replace("--ppo.", "--")
        option = f"--{option.removeprefix('--no-')}" if option.startswith("--no-") else option
        if option in seen and option not in repeatable:
            raise SnakegymError(f"{option}: found it twice, expected each option once")
        seen.add(option)
