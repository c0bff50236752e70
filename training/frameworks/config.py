"""What `snakegym compare` can be asked, and the comparison that comes of it.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import PoolConfig, Scenario, Split, load_scenario, parse_scenario
from snakegym.training.options import Folder, Int, RayAddress, Text, at_least_one
from snakegym.training.runs.changes import changed

PATIENCE_S = 30 * 86400.0
"""Outages up to this long are waited for, so that all frameworks train as much."""
NEVER_S = 1e12
"""A budget that is never used up: rounds are counted instead."""


class Plan(NamedTuple):
    """What a comparison does unless it is told otherwise."""

    cycles: int
    seeds: str


PRESETS = {"smoke": Plan(10, "0,1"), "paper": Plan(30, "0,1,2"), "lm-smoke": Plan(12, "0,1,2")}
OTHERWISE = Plan(10, "0")
"""For scenarios that are no presets."""
PRETRAINS = 4
"""Topics of a user's texts from which on some are for pre-training."""
PARTITIONS = {"iid": "iid", "by-topic": "dirichlet"}
"""Folders of a comparison of language models, and how samples are spread in each."""


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
    preset: Literal["smoke", "paper"] | None = None
    """smoke (digits, a few minutes; the default) or paper (VGG-11 on CIFAR-10: for a GPU)."""
    task: Literal["images", "lm"] = "images"
    """lm: a small language model is fine-tuned, with samples spread evenly and by topic, each in a folder of
    its own (unless --set data.partition=… says which); perplexities, not accuracies. Needs snakegym[llm]."""
    scenario: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """Name of a scenario (see `snakegym scenarios`) or a .yaml file, instead of a preset. Rounds take the
    place of its budget, outages are waited for, and pool rules and batteries do not count."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE: a field of the scenario that is to be different, for instance
    --set model.options.width=16; repeat it for several."""
    frameworks: str = "all"
    """Names with commas between them, or all (of the task: fedavg-lora is compared on lm alone); your own as
    module:attribute or file.py:attribute."""
    seeds: Annotated[str | None, tyro.conf.arg(metavar="TEXT")] = None
    """Seeds with commas between them; each draws network, partition and initial model anew. Default:
    0,1 (smoke), 0,1,2 (paper; lm), 0 (a scenario)."""
    cycles: Int = None
    """Rounds: in each of them every node trains once. Default: 10 (paper: 30, lm: 12)."""
    data: Folder = None
    """Where the dataset lies (unpacked, or still in its archive). With --task lm: a folder of texts of your
    own, a topic a file (.jsonl, .yml, .txt), instead of the made-up questions; of four topics or more every
    other one is set apart for pre-training (or those that --set data.text.set_apart=… says)."""
    traces: Folder = None
    """Folder with traces of your own (`snakegym traces`) instead of the scenario's."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    tf32: bool = False
    """Let a GPU round products to TensorFloat-32: faster, less exact."""
    jobs: Int = None
    """Processes; results do not depend on it. Default: one a core on a CPU, at most 4, and 1 on a GPU."""
    ray: RayAddress = None
    """Train on the machines of a Ray cluster instead: host:port, ray://host:port, auto (one that this machine
    belongs to) or local (one of this machine, started and ended with the command). Results are the same."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        given = {"cycles": self.cycles, "jobs": self.jobs}
        at_least_one(**{name: value for name, value in given.items() if value is not None})
        if self.preset is not None and self.scenario is not None:
            raise SnakegymError(
                f"--scenario: found '{self.scenario}' besides --preset {self.preset}, expected one of them"
            )
        if self.task == "lm" and self.preset == "paper":
            raise SnakegymError("--preset: found paper for --task lm, expected smoke, or a --scenario")
        self.seed_list()
        self.framework_list()

    def partitions(self) -> dict[str, CompareConfig]:
        """The comparisons that this one consists of, by their folders; none: it is one by itself."""
        if self.task != "lm" or any(change.startswith("data.partition=") for change in self.set):
            return {}
        return {
            folder: replace(self, out=self.out / folder, set=(*self.set, f"data.partition={partition}"))
            for folder, partition in PARTITIONS.items()
        }

    @property
    def preset_name(self) -> str:
        """Of the preset's file, where no scenario is given."""
        name = self.preset or "smoke"
        return f"lm-{name}" if self.task == "lm" else name

    @property
    def plan(self) -> Plan:
        """Rounds and seeds, as given, else as usual for the preset."""
        usual = OTHERWISE if self.scenario is not None else PRESETS[self.preset_name]
        return Plan(self.cycles or usual.cycles, usual.seeds if self.seeds is None else self.seeds)

    def seed_list(self) -> list[int]:
        """The seeds, each once, in the order given."""
        text = self.plan.seeds
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words or not all(word.isdecimal() for word in words):
            raise SnakegymError(f"--seeds: found '{text}', expected whole numbers with commas between them")
        return list(dict.fromkeys(int(word) for word in words))

    def framework_list(self) -> list[str]:
        """Full names of the frameworks, each once, in the order of the registry or as given."""
        from snakegym.frameworks.registry import OF_IMAGES, OF_LANGUAGE, framework_name

        words = [word.strip() for word in self.frameworks.split(",") if word.strip()]
        if not words:
            raise SnakegymError("--frameworks: found none, expected names with commas between them, or all")
        if words == ["all"]:
            return list(OF_LANGUAGE if self.task == "lm" else OF_IMAGES)
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
        own_texts = config.task == "lm" and config.scenario is None and config.data is not None
        asked = _on_texts(_asked_for(config), str(config.data)) if own_texts else _asked_for(config)
        root = None if own_texts else config.data
        fields = {"data.root": root, "network.traces.format": config.trace_format}
        given = [f"{field}={json.dumps(value)}" for field, value in fields.items() if value is not None]
        scenario = changed(asked, [*config.set, *given])
        return cls(comparable(scenario), config.plan.cycles, config.split, config.traces, config.tf32)

    def identity(self) -> dict[str, Any]:
        """What must agree for results to be shown together, as plain JSON data."""
        scenario = self.scenario.model_dump(mode="json")
        if scenario["data"]["dataset"] != "text":  # the same images may lie elsewhere
            scenario["data"]["root"] = None
        return {**asdict(self), "scenario": scenario}


