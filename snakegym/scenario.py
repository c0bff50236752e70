"""Scenarios: the whole decision problem in one validated, frozen, serialisable object.

A scenario is a YAML file; `load_scenario` takes the name of one that ships with snakegym or the
path of a user's own. Everything else is built from it (`snakegym.control.service`).
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from snakegym.errors import SnakegymError
from snakegym.network.devices import DEVICES

Split = Literal["train", "validation", "test"]
LayerOrder = Literal["free", "serpentine", "reverse", "random"]
Mode = Literal["cs", "p2p"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A frozen part of a scenario that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class CleaningConfig(Section):
    """Which samples are removed before they reach nodes or validation (`snakegym.data.cleaning`)."""

    non_finite: bool = True
    """Samples with a NaN or an infinity."""
    constant: bool = True
    """Samples whose values are all the same."""
    duplicates: bool = True
    """Samples equal to an earlier one; of equal samples with different labels all go."""
    anomalies: Annotated[float, Field(gt=0, le=0.5)] | None = None
    """Share of the training samples that an isolation forest removes as the oddest; null: none."""


class DataConfig(Section):
    """Which samples there are and how they are spread over the nodes."""

    dataset: str = "digits"
    """`digits` (scikit-learn's, embedded) or the name of a torchvision classification dataset."""
    root: str | None = None
    """Folder of a torchvision dataset; never downloaded into."""
    partition: Literal["iid", "dirichlet", "quantity"] = "dirichlet"
    alpha: Positive = 0.5
    """Concentration of the Dirichlet and of the quantity-skewed partition: small is strongly
    skewed. The Snake Learning paper (DOI 10.1109/MCOM.005.2400282) takes 2.0 by default."""
    validation_fraction: Fraction = 0.2
    """Share of what remains after the test part."""
    test_fraction: Fraction = 0.2
    """Share of all samples; used where the dataset has no test part of its own."""
    cleaning: CleaningConfig | None = None
    """Null: the samples are taken as they are."""


class ModelConfig(Section):
    """A layered model from the zoo (`snakegym.models.zoo`)."""

    name: str = "mlp"
    options: dict[str, int | float | str] = {}


class AugmentationConfig(Section):
    """Random views of image samples, drawn anew for every batch."""

    crop: Annotated[int, Field(ge=0)] = 4
    """Pixels of padding on every side before a window of the image's own size is cut out."""
    flip: bool = True
    """Whether every other image is mirrored left to right."""


class DistillationConfig(Section):
    """The teacher is the model as received, the student the model in training."""

    threshold: NonNegative = 0.5
    """A node distils when its labels diverge at least that much from those trained recently; 0: always."""
    measure: Literal["js", "kl"] = "js"
    """Of that divergence: Jensen-Shannon distance (in [0, 1]) or Kullback-Leibler divergence (bits)."""
    temperature: Positive = 2.0
    weight: NonNegative = 1.0
    """Factor on the distillation loss, which is added to the cross entropy with the labels."""


class EarlyExitConfig(Section):
    """A node stops when an epoch brought too little."""

    patience: Count = 1
    """Epochs in a row without improvement after which it stops."""
    min_improvement: NonNegative = 0.01
    """Fall of the epoch's mean training loss, in nats below the lowest so far, that counts as one."""


class LearningConfig(Section):
    """Local training of one hop."""

    epochs: Count = 2
    batch_size: Count = 32
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    learning_rate: Positive = 2e-3
    """Of the first cycle; within a cycle it is constant."""
    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    """How the learning rate goes on from cycle to cycle (`rate`)."""
    decay: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Factor on the learning rate after each cycle, where the schedule is exponential."""
    cosine_cycles: Count = 10
    """Cycles over which a cosine schedule falls; later ones keep the rate of the last of them."""
    clip_norm: Positive = 1.0
    """Gradients are scaled down to this global L2 norm."""
    augmentation: AugmentationConfig | None = None
    distillation: DistillationConfig | None = None
    early_exit: EarlyExitConfig | None = None
    quantise_frozen: bool = False
    """Whether a node keeps the layers that it does not train as int8."""

    @property
    def teacher_passes(self) -> int:
        """Forward passes of a teacher over a node's samples, all before the first batch.

        Its outputs never change, so one pass serves all epochs unless each sees the samples anew.
        """
        return 1 if self.augmentation is None else self.epochs

    def rate(self, cycle: int) -> float:
        """Learning rate of a cycle, counted from 0.

        The cosine is that of Loshchilov and Hutter (arXiv:1608.03983) without restarts, stepped
        once a cycle; it stops short of 0.
        """
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "exponential":
            return self.learning_rate * self.decay**cycle
        done = min(cycle, self.cosine_cycles - 1) / self.cosine_cycles
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2


class DeviceConfig(Section):
    """A kind of device: a named profile, numbers, or a profile with some numbers replaced."""

    profile: str | None = None
    """A key of `snakegym.network.devices.DEVICES`: fills in whatever is not given here."""
    name: str
    """Default: the profile's."""
    share: Positive = 1.0
    """How common it is among the nodes, relative to the others."""
    peak_flops: Positive
    """FLOP/s sustained in training when the device is idle otherwise."""
    memory_bytes: Positive
    compute_power_w: NonNegative
    radio_power_w: NonNegative
    battery_j: Positive | None = None
    """Energy the device may spend in an episode; null: mains."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        profile = given.get("profile") if isinstance(given, dict) else None
        if profile is None:
            return given
        if profile not in DEVICES:
            raise ValueError(f"unknown profile '{profile}': expected one of {', '.join(DEVICES)}")
        return {"name": profile, **DEVICES[profile], **given}


class MendRules(Section):
    """How recordings become traces (`snakegym.network.mend`)."""

    gap_s: Positive = 10.0
    """A link that is silent for longer than this beyond its usual step was out."""
    missing_direction: Literal["ratio", "same", "refuse"] = "ratio"
    """What a link whose recording has one direction only does in the other one: `ratio`: uplink is
    `uplink_ratio` times downlink; `same`: equally fast; `refuse`: such recordings are not used."""
    uplink_ratio: Positive = 0.25
    """Order of the ratio in mobile networks, where spectrum and time slots favour the downlink (a common
    TDD pattern gives the uplink one slot in four or five)."""


class TraceConfig(MendRules):
    """Where compute and link traces come from."""

    source: str = "generated"
    """`generated`; a folder of trace files (with `link` and `compute` in it, or without); or `folder`:
    whichever folder the caller names (`traces=`, `--traces`), else $SNAKEGYM_DATA."""
    link: str = "*"
    """Glob over the names or paths of link traces; several are parted by `|`."""
    compute: str = "*"
    """Glob over the names or paths of compute traces; several are parted by `|`."""
    format: str | None = None
    """Read all files as this format (`snakegym.network.formats`); null: recognise each by its content."""
    skip_bad: bool = False
    """Go on without the files that cannot be used, with a warning that names them."""
    generator: dict[str, float] = {}
    """Settings of the built-in generator (`snakegym.network.generator.GeneratorConfig`)."""


class NetworkConfig(Section):
    """The nodes, their links and the way parameters travel."""

    nodes: Annotated[int, Field(ge=2)] = 9
    mode: Mode = "p2p"
    traces: TraceConfig = TraceConfig()
    devices: tuple[DeviceConfig, ...] = Field(min_length=1)
    rtt_s: NonNegative = 0.05
    """Round-trip time of a link whose trace states none."""
    timeout_s: Positive = 10.0
    """A link or node that is out for longer interrupts the hop."""
    measure_window_s: Positive = 60.0
    """Length of the window behind the recent means in the view."""


class PoolConfig(Section):
    """Whom the Process Controller accepts as a node, whom it removes, and when it gives a holder up.

    The grounds are the paper's: connectivity, load, memory, battery, local training efficiency, and the
    node's own request. With these defaults only a flat battery or too little memory keeps a node out.
    """

    min_availability: Share = 0.0
    """Idle nodes only: share of compute that is free. A node joins when both the present value and the
    recent mean are at least this, and is removed when the mean falls below."""
    min_rate_bps: NonNegative = 0.0
    """The same for the slower direction of the link, bit/s."""
    min_battery: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """A node whose battery is down to this share is removed for good."""
    max_interruptions: Count | None = None
    """A node is removed after that many interrupted hops in a row; null: never."""
    max_slowness: Annotated[float, Field(gt=1)] | None = None
    """A node is removed when its last hop trained that many times slower (FLOP/s) than the median of the
    nodes' last hops; null: never."""
    max_gainless: Count | None = None
    """A node is removed after that many hops in a row that gained no more than `min_gain`; null: never."""
    min_gain: Share = 0.0
    """Gain of validation accuracy below which a hop counts as trivial."""
    max_epochs: Count | None = None
    """A node asks to leave for good once it has trained that many epochs; null: it stays."""
    leave_rate_per_h: NonNegative = 0.0
    """How often a node asks to leave for reasons of its own, times per hour (a Poisson process)."""
    cooldown_s: Positive = 60.0
    """A node that left may join again after this time, if nothing speaks against it any more."""
    recovery_s: Positive | None = None
    """P2P: a holder out of reach for this long is given up, and the latest copy in reach is taken up
    instead; null: only a holder with a flat battery is."""


class BudgetConfig(Section):
    """What an episode may spend; the first budget used up ends it. A hop under way is finished."""

    time_s: Positive
    """Simulated time; every decision takes some, so every episode ends."""
    energy_j: Positive | None = None
    hops: Count | None = None


class ForcedInterruption(Section):
    """An interruption that happens in every cycle, to study what it does."""

    layer: Annotated[int, Field(ge=0)]
    """Middle layer whose training is interrupted."""
    share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """How much of the local training is done by then. Whatever comes of it, the process goes on with the
    next layer."""


class ProcessConfig(Section):
    """Rules of one training process."""

    budget: BudgetConfig
    layer_order: LayerOrder = "free"
    """`free`: the scheduler chooses the layer; otherwise the process fixes the order of a cycle."""
    repeat_layers: bool = False
    """Whether a layer may be trained again before the cycle is complete."""
    parallel: Count = 1
    """CS mode: nodes that train the layer at the same time; the PCE averages their updates. The scheduler
    chooses one; the others are those whose hops are forecast to be shortest."""
    interrupt: ForcedInterruption | None = None
    wait_s: Positive = 5.0
    """Duration of one wait."""
    target: Annotated[float, Field(gt=0, le=1)] | None = None
    """Validation accuracy that ends the process with success."""


class NominalHop(Section):
    """Typical costs of one hop; they make the weights of scenarios comparable."""

    time_s: Positive
    energy_j: Positive
    n_bytes: Positive


class Objective(Section):
    """What the Process Controller trades off: accuracy gained against costs, in reward units."""

    gain: NonNegative = 10.0
    """Reward for a gain in validation accuracy from 0 to 1."""
    time: NonNegative = 0.05
    energy: NonNegative = 0.02
    n_bytes: NonNegative = 0.02
    """Price of one nominal hop's time, energy, bytes."""
    illegal: NonNegative = 0.2
    """Penalty of an illegal action."""
    nominal: NominalHop

    def prices(self) -> tuple[float, float, float]:
        """Price in reward units of one second, one joule and one byte."""
        n = self.nominal
        return self.time / n.time_s, self.energy / n.energy_j, self.n_bytes / n.n_bytes


class Scenario(Section):
    """A decision problem: data, model, learning, network, process and objective."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    summary: str
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    learning: LearningConfig = LearningConfig()
    network: NetworkConfig
    pool: PoolConfig = PoolConfig()
    process: ProcessConfig
    objective: Objective

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        k = self.process.parallel
        if k > 1 and self.network.mode == "p2p":
            raise ValueError(f"process.parallel is {k}, expected 1 in mode p2p, which has no PCE to average")
        if k > self.network.nodes:
            raise ValueError(f"process.parallel is {k}, expected at most network.nodes, {self.network.nodes}")
        return self


def list_scenarios() -> tuple[str, ...]:
    """Names of the scenarios that ship with snakegym, sorted."""
    folder = resources.files("snakegym") / "scenarios"
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def load_scenario(scenario: str | Path | Scenario) -> Scenario:
    """The scenario of that name, or from that YAML file (a path ends in `.yaml` or `.yml`).

    Raises:
        SnakegymError: unknown name, missing file, text that is no YAML mapping, or a field that
            is missing, unknown or out of range (all offending fields are named).
    """
    if isinstance(scenario, Scenario):
        return scenario
    if str(scenario).endswith((".yaml", ".yml")):
        return parse_scenario(_read(Path(scenario)), str(scenario))
    return _shipped(str(scenario))


def parse_scenario(text: str, origin: str) -> Scenario:
    """The scenario in YAML `text`; `origin` names it in errors. Raises SnakegymError as `load_scenario`."""
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SnakegymError(f"{origin}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise SnakegymError(
            f"{origin}: found {type(data).__name__}, expected a mapping with the fields of a scenario"
        )
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise SnakegymError(f"{origin}: " + "; ".join(_describe(e) for e in error.errors())) from None


@cache
def _shipped(name: str) -> Scenario:
    if name not in list_scenarios():
        known = ", ".join(list_scenarios())
        raise SnakegymError(
            f"unknown scenario '{name}': expected one of {known}, or the path of a .yaml file"
        )
    file = resources.files("snakegym") / "scenarios" / f"{name}.yaml"
    return parse_scenario(_read(file), f"scenario '{name}'")


def _read(path: Any) -> str:
    try:
        text: str = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SnakegymError(f"{path}: cannot read the scenario: {error}") from None
    return text


def _describe(error: Any) -> str:
    message: str = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    shown = error["type"] != "missing" and not isinstance(error["input"], dict)
    found = f" (found {error['input']!r})" if shown else ""
    return f"field '{'.'.join(str(part) for part in error['loc'])}': {message}{found}"
