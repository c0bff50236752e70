"""Importing torchvision beside a CPU build of torch.

The wheels of torchvision on PyPI are linked against CUDA. Beside a CPU build of torch their
extension cannot load, so the operators it would declare are missing and the import stops with
"operator torchvision::nms does not exist", although datasets and transforms need none of them.
Declaring the two schemas that torchvision registers further functions for lets the import pass.
A matching pair of torch and torchvision imports at the first try and never comes here.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch

from snakegym.errors import SnakegymError

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_libraries: list[Any] = []  # a torch.library.Library takes its operators with it when collected


def import_torchvision() -> Any:
    """The torchvision module, with its `datasets`.

    Raises:
        SnakegymError: torchvision is not installed, or does not match torch in some other way.
    """
    try:
        return _import()
    except ModuleNotFoundError as error:
        raise SnakegymError(
            f"no module '{error.name}', expected torchvision: pip install 'snakegym[vision]'"
        ) from None
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise SnakegymError(f"torchvision does not match torch {torch.__version__}: {error}") from None
    _declare_operators()
    return _import()


def _import() -> Any:
    importlib.import_module("torchvision.datasets")
    return importlib.import_module("torchvision")


def _declare_operators() -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == "torchvision"]:
        del sys.modules[name]  # half-imported by the failed try
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for operator in ("nms", "qnms"):
        library.define(operator + _SCHEMA)  # type: ignore[no-untyped-call]
    _libraries.append(library)
