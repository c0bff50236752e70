"""Memory and time of one hop on language models as large as the paper's, measured and by formula.

    python experiments/llm_memory.py --shape opt-1.3b --frozen int8 --out experiments/data/llm-memory
    python experiments/llm_memory.py --shape opt-1.3b --frozen bf16 --depths 0,6,12,18,23 --out …
    python experiments/llm_memory.py --shape opt-1.3b --frozen int8 --depths 0,6,12,18,23 --times 3 --out …
    python experiments/llm_memory.py --shape llama-3-8b --frozen nf4 --lora 8 --stream FOLDER --out …

Weights are random (of frozen blocks the same in another order): what they are makes no difference to memory
and time. Every row is a process of its own, which never has more than one layer in float32 beside what it
trains; it is measured from when everything is imported and has run once on a tiny model. With `--stream` all
blocks but the one that is trained lie on disk, and are read whenever they are computed with, forward and
backward.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Language
from snakegym.documents import parse_json
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import loaded, low_layer
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.language.decoders import LlamaOptions, OptOptions, llama, opt
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile, profile_model
from snakegym.models.state import LayerState, ModelState
from snakegym.network.costs import hop_memory
from snakegym.scenario import LearningConfig, LoraConfig, Precision
from snakegym.training.runs.folder import write_json

GIB, LENGTH = 2**30, 128
SHAPES: dict[str, tuple[Any, Any, int]] = {
    "opt-1.3b": (opt, OptOptions(width=2048, hidden=8192, middle=24, heads=32), 50272),
    "llama-3-8b": (
        llama,
        LlamaOptions(width=4096, hidden=14336, middle=32, heads=32, key_heads=8),
        128256,
    ),
    "opt-24": (opt, OptOptions(width=512, hidden=2048, middle=24, heads=8), 8192),
    "tiny": (opt, OptOptions(), 300),
}


class Hollow(nn.Module):
    """A layer that another one computes for: a frozen block whose weights are read when they are needed.

    Its inputs alone are kept for the way back, where it is read and computed once more.
    """

    def __init__(self, like: LayeredModel, path: Path) -> None:
        super().__init__()
        self._like, self._path = [like], path  # in a list: its parameters are not this layer's

    def forward(self, inputs: Tensor) -> Tensor:
        """Features of the same shape."""
        if not inputs.requires_grad:
            return self._compute(inputs)
        outputs: Tensor = checkpoint(self._compute, inputs, use_reentrant=False)
        return outputs

    def _compute(self, inputs: Tensor) -> Tensor:
        model = self._like[0]
        state = model.state().replace({1: torch.load(self._path, weights_only=True)})
        with loaded(model, state):
            outputs: Tensor = model.layers[1](inputs)
        return outputs


class Checkpointed(nn.Module):
    """A layer of which the inputs alone are kept for the way back, where it is computed once more."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        """What the layer gives."""
        if not inputs.is_floating_point() or not inputs.requires_grad:
            outputs: Tensor = self.layer(inputs)
        else:
            outputs = checkpoint(self.layer, inputs, use_reentrant=False)
        return outputs


def meta_layers(shape: str, middle: int | None = None) -> list[nn.Module]:
    """Layers without memory."""
    make, options, tokens = SHAPES[shape]
    if middle is not None:
        options = options.model_copy(update={"middle": middle})
    with torch.device("meta"):
        layers: list[nn.Module] = make(options, (LENGTH,), tokens)
    return layers


def hollow(layers: list[nn.Module]) -> LayeredModel:
    """The model with parameters of the right shapes that take no memory, until a state is loaded."""
    made: dict[int, nn.Parameter] = {}
    for module in (m for layer in layers for m in layer.modules()):
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.is_meta:
                empty = torch.zeros(()).expand(parameter.shape)
                own = made.setdefault(id(parameter), nn.Parameter(empty, requires_grad=False))
                module._parameters[name] = own
    return LayeredModel(layers)


def rolled(block: LayerState, i: int) -> LayerState:
    """The block with its rows in another order: to bring each into low precision anew takes minutes."""
    return {name: t.roll(i, 0) for name, t in block.items()}


def random_layer(model: LayeredModel, layer: int) -> LayerState:
    """Fresh numbers of one layer in float32."""
    g = torch.Generator().manual_seed(layer)
    return {
        name: torch.randn(p.shape, generator=g).mul_(0.02)
        if p.ndim > 1
        else torch.ones(p.shape) * ("weight" in name)
        for name, p in model.parameters_of(layer).items()
    }


def build(row: dict[str, Any]) -> tuple[LayeredModel, ModelState]:
    """Model and state as a node has them that is about to train: made a layer at a time."""
    layers = meta_layers(row["shape"])
    low: Precision = row["frozen"]
    trained = range(len(layers)) if row["train"] == "full" else (row["layer"] + 1,)
    if row["stream"]:
        like = hollow(meta_layers(row["shape"], 1))
        for i in range(1, len(layers) - 1):
            if i not in trained:
                layers[i] = Hollow(like, stored_block(row, like, i))
    elif row["checkpoint"]:
        layers = [Checkpointed(layer) if 0 < i < len(layers) - 1 else layer for i, layer in enumerate(layers)]
    model = hollow(layers)
    states: list[LayerState] = []
    block: LayerState = {}
    for i in range(len(layers)):
        names = model.parameters_of(i).keys()
        if i in trained and row["lora"] is None:
            states.append(random_layer(model, i))
        elif block and block.keys() >= names and 0 < i < len(layers) - 1:
            states.append(rolled(block, i) if names else {})
        else:
            states.append(low_layer(model, i, random_layer(model, i), low))
            block = states[-1] if 0 < i < len(layers) - 1 else {}
        trim()
    return model, ModelState(tuple(states))


def stored_block(row: dict[str, Any], like: LayeredModel, i: int) -> Path:
    """A file with the block in low precision; one that is there already is kept."""
    path = Path(row["stream"]) / f"{row['shape']}-{row['frozen']}-{i}.pt"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole, first = path.with_suffix(".part"), Path(row["stream"]) / f"{row['shape']}-{row['frozen']}.pt"
        if not first.exists():
            torch.save(dict(low_layer(like, 1, random_layer(like, 1), row["frozen"])), first)
        block = torch.load(first, weights_only=True)
        torch.save(dict(rolled(block, i)), whole)
        whole.replace(path)
        trim()
    return path


def learning_of(row: dict[str, Any]) -> LearningConfig:
    """The rules of the hop."""
    lora = None if row["lora"] is None else LoraConfig(rank=row["lora"])
    return LearningConfig(
        trains="middle",
        batch_size=1,
        epochs=1,
        frozen=row["frozen"],
        lora=lora,
        optimizer=row["optimizer"],
        learning_rate=1e-4,
    )


def formula(row: dict[str, Any], profile: ModelProfile) -> float:
    """Bytes of the hop by the formulas of `snakegym.network.costs`."""
    learning = learning_of(row)
    if row["train"] == "full":
        everything = range(len(profile.n_bytes))
        sizes, kept = profile.n_bytes.tolist(), profile.activation_bytes.tolist()
        return hop_memory(sizes, kept, everything, 1, learning.optimizer)
    needed = float(profile.hop_memory(learning, rank=row["lora"])[row["layer"]])
    after = range(row["layer"] + 2, len(profile.n_bytes) - 1)
    if row["checkpoint"] or row["stream"]:  # instead of all that blocks keep, their inputs, and those of one
        kept = profile.frozen_activation_bytes
        needed -= sum(kept[i] - profile.output_bytes[i - 1] for i in after) - max(
            (kept[i] for i in after), default=0
        )
    if row["stream"]:  # one block at a time
        blocks = profile.low_bytes[row["frozen"]][1:-1]
        needed -= blocks.sum() - blocks[0] * (2 if row["lora"] else 1)
    return needed


def resident(key: str) -> float:
    """Bytes that /proc says of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    return float(status.split(f"{key}:")[1].split()[0]) * 1024


