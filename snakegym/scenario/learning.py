"""What is learned, and how a node learns it: samples, model, local training."""

from __future__ import annotations

import math
from typing import Annotated, Final, Literal

from pydantic import Field

from snakegym.scenario.section import (
    Count,
    Fraction,
    Line,
    PathText,
    Positive,
    Precision,
    Section,
    Setting,
    Trains,
    expecting,
)

TEXTS: Final = ("text", "questions")
"""Datasets of texts."""


def score_name(dataset: str) -> str:
    """What the score in [0, 1] of a model on that dataset is called: of texts it is no accuracy."""
    return "score" if dataset in TEXTS else "accuracy"


class CleaningConfig(Section):
    """Which samples never reach nodes nor validation (`snakegym.data.filtering.cleaning`)."""

    non_finite: bool = True
    """Samples with a NaN or an infinity."""
    constant: bool = True
    """Samples whose values are all the same."""
    duplicates: bool = True
    """Samples equal to an earlier one; of equal samples with different labels all go."""
    anomalies: Annotated[float, Field(gt=0, le=0.5)] | None = None
    """Share of the training samples that an isolation forest removes as the oddest; null: none."""


class ClusteringConfig(Section):
    """Which samples a node sets aside, as they fit in nowhere (`snakegym.data.filtering.clustering`)."""

    clusters: Annotated[int, Field(ge=2, le=1000)] = 10
    """Groups that a node makes of its samples by k-means; fewer where a group would have under four samples,
    and none where that leaves no two."""
    least: Fraction = 0.15
    """Samples whose label has a smaller share of their group are set aside; a text's label is its topic."""


class TextConfig(Section):
    """How texts become samples (`snakegym.data.text`)."""

    length: Annotated[int, Field(ge=2, le=2**16)] = 64
    """Tokens of a sample: question and answer; shorter ones are filled up."""
    vocabulary: Annotated[int, Field(ge=259, le=2**20)] = 512
    """Tokens at most of the byte-level BPE that is trained on the train part: 256 bytes, 3 special ones, and
    what occurs most often together."""
    set_apart: Annotated[tuple[Line, ...], Field(max_length=1000, strict=False)] = ()
    """Topics (files without their endings) that no node has and nobody is measured on: the model is trained
    on them before processes start, as `model.pretraining` says."""
    tokenizer: PathText | None = None
    """Folder with a `tokenizer.json` to take instead, as beside the weights of a model. In a scenario file:
    relative to that file."""


class DataConfig(Section):
    """Which samples there are and how they are spread over the nodes."""

    dataset: PathText = "digits"
    """`digits` (scikit-learn's, embedded), the name of a torchvision classification dataset, `text`, a folder
    of texts with a topic a file, or `questions`, with answers, on eight topics (made up by rule)."""
    root: PathText | None = None
    """Folder of texts or of a torchvision dataset, never downloaded into; null: $SNAKEGYM_DATA. In a scenario
    file: relative to that file."""
    partition: Literal["iid", "dirichlet", "quantity"] = "dirichlet"
    """`iid`: dealt out evenly; `dirichlet`: label mixes and sizes differ; `quantity`: sizes alone."""
    alpha: Annotated[float, Field(ge=1e-300, le=1e308)] = 0.5
    """Concentration of the Dirichlet and of the quantity-skewed partition: small is strongly skewed
    (under 0.001: nearly every class on one node), large even (beyond a million: to a thousandth). The
    Snake Learning paper (DOI 10.1109/MCOM.005.2400282) takes 2.0 by default."""
    samples: Count | None = None
    """How many of the samples that are not for testing are used, drawn so that every label keeps its share;
    null: all. Fewer make hops short."""
    validation_fraction: Fraction = 0.2
    """Share of what remains after the test part."""
    test_fraction: Fraction = 0.2
    """Share of all samples; used where the dataset has no test part of its own."""
    cleaning: CleaningConfig | None = None
    """Null: the samples are taken as they are."""
    clustering: ClusteringConfig | None = None
    """Null: a node trains on all of its samples."""
    text: TextConfig | None = None
    """For the datasets `text` and `questions`; null: its defaults."""


class PretrainingConfig(Section):
    """How all layers of the model are trained on the topics that are set apart (`data.text.set_apart`)."""

    epochs: Annotated[int, Field(ge=1, le=1000)] = 10
    """Passes over their samples."""
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 16
    """Samples of a batch."""
    learning_rate: Annotated[float, Field(ge=1e-9, le=10)] = 5e-3
    """Of Adam, constant."""
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Draws the model before it and the order of samples: all processes start from the same model."""


class ModelConfig(Section):
    """A layered model from the zoo (`snakegym.models.zoo`)."""

    name: PathText = "mlp"
    """`mlp`, `blocks`, `vgg`, `vgg11`, `torchvision-vgg11`; of texts `opt`, `llama`; or your own,
    `module:attribute` or `file.py:attribute`."""
    options: dict[Line, Setting] = Field(default_factory=dict, max_length=32)
    """What the model takes; each has options of its own."""
    weights: PathText | None = None
    """Of `opt` and `llama`: folder with a model as transformers keeps it, which all processes begin with and
    which says the shape; nothing is downloaded. Null: random parameters. In a scenario file: relative to that
    file."""
    pretraining: PretrainingConfig | None = None
    """Of a language model, before processes start; null: they start from random parameters."""


class AugmentationConfig(Section):
    """Random views of image samples, drawn anew for every batch."""

    crop: Annotated[int, Field(ge=0, le=64)] = 4
    """Pixels of padding on every side before a window of the image's own size is cut out."""
    flip: bool = True
    """Whether every other image is mirrored left to right."""


