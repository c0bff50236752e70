"""The samples of a node: files that it alone reads."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from snakegym.cluster.node import Task
from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Classification
from snakegym.errors import SnakegymError


def read_samples(name: str, folder: Path, task: Task) -> Dataset:
    """The samples of a node for a process: `DATASET.npz` in its folder, named as the scenario's dataset.

    The file has `inputs`, numbers [n, *shape] as the model takes them, and `labels`, integers [n].

    Raises:
        SnakegymError: it is not there, damaged, or does not fit the process; names node and file.
    """
    like, dataset = task.validation, task.scenario.data.dataset
    where = f"node '{name}': {folder / f'{Path(dataset).name}.npz'}"
    if not isinstance(like.task, Classification):
        raise SnakegymError(f"node '{name}': found a process on texts, expected one on labelled samples")
    inputs, labels = _arrays(where, folder / f"{Path(dataset).name}.npz")
    shape = tuple(like.inputs.shape[1:])
    if inputs.dtype.kind != "f" or inputs.shape[1:] != shape or len(inputs) == 0:
        raise SnakegymError(
            f"{where}: found inputs of type {inputs.dtype} and shape {list(inputs.shape)}, expected floats "
            f"{['n', *shape]}, n at least 1"
        )
    if labels.dtype.kind not in "iu" or labels.shape != inputs.shape[:1]:
        raise SnakegymError(
            f"{where}: found labels of type {labels.dtype} and shape {list(labels.shape)}, expected integers "
            f"[{len(inputs)}]"
        )
    if labels.min() < 0 or labels.max() >= like.n_classes or not np.isfinite(inputs).all():
        raise SnakegymError(
            f"{where}: found labels from {labels.min()} to {labels.max()}, or inputs that are not finite, "
            f"expected finite inputs and labels below {like.n_classes}"
        )
    return Dataset(
        torch.from_numpy(inputs).to(like.inputs.dtype),
        torch.from_numpy(labels.astype(np.int64)),
        like.n_classes,
    )


def _arrays(where: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return file["inputs"], file["labels"]
    except FileNotFoundError:
        raise SnakegymError(f"{where}: found no such file, expected the node's samples in it") from None
    except (OSError, ValueError, LookupError, zipfile.BadZipFile) as error:
        raise SnakegymError(
            f"{where}: found {type(error).__name__} at {str(error)[:100]!r}, expected arrays 'inputs' and "
            "'labels'"
        ) from None


def write_shares(folders: Sequence[Path], dataset: str, train: Dataset, indices: Sequence[Tensor]) -> None:
    """Spread samples over folders, as `read_samples` reads them: to try things on one machine."""
    for folder, own in zip(folders, indices, strict=True):
        folder.mkdir(parents=True, exist_ok=True)
        inputs, labels = train.inputs[own].numpy(), train.labels[own].numpy()
        np.savez(folder / f"{Path(dataset).name}.npz", inputs=inputs, labels=labels)
