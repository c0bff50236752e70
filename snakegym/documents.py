"""YAML and JSON as plain data, read strictly: what is ambiguous is refused, never guessed.

YAML is read by the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema): `no` is text
and `1e-4` a number. Spellings that mean one number to YAML 1.1 and another, or text, to YAML 1.2 (`011`,
`0x1f`, `1_000`, `1:30`) are refused; so are names given twice, tags, and documents that grow beyond
measure by their aliases.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import yaml

from snakegym.errors import SnakegymError

MOST_VALUES: Final = 10_000
"""Values in a document, each alias counted with all that it stands for."""
MOST_DEPTH: Final = 32

_PLAIN = "tag:snakegym,2026:plain"
_TEXT, _LIST, _MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_LONGEST = 100
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((f"{s}.{w}" for s in ("", "+") for w in ("inf", "Inf", "INF")), math.inf),
    **dict.fromkeys((f"-.{w}" for w in ("inf", "Inf", "INF")), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_AMBIGUOUS = re.compile(
    r"[-+]?(0[0-9_]+|0[box][0-9a-fA-F_]+|[0-9][0-9_.]*_[0-9_.]*([eE][-+]?[0-9]+)?"
    r"|[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?)"
)


def parse_yaml(text: str, origin: str) -> Any:
    """The one document in a YAML text as dict (keys are text), list, str, int, float, bool or None.

    Args:
        text: of the document.
        origin: names it in errors.

    Raises:
        SnakegymError: no YAML; a name given twice; an ambiguous number; a tag; too deep or too large.
    """
    try:
        node = _Loader(text).get_single_node()
        return None if node is None else _Constructor(origin).value(node)
    except yaml.YAMLError as error:
        raise SnakegymError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None


def parse_json(text: str | bytes, origin: str, *, finite: bool = True) -> Any:
    """The value in a JSON text.

    Args:
        text: of the document.
        origin: names it in errors.
        finite: refuse NaN and infinity, which are no JSON, but Python writes them.

    Raises:
        SnakegymError: no JSON, or a name given twice.
    """
    constant = _no_constant if finite else None
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=constant)
    except RecursionError:
        raise SnakegymError(f"{origin}: not valid JSON: too deeply nested") from None
    except ValueError as error:
        raise SnakegymError(f"{origin}: not valid JSON: {error}") from None


class _Loader(yaml.SafeLoader):
    """Composes nodes: plain scalars are marked as such, and depth is bounded while it is read."""

    yaml_implicit_resolvers: dict[Any, Any] = {None: [(_PLAIN, re.compile("", re.DOTALL))]}  # noqa: RUF012
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self._depth > MOST_DEPTH:
            raise yaml.YAMLError(f"nested more than {MOST_DEPTH} deep")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


class _Constructor:
    """Makes plain data of nodes, and counts what it makes."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._values = 0
        self._open: list[int] = []

    def value(self, node: yaml.Node) -> Any:
        """What the node stands for."""
        self._values += 1
        if self._values > MOST_VALUES:
            raise self._error(node, f"found more than {MOST_VALUES} values (aliases included)")
        if id(node) in self._open:
            raise self._error(node, "found an alias of what it stands in")
        if isinstance(node, yaml.ScalarNode) and node.tag in (_PLAIN, _TEXT):
            return self._plain(node) if node.tag == _PLAIN else self._text(node)
        self._open.append(id(node))
        try:
            if isinstance(node, yaml.SequenceNode) and node.tag == _LIST:
                return [self.value(item) for item in node.value]
            if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
                return self._mapping(node)
        finally:
            self._open.pop()
        raise self._error(node, f"found the tag {node.tag!r:.80}, expected none")

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node)
            if not isinstance(key, str):
                raise self._error(key_node, f"found {key!r:.60} as a name, expected text")
            if key in mapping:
                raise self._error(key_node, f"found {key!r:.60} twice, expected each name once")
            mapping[key] = self.value(value_node)
        return mapping

    def _plain(self, node: yaml.ScalarNode) -> Any:
        text: str = node.value
        if text in _WORDS:
            return _WORDS[text]
        if _AMBIGUOUS.fullmatch(text):
            raise self._error(
                node,
                f"found {text!r:.60}, which YAML 1.1 and 1.2 read differently, expected a decimal number "
                "without leading zeros, or quotes around a text",
            )
        number = _INTEGER.fullmatch(text) or _FLOAT.fullmatch(text)
        if number is None:
            return self._text(node)
        if len(text) > _LONGEST:
            raise self._error(node, f"found a number of {len(text)} characters, expected at most {_LONGEST}")
        if _INTEGER.fullmatch(text):
            return int(text)
        value = float(text)
        if math.isinf(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
            raise self._error(node, f"found {text!r:.60}, which no floating-point number comes near")
        return value

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if not _encodable(text):
            raise self._error(node, "found half of a surrogate pair, expected text")
        return text

    def _error(self, node: yaml.Node, message: str) -> SnakegymError:
        return SnakegymError(f"{self._origin}, line {node.start_mark.line + 1}: {message}")


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"found {twice!r:.60} twice, expected each name once")
    return mapping


def _no_constant(name: str) -> Any:
    raise ValueError(f"found {name}, expected a finite number")
