"""What int8 for frozen layers saves and costs.

    python experiments/quantisation.py memory --out experiments/data/quantisation-memory.json
    python experiments/quantisation.py accuracy --seeds 10 --out experiments/data/quantisation-accuracy.json

`memory` trains one hop in a subprocess of its own, which holds nothing but what a node holds, and reads
the peak of its resident memory; `accuracy` trains 36 hops on digits with and without.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from snakegym.data.datasets import Dataset, load_data
from snakegym.data.partition import partition
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.quantisation import low_state
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import profile_model
from snakegym.models.state import ModelState
from snakegym.models.zoo import build_model
from snakegym.scenario import DataConfig, LearningConfig, ModelConfig
from snakegym.training.analysis.intervals import mean_and_half

MIB = 2**20
Options = dict[str, bool | int | float | str]
CASES: list[tuple[str, Options, int]] = [
    ("vgg11", {"width": 1.0, "hidden": 512}, 8),
    ("vgg11", {"width": 1.0, "hidden": 4096}, 8),
    ("torchvision-vgg11", {}, 8),
]
"""Model, options, batch size. The middle layer trained is the fifth."""
MIDDLE = 4
NODES, HOPS = 9, 36


def resident(key: str) -> float:
    """MiB that /proc says of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    return float(status.split(f"{key}:")[1].split()[0]) / 1024


def node(name: str, options: Options, batch_size: int, int8: bool) -> dict[str, float]:
    """One hop of two batches on a node that has received the model, in MiB over what was there before."""
    torch.set_num_threads(1)
    config = LearningConfig(
        batch_size=batch_size, epochs=1, optimizer="sgd", frozen="int8" if int8 else "fp32"
    )
    g = torch.Generator().manual_seed(0)
    data = Dataset(torch.randn(2 * batch_size, 3, 32, 32, generator=g), torch.arange(2 * batch_size) % 10, 10)
    warm_up()
    base = resident("VmRSS")
    model = build_model(ModelConfig(name=name, options=options), (3, 32, 32), 10)
    state = stored(model, int8)
    kept = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    job = LocalTraining(state, MIDDLE, data, torch.arange(len(data)), config, 1e-3, 0)
    del state
    SequentialEngine(model).train([job])
    return {"stored": kept - base, "peak": resident("VmHWM") - base}


def stored(model: LayeredModel, int8: bool) -> ModelState:
    """The model as the node stores it; the module holds nothing but references to it."""
    state = model.state()
    if int8:
        frozen = [i for i in range(model.n_layers) if i not in (0, MIDDLE + 1, model.n_layers - 1)]
        for i in frozen:  # layer by layer, as it comes in
            state = low_state(model, state, [i], "int8")
            empty = {k: t.new_empty(()).expand(t.shape) for k, t in model.layer_state(i).items()}
            model.load_layer(i, empty)
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return state


def warm_up() -> None:
    """Whatever torch loads at its first training."""
    model = build_model(ModelConfig(name="vgg11", options={"width": 0.05}), (3, 32, 32), 10)
    data = Dataset(torch.zeros(4, 3, 32, 32), torch.zeros(4, dtype=torch.int64), 10)
    job = LocalTraining(model.initial_state(0), 0, data, torch.arange(4), LearningConfig(), 1e-3, 0)
    SequentialEngine(model).train([job])


def memory() -> list[dict[str, object]]:
    """Measured and by formula, for every case with and without."""
    rows: list[dict[str, object]] = []
    print("| model | batch | frozen as | stored: formula | measured | peak: formula | measured |")
    print("|---|---|---|---|---|---|---|")
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
    for name, options, batch_size in CASES:
        model = build_model(ModelConfig(name=name, options=options), (3, 32, 32), 10)
        profile = profile_model(model, torch.zeros((3, 32, 32)))
        del model
        for int8 in (False, True):
            arguments = json.dumps([name, options, batch_size, int8])
            done = subprocess.run(
                [sys.executable, __file__, "node", "--job", arguments],
                env=environment, check=True, capture_output=True, text=True,
            )  # fmt: skip
            found = json.loads(done.stdout)
            learning = LearningConfig(
                batch_size=batch_size, optimizer="sgd", frozen="int8" if int8 else "fp32"
            )
            formula = {
                "stored": profile.weight_bytes(learning)[MIDDLE] / MIB,
                "peak": profile.hop_memory(learning)[MIDDLE] / MIB,
            }
            rows.append(
                {"model": name, "options": options, "int8": int8, "measured": found, "formula": formula}
            )
            cells = [f"{x[key]:.0f}" for key in ("stored", "peak") for x in (formula, found)]
            kind = "int8" if int8 else "float32"
            print(
                f"| {name} {options or ''} | {batch_size} | {kind} | " + " | ".join(cells) + " |", flush=True
            )
    return rows


def accuracy(seeds: int) -> list[dict[str, object]]:
    """Test accuracy after 36 hops, round robin over the nodes, with and without."""
    data = load_data(DataConfig())
    torch.set_num_threads(1)
    rows: list[dict[str, object]] = []
    print("| model | partition | float32 | int8 | paired difference |")
    print("|---|---|---|---|---|")
    for name, alpha in (("mlp", 2.0), ("mlp", 0.5), ("vgg", 2.0)):
        found: dict[bool, list[float]] = {False: [], True: []}
        for int8, seed in [(i, s) for s in range(seeds) for i in (False, True)]:
            model = build_model(ModelConfig(name=name), data.input_shape, data.n_classes)
            rng = np.random.default_rng(seed)
            nodes = partition(DataConfig(alpha=alpha), data.train.targets.numpy(), NODES, data.n_classes, rng)
            engine, state = SequentialEngine(model), model.initial_state(seed)
            config = LearningConfig(frozen="int8" if int8 else "fp32")
            path = []
            for hop in range(HOPS):
                own = torch.from_numpy(nodes[hop % NODES])
                rate = config.rate(hop // model.n_middle)
                job = LocalTraining(
                    state, hop % model.n_middle, data.train, own, config, rate, 1000 * seed + hop
                )
                state = engine.train([job])[0].state
                if hop >= HOPS - NODES:
                    path.append(engine.evaluate([state], data.test)[0].score)
            found[int8].append(float(np.mean(path)))
        paired = np.subtract(found[True], found[False])
        rows.append({"model": name, "alpha": alpha, "float32": found[False], "int8": found[True]})
        cells = [
            mean_and_half(found[False], 100),
            mean_and_half(found[True], 100),
            mean_and_half(paired, 100, 2),
        ]
        print(f"| {name} | Dirichlet {alpha} | " + " | ".join(cells) + " |", flush=True)
    return rows


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["memory", "accuracy", "node"])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--job", help="what a subprocess of `memory` measures")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.what == "node":
        print(json.dumps(node(*json.loads(args.job))))
        return
    rows = memory() if args.what == "memory" else accuracy(args.seeds)
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
