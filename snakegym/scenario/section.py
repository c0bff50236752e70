"""What the parts of a scenario are made of: frozen sections of bounded numbers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Split = Literal["train", "validation", "test"]
LayerOrder = Literal["free", "serpentine", "reverse", "random"]
Mode = Literal["cs", "p2p"]
Evaluation = Literal["node", "pce", "observer"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A frozen part of a scenario that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
