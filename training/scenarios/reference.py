"""The reference of all fields of a scenario, made from the schema itself: `python -m` prints it."""

from __future__ import annotations

import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from snakegym.models.language.decoders import LlamaOptions, OptOptions
from snakegym.models.zoo import (
    BlocksOptions,
    MlpOptions,
    TorchvisionVgg11Options,
    Vgg11Options,
    VggOptions,
)
from snakegym.network.traces.generator import GeneratorConfig
from snakegym.scenario import Scenario, Section

UNITS = {"_s": "s", "_bps": "bit/s", "_j": "J", "_w": "W", "_bytes": "B", "_flops": "FLOP/s", "_per_h": "1/h"}
"""Endings of names to the unit of the value."""
OPTIONS: dict[str, type[Section]] = {
    "network.traces.generator": GeneratorConfig,
    "model.options` of `mlp": MlpOptions,
    "model.options` of `blocks": BlocksOptions,
    "model.options` of `vgg": VggOptions,
    "model.options` of `vgg11": Vgg11Options,
    "model.options` of `torchvision-vgg11": TorchvisionVgg11Options,
    "model.options` of `opt": OptOptions,
    "model.options` of `llama": LlamaOptions,
}
"""Sections that a scenario holds as a plain mapping, and what checks them."""


def reference() -> str:
    """A table in Markdown for every section: field, what may stand there, default, meaning."""
    tables = [_table("", Scenario), *(_table(name, section) for name, section in OPTIONS.items())]
    return "\n".join(tables)


def _table(path: str, section: type[Section]) -> str:
    head = f"### `{path}`\n" if path else "### The whole\n"
    lines = [head, "| field | value | default | meaning |", "|---|---|---|---|"]
    inner = []
    for name, field in section.model_fields.items():
        kind, metadata, optional = _unwrapped(field)
        below = f"{path}.{name}" if path else name
        part = _section_in(kind)
        if part is not None:
            inner.append(_table(below, part))
        value = _values(name, kind, metadata)
        cells = (f"`{name}`", f"{value}{' or null' if optional else ''}", _default(field), _meaning(field))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", *inner])


def _unwrapped(field: FieldInfo) -> tuple[Any, list[Any], bool]:
    """The type without null and annotations, its bounds, and whether null may stand there."""
    kind, metadata, optional = field.annotation, list(field.metadata), False
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            metadata += [m for item in more for m in (getattr(item, "metadata", None) or [item])]
        elif get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind):
            (kind,) = (k for k in get_args(kind) if k is not type(None))
            optional = True
        else:
            return kind, metadata, optional


def _bare(kind: Any) -> tuple[Any, list[Any]]:
    """A type without its annotations, and its bounds."""
    if get_origin(kind) is not Annotated:
        return kind, []
    kind, *more = get_args(kind)
    return kind, [m for item in more for m in (getattr(item, "metadata", None) or [item])]


def _section_in(kind: Any) -> type[Section] | None:
    kinds = get_args(kind) if get_origin(kind) is tuple else (kind,)
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), None)


def _values(name: str, kind: Any, metadata: list[Any]) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        return " or ".join(_values(name, *_bare(part)) for part in get_args(kind))
    if get_origin(kind) is tuple and _section_in(kind) is None:
        return f"list, each a {_values(name, *_bare(get_args(kind)[0]))}"
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is bool:
        return "`true`, `false`"
    if kind not in (int, float):
        other = {dict: "mapping", tuple: "list of sections"}.get(get_origin(kind))
        return other or ("section" if _section_in(kind) else "text")
    unit = next((f" {unit}" for ending, unit in UNITS.items() if name.endswith(ending)), "")
    what = "whole number" if kind is int else "number"
    return " ".join([what, *_bounds(metadata)]) + unit


def _bounds(metadata: list[Any]) -> Iterator[str]:
    for item in metadata:
        match item:
            case Ge(ge=low):
                yield f"from {_number(low)}"
            case Gt(gt=low):
                yield f"above {_number(low)}"
            case Le(le=high):
                yield f"to {_number(high)}"
            case Lt(lt=high):
                yield f"below {_number(high)}"


def _number(value: Any) -> str:
    exact = math.log10(value) if value > 0 else 0.5
    return f"10^{exact:.0f}" if exact.is_integer() and abs(exact) > 3 else f"{value:g}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    return "" if isinstance(value, Section) else "null" if value is None else f"`{_shown(value)}`"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return str(list(value))
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meaning(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    print(reference())
