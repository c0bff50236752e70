"""Command lines as programs and files write them.

`wandb agent` gives every option as `--key=value`. Its values are Python's: `--resume=False` for a switch,
`--target_kl=None`, `--net_arch=[64, 64]`, and a whole mapping for nested parameters. They are put here as our
parser knows them, and so are the options in a file that `--config` names.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro

from snakegym.agents.hyperparameters import ZERO_FOR_NONE
from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario

SECTIONS = tuple(
    name for name, field in Scenario.model_fields.items() if hasattr(field.annotation, "model_fields")
)
"""Parts of a scenario: `--network.nodes=9` is `--set network.nodes=9`."""
Kind = Literal["switch", "list", "appends", "value", "group", "positional"]
_APPENDS = get_args(tyro.conf.UseAppendAction[tuple[str, ...]])[1]
_POSITIONAL = get_args(tyro.conf.Positional[str])[1]
_WORDS = ("True", "False", "None")


def kinds_of(command: type[Any]) -> dict[str, Kind]:
    """What each option of a command takes, by its name with underscores; those of its groups as well."""
    found: dict[str, Kind] = {}
    hints = get_type_hints(command, include_extras=True)
    for field in fields(command):
        hint, marks = hints[field.name], ()
        if hasattr(hint, "__metadata__"):
            hint, marks = get_args(hint)[0], hint.__metadata__
        if is_dataclass(hint):
            found |= {field.name: "group", **kinds_of(hint)}  # type: ignore[arg-type]
        else:
            found[field.name] = (
                "appends" if _APPENDS in marks else "positional" if _POSITIONAL in marks else _kind(hint)
            )
    return found


def _kind(hint: Any) -> Kind:
    if hint is bool:
        return "switch"
    choices = get_args(hint) if isinstance(hint, UnionType) or get_origin(hint) is not None else ()
    lists = hint is tuple or get_origin(hint) is tuple or any(get_origin(c) is tuple for c in choices)
    return "list" if lists else "value"


def as_we_write(arguments: Sequence[str], command: type[Any]) -> list[str]:
    """The same command line as our parser knows it; what it knows already is left alone.

    Args:
        arguments: without the name of the command.
        command: dataclass of the command's options.

    Raises:
        SnakegymError: a switch is neither True nor False.
    """
    kinds = kinds_of(command)
    end = [*arguments, "--"].index("--")
    return [word for part in _options(arguments[:end]) for word in _written(part, kinds)] + [*arguments[end:]]


def document_of(config: Any) -> dict[str, Any]:
    """The options of a command as plain data that a file for `--config` can hold, its groups' beside its own.

    Args:
        config: dataclass of the command's options; what is None or empty is left out.
    """
    found: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value):
            found |= document_of(value)
        elif value is not None and value != ():
            plain = [*map(str, value)] if isinstance(value, tuple) and isinstance(value[0], Path) else value
            plain = list(plain) if isinstance(plain, tuple) else plain
            found[field.name] = str(plain) if isinstance(plain, Path) else plain
    return found


def taken_out(
    arguments: Sequence[str], option: str = "--config", expected: str = "a .yaml file"
) -> tuple[str | None, list[str]]:
    """What stands behind an option, if it is there, and the other words.

    Raises:
        SnakegymError: nothing stands behind it, where `expected` should.
    """
    words = list(arguments)
    for place, word in enumerate(words):
        if word == "--":
            break
        if word == option:
            if place + 1 == len(words):
                raise SnakegymError(f"{option}: found nothing behind it, expected {expected}")
            return words[place + 1], words[:place] + words[place + 2 :]
        if word.startswith(f"{option}="):
            return word.partition("=")[2], words[:place] + words[place + 1 :]
    return None, words


def value_of(arguments: Sequence[str], name: str) -> str | None:
    """What the words of a command line say behind `--name`, if they do."""
    for word, following in itertools.zip_longest(arguments, arguments[1:]):
        option, equals, text = word.partition("=")
        if option == f"--{name}":
            return text if equals else following
    return None


def from_document(document: Any, origin: str, command: type[Any], given: Sequence[str]) -> list[str]:
    """The words of a command line that say what a document says, but for options that are given otherwise.

    Args:
        document: from options, with underscores or hyphens, to values; sections of a scenario are mappings.
        origin: names it in errors.
        command: dataclass of the command's options.
        given: words of the command line, which count more.

    Raises:
        SnakegymError: no mapping, or an unknown option.
    """
    if not isinstance(document, Mapping):
        raise SnakegymError(
            f"{origin}: found {type(document).__name__}, expected a mapping from options to values"
        )
    kinds = kinds_of(command)
    said = {_plain(word) for word in given if word.startswith("--")}
    placed = _has_positional(given, kinds)
    positional, options = [], list[str]()
    for key, value in document.items():
        name = key.replace("-", "_").removeprefix("ppo.")
        kind = kinds.get(name)
        if kind is None and not ("set" in kinds and name.partition(".")[0] in SECTIONS):
            known = ", ".join(n for n, k in kinds.items() if k != "group")
            raise SnakegymError(f"{origin}: unknown option '{key}', expected one of {known}")
        if kind == "group":
            options += from_document(value, f"{origin}: {key}", command, given)
        elif kind == "positional":
            if not placed:
                positional += [str(v) for v in (value if isinstance(value, list) else [value])]
        elif name not in said and (value is not None or name in ZERO_FOR_NONE):
            options += _spelled(name, value, kind)
    return [*positional, *options]


def _has_positional(given: Sequence[str], kinds: Mapping[str, Kind]) -> bool:
    """Whether one of the words is neither an option nor the value of one."""
    waiting: Kind | None = None
    for word in given:
        if word == "--":
            return word != given[-1]
        if word.startswith("--"):
            waiting = None if "=" in word else kinds.get(_plain(word), "value")
        elif waiting in (None, "switch"):
            return True
        elif waiting != "list":
            waiting = None
    return False


def _spelled(name: str, value: Any, kind: Kind | None) -> list[str]:
    if kind == "appends":
        return [f"--{name}={v}" for v in (value if isinstance(value, list) else [value])]
    if kind == "list" and isinstance(value, list):
        return [f"--{name}", *map(str, value)]
    return [f"--{name}={value}"]


def _plain(word: str) -> str:
    name = word.partition("=")[0][2:].replace("-", "_").removeprefix("ppo.")
    return name.removeprefix("no_")


def _options(arguments: Sequence[str]) -> Iterator[str]:
    """Words, those that are an option and one of Python's values behind it as one: `--resume False`."""
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        named = word.startswith("--") and "=" not in word
        if named and waiting and (waiting[0] in _WORDS or waiting[0][:1] in ("[", "{")):
            word = f"{word}={waiting.pop(0)}"
        yield word


