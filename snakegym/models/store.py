"""Where the layers of a process lie: by layer and version, as the records of a hop name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

from snakegym.errors import SnakegymError
from snakegym.models.state import LayerState, ModelState

Key = tuple[int, int]
"""Layer (0 is the first of the whole model) and version."""
Versions = tuple[int, ...]
"""Of every layer of a model, in their order."""


class Need(NamedTuple):
    """A layer that an end is to have, and what it has of it."""

    layer: int
    version: int
    held: int
    """The version that it has; -1 for none."""
    since: int
    """The oldest version that somebody has whom it may have to bring up to date."""

    @property
    def key(self) -> Key:
        """What is needed."""
        return self.layer, self.version


def changes(before: ModelState, after: ModelState, version: int) -> dict[Key, LayerState]:
    """The layers that are others after training than before it, as that version of theirs."""
    pairs = enumerate(zip(before.layers, after.layers, strict=True))
    return {(i, version): new for i, (old, new) in pairs if new is not old}


class LayerStore:
    """The layers that one end (a node, the PCE; in a simulation all of them together) has in some version.

    A version of a layer never changes, so stores share tensors, and a copy of a store costs no copy of them.

    Args:
        layers: to begin with.
        whole: whether it has whatever any end of the process may have, as in a simulation; a real PCE does
            not know what lies on nodes alone.
    """

    def __init__(self, layers: Mapping[Key, LayerState] | None = None, *, whole: bool = True) -> None:
        self.whole = whole
        self._layers = dict(layers or {})
        self._room = 0
        # One object a model as long as somebody has it: engines know those that they have checked.
        self._states: WeakValueDictionary[Versions, ModelState] = WeakValueDictionary()

    @classmethod
    def of(cls, state: ModelState, *, whole: bool = True) -> LayerStore:
        """With that model, all of whose layers are of version 0."""
        store = cls({(i, 0): layer for i, layer in enumerate(state.layers)}, whole=whole)
        store._states[(0,) * len(state)] = state
        return store

    def __len__(self) -> int:
        """Layers, each version counted."""
        return len(self._layers)

    def __contains__(self, key: object) -> bool:
        return key in self._layers

    def __deepcopy__(self, memo: dict[int, Any]) -> LayerStore:
        copied = LayerStore(self._layers, whole=self.whole)
        copied._states.update(self._states)
        return copied

    def __reduce__(self) -> tuple[Any, ...]:
        return _store, (self._layers, self.whole)

    def put(self, layers: Mapping[Key, LayerState]) -> None:
        """Take these in."""
        self._layers.update(layers)

    def take(self, keys: Iterable[Key]) -> dict[Key, LayerState]:
        """These layers. Raises SnakegymError, which names the first that is not here."""
        try:
            return {key: self._layers[key] for key in keys}
        except KeyError as error:
            layer, version = error.args[0]
            raise SnakegymError(
                f"layer {layer}: found no version {version} where it is looked for, expected it there"
            ) from None

    def state(self, versions: Versions) -> ModelState:
        """The model of these versions, the same object each time. Raises SnakegymError as `take`."""
        state = self._states.get(versions)
        if state is None:
            state = ModelState(tuple(self.take(enumerate(versions)).values()))
            self._states[versions] = state
        return state

    def has(self, versions: Sequence[int]) -> bool:
        """Whether a whole model of these versions is here."""
        return all(key in self._layers for key in enumerate(versions))

    @property
    def crowded(self) -> bool:
        """Whether more than a quarter has come since `keep`: time for it again."""
        return len(self._layers) > self._room

    def keep(self, keys: Iterable[Key]) -> None:
        """Drop all but these, as far as they are here."""
        self._layers = {key: self._layers[key] for key in keys if key in self._layers}
        self._room = len(self._layers) + len(self._layers) // 4


def _store(layers: Mapping[Key, LayerState], whole: bool) -> LayerStore:
    return LayerStore(layers, whole=whole)
