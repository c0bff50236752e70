"""What `snakegym compare` can be asked, and the comparison that comes of it.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
import yaml

from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, Split, load_scenario, parse_scenario

Int = Annotated[int | None, tyro.conf.arg(metavar="INT")]
Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]
Text = Annotated[str | None, tyro.conf.arg(metavar="TEXT")]
Preset = Literal["smoke", "paper"]
Partition = Literal["iid", "dirichlet", "quantity"]
Optimizer = Literal["adam", "sgd", "rmsprop"]

PATIENCE_S = 30 * 86400.0
"""Outages up to this long are waited for, so that all frameworks train as much."""

PRESETS: dict[str, dict[str, Any]] = {
    # Everything on scikit-learn's digits, in minutes on a laptop.
    "smoke": {
        "dataset": "digits",
        "model": "mlp",
        "width": 64,
        "partition": "dirichlet",
        "alpha": 2.0,
        "cycles": 10,
        "epochs": 1,
        "batch_size": 32,
        "learning_rate": 2e-3,
        "decay": 0.95,
        "validation": 0.2,
        "seeds": "0,1",
    },
    # The feasibility study of the Snake Learning paper: VGG-11 on CIFAR-10 over 9 nodes. Batch size and
    # learning rate are our own, tuned for FedAvg and the snake alike (experiments/cifar10-width-0.25.md).
    "paper": {
        "dataset": "cifar10",
        "model": "vgg11",
        "width": 1.0,
        "partition": "dirichlet",
        "alpha": 2.0,
        "cycles": 30,
        "epochs": 1,
        "batch_size": 32,
        "learning_rate": 3e-4,
        "decay": 0.95,
        "validation": 0.02,
        "seeds": "0,1,2",
    },
}

NETWORKS: dict[str, dict[str, Any]] = {
    # Microcontrollers on LTE-M, as in the scenario `default`.
    "digits": {},
    # Phones and single-board computers on LTE.
    "images": {
        "devices": [
            {
                "name": "small",
                "peak_flops": 1e10,
                "memory_bytes": 2e9,
                "compute_power_w": 2.0,
                "radio_power_w": 2.0,
            },
            {
                "name": "medium",
                "peak_flops": 2e10,
                "memory_bytes": 4e9,
                "compute_power_w": 7.6,
                "radio_power_w": 2.0,
            },
            {
                "name": "large",
                "peak_flops": 5e10,
                "memory_bytes": 4e9,
                "compute_power_w": 10.0,
                "radio_power_w": 2.0,
            },
        ],
        "rtt_s": 0.05,
        "traces": {"generator": {"good_bps": 4e7, "fair_bps": 1.5e7, "poor_bps": 4e6}},
    },
}


@dataclass(frozen=True)
class CompareConfig:
    """Compare Snake Learning with the other frameworks.

    Every framework trains the same model on the same data, partition and network, with the same
    passes over the data. Leaves compare.json (everything), a table and pictures in the output folder.
    Repeat the command after an interruption: it goes on. Repeat it with other --frameworks or --seeds
    and the same --out: the results come together.
    """

    out: Path
    """Output folder; new, empty, or of the same comparison."""
    preset: Preset | None = None
    """smoke (digits, a few minutes) or paper (VGG-11 on CIFAR-10: for a GPU); fills in what is left
    out. Default: as the dataset suggests."""
    frameworks: str = "all"
    """Names with commas between them, or all."""
    seeds: Text = None
    """Seeds with commas between them; each draws network, partition and initial model anew."""
    cycles: Int = None
    """Rounds: in each of them every node trains once."""
    epochs: Int = None
    """Passes of a node over its own data in a round."""
    dataset: Text = None
    """digits, cifar10, or another torchvision classification dataset."""
    data: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Where the dataset lies (unpacked, or still in its archive)."""
    model: Text = None
    """mlp, vgg or vgg11."""
    width: Float = None
    """Of the model: features (mlp), channels (vgg), or the factor on VGG-11's."""
    partition: Partition | None = None
    """How samples are spread over the nodes."""
    alpha: Float = None
    """Of a dirichlet (labels) or quantity (sizes) partition: small is strongly skewed."""
    nodes: int = 9
    """Number of nodes."""
    batch_size: Int = None
    """Samples in a batch."""
    optimizer: Optimizer = "adam"
    """Fresh for every local training."""
    learning_rate: Float = None
    """Of the first round."""
    decay: Float = None
    """Factor on the learning rate after each round."""
    clip_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    traces: Annotated[str | None, tyro.conf.arg(metavar="FOLDER")] = None
    """Folder with traces of your own (link/*.csv and compute/*.csv) instead of generated ones."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    tf32: bool = False
    """Let a GPU round products to TensorFloat-32: faster, less exact."""
    jobs: Int = None
    """Processes; results do not depend on it. Default: one a core on a CPU, at most 4, and 1 on a GPU."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        for name in ("cycles", "epochs", "batch_size", "nodes", "jobs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected 1 or more")
        self.seed_list()
        self.framework_list()

    def chosen(self, name: str) -> Any:
        """An option as given, else as the preset has it."""
        given = getattr(self, name)
        return PRESETS[self.preset_name][name] if given is None else given

    @property
    def preset_name(self) -> str:
        """The preset that fills in what is left out."""
        if self.preset is not None:
            return self.preset
        return "smoke" if self.dataset in (None, "digits") else "paper"

    def seed_list(self) -> list[int]:
        """The seeds, each once, in the order given."""
        text = str(self.chosen("seeds"))
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words or not all(word.isdecimal() for word in words):
            raise SnakegymError(f"--seeds: found '{text}', expected whole numbers with commas between them")
        return list(dict.fromkeys(int(word) for word in words))

    def framework_list(self) -> list[str]:
        """Full names of the frameworks, each once, in the order of the registry or as given."""
        from snakegym.frameworks.registry import FRAMEWORKS, framework_name

        words = [word.strip() for word in self.frameworks.split(",") if word.strip()]
        if not words:
            raise SnakegymError("--frameworks: found none, expected names with commas between them, or all")
        if words == ["all"]:
            return list(FRAMEWORKS)
        return list(dict.fromkeys(framework_name(word) for word in words))


