"""The checkpoints that a training run leaves, read without running code.

A checkpoint is a file of Stable-Baselines3: a zip archive with pickled objects under `data`, which we never
read, and with tensors in PyTorch's format under `policy.pth`. Those are read within known bounds and with
nothing but tensors in them.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from pydantic import TypeAdapter, ValidationError

from snakegym.agents.trained.config import one_line
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, in_one_line

CHECKPOINTS = ("best.zip", "checkpoints/latest.zip")
"""Where the weights of a run lie, the first that exists counts: best by validation, then latest."""
STAMP = "snakegym.json"
"""The member of a checkpoint that is ours."""
MOST_STAMP_BYTES = 2**28
SPARE_BYTES = 2**17
"""What a file of tensors may hold beside them: names, shapes, alignment."""

Shape = TypeVar("Shape")

TENSOR_PARTS = (
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
)
"""What a file of tensors is put together from, beside the storages `torch FloatStorage` and so on."""


def checkpoint_of(folder: Path) -> Path:
    """Where the weights of a run lie. Raises SnakegymError if there are none."""
    for name in CHECKPOINTS:
        if (folder / name).is_file():
            return folder / name
    raise SnakegymError(f"{folder}: found no weights, expected {' or '.join(CHECKPOINTS)}")


class Checkpoint:
    """An open checkpoint; see `open_checkpoint`."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive

    def __contains__(self, member: str) -> bool:
        return member in self._archive.namelist()

    def read(self, member: str, most_bytes: int) -> bytes:
        """A member of the archive, at most so many bytes. Raises SnakegymError as `open_checkpoint`."""
        if member not in self:
            raise self.error(f"no {member} in it")
        info = self._archive.getinfo(member)
        if info.file_size > most_bytes:
            raise self.error(
                f"{member} of {info.file_size} bytes, more than the {most_bytes} that it can need"
            )
        try:
            with self._archive.open(info) as file:
                return file.read(most_bytes + 1)
        except Exception as error:  # zlib, checksums, passwords, unknown methods
            raise self.damaged(error) from None

    def tensors(self, member: str, tensor_bytes: int) -> dict[str, Any]:
        """What `torch.save` wrote to a member: tensors and plain data.

        Args:
            member: its name.
            tensor_bytes: how large all its tensors are together.

        Raises:
            SnakegymError: as `open_checkpoint`, or it holds something else than tensors.
        """
        most = tensor_bytes + SPARE_BYTES
        content = self.read(member, most)
        try:
            self._check_parts(member, content, most)
            # No code can be in it now, so this is a second bolt on the same door.
            loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except SnakegymError:
            raise
        except Exception as error:  # a damaged file can fail anywhere in zip, pickle and torch
            raise self.damaged(error) from None
        if not isinstance(loaded, dict):
            raise self.error(f"{type(loaded).__name__} in {member}")
        return loaded

    def stamp(self, shape: type[Shape]) -> Shape:
        """What the stamp says, checked by pydantic. Raises SnakegymError as `open_checkpoint`."""
        text = self.read(STAMP, MOST_STAMP_BYTES)
        try:
            parse_json(text, STAMP, finite=False)  # pydantic takes a name that is given twice
            return TypeAdapter(shape).validate_json(text)
        except SnakegymError as error:
            raise self.error(f"another shape of {STAMP} ({error})") from None
        except ValidationError as error:
            raise self.error(f"another shape of {STAMP} ({one_line(error)})") from None

    def error(self, found: str) -> SnakegymError:
        """That something else was found than a checkpoint."""
        return SnakegymError(f"{self.path}: found {found}, expected a checkpoint of a training run")

    def damaged(self, error: Exception) -> SnakegymError:
        """That it was a checkpoint once."""
        reason = in_one_line(error)[:200]
        return SnakegymError(
            f"{self.path}: truncated or corrupt ({reason}), expected a checkpoint of a training run"
        )

    def _check_parts(self, member: str, content: bytes, most_bytes: int) -> None:
        """That PyTorch's archive unpacks to no more than itself, and its pickle names tensors alone."""
        with zipfile.ZipFile(io.BytesIO(content)) as inner:
            if sum(info.file_size for info in inner.infolist()) > most_bytes:
                raise self.error(f"{member} that unpacks to more than {most_bytes} bytes")
            (name,) = [n for n in inner.namelist() if n.endswith("/data.pkl")]
            pickled = inner.read(name)
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name in ("INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                raise self.error(f"{opcode.name} in the pickle of {member}")
            if opcode.name == "GLOBAL" and not _is_tensor_part(str(argument)):
                raise self.error(f"the object {str(argument).replace(' ', '.')} in {member}")


def _is_tensor_part(name: str) -> bool:
    module, _, attribute = name.partition(" ")
    return name in TENSOR_PARTS or (module == "torch" and attribute.endswith("Storage"))


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """A checkpoint, to read from; nothing that is pickled in it is looked at.

    Raises:
        SnakegymError: it is not there, cannot be read, is truncated, or is something else.
    """
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise SnakegymError(f"{path}: cannot read this checkpoint: {error.strerror or error}") from None
    except Exception as error:  # zipfile fails in many ways on bytes that are no zip archive
        raise SnakegymError(_no_archive(path, error)) from None
    with archive:
        checkpoint = Checkpoint(path, archive)
        if archive.infolist() and min(info.header_offset for info in archive.infolist()) > 0:
            # What is left of a file ends with an archive within: `policy.pth` is one itself.
            raise checkpoint.damaged(zipfile.BadZipFile("it begins before its first member"))
        yield checkpoint


def _no_archive(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    expected = "expected a checkpoint of a training run"
    if not start:
        return f"{path}: truncated or corrupt (the file is empty), {expected}"
    if start != b"PK\x03\x04":
        return f"{path}: found no zip archive, {expected}"
    return f"{path}: truncated or corrupt ({error}), {expected}"
