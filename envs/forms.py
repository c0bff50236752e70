"""The forms in which libraries want an observation: encoders, composed of one another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from snakegym.control.view import ProcessView
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import ViewEncoder

Form = Literal["dict", "flat", "masked"]


class Encoder(Protocol):
    """What an environment shows of a view."""

    @property
    def space(self) -> spaces.Space[Any]:
        """The observation space; it holds every observation."""
        ...

    def encode(self, view: ProcessView) -> Any:
        """The observation, in new arrays."""
        ...


@dataclass(frozen=True)
class FlatEncoder:
    """All parts in a row: float32 [n], within [-1, 1], as gymnasium's `FlattenObservation` makes it."""

    parts: ViewEncoder

    @property
    def space(self) -> spaces.Box:
        """A box of one dimension."""
        size = sum(part.shape[0] for part in self.parts.space.values() if part.shape)
        return spaces.Box(-1.0, 1.0, (size,), np.float32)

    def encode(self, view: ProcessView) -> NDArray[np.float32]:
        """Nodes, layers, pairs, process and ranks, in this order, as far as there are any."""
        return np.concatenate(list(self.parts.encode(view).values()))


@dataclass(frozen=True)
class MaskedEncoder:
    """The flat observation and beside it the mask: bool [n_actions], True where an action is legal.

    The mask is a box of booleans and not `MultiBinary`, whose int8 TorchRL's distributions refuse.
    """

    flat: FlatEncoder
    codec: ActionCodec
    observation_key: str
    mask_key: str

    @property
    def space(self) -> spaces.Dict:
        """A dict of two boxes."""
        mask = spaces.Box(0, 1, (self.codec.n_actions,), np.bool_)  # type: ignore[arg-type]
        return spaces.Dict({self.observation_key: self.flat.space, self.mask_key: mask})

    def encode(self, view: ProcessView) -> dict[str, NDArray[np.float32] | NDArray[np.bool_]]:
        """Observation and mask of the same moment."""
        return {self.observation_key: self.flat.encode(view), self.mask_key: self.codec.mask(view)}


def make_encoder(form: Form, codec: ActionCodec, observation_key: str, mask_key: str) -> Encoder:
    """The encoder of that form; the keys are those of `masked`."""
    parts = ViewEncoder(codec.n_nodes, codec.n_middle, len(codec.ranks))
    flat = FlatEncoder(parts)
    encoders: dict[Form, Encoder] = {
        "dict": parts,
        "flat": flat,
        "masked": MaskedEncoder(flat, codec, observation_key, mask_key),
    }
    return encoders[form]
