"""Datasets as tensors, in train, validation and test parts that never mix."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from snakegym.data.filtering.cleaning import CleaningReport, anomalies, clean
from snakegym.data.own import load_own
from snakegym.data.questions import make_questions
from snakegym.data.tasks import CLASSIFICATION, Language, Task
from snakegym.data.text import (
    Pair,
    apart,
    encode,
    folder_tokenizer,
    n_tokens,
    read_texts,
    train_tokenizer,
)
from snakegym.data.vision import load_vision
from snakegym.errors import SnakegymError
from snakegym.plugins import list_plugins
from snakegym.scenario import CleaningConfig, DataConfig, TextConfig

SPLIT_SEED = 20251  # fixed: which samples are test samples must never depend on a user's seed

TEXT = "text"
"""Name of the dataset that is a folder of texts."""
QUESTIONS = "questions"
"""Name of the text that is made up by rule (`snakegym.data.questions`)."""

Images = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]
Raw = tuple[Images, Labels]


@dataclass(frozen=True)
class Dataset:
    """Samples and targets of one part. Immutable: copies share it."""

    inputs: Tensor
    """float32 [n, *shape], normalised; or int64 [n, length], tokens."""
    targets: Tensor
    """int64 [n], in [0, n_classes); or as another task says."""
    n_classes: int
    """How many labels there are."""
    task: Task = CLASSIFICATION
    """What targets mean."""
    topics: Tensor | None = None
    """int64 [n], in [0, n_classes): what the samples are about, where targets are no labels."""

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labels(self) -> Tensor:
        """int64 [n], in [0, n_classes): by which samples are spread over nodes, and nodes compared."""
        return self.targets if self.topics is None else self.topics

    def to(self, device: str | torch.device) -> Dataset:
        """The same samples on that device."""
        topics = None if self.topics is None else self.topics.to(device)
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device), topics=topics)

    def part(self, which: Tensor) -> Dataset:
        """Some of the samples; `which` is bool [n], or int64 places."""
        topics = None if self.topics is None else self.topics[which]
        return replace(self, inputs=self.inputs[which], targets=self.targets[which], topics=topics)

    def __deepcopy__(self, memo: dict[int, Any]) -> Dataset:
        return self


@dataclass(frozen=True)
class DataParts:
    """The three disjoint parts of a dataset."""

    train: Dataset
    """What is spread over the nodes."""
    validation: Dataset
    """What rewards and model selection see."""
    test: Dataset
    """What final tables report, and nothing else sees."""
    input_shape: tuple[int, ...]
    """Shape of one sample: (channels, height, width)."""
    n_classes: int
    cleaning: CleaningReport | None = None
    """What was removed; None where nothing was to be."""
    topics: tuple[str, ...] = ()
    """Names of the topics of texts, by number."""
    pretraining: Dataset | None = None
    """Texts that are set apart, for the time before processes start."""
    tokenizer: Any = None
    """Of texts, of the library tokenizers; None: samples are no texts."""

    def __deepcopy__(self, memo: dict[int, Any]) -> DataParts:
        return self


def load_data(config: DataConfig) -> DataParts:
    """The dataset that `config` names, split and normalised (cached: same fields, same object).

    Images of torchvision's datasets lie in `root`, or where that is null in $SNAKEGYM_DATA.

    Texts (`text`) lie in such a folder, too (`snakegym.data.text`), or are made up (`questions`); their
    classes are topics.

    The split is stratified by class and fixed: it depends on `samples` and the fractions alone. The test part
    is the dataset's own, or `test_fraction` of all samples where it has none; of the others `samples` are
    used, and the validation part is `validation_fraction` of these. Each channel is normalised to mean 0 and
    deviation 1 over the train part.

    Cleaning is for train and validation part, and comes before they are split; anomalies are
    removed from the train part alone, or the validation part would look easier than it is. The
    test part is never cleaned.

    Raises:
        SnakegymError: unknown dataset, missing root or files, missing torchvision, a fraction
            that leaves a part empty, or samples of several shapes that cleaning does not remove.
    """
    root = config.root
    if root is None and not _is_own(config.dataset):
        root = os.environ.get("SNAKEGYM_DATA")
    if config.dataset in (TEXT, QUESTIONS):
        if config.cleaning is not None:
            raise SnakegymError("field 'data.cleaning': found one for texts, expected null")
        text, fractions = config.text or TextConfig(), (config.validation_fraction, config.test_fraction)
        return _load_text(config.dataset, root, text, *fractions, config.samples)
    return _load(
        config.dataset,
        root,
        config.validation_fraction,
        config.test_fraction,
        config.cleaning,
        config.samples,
    )


@lru_cache(maxsize=4)
def _load_text(
    name: str,
    root: str | None,
    config: TextConfig,
    validation_fraction: float,
    test_fraction: float,
    samples: int | None,
) -> DataParts:
    texts = make_questions() if name == QUESTIONS else read_texts(root, config.length)
    texts, before = apart(texts, config.set_apart)
    rng, n_topics = np.random.default_rng(SPLIT_SEED), len(texts.names)
    every = np.arange(len(texts.pairs)), texts.topics
    rest, test = _split(every, test_fraction, rng, "field 'data.test_fraction'")
    rest = _some(rest, samples, rng)
    train, validation = _split(rest, validation_fraction, rng, "field 'data.validation_fraction'")
    pairs = [texts.pairs[i] for i in train[0]]
    if config.tokenizer is None:
        tokenizer = train_tokenizer([*pairs, *before.pairs], config.vocabulary)
    else:
        tokenizer = folder_tokenizer(config.tokenizer)
    task = Language(n_tokens(tokenizer))

    def samples_of(pairs: list[Pair], topics: Labels, n_topics: int) -> Dataset:
        inputs, targets = encode(tokenizer, pairs, config.length)
        return Dataset(inputs, targets, n_topics, task, torch.from_numpy(topics))

    def part(raw: Raw) -> Dataset:
        return samples_of([texts.pairs[i] for i in raw[0]], raw[1], n_topics)

    return DataParts(
        part(train),
        part(validation),
        part(test),
        (config.length,),
        n_topics,
        topics=texts.names,
        tokenizer=tokenizer,
        pretraining=samples_of(*before[:2], len(before.names)) if before.pairs else None,
    )


def _is_own(name: str) -> bool:
    return ":" in name or name in list_plugins("dataset")


@lru_cache(maxsize=4)
def _load(
    name: str,
    root: str | None,
    validation_fraction: float,
    test_fraction: float,
    cleaning: CleaningConfig | None = None,
    samples: int | None = None,
) -> DataParts:
    rng = np.random.default_rng(SPLIT_SEED)
    if name == "digits":
        rest, test = _split(_digits(), test_fraction, rng, "field 'data.test_fraction'")
    elif _is_own(name):
        own, own_test = load_own(name, root)
        rest, test = (
            _split(own, test_fraction, rng, "field 'data.test_fraction'")
            if own_test is None
            else (own, own_test)
        )
    else:
        rest, test = load_vision(name, root)
    report = None
    if cleaning is not None:
        rest, report = _cleaned(rest, int(test[1].max()) + 1, cleaning)
    rest = _some(rest, samples, rng)
    train, validation = _split(rest, validation_fraction, rng, "field 'data.validation_fraction'")
    if report is not None and cleaning is not None and cleaning.anomalies is not None:
        train, report = _without_anomalies(train, cleaning.anomalies, report)
    return replace(_normalised(train, validation, test), cleaning=report)


def _cleaned(raw: Raw, n_classes: int, config: CleaningConfig) -> tuple[Raw, CleaningReport]:
    images, labels = raw
    keep, report = clean(images, labels, n_classes, config)
    if not keep.any():
        raise SnakegymError(f"field 'data.cleaning': {report}, expected some to remain")
    kept = images[keep]
    return (np.stack(list(kept)) if kept.dtype == object else kept, labels[keep]), report


def _without_anomalies(train: Raw, share: float, report: CleaningReport) -> tuple[Raw, CleaningReport]:
    images, labels = train
    odd = anomalies(images, share, SPLIT_SEED)
    removed = {**report.removed, "anomalous (of the train part)": np.flatnonzero(odd)}
    return (images[~odd], labels[~odd]), replace(report, removed=removed)


def _digits() -> Raw:
    from sklearn.datasets import load_digits  # slow to import, and other datasets do without

    digits = load_digits()
    return digits.images[:, None].astype(np.float32), digits.target.astype(np.int64)


def _some(raw: Raw, samples: int | None, rng: np.random.Generator) -> Raw:
    """So many of the samples, about as many of each class as there are; None, or too many: all."""
    if samples is None or samples >= len(raw[1]):
        return raw
    return _split(raw, samples / len(raw[1]), rng, "field 'data.samples'")[1]


def _split(raw: Raw, fraction: float, rng: np.random.Generator, field: str) -> tuple[Raw, Raw]:
    """The samples without, and with, a stratified random `fraction` of each class."""
    images, labels = raw
    taken = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        taken[members[: round(fraction * len(members))]] = True
    if taken.all() or not taken.any():
        raise SnakegymError(
            f"{field}: {fraction} of {len(labels)} samples leaves a part empty, expected at least one in each"
        )
    return (images[~taken], labels[~taken]), (images[taken], labels[taken])


def _normalised(train: Raw, validation: Raw, test: Raw) -> DataParts:
    if len(shapes := {image.shape for images, _ in (train, validation, test) for image in images}) > 1:
        raise SnakegymError(
            f"field 'data.dataset': found samples of the shapes {sorted(shapes)}, expected one "
            "('data.cleaning' removes others from the train part)"
        )
    n_classes = int(max(labels.max() for _, labels in (train, validation, test))) + 1
    inputs = torch.from_numpy(np.ascontiguousarray(train[0])).float()
    channels = tuple(d for d in range(inputs.ndim) if d != 1)
    mean = inputs.mean(channels, keepdim=True)
    deviation = inputs.std(channels, keepdim=True).clamp_min(1e-6)

    def part(raw: Raw) -> Dataset:
        images = torch.from_numpy(np.ascontiguousarray(raw[0])).float()
        return Dataset(images.sub_(mean).div_(deviation), torch.from_numpy(raw[1]), n_classes)

    del inputs
    return DataParts(part(train), part(validation), part(test), tuple(train[0].shape[1:]), n_classes)
