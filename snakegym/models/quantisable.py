"""Which weights of a layer can be kept in low precision."""

from __future__ import annotations

from torch import nn

Quantisable = nn.Linear | nn.Conv2d | nn.Embedding


def quantisable_weights(layer: nn.Module) -> dict[str, Quantisable]:
    """Names of the layer's weights that can be kept in low precision, and the module that uses each."""
    found: dict[str, Quantisable] = {}
    for path, module in layer.named_modules():
        name = f"{path}.weight" if path else "weight"
        # Exactly these types: a subclass may use its weight elsewhere.
        if type(module) is nn.Linear or (
            (type(module) is nn.Conv2d and _plain(module))
            or (type(module) is nn.Embedding and module.max_norm is None)
        ):
            found[name] = module
    return found


def _plain(module: nn.Conv2d) -> bool:
    return module.padding_mode == "zeros" and not isinstance(module.padding, str)
