"""Memory and time of one hop on language models as large as the paper's, measured and by formula.

    python experiments/llm_memory.py --shape opt-1.3b --frozen int8 --out experiments/data/llm-memory
    python experiments/llm_memory.py --shape opt-1.3b --frozen bf16 --depths 0,6,12,18,23 --out …
    python experiments/llm_memory.py --shape opt-1.3b --frozen int8 --depths 0,6,12,18,23 --times 3 --out …
    python experiments/llm_memory.py --shape llama-3-8b --frozen nf4 --lora 8 --stream FOLDER --out …

Weights are random (of frozen blocks the same in another order): what they are makes no difference to memory
and time. Every row is a process of its own, which never has more than one layer in float32 beside what it
trains; it is measured from when everything is imported and has run once on a tiny model. With `--stream` all
blocks but the one that is trained lie on disk, and are read whenever they are computed with, forward and
backward (`learning.checkpointed`, as with `--checkpoint`).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from llm_shapes import SHAPES, build, profile_of, texts, trim

from snakegym.documents import parse_json
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile
from snakegym.models.state import ModelState
from snakegym.network.costs import hop_memory
from snakegym.scenario import LearningConfig, LoraConfig
from snakegym.training.runs.folder import write_json

GIB = 2**30


def learning_of(row: dict[str, Any]) -> LearningConfig:
    """The rules of the hop."""
    lora = None if row["lora"] is None else LoraConfig(rank=row["lora"])
    return LearningConfig(
        trains="middle",
        batch_size=1,
        epochs=1,
        frozen=row["frozen"],
        checkpointed=bool(row["checkpoint"] or row["stream"]),
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
    if row["stream"]:  # one block at a time
        blocks = profile.low_bytes[row["frozen"]][1:-1]
        needed -= blocks.sum() - blocks[0] * (2 if row["lora"] else 1)
    return needed


def resident(key: str) -> float:
    """Bytes that /proc says of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    return float(status.split(f"{key}:")[1].split()[0]) * 1024


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
    flops = profile.hop_flops(learning_of(row), rank=row["lora"])[layers]
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


def report(row: dict[str, Any], profile: ModelProfile, args: argparse.Namespace) -> None:
    """Measure one row in a process of its own, print and keep it."""
    whole = formula(row, profile)
    flops = 3 * profile.forward_flops.sum()
    if row["train"] == "block":
        flops = profile.hop_flops(learning_of(row), rank=row["lora"])[row["layer"]]
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
