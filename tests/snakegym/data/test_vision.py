import sys

import numpy as np
import pytest
import torch

from snakegym.data import torchvision_shim, vision
from snakegym.data.archives import unpacked
from snakegym.data.datasets import load_data
from snakegym.errors import SnakegymError
from snakegym.scenario import DataConfig


@pytest.fixture(scope="session")
def cifar_root(shared_data):
    """Where the images lie, unpacked once a machine: that takes longer than all that is done with them."""
    pytest.importorskip("PIL")
    root = unpacked(shared_data, "cifar-10-batches-py")
    if not (root / "cifar-10-batches-py").is_dir():
        pytest.skip(f"no real data: cifar-10-batches-py.tar.xz is missing in {shared_data}")
    return root


@pytest.mark.slow
def test_cifar10_from_a_folder(cifar_root):
    data = load_data(DataConfig(dataset="CIFAR10", root=str(cifar_root)))
    assert data.input_shape == (3, 32, 32)
    assert data.n_classes == 10
    assert [len(p) for p in (data.train, data.validation, data.test)] == [40000, 10000, 10000]
    assert data.train.inputs.dtype == torch.float32
    channels = data.train.inputs.transpose(0, 1).flatten(1)
    assert channels.mean(1) == pytest.approx(np.zeros(3), abs=1e-3)
    assert channels.std(1) == pytest.approx(np.ones(3), abs=1e-3)
    assert torch.bincount(data.validation.targets).tolist() == [1000] * 10


def test_fashion_mnist_grey_images_get_a_channel(tmp_path):
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", 40), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n, dtype=np.uint8) % 4
        header = np.array([0x803, n, 28, 28], dtype=">i4").tobytes()
        (raw / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = np.array([0x801, n], dtype=">i4").tobytes()
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    data = load_data(DataConfig(dataset="FashionMNIST", root=str(tmp_path)))
    assert data.input_shape == (1, 28, 28)
    assert (len(data.train), len(data.validation), len(data.test), data.n_classes) == (32, 8, 20, 4)


@pytest.mark.parametrize(
    ("name", "root", "words"),
    [
        ("NoSuchSet", "here", ["data.dataset", "NoSuchSet", "digits", "CIFAR10"]),
        ("FakeData", "here", ["data.dataset", "FakeData", "CIFAR10"]),
        ("VisionDataset", "here", ["data.dataset", "VisionDataset"]),
        ("CIFAR10", None, ["data.root", "none", "CIFAR10"]),
        ("CIFAR10", "missing", ["data.root", "missing"]),
        ("CIFAR10", "here", ["data.root", "files", "CIFAR10"]),
    ],
)
def test_bad_datasets_are_named(name, root, words, tmp_path):
    root = {"here": str(tmp_path), "missing": str(tmp_path / "missing"), None: None}[root]
    with pytest.raises(SnakegymError) as error:
        load_data(DataConfig(dataset=name, root=root))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)
    assert not list(tmp_path.iterdir())  # nothing was downloaded


def test_missing_torchvision_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", None)
    with pytest.raises(SnakegymError, match=r"snakegym\[vision\]"):
        torchvision_shim.import_torchvision()


def test_torchvision_imports_and_stays_the_same():
    pytest.importorskip("PIL")
    first = torchvision_shim.import_torchvision()
    assert torchvision_shim.import_torchvision() is first
    assert first.transforms.ToTensor is not None


def test_datasets_without_arrays_are_read_sample_by_sample():
    from PIL import Image

    pixels = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    images, labels = vision._arrays([(Image.fromarray(p), i) for i, p in enumerate(pixels)])
    assert (images == pixels).all()
    assert labels.tolist() == [0, 1]
