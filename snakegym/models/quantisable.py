"""Which weights of a layer can be kept as int8."""

from __future__ import annotations

from torch import nn


def quantisable_weights(layer: nn.Module) -> dict[str, nn.Linear | nn.Conv2d]:
    """Names of the layer's weights that can be kept as int8, and the module that multiplies by each."""
    found: dict[str, nn.Linear | nn.Conv2d] = {}
    for path, module in layer.named_modules():
        name = f"{path}.weight" if path else "weight"
        # Exactly these types: a subclass may use its weight elsewhere.
        if type(module) is nn.Linear or (type(module) is nn.Conv2d and _plain(module)):
            found[name] = module
    return found


def _plain(module: nn.Conv2d) -> bool:
    return module.padding_mode == "zeros" and not isinstance(module.padding, str)