class DistillationConfig(Section):
    """The teacher is the model as received, the student the model in training."""

    threshold: Annotated[float, Field(ge=0, le=1e3)] = 0.5
    """A node distils when its labels diverge at least that much from those trained recently; 0: always."""
    measure: Literal["js", "kl"] = "js"
    """Of that divergence: Jensen-Shannon distance (in [0, 1]) or Kullback-Leibler divergence (bits)."""
    temperature: Annotated[float, Field(ge=1e-2, le=1e3)] = 2.0
    """Of both soft distributions."""
    weight: Annotated[float, Field(ge=0, le=1e3)] = 1.0
    """Factor on the distillation loss, which is added to the cross entropy with the labels."""


class EarlyExitConfig(Section):
    """A node stops when an epoch brought too little."""

    patience: Count = 1
    """Epochs in a row without improvement after which it stops."""
    min_improvement: Annotated[float, Field(ge=0, le=1e3)] = 0.01
    """Fall of the epoch's mean training loss, in nats below the lowest so far, that counts as one."""


Rank = Annotated[int, Field(ge=1, le=4096)]


class LoraConfig(Section):
    """A hop trains low-rank adapters of the assigned layer (Hu et al., arXiv:2106.09685), not its weights.

    They lie beside all its linear products; its other parameters stay as they are. First and last layer are
    trained as `trains` says, in full. What changes of the layer is then two thin matrices a product, and
    that is what travels to whoever has the rest.
    """

    rank: Annotated[
        Rank | Literal["memory", "speed", "free"],
        expecting("a whole number from 1 to 4096, memory, speed or free"),
    ] = 8
    """Of the adapters: a number, or how each node's is chosen among `ranks`: the highest that its `memory`
    has room for; the higher the faster (`speed`) it is beside the fastest node; `free`: by the scheduler, hop
    by hop, and where it does not say, as by `memory`."""
    ranks: Annotated[tuple[Rank, ...], Field(min_length=1, max_length=16, strict=False)] = (2, 4, 8, 16)
    """What is chosen among; where a rule finds none small enough, the lowest."""
    alpha: Positive = 16.0
    """The adapters' product is added alpha / rank times."""

    @property
    def choices(self) -> tuple[int, ...]:
        """Ranks that may occur, rising."""
        return (self.rank,) if isinstance(self.rank, int) else tuple(sorted({*self.ranks}))

    @property
    def offered(self) -> tuple[int, ...]:
        """Those that a scheduler chooses among, rising; none where a number or a rule says the rank."""
        return self.choices if self.rank == "free" else ()


class LearningConfig(Section):
    """Local training of one hop."""

    trains: Trains = "both-ends"
    """What a hop trains beside the middle layer that is assigned: first and last layer (`both-ends`), the
    `last` one, or nothing (`middle`). Where the first layer is frozen, gradients stop at the first layer that
    is trained: a hop on an early layer then costs more time and memory than one on a late layer."""
    lora: LoraConfig | None = None
    """Null: all parameters of the assigned layer are trained."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 2
    """Passes of a node over its own samples."""
    batch_size: Annotated[int, Field(ge=1, le=10**6)] = 32
    """Samples of a batch; the last of an epoch may be smaller."""
    optimizer: Literal["adam", "sgd", "rmsprop"] = "adam"
    """Fresh in every hop."""
    learning_rate: Annotated[float, Field(ge=1e-9, le=10)] = 2e-3
    """Of the first cycle; within a cycle it is constant."""
    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    """How the learning rate goes on from cycle to cycle (`rate`)."""
    decay: Annotated[float, Field(ge=1e-6, le=1)] = 0.9
    """Factor on the learning rate after each cycle, where the schedule is exponential."""
    cosine_cycles: Count = 10
    """Cycles over which a cosine schedule falls; later ones keep the rate of the last of them."""
    clip_norm: Positive = 1.0
    """Gradients are scaled down to this global L2 norm."""
    augmentation: AugmentationConfig | None = None
    """Random views of images; null: none."""
    distillation: DistillationConfig | None = None
    """Null: nobody distils."""
    early_exit: EarlyExitConfig | None = None
    """Null: all epochs are trained."""
    frozen: Precision = "fp32"
    """What a node keeps the weights in that it does not train: the less the less memory it needs; it computes
    in float32 all the same. In CS mode it keeps nothing else of them, and has to receive them anew for its
    next hop. In P2P mode nobody else has the layers as they are: the node keeps them beside, and needs more
    memory than with `fp32`. With `lora` all weights but those that hops train in full are like that from the
    start, for everybody, and the adapters of all hops stay beside them."""
    checkpointed: bool = False
    """Of frozen middle layers a node keeps the inputs alone for the way back, and computes them once more
    there: less memory, more FLOPs, the same results (Chen et al., arXiv:1604.06174)."""

    @property
    def offered_ranks(self) -> tuple[int, ...]:
        """Ranks of adapters that a scheduler chooses among, rising; none where it has no choice."""
        return () if self.lora is None else self.lora.offered

    @property
    def same_passes(self) -> int:
        """Epochs that see the samples as the first does."""
        return self.epochs if self.augmentation is None else 1

    @property
    def low_base(self) -> bool:
        """Whether the weights that adapters lie beside are in low precision, for good."""
        return self.lora is not None and self.frozen != "fp32"

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
