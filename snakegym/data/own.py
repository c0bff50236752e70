"""Samples of the user's own, from a function that a scenario names."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from snakegym.errors import SnakegymError, in_one_line
from snakegym.plugins import load_plugin, make_plugin

Part = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


def load_own(spec: str, root: str | None) -> tuple[Part, Part | None]:
    """What the function behind `spec` gives, called with the scenario's `data.root`.

    It returns `(inputs, labels)`, of which a test part is split off, or `((inputs, labels), (test
    inputs, test labels))`. Inputs are numbers [n, *shape], as arrays or tensors; labels are integers
    [n] from 0 on.

    Raises:
        SnakegymError: there is no such function, it fails, or it returns something else.
    """
    load = load_plugin("dataset", spec, ("digits", "a torchvision classification dataset"))
    found = make_plugin("dataset", spec, load, root)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise _refused(spec, type(found).__name__)
    if all(isinstance(part, tuple | list) and len(part) == 2 for part in found):
        train, test = (_part(spec, part) for part in found)
        if train[0].shape[1:] != test[0].shape[1:]:
            raise _refused(
                spec, f"samples of shape {train[0].shape[1:]} and test samples of {test[0].shape[1:]}"
            )
        return train, test
    return _part(spec, found), None


def _part(spec: str, part: Any) -> Part:
    try:
        inputs, labels = (np.asarray(x) for x in part)
    except Exception as error:  # tensors that need gradients, ragged lists and more
        raise _refused(spec, in_one_line(error)) from error
    if inputs.dtype.kind not in "fiub" or inputs.ndim < 2 or len(inputs) == 0:
        raise _refused(spec, f"inputs of type {inputs.dtype} and shape {inputs.shape}")
    if labels.dtype.kind not in "iu" or labels.shape != inputs.shape[:1] or labels.min() < 0:
        raise _refused(
            spec, f"labels of type {labels.dtype} and shape {labels.shape} for {len(inputs)} inputs"
        )
    if not np.isfinite(inputs).all():
        raise _refused(spec, f"{int((~np.isfinite(inputs)).sum())} inputs that are not finite")
    return inputs.astype(np.float32), labels.astype(np.int64)


def _refused(spec: str, found: str) -> SnakegymError:
    return SnakegymError(
        f"dataset '{spec}': found {found}, expected (inputs, labels), or such a pair to train and one to "
        "test with: finite numbers [n, ...] and integers [n] from 0 on"
    )