@dataclass(frozen=True)
class Comparison:
    """What is compared, apart from frameworks, seeds and where it is computed."""

    scenario: Scenario
    cycles: int
    split: Split
    traces: str | None
    tf32: bool

    @classmethod
    def of(cls, config: CompareConfig) -> Comparison:
        """The comparison that the command line asks for. Raises SnakegymError for a bad value."""
        scenario = parse_scenario(yaml.safe_dump(_scenario(config)), "compare")
        return cls(scenario, config.chosen("cycles"), config.split, config.traces, config.tf32)

    def identity(self) -> dict[str, Any]:
        """What must agree for results to be shown together, as plain JSON data."""
        scenario = self.scenario.model_dump(mode="json")
        scenario["data"]["root"] = None  # the same images may lie elsewhere
        return {**asdict(self), "scenario": scenario}


def _scenario(config: CompareConfig) -> dict[str, Any]:
    """The fields of the scenario: those of `default`, with what the command line and preset say."""
    base = load_scenario("default").model_dump(mode="json")
    dataset, model, width = config.chosen("dataset"), config.chosen("model"), config.chosen("width")
    whole = isinstance(width, int) or float(width).is_integer()
    base["name"], base["summary"] = "compare", f"{model} on {dataset}, {config.chosen('partition')}"
    base["data"] |= {
        "dataset": dataset,
        "root": config.data,
        "partition": config.chosen("partition"),
        "alpha": config.chosen("alpha"),
        "validation_fraction": PRESETS[config.preset_name]["validation"],
    }
    base["model"] = {"name": model, "options": {"width": int(width) if whole else float(width)}}
    base["learning"] |= {
        "epochs": config.chosen("epochs"),
        "batch_size": config.chosen("batch_size"),
        "optimizer": config.optimizer,
        "learning_rate": config.chosen("learning_rate"),
        "decay": config.chosen("decay"),
        "clip_norm": config.clip_norm,
    }
    kind = "digits" if dataset == "digits" else "images"
    base["network"] |= {"nodes": config.nodes, "timeout_s": PATIENCE_S, **NETWORKS[kind]}
    base["process"]["budget"] = {"time_s": 1e12}
    return base