def _written(word: str, kinds: Mapping[str, Kind]) -> list[str]:
    option, equals, text = word.partition("=")
    if not option.startswith("--") or not equals:
        return [word]
    name = option[2:].replace("-", "_")
    section, dot, _ = name.partition(".")
    if (section in SECTIONS and name not in kinds and "set" in kinds) and (dot or text.startswith("{")):
        return _set(name, text)
    name = name.removeprefix("ppo.")
    kind = kinds.get(name)
    value = _python(text)
    if kind == "group" and isinstance(value, Mapping):
        return [part for key, v in value.items() for part in _written(f"--{key}={v}", kinds)]
    if text == "None":
        return [option, "0"] if name in ZERO_FOR_NONE else []
    if kind == "switch":
        if not isinstance(value, bool):
            raise SnakegymError(f"{option}: found {text!r:.60}, expected True or False")
        return [option if value else f"--no-{option[2:]}"]
    if kind == "list" and isinstance(value, list | tuple):
        return [option, *map(str, value)]
    if kind == "appends" and isinstance(value, list | tuple):
        return [part for v in value for part in (option, str(v))]
    return [word]


def _set(name: str, text: str) -> list[str]:
    """A field of the scenario, or several of one section."""
    value = _python(text)
    if isinstance(value, Mapping):
        return [part for key, v in value.items() for part in _set(f"{name}.{key}", str(v))]
    return ["--set", f"{name}={'null' if text == 'None' else text}"]


def _python(text: str) -> Any:
    """The truth value, list or mapping that a text is; the text itself where it is none of them."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return parse_yaml(text, "") if text[:1] in ("[", "{") else text
    except SnakegymError:
        return text
