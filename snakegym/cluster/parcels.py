"""What travels of layers: whole ones, or the adapters that bring an older version up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from snakegym.cluster.checks import check_factors, check_layers, layer_bytes
from snakegym.cluster.statements import Refused
from snakegym.learning.aggregation import mean_layer
from snakegym.learning.jobs import Factors
from snakegym.models.adapters import grown
from snakegym.models.state import LayerState, ModelState
from snakegym.models.store import Key, LayerStore, Need, Versions

Layers = dict[Key, LayerState]


@dataclass(frozen=True)
class Patch:
    """What makes a version of a layer of an earlier one: adapters of a node's hop, or of several nodes'."""

    base: int
    """The version that they were trained beside."""
    parts: tuple[Factors, ...]
    """Of each node, at least one."""
    shares: tuple[float, ...] = (1.0,)
    """With which the nodes' layers are averaged."""

    @property
    def n_bytes(self) -> int:
        """Of the tensors in it."""
        return layer_bytes(part.tensors for part in self.parts)

    def applied(self, before: LayerState) -> LayerState:
        """The version that it makes of its base, bit by bit as it was made where it was trained."""
        layers = [grown(before, part.tensors, part.scale) for part in self.parts]
        return layers[0] if len(layers) == 1 else mean_layer(layers, self.shares)


@dataclass(frozen=True)
class Parcel:
    """What one end sends to another, by layer and version."""

    layers: Mapping[Key, LayerState] = field(default_factory=dict)
    """Whole ones."""
    patches: Mapping[Key, Patch] = field(default_factory=dict)
    """To what the receiver has; beside a whole layer those that others may want of the receiver."""

    def __bool__(self) -> bool:
        return bool(self.layers or self.patches)

    @property
    def n_bytes(self) -> int:
        """Of the tensors in it."""
        return layer_bytes(self.layers.values()) + sum(patch.n_bytes for patch in self.patches.values())


class Patches:
    """Those that one end keeps, by the layer and version that each of them makes.

    Losing them costs bytes alone: whole layers travel instead. Several threads may call it.
    """

    def __init__(self) -> None:
        self._patches: dict[Key, Patch] = {}

    def __len__(self) -> int:
        return len(self._patches)

    def put(self, patches: Mapping[Key, Patch]) -> None:
        """Take these in."""
        self._patches = {**self._patches, **patches}

    def chain(self, layer: int, since: int, version: int) -> dict[Key, Patch]:
        """Those from one version to a later one, the last first; as far back as they are here."""
        return _chain(self._patches, layer, since, version)

    def keep(self, versions: Versions, since: Versions) -> None:
        """Drop all that do not lead to these versions, or that nobody needs any more: older ones."""
        spans = enumerate(zip(since, versions, strict=True))
        chains = [self.chain(layer, *span) for layer, span in spans]
        self._patches = {key: patch for chain in chains for key, patch in chain.items()}


def packed(needs: Iterable[Need], store: LayerStore, patches: Patches) -> Parcel:
    """What is needed, with as few bytes as can be.

    Raises:
        SnakegymError: a layer is not here.
    """
    layers: Layers = {}
    along: dict[Key, Patch] = {}
    for need in needs:
        whole = store.take([need.key])
        chain = patches.chain(need.layer, need.held, need.version)
        enough = _begins_with(chain, need.held)
        if not enough or Parcel(patches=chain).n_bytes >= Parcel(whole).n_bytes:
            layers |= whole
            chain = patches.chain(need.layer, need.since, need.version)
        along |= chain
    return Parcel(layers, along)


def unpacked(
    parcel: Parcel,
    needs: Sequence[Need],
    store: LayerStore,
    like: ModelState,
    whose: str,
    seat: int | None,
) -> Layers:
    """The layers that were needed, whole, after a look at them.

    Args:
        parcel: what came.
        needs: what was asked for.
        store: has what the receiver holds of them.
        like: a model of the process, as it is handed on.
        whose: who sent it, for the error.
        seat: where that node sits; None: the PCE.

    Raises:
        Refused: as `check_layers`; or adapters that nobody asked for, or that fit no weight.
        SnakegymError: something is not held.
    """
    wanted = {need.layer for need in needs}
    for (layer, version), patch in sorted(parcel.patches.items(), key=lambda item: item[0]):
        where = f"{whose}: adapters of layer {layer} in version {version}"
        if layer not in wanted:
            raise Refused(f"{where} came, of which nobody had asked", seat)
        known = 0 <= patch.base < version and len(patch.parts) == len(patch.shares) > 0
        if not known:
            raise Refused(f"{where}: found some to version {patch.base}, expected an earlier one", seat)
        for part in patch.parts:
            check_factors(part, like.layers[layer], where, seat)
    found = dict(parcel.layers)
    for need in needs:
        chain = _chain(parcel.patches, need.layer, need.held, need.version)
        if need.key not in found and _begins_with(chain, need.held):
            held = need.layer, need.held
            tensors = store.take([held])[held]
            for patch in reversed(chain.values()):
                tensors = patch.applied(tensors)
            found[need.key] = tensors
    check_layers(found, [need.key for need in needs], like, whose, seat)
    return found


def _chain(patches: Mapping[Key, Patch], layer: int, since: int, version: int) -> dict[Key, Patch]:
    found = {}
    while version > since and (layer, version) in patches:
        patch = found[layer, version] = patches[layer, version]
        version = patch.base
    return found


def _begins_with(chain: Mapping[Key, Patch], held: int) -> bool:
    """Whether these adapters, the last first, are all that is lacking to that version."""
    return bool(chain) and [*chain.values()][-1].base == held
