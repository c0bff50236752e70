"""What a training run leaves, read without running code: its config and the tensors of its checkpoints.

A checkpoint is a file of Stable-Baselines3: a zip archive with pickled objects under `data`, which we never
read, and with tensors in PyTorch's format under `policy.pth`. Those are read within known bounds and with
nothing but tensors in them.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from torch import Tensor

from snakegym.agents.hyperparameters import Policy, Width
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError, in_one_line
from snakegym.files import read_text

CONFIG = "config.json"
CHECKPOINTS = ("best.zip", "checkpoints/latest.zip")
"""Where the weights of a run lie, the first that exists counts: best by validation, then latest."""
STAMP = "snakegym.json"
"""The member of a checkpoint that is ours."""
MOST_CONFIG_BYTES = 2**22
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

_Count = Annotated[int, Field(ge=1, le=10**7)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


class Sizes(_Plain):
    """Of the decision problem that a policy was trained for."""

    nodes: _Count
    layers: _Count
    actions: _Count

    def __str__(self) -> str:
        return f"{self.nodes} nodes, {self.layers} layers and {self.actions} actions"


class Network(_Plain):
    """Of a policy: see `Hyperparameters`."""

    policy: Policy
    width: Width = 1
    net_arch: Annotated[list[Width], Field(max_length=16)] = []


class RunConfig(_Plain):
    """What must stand in the config.json of a training run for its policy to be built again."""

    algo: str
    seed: Annotated[int, Field(ge=0)]
    run_id: str
    masked: bool
    """Whether the policy takes action masks."""
    ppo: Network
    sizes: Sizes
    versions: dict[str, str]
    scenario: dict[str, Any]


def scenarios_of(config: RunConfig) -> list[dict[str, Any]]:
    """What a policy was trained on: one scenario, or several."""
    several = config.scenario.get("each_of")
    return several if isinstance(several, list) else [config.scenario]


def read_config(folder: Path) -> RunConfig:
    """The config of a run.

    Raises:
        SnakegymError: there is none, it cannot be read, or it has another shape.
    """
    path = folder / CONFIG
    if not path.exists():
        raise SnakegymError(f"{folder}: found no config.json, expected the folder of a training run")
    text = read_text(path, "the config of the run", MOST_CONFIG_BYTES)
    parse_json(text, f"{path}: cannot read the config of the run", finite=False)  # pydantic takes repeats
    try:
        return RunConfig.model_validate_json(text)
    except ValidationError as error:
        raise SnakegymError(_what_is_wrong(path, error)) from None


def _what_is_wrong(path: Path, error: ValidationError) -> str:
    errors = error.errors()
    missing = [str(e["loc"][0]) for e in errors if e["type"] == "missing" and len(e["loc"]) == 1]
    if missing and not {"algo", "scenario"} & {*missing}:
        return (
            f"{path}: found no field '{missing[0]}': the run was made by an older version of snakegym, whose "
            "policies this one cannot build: train it again"
        )
    return (
        f"{path}: {one_line(error)}; expected the fields 'algo' and 'scenario' of a training run, and others"
    )


def one_line(error: ValidationError) -> str:
    """The first thing that pydantic found wrong."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"field '{place}': {first['msg']}" if place else str(first["msg"])


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


class _Stamp(_Plain):
    algo: str


def check_stamp(checkpoint: Checkpoint, algo: str) -> None:
    """Whether the checkpoint, if it says so, is one of that algorithm. Raises SnakegymError if not."""
    if STAMP not in checkpoint:
        return
    found = checkpoint.stamp(_Stamp).algo
    if found != algo:
        raise SnakegymError(f"{checkpoint.path}: holds a policy of '{found}', expected one of '{algo}'")


def check_weights(checkpoint: Checkpoint, found: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Whether these are weights for a policy with the `expected` ones.

    Raises:
        SnakegymError: they are those of another policy, or no numbers.
    """
    path = checkpoint.path
    strange = sorted({*found} ^ {*expected})
    if strange:
        has = "has" if strange[0] in found else "lacks"
        raise SnakegymError(
            f"{path}: holds the weights of another algorithm or policy: it {has} '{strange[0]}', expected "
            f"{len(expected)} tensors as config.json says"
        )
    for name, tensor in expected.items():
        shape = tuple(found[name].shape) if isinstance(found[name], Tensor) else type(found[name]).__name__
        if shape != tuple(tensor.shape):
            raise SnakegymError(
                f"{path}: holds weights of another shape: '{name}' is {shape}, expected {tuple(tensor.shape)}"
            )
        if not bool(torch.isfinite(found[name]).all()):
            raise SnakegymError(
                f"{path}: '{name}' holds values that are no finite numbers: training diverged"
            )


def policy_weights(checkpoint: Checkpoint, algo: str, expected: Mapping[str, Tensor]) -> dict[str, Any]:
    """The weights of the policy in a checkpoint of that algorithm, of these names and shapes.

    Raises:
        SnakegymError: they are damaged, or another's.
    """
    check_stamp(checkpoint, algo)
    weights = checkpoint.tensors("policy.pth", size_of(expected))
    check_weights(checkpoint, weights, expected)
    return weights


def size_of(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of all of them together."""
    return sum(t.numel() * t.element_size() for t in tensors.values())
