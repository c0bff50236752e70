"""What makes a layer suit a node: sizes of layers, and devices of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from snakegym.control.view import Bools, Floats, ProcessView
from snakegym.training.episodes.play import LARGEST

Size = Annotated[float, Field(gt=0, le=LARGEST, allow_inf_nan=False)]


class TerrainRecord(TypedDict):
    """A terrain as plain data, so that it can go to JSON as it is."""

    layer_bytes: list[Size]
    memory_bytes: list[Size]
    peak_flops: list[Size]
    fits: list[list[bool]]


@dataclass(frozen=True)
class Terrain:
    """That of an episode, the same for all who play it."""

    layer_bytes: Floats
    """[n_middle]: bytes of the layer's parameters."""
    memory_bytes: Floats
    """[n_nodes]."""
    peak_flops: Floats
    """[n_nodes], FLOP/s."""
    fits: Bools
    """[n_nodes, n_middle]: whether the node has the memory to train the layer."""

    @classmethod
    def of(cls, view: ProcessView) -> Terrain:
        """That of a process."""
        nodes, layers = view.nodes, view.layers
        return cls(layers.n_bytes, nodes.memory_bytes, nodes.peak_flops, view.fits)

    @classmethod
    def read(cls, record: TerrainRecord) -> Terrain:
        """As `record` gave it. Raises ValueError where the parts do not go together."""
        n_nodes, n_middle = len(record["memory_bytes"]), len(record["layer_bytes"])
        rows = [len(row) for row in record["fits"]]
        if len(record["peak_flops"]) != n_nodes or rows != [n_middle] * n_nodes or 0 in (n_nodes, n_middle):
            counted = f"{n_nodes} nodes and {n_middle} layers"
            raise ValueError(f"{counted}, but other numbers beside them, expected as many everywhere")
        return cls(
            np.array(record["layer_bytes"]),
            np.array(record["memory_bytes"]),
            np.array(record["peak_flops"]),
            np.array(record["fits"]),
        )

    def record(self) -> TerrainRecord:
        """As plain data."""
        return TerrainRecord(
            layer_bytes=self.layer_bytes.astype(float).tolist(),
            memory_bytes=self.memory_bytes.astype(float).tolist(),
            peak_flops=self.peak_flops.astype(float).tolist(),
            fits=self.fits.tolist(),
        )

    @property
    def n_nodes(self) -> int:
        """Rows."""
        return len(self.memory_bytes)

    @property
    def n_middle(self) -> int:
        """Middle layers."""
        return len(self.layer_bytes)

    def order(self) -> NDArray[np.int64]:
        """The nodes from small to large devices: by memory, then speed, then number."""
        return np.lexsort((self.peak_flops, self.memory_bytes)).astype(np.int64)