def _on_texts(scenario: Scenario, folder: str) -> Scenario:
    """The scenario on a user's texts. Raises SnakegymError: there are none in the folder."""
    from snakegym.data.text import topic_files

    names = [path.stem for path in topic_files(folder)]
    apart = names[1::2] if len(names) >= PRETRAINS else []
    fields: dict[str, Any] = {"data.dataset": "text", "data.root": folder, "data.text.set_apart": apart}
    if not apart:
        fields["model.pretraining"] = None
    return changed(scenario, [f"{field}={json.dumps(value)}" for field, value in fields.items()])


def comparable(scenario: Scenario) -> Scenario:
    """Without what only Snake Learning knows: pool rules, batteries, budget, target, charged measurements."""
    fields = scenario.model_dump()
    fields["network"]["timeout_s"] = PATIENCE_S
    for device in fields["network"]["devices"]:
        device["battery_j"] = None
    fields["pool"] = PoolConfig()
    fields["process"] |= {"budget": {"time_s": NEVER_S}, "target": None, "evaluation": "observer"}
    return Scenario.model_validate(fields)


def _asked_for(config: CompareConfig) -> Scenario:
    if config.scenario is not None:
        return load_scenario(config.scenario)
    name = config.preset_name
    file = resources.files("snakegym.training.frameworks.presets") / f"{name}.yaml"
    return parse_scenario(file.read_text(encoding="utf-8"), f"preset '{name}'")
