"""Torchvision classification datasets, read from a folder and never downloaded."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from snakegym.data.archives import archive_of, unpacked
from snakegym.data.torchvision_shim import import_torchvision
from snakegym.errors import SnakegymError, in_one_line
from snakegym.files import is_folder

Raw = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


def load_vision(name: str, root: str | None) -> tuple[Raw, Raw]:
    """Train and test part of the torchvision dataset with class name `name` in folder `root`.

    Upper and lower case of the name do not matter. A dataset that still lies in an archive of its
    folder (cifar-10-batches-py.tar.xz) is unpacked into a cache first.

    Returns:
        For each part the images, uint8 [n, channels, height, width], and the labels, int64 [n].
        Where images differ in shape, an object array [n] of uint8 [channels, height, width].

    Raises:
        SnakegymError: unknown dataset, missing root, a root without the dataset's files, or no torchvision.
    """
    kind, folder = _dataset_class(name), locate_vision(name, root)
    return _part(kind, name, folder, train=True), _part(kind, name, folder, train=False)


def locate_vision(name: str, root: str | None) -> str:
    """The folder to give to torchvision: `root`, or where its archive was unpacked to.

    Raises:
        SnakegymError: unknown dataset, missing root, or no torchvision.
    """
    kind = _dataset_class(name)
    if root is None:
        raise SnakegymError(
            "field 'data.root': found none, nor $SNAKEGYM_DATA, expected the folder that holds dataset "
            f"'{name}'"
        )
    if not is_folder(Path(root)):
        raise SnakegymError(
            f"field 'data.root': found '{root}', expected an existing folder with dataset '{name}'"
        )
    folder = getattr(kind, "base_folder", "")
    return str(unpacked(Path(root), folder)) if folder else root


def dataset_files(name: str, root: Path) -> list[Path]:
    """Folders or archives in `root` that hold the dataset; `root` itself where nothing tells them.

    Raises:
        SnakegymError: unknown dataset, or no torchvision.
    """
    kind = _dataset_class(name)
    names = [folder for folder in (getattr(kind, "base_folder", ""), kind.__name__) if folder]
    folders = [root / folder for folder in names if (root / folder).is_dir()]
    archives = [archive for folder in names if (archive := archive_of(root, folder))]
    return folders or archives or [root]


def _dataset_class(name: str) -> type[Any]:
    datasets = import_torchvision().datasets
    name = {n.lower(): n for n in datasets.__all__}.get(name.lower(), name)
    if name not in datasets.__all__ or not _parts(getattr(datasets, name)):
        usable = sorted(n for n in datasets.__all__ if _parts(getattr(datasets, n)))
        raise SnakegymError(
            f"field 'data.dataset': found '{name}', expected digits or a torchvision classification dataset "
            f"with a train and a test part ({', '.join(usable)})"
        )
    kind: type[Any] = getattr(datasets, name)
    return kind


def _parts(kind: Any) -> dict[bool, dict[str, Any]]:
    """Constructor arguments that select the train (True) and test (False) part; empty if there are none."""
    parameters = inspect.signature(kind).parameters
    required = [
        p for n, p in parameters.items() if p.default is p.empty and n not in ("root", "kwargs", "split")
    ]
    if required or "root" not in parameters:
        return {}
    if "train" in parameters:
        return {True: {"train": True}, False: {"train": False}}
    if "split" in parameters:
        return {True: {"split": "train"}, False: {"split": "test"}}
    return {}


def _part(kind: Any, name: str, root: str, *, train: bool) -> Raw:
    try:
        images, labels = _arrays(kind(root, **_parts(kind)[train]))
    except (RuntimeError, OSError, ValueError, TypeError, EOFError, ImportError) as error:
        reason = in_one_line(error)
        raise SnakegymError(
            f"field 'data.root': found '{root}', expected the files of torchvision dataset '{name}' "
            f"with labelled images ({reason})"
        ) from None
    return _channels_first(images), labels


def _arrays(dataset: Any) -> Raw:
    """Images, [n, height, width], [n, height, width, channels] or objects [n], and labels, int64 [n]."""
    if hasattr(dataset, "data") and np.ndim(getattr(dataset, "targets", ())) == 1:
        return np.asarray(dataset.data), np.asarray(dataset.targets, dtype=np.int64)
    samples = [dataset[i] for i in range(len(dataset))]  # many times slower, and always right
    images = [np.asarray(image) for image, _ in samples]
    mixed = len({image.shape for image in images}) > 1
    labels = np.asarray([int(label) for _, label in samples], dtype=np.int64)
    return (_objects(images) if mixed else np.stack(images)), labels


def _channels_first(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if images.dtype == object:
        return _objects([_channels_first(image[None])[0] for image in images])
    return images[:, None] if images.ndim == 3 else images.transpose(0, 3, 1, 2)


def _objects(images: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """One-dimensional, whatever the shapes have in common."""
    array = np.empty(len(images), dtype=object)
    for i, image in enumerate(images):
        array[i] = image
    return array
