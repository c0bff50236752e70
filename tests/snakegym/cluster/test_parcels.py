"""What travels of layers: adapters to who has an older version, whole ones to who has not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from snakegym.cluster.parcels import Parcel, Patch, Patches, packed, unpacked
from snakegym.cluster.statements import Refused
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Factors
from snakegym.models.state import A, B, ModelState
from snakegym.models.store import LayerStore, Need

WIDE, RANK = 16, 2
PATCH = 4 * RANK * 2 * WIDE
"""Bytes of one."""
WHOLE = 4 * (WIDE * WIDE + WIDE)


def layer(seed: int = 0) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {"weight": torch.randn(WIDE, WIDE, generator=g), "bias": torch.randn(WIDE, generator=g)}


def factors(seed: int, rank: int = RANK, scale: float = 0.5) -> Factors:
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(rank, WIDE, generator=g), torch.randn(WIDE, rank, generator=g)
    return Factors({"weight" + A: a, "weight" + B: b}, scale)


LIKE = ModelState((layer(),))


def process(hops: int) -> tuple[LayerStore, Patches]:
    """An end that has had a layer changed by so many hops, and has its last version."""
    store, patches, now = LayerStore.of(LIKE), Patches(), layer()
    for version in range(1, hops + 1):
        patch = Patch(version - 1, (factors(version),))
        now = patch.applied(now)  # type: ignore[assignment]
        patches.put({(0, version): patch})
        store.put({(0, version): now})
    return store, patches


def receive(parcel: Parcel, needs: list[Need], **held: Any) -> Any:
    mine = LayerStore({(0, 0): layer(), **held.get("layers", {})})
    return unpacked(parcel, needs, mine, LIKE, "the node on seat 3", 3)


def test_who_has_an_older_version_is_sent_the_adapters_since_and_makes_the_very_same_of_them() -> None:
    store, patches = process(3)
    needs = [Need(0, 3, 0, 3)]
    parcel = packed(needs, store, patches)
    assert not parcel.layers
    assert sorted(parcel.patches) == [(0, 1), (0, 2), (0, 3)]
    assert parcel.n_bytes == 3 * PATCH
    found = receive(parcel, needs)[0, 3]
    assert all(torch.equal(found[name], tensor) for name, tensor in store.take([(0, 3)])[0, 3].items())


@pytest.mark.parametrize(("hops", "held"), [(5, 0), (2, -1), (2, 9)])
def test_a_whole_layer_goes_where_it_is_smaller_or_adapters_do_not_do(hops: int, held: int) -> None:
    store, patches = process(hops)
    needs = [Need(0, hops, held, hops)]
    parcel = packed(needs, store, patches)
    assert (parcel.n_bytes, len(parcel.patches)) == (WHOLE, 0)
    assert receive(parcel, needs).keys() == {(0, hops)}


def test_whoever_gets_a_whole_layer_to_hand_on_gets_what_others_lack() -> None:
    store, patches = process(4)
    parcel = packed([Need(0, 4, -1, 2)], store, patches)
    assert parcel.n_bytes == WHOLE + 2 * PATCH
    found, mine = receive(parcel, [Need(0, 4, -1, 2)]), Patches()
    mine.put(parcel.patches)
    onward = packed([Need(0, 4, 2, 2)], LayerStore(found), mine)
    assert onward.n_bytes == 2 * PATCH
    assert packed([Need(0, 4, 1, 1)], LayerStore(found), mine).layers.keys() == {(0, 4)}


def test_several_nodes_adapters_make_the_mean_of_their_layers() -> None:
    parts, shares = (factors(1), factors(2, rank=1, scale=2.0)), (0.25, 0.75)
    found = Patch(0, parts, shares).applied(layer())
    each = [p.scale * p.tensors["weight" + B] @ p.tensors["weight" + A] for p in parts]
    expected = layer()["weight"] + 0.25 * each[0] + 0.75 * each[1]
    torch.testing.assert_close(found["weight"], expected)
    assert torch.equal(found["bias"], layer()["bias"])


def test_adapters_that_nobody_needs_any_more_are_dropped() -> None:
    _, patches = process(4)
    patches.put({(0, 9): Patch(1, (factors(9),))})  # of a hop that is lost
    patches.keep((4,), (2,))
    assert len(patches) == 2
    assert patches.chain(0, 0, 4).keys() == {(0, 3), (0, 4)}
    patches.keep((4,), (4,))
    assert len(patches) == 0


WRONG: dict[str, tuple[Any, str]] = {
    "another shape": (
        {"weight" + A: torch.zeros(RANK, 5), "weight" + B: torch.zeros(WIDE, RANK)},
        r"found weight.lora_a \[2, 5\], expected a pair that fits a weight",
    ),
    "no weight": ({"other" + A: torch.zeros(1, WIDE), "other" + B: torch.zeros(WIDE, 1)}, "found other"),
    "half a pair": ({"weight" + A: torch.zeros(1, WIDE)}, "expected a pair"),
    "a weight": ({"weight": torch.zeros(WIDE, WIDE)}, "expected a pair"),
    "a rank above all": (factors(1, rank=WIDE + 1).tensors, r"found weight.lora_a \[17, 16\]"),
    "no numbers": (
        {**factors(1).tensors, "weight" + B: torch.full((WIDE, RANK), torch.nan)},
        "found nan in weight.lora_b",
    ),
    "nothing": ({}, "found none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_adapters_that_are_none_are_refused(what: str) -> None:
    tensors, said = WRONG[what]
    parcel = Parcel({}, {(0, 1): Patch(0, (Factors(tensors, 1.0),))})
    with pytest.raises(
        Refused, match="the node on seat 3: adapters of layer 0 in version 1.*" + said
    ) as error:
        receive(parcel, [Need(0, 1, 0, 1)])
    assert error.value.seat == 3


def test_a_parcel_that_does_not_do_is_refused() -> None:
    good, needs = Patch(0, (factors(1),)), [Need(0, 1, 0, 1)]
    with pytest.raises(Refused, match="layer 0 in version 1 did not come"):
        receive(Parcel({}, {(0, 1): Patch(0, (factors(1),)), (0, 2): good}), [Need(0, 1, -1, 1)])
    for base in (1, -1):
        with pytest.raises(Refused, match=f"found some to version {base}, expected an earlier one"):
            receive(Parcel({}, {(0, 1): replace(good, base=base)}), needs)
    with pytest.raises(Refused, match="expected an earlier one"):
        receive(Parcel({}, {(0, 1): replace(good, shares=(0.5, 0.5))}), needs)
    with pytest.raises(Refused, match="adapters of layer 1 in version 1 came, of which nobody had asked"):
        receive(Parcel({}, {(1, 1): good}), needs)
    huge = Patch(0, (factors(1, scale=1e9),))
    with pytest.raises(Refused, match=r"found .* in layer 0, weight, expected numbers up to"):
        receive(Parcel({}, {(0, 1): huge}), needs)
    with pytest.raises(SnakegymError, match="found no version 5"):
        receive(Parcel({}, {(0, 6): replace(good, base=5)}), [Need(0, 6, 5, 6)])
