"""What comes before Snake Learning: a model that knows some topics already."""

from __future__ import annotations

import torch

from snakegym.data.datasets import Dataset
from snakegym.learning.jobs import LocalTraining
from snakegym.learning.sequential import SequentialEngine
from snakegym.models.layered import LayeredModel
from snakegym.models.state import ModelState
from snakegym.scenario import LearningConfig, PretrainingConfig


def pretrain(model: LayeredModel, data: Dataset, config: PretrainingConfig) -> ModelState:
    """The model after all its layers were trained together on these samples, on one machine."""
    learning = LearningConfig(
        epochs=config.epochs, batch_size=config.batch_size, learning_rate=config.learning_rate
    )
    job = LocalTraining(
        state=model.initial_state(config.seed),
        middle=0,
        data=data,
        indices=torch.arange(len(data)),
        config=learning,
        learning_rate=config.learning_rate,
        seed=config.seed,
        layers=tuple(range(model.n_layers)),
    )
    return SequentialEngine(model).train([job])[0].state