def trim() -> None:
    """Give freed memory back."""
    ctypes.CDLL("libc.so.6").malloc_trim(0)


def texts(shape: str) -> Dataset:
    """One text."""
    tokens = SHAPES[shape][2]
    inputs = torch.randint(tokens, (1, LENGTH + 1), generator=torch.Generator().manual_seed(0))
    topics = torch.zeros(1, dtype=torch.int64)
    return Dataset(inputs[:, :-1].clone(), inputs[:, 1:].clone(), 1, Language(tokens), topics)


def measure(row: dict[str, Any]) -> dict[str, float]:
    """One hop, in this process: bytes over what was there before, and seconds of CPU time."""
    torch.set_num_threads(1)
    tiny = {**row, "shape": "tiny", "layer": 0, "stream": None}
    run_hop(tiny, *build(tiny))
    trim()
    base = resident("VmRSS")
    model, state = build(row)
    trim()
    kept = resident("VmRSS") - base
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    holder = [state]
    del state
    seconds, loss = run_hop(row, model, holder.pop())
    return {"stored": kept, "peak": resident("VmHWM") - base, "cpu_s": seconds, "loss": loss}


def run_hop(row: dict[str, Any], model: LayeredModel, state: ModelState) -> tuple[float, float]:
    """CPU seconds and the loss."""
    layers = tuple(range(model.n_layers)) if row["train"] == "full" else None
    job = LocalTraining(
        state, row["layer"], texts(row["shape"]), torch.arange(1), learning_of(row), 1e-4, 0,
        layers=layers, rank=row["lora"], in_place=True,
    )  # fmt: skip
    begin = time.process_time()
    (result,) = SequentialEngine(model).train([job])
    return time.process_time() - begin, result.loss


