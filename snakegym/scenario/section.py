"""What the parts of a scenario are made of: frozen sections of bounded numbers.

Every number has two bounds. They are wide: from what no device or process of this kind reaches to what
none exceeds. But they are there, so that whatever is reckoned with them (`snakegym.network.costs`, prices,
clocks) stays finite and exact enough in float64, and no scenario asks for memory or time without end.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

Split = Literal["train", "validation", "test"]
LayerOrder = Literal["free", "serpentine", "reverse", "random"]
Mode = Literal["cs", "p2p"]
Evaluation = Literal["node", "pce", "observer"]
CompanionRule = Literal["shortest", "divergent"]
Trains = Literal["both-ends", "last", "middle"]
Precision = Literal["fp32", "bf16", "int8", "nf4"]

Positive = Annotated[float, Field(ge=1e-9, le=1e9)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, le=10**9)]

Seconds = Annotated[float, Field(ge=1e-3, le=1e9)]
"""A millisecond to 32 years: what a clock of years in float64 still tells apart."""
BitRate = Annotated[float, Field(ge=0, le=1e15)]
"""bit/s, up to a petabit: more than a fibre carries."""
Flops = Annotated[float, Field(ge=1, le=1e18)]
"""FLOP/s, from a person's to an exascale machine's."""
Bytes = Annotated[float, Field(ge=1, le=1e15)]
Watts = Annotated[float, Field(ge=0, le=1e6)]
"""Up to a megawatt: a computing centre's."""
Joules = Annotated[float, Field(ge=1e-9, le=1e12)]
"""A nanojoule to a megawatt over eleven days."""
Ratio = Annotated[float, Field(ge=1e-3, le=1e3)]
"""Between two quantities of one kind."""
Weight = Annotated[float, Field(ge=0, le=1e6)]
"""Of a term in a sum."""
Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Text without line breaks and the like, as it goes into tables and headings."""
PathText = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]


def _setting(value: Any) -> Any:
    number = isinstance(value, int | float) and abs(value) <= 1e18 and math.isfinite(value)
    if number or (isinstance(value, str) and len(value) <= 300 and "\n" not in value):
        return value
    raise ValueError("expected a finite number of at most 1e18, true, false, or a line of text")


Setting = Annotated[bool | int | float | str, BeforeValidator(_setting)]
"""A value whose own bounds somebody else knows."""


def expecting(what: str) -> WrapValidator:
    """To annotate a value with that may be of several kinds: one fault, where pydantic has one a kind."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"expected {what}") from None

    return WrapValidator(check)


class Section(BaseModel):
    """A frozen part of a scenario that refuses unknown fields, and values of another type than a field's."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
