"""The stacked engine: jobs of many processes trained together, with an ensemble dimension."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn import functional

from snakegym.data.datasets import Dataset
from snakegym.data.tasks import Classification
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Engine, Evaluation, LocalTraining, TrainingResult
from snakegym.learning.quantisation import plain
from snakegym.learning.sequential import SequentialEngine, trained_layers
from snakegym.learning.stacked.lockstep import Lockstep, ParameterStack, Stint
from snakegym.models.layered import LayeredModel
from snakegym.models.stacked.model import StackedModel
from snakegym.models.state import ModelState

EngineKind = Literal["sequential", "stacked"]

CPU_MEMBERS = 32
"""Jobs in one stack on a CPU: beyond that, caches cost more than fewer calls save."""
CPU_EVALUATION_ROWS = 4600
"""Members times samples in one evaluation on a CPU, for the same reason."""
CPU_FLOATS, GPU_FLOATS = 2**25, 2**30
"""Parameters and kept activations of one stack, at most."""

_log = logging.getLogger("snakegym")


def make_engine(model: LayeredModel, kind: EngineKind = "stacked", device: str = "cpu") -> Engine:
    """The engine of that kind for a model; `device` is where the stacked one computes.

    Raises:
        SnakegymError: unknown kind, or a device that cannot be used.
    """
    check_device(device, kind)
    if kind == "sequential":
        return SequentialEngine(model)
    if kind == "stacked":
        return StackedEngine(model, device)
    raise SnakegymError(f"engine: found '{kind}', expected sequential or stacked")


def check_device(device: str, kind: EngineKind = "stacked", name: str = "device") -> None:
    """Raise SnakegymError, with that name, unless an engine of that kind can compute there."""
    try:
        torch.ones(1, device=torch.device(device)).item()
    except (
        Exception
    ) as error:  # unknown, not built in, not plugged in, without numbers: each fails its own way
        reason = str(error).strip().split("\n")[0].rstrip(".")[:120]
        raise SnakegymError(
            f"{name}: found {device!r:.80}, expected one that PyTorch can use here, as cpu or cuda ({reason})"
        ) from None
    if kind == "sequential" and torch.device(device).type != "cpu":
        raise SnakegymError(
            f"{name}: found {device!r}, expected cpu: the sequential engine computes there alone"
        )


class StackedEngine:
    """Trains many jobs of one architecture together; results are the sequential engine's up to rounding.

    A job alone gains too where the model is dense: gradients written out spare it the bookkeeping of
    autograd and of an optimiser. What has no stacked form (a module, an option of local training) goes
    through the sequential engine, which is logged once if other jobs came with it; so does what gains
    nothing from being stacked. Two threads must not share an engine.

    Args:
        model: the architecture; what it has loaded does not matter.
        device: where to compute. States come back to where they came from.
    """

    def __init__(self, model: LayeredModel, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self._sequential = SequentialEngine(model)
        self._logged: set[str] = set()
        self._shapes = [{name: t.shape for name, t in layer.items()} for layer in model.state().layers]
        self._types: WeakKeyDictionary[ModelState, torch.dtype] = WeakKeyDictionary()
        """Of the states that are known to be the model's: they need no second look at every tensor."""
        self._moved: dict[int, tuple[Dataset, Tensor, Tensor]] = {}
        self._stacked: StackedModel | None = None
        self._unstackable = ""
        try:
            self._stacked = StackedModel(model)
        except SnakegymError as error:
            self._unstackable = str(error)

    def __deepcopy__(self, memo: dict[int, Any]) -> StackedEngine:
        return self

    def train(self, jobs: Sequence[LocalTraining]) -> list[TrainingResult]:
        """One result a job, in order; every job starts from its own state.

        Raises:
            SnakegymError: a job whose middle layer, samples or state do not fit.
        """
        groups: dict[Hashable, list[tuple[int, Stint]]] = {}
        results: dict[int, TrainingResult] = {}
        for i, job in enumerate(jobs):
            stint = self._stint(job)
            if isinstance(stint, str):
                results[i] = self._sequential.train([job])[0]
                if stint and len(jobs) > 1:
                    self._say(stint)
            else:
                alone = i if job.stop is not None else None
                groups.setdefault((id(job.data), job.config.optimizer, alone), []).append((i, stint))
        for group in groups.values():
            group.sort(key=lambda entry: -entry[1].budget)  # stacks of jobs of like length
            width = self._width(group[0][1].job.data, max(stint.job.config.batch_size for _, stint in group))
            for start in range(0, len(group), width):
                places, stints = zip(*group[start : start + width], strict=True)
                results.update(zip(places, self._train(stints), strict=True))
        return [results[i] for i in range(len(jobs))]

    def evaluate(self, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        """Mean loss and score of every state over all samples of `data`, in order."""
        model = self._stacked
        if (
            not isinstance(data.task, Classification)
            or model is None
            or not model.accepts(data.inputs)
            or not all([self._check(s, data) for s in states])
        ):
            return self._sequential.evaluate(states, data)
        if self.device.type == "cpu" and model.images:
            return self._sequential.evaluate(states, data)  # 0.6 to 0.9 of its speed if stacked
        batch = min(len(data), data.task.chunk(data.targets))
        width = self._width(data, batch)
        if self.device.type == "cpu":
            width = max(1, min(width, CPU_EVALUATION_ROWS // batch))
        with torch.inference_mode():
            return [
                evaluation
                for start in range(0, len(states), width)
                for evaluation in self._evaluate(model, states[start : start + width], data)
            ]

    def _evaluate(self, model: StackedModel, states: Sequence[ModelState], data: Dataset) -> list[Evaluation]:
        inputs, targets = self._here(data)
        bound = model.bind(ParameterStack(model, states, set(), self.device).weights)
        loss = torch.zeros(len(states), device=self.device, dtype=inputs.dtype)
        right = torch.zeros(len(states), device=self.device, dtype=torch.int64)
        chunk = data.task.chunk(targets)
        for start in range(0, len(data), chunk):
            labels = targets[start : start + chunk].expand(len(states), -1)
            outputs = model.predict(model.broadcast(inputs[start : start + chunk], len(states)), bound)
            losses = functional.cross_entropy(outputs.flatten(0, 1), labels.flatten(), reduction="none")
            loss += losses.view(labels.shape).sum(1)
            right += (outputs.argmax(2) == labels).sum(1)
        n = len(data)
        return [Evaluation(a / n, b / n) for a, b in zip(loss.tolist(), right.tolist(), strict=True)]

    def _train(self, stints: Sequence[Stint]) -> list[TrainingResult]:
        assert self._stacked is not None
        if self.device.type == "cpu" and self._stacked.images and len(stints) == 1:
            return self._sequential.train([stints[0].job])  # 0.9 to 1.0 of its speed if stacked
        inputs, targets = self._here(stints[0].job.data)
        with torch.inference_mode():  # spares a fifth of the time of a call that does little
            lockstep = Lockstep(self._stacked, stints, self.device)
            losses = lockstep.run(inputs, targets)
        results = lockstep.results(losses)
        self._types.update((result.state, inputs.dtype) for result in results)
        return results

    def _stint(self, job: LocalTraining) -> Stint | str:
        """The job made ready for a stack, or why it cannot be (empty if it has nothing to train)."""
        trained = tuple(sorted(set(trained_layers(self._sequential.model, job))))
        budget = job.n_batches if job.max_batches is None else min(job.max_batches, job.n_batches)
        model = self._stacked
        if model is None:
            return self._unstackable
        if budget <= 0 or not any(model.names[i] for i in trained):
            return ""
        if not isinstance(job.data.task, Classification):
            return "other tasks than classification have no stacked form"
        if not job.plain:
            return (
                "distillation, augmentation, early exit, quantisation, checkpoints and adapters have no "
                "stacked form"
            )
        if not model.accepts(job.data.inputs):
            return f"inputs of {job.data.inputs.ndim} dimensions have no stacked form"
        if not self._check(job.state, job.data):
            return "states of another type than the samples have no stacked form"
        return Stint(job, trained, budget)

    def _check(self, state: ModelState, data: Dataset) -> bool:
        """Whether state and samples are of one type; raises SnakegymError if the state is not the model's."""
        model, kind = self._sequential.model, data.inputs.dtype
        if state in self._types:
            return self._types[state] == kind
        fits = len(state) == model.n_layers and all(
            len(layer) == len(expected)
            and all(n in layer and layer[n].shape == s for n, s in expected.items())
            for layer, expected in zip(state.layers, self._shapes, strict=True)
        )
        if not fits:
            if not plain(state):
                return False
            model.load(state)  # says what does not
        types = {t.dtype for layer in state.layers for t in layer.values()}
        if types != {kind} or not kind.is_floating_point:
            return False
        self._types[state] = kind
        return True

    def _width(self, data: Dataset, batch: int) -> int:
        """Members of one stack, for batches of that size."""
        assert self._stacked is not None
        parameters, activations = self._stacked.floats(tuple(data.inputs.shape[1:]))
        each = parameters + activations * batch
        if self.device.type == "cpu":
            return max(1, min(CPU_MEMBERS, CPU_FLOATS // each))
        return max(1, GPU_FLOATS // each)

    def _here(self, data: Dataset) -> tuple[Tensor, Tensor]:
        """Inputs and targets on the device."""
        if data.inputs.device == self.device:
            return data.inputs, data.targets
        if id(data) not in self._moved:
            self._moved[id(data)] = (data, data.inputs.to(self.device), data.targets.to(self.device))
        return self._moved[id(data)][1:]

    def _say(self, reason: str) -> None:
        if reason not in self._logged:
            self._logged.add(reason)
            _log.warning("stacked engine: %s: trained one after the other", reason)
