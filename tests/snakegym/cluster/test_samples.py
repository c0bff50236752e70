"""A node's own samples: read as they were written, and refused in one line that names node and file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from snakegym.cluster.node import Task
from snakegym.cluster.samples import read_samples, write_shares
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError


@pytest.fixture(scope="module")
def task() -> Task:
    service = load_service("default")
    return Task("p", 0, service.scenario, service.data.validation)


def test_what_was_written_is_read(tmp_path: Path, task: Task) -> None:
    train = load_service("default").data.train
    shares = [torch.arange(0, 10), torch.arange(10, 40)]
    write_shares([tmp_path / "a", tmp_path / "b"], "digits", train, shares)
    found = read_samples("b", tmp_path / "b", task)
    assert torch.equal(found.inputs, train.inputs[10:40])
    assert torch.equal(found.targets, train.targets[10:40])
    assert found.n_classes == train.n_classes


GOOD = {"inputs": np.zeros((3, 1, 8, 8), np.float32), "labels": np.array([0, 1, 9])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": np.zeros((3, 8, 8), np.float32)}, r"shape \[3, 8, 8\], expected floats \['n', 1, 8, 8\]"),
        ({"inputs": np.zeros((3, 1, 8, 8), np.int64)}, "inputs of type int64"),
        ({"inputs": np.zeros((0, 1, 8, 8), np.float32)}, "n at least 1"),
        ({"labels": np.array([0, 1])}, r"labels of type int64 and shape \[2\], expected integers \[3\]"),
        ({"labels": np.array([0, 1, 10])}, "labels from 0 to 10"),
        ({"labels": np.array([0.5, 1, 1])}, "labels of type float64"),
        ({"inputs": np.full((3, 1, 8, 8), np.nan, np.float32)}, "not finite"),
        ({"labels": None}, "expected arrays 'inputs' and 'labels'"),
        ({"labels": np.array([object()] * 3)}, "expected arrays 'inputs' and 'labels'"),
    ],
)
def test_other_samples_are_refused(tmp_path: Path, task: Task, change: dict[str, Any], said: str) -> None:
    arrays = {name: array for name, array in {**GOOD, **change}.items() if array is not None}
    np.savez(tmp_path / "digits.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(SnakegymError, match=said) as error:
        read_samples("phone", tmp_path, task)
    assert str(error.value).startswith(f"node 'phone': {tmp_path / 'digits.npz'}: ")
    assert "\n" not in str(error.value)


def test_a_file_that_is_none_is_refused(tmp_path: Path, task: Task) -> None:
    with pytest.raises(SnakegymError, match="found no such file"):
        read_samples("phone", tmp_path, task)
    (tmp_path / "digits.npz").write_bytes(b"PK\x03\x04 and nothing more")
    with pytest.raises(SnakegymError, match="expected arrays 'inputs' and 'labels'"):
        read_samples("phone", tmp_path, task)