def times(row: dict[str, Any], layers: list[int], rounds: int) -> None:
    """CPU time of hops on several layers in turns, the shortest of each, beside the FLOPs; all as shares.

    In one process: of neighbours' load all layers then get alike. Adapters are trained, so that the model is
    the same for all.
    """
    torch.set_num_threads(1)
    profile, (model, state) = profile_of(row["shape"]), build(row)
    flops = profile.training_flops("middle", row["lora"])[layers]
    found = np.full((rounds, len(layers)), np.inf)
    for i in range(rounds):
        for j, layer in enumerate(layers):
            found[i, j] = run_hop({**row, "layer": layer}, model, state)[0]
    shortest = found.min(axis=0)
    print("| layer | GFLOP | CPU s | time of the first | FLOPs of the first | ratio |")
    print("|---|---|---|---|---|---|")
    for layer, f, s in zip(layers, flops, shortest, strict=True):
        time_share, work_share = s / shortest[0], f / flops[0]
        cells = (layer, f"{f / 1e9:.0f}", f"{s:.1f}", f"{time_share:.2f}", f"{work_share:.2f}")
        print(f"| {' | '.join(map(str, cells))} | {time_share / work_share:.2f} |")
    if row.get("out"):
        record = {"layers": layers, "flops": flops.tolist(), "cpu_s": found.tolist()}
        write_json(Path(row["out"]) / f"times-{row['shape']}-{row['frozen']}.json", record, indent=1)


def main() -> None:
    """Measure rows and print them beside the formula."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="opt-1.3b")
    parser.add_argument("--frozen", choices=["fp32", "bf16", "int8", "nf4"], default="int8")
    parser.add_argument("--train", choices=["block", "full"], default="block")
    parser.add_argument("--layer", type=int, default=0)
    parser.add_argument("--depths", help="several layers, as 0,6,12, each a row")
    parser.add_argument("--lora", type=int, help="rank of adapters; without: all parameters of the block")
    parser.add_argument("--optimizer", choices=["adam", "sgd"], default="adam")
    parser.add_argument("--checkpoint", action="store_true", help="keep of blocks their inputs alone")
    parser.add_argument("--stream", help="folder for the blocks that are read from disk")
    parser.add_argument("--times", type=int, help="rounds: CPU time of --depths in turns, of adapters")
    parser.add_argument("--formula", action="store_true", help="measure nothing")
    parser.add_argument("--out", type=Path, help="folder of the raw data, one file a row")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row:
        print(json.dumps(measure(parse_json(args.row, "the row"))))
        return
    fields = ("shape", "frozen", "train", "layer", "lora", "optimizer", "checkpoint", "stream")
    row = {name: getattr(args, name) for name in fields}
    if args.times:
        own = {**row, "lora": args.lora or 8, "out": args.out and str(args.out)}
        times(own, [int(k) for k in args.depths.split(",")], args.times)
        return
    profile = profile_of(args.shape)
    head = ("shape", "frozen", "trained", "layer", "formula, GiB", "measured, GiB", "ratio", "stored, GiB")
    print("| " + " | ".join([*head, "CPU s", "GFLOP"]) + " |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for layer in [int(k) for k in args.depths.split(",")] if args.depths else [args.layer]:
        report({**row, "layer": layer}, profile, args)


def profile_of(shape: str) -> ModelProfile:
    """By shapes alone."""
    sample = torch.zeros(LENGTH, dtype=torch.int64, device="meta")
    return profile_model(LayeredModel(meta_layers(shape)), sample, adapters=True)


def report(row: dict[str, Any], profile: ModelProfile, args: argparse.Namespace) -> None:
    """Measure one row in a process of its own, print and keep it."""
    whole = formula(row, profile)
    flops = 3 * profile.forward_flops.sum()
    if row["train"] == "block":
        flops = profile.training_flops("middle", row["lora"])[row["layer"]]
    found = None
    if not args.formula:
        environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, __file__, "--row", json.dumps(row)],
            env=environment, check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        found = parse_json(done.stdout.splitlines()[-1], "the measurement")
    what = "all" if row["train"] == "full" else f"LoRA {row['lora']}" if row["lora"] else "block"
    what += ", checkpointed" * row["checkpoint"] + ", streamed" * bool(row["stream"])
    cells = [row["shape"], row["frozen"], what, str(row["layer"]), f"{whole / GIB:.2f}"]
    if found:
        ratio = found["peak"] / whole
        cells += [
            f"{found['peak'] / GIB:.2f}",
            f"{ratio:.2f}",
            f"{found['stored'] / GIB:.2f}",
            f"{found['cpu_s']:.1f}",
        ]
    else:
        cells += ["", "", "", ""]
    print("| " + " | ".join([*cells, f"{flops / 1e9:.0f}"]) + " |", flush=True)
    if args.out is not None:
        args.out.mkdir(parents=True, exist_ok=True)
        name = "-".join(str(c) for c in (row["shape"], row["frozen"], what, row["layer"])).replace(", ", "-")
        record = {**row, "stream": bool(row["stream"]), "formula": whole, "flops": flops, "measured": found}
        write_json(args.out / f"{name.replace(' ', '-').lower()}.json", record, indent=1)


if __name__ == "__main__":
    main()
