"""A registered service: a scenario with everything it needs loaded, ready to start processes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from snakegym.control.clock import Clock
from snakegym.control.controller import ProcessController
from snakegym.control.execution.executor import SimulatedExecutor
from snakegym.control.feasible import check_feasible
from snakegym.control.nodes.holdings import Holdings, node_data
from snakegym.data.datasets import DataParts, load_data
from snakegym.data.partition import spread
from snakegym.documents import parse_json
from snakegym.errors import SnakegymError
from snakegym.learning.jobs import Engine
from snakegym.learning.pretraining import pretrain
from snakegym.learning.quantisation import as_handed_on
from snakegym.learning.stacked.engine import EngineKind, make_engine
from snakegym.models.adapters import check_rank
from snakegym.models.layered import LayeredModel
from snakegym.models.profile import ModelProfile, profile_model
from snakegym.models.state import ModelState
from snakegym.models.store import LayerStore
from snakegym.models.zoo import build_model
from snakegym.network.network import Monitor, draw_network
from snakegym.network.traces.library import load_library
from snakegym.network.traces.trace import TraceLibrary
from snakegym.scenario import DataConfig, ModelConfig, Scenario, Split, TextConfig, load_scenario


@dataclass(frozen=True, eq=False)
class Service:
    """What all processes of a scenario share. Immutable: copies of environments share it.

    It is pickled as what it was loaded from, and loaded (once in a program) where it is unpickled.
    """

    scenario: Scenario
    data: DataParts
    model: LayeredModel
    profile: ModelProfile
    engine: Engine
    library: TraceLibrary
    """The traces of one split alone."""
    origin: tuple[str, Split, str | None, EngineKind, str]
    """The arguments it was loaded with; the scenario as JSON."""
    pretrained: ModelState | None = None
    """What all processes start from, if not from random parameters."""

    def start(self, rng: np.random.Generator) -> tuple[ProcessController, SimulatedExecutor]:
        """Start a process: draw network, partition and initial model from `rng`."""
        network_seed, data_seed, *seeds = rng.integers(2**31, size=4).tolist()
        config = self.scenario.network
        network = draw_network(config, self.library, np.random.default_rng(network_seed))
        train = self.data.train
        indices = spread(self.scenario.data, train, config.nodes, np.random.default_rng(data_seed))
        data = node_data(train, indices, len(self.data.validation))
        controller = self._controller(network, data, seeds)
        return controller, self.executor_for(controller)

    def control(
        self, rng: np.random.Generator, nodes: Monitor, data: Holdings, clock: Clock
    ) -> ProcessController:
        """The controller of a process on real nodes; initial model and seeds are as `start` draws them.

        Args:
            rng: as of `start`.
            nodes: as many as the scenario's network has.
            data: what they say of their samples.
            clock: whose time is real.
        """
        return self._controller(nodes, data, rng.integers(2**31, size=4).tolist()[2:], clock)

    def _controller(
        self, nodes: Monitor, data: Holdings, seeds: Sequence[int], clock: Clock | None = None
    ) -> ProcessController:
        state = as_handed_on(self.model, self.initial_state(seeds[0]), self.scenario.learning)
        metric = self.engine.evaluate([state], self.data.validation)[0].score
        rng = np.random.default_rng(seeds[1])
        # The PCE of real nodes has what it was sent; in a simulation nothing lies anywhere else.
        store = LayerStore.of(state, whole=clock is None or self.scenario.network.mode == "cs")
        return ProcessController(self.scenario, self.profile, nodes, data, store, metric, rng, clock)

    def initial_state(self, seed: int) -> ModelState:
        """Of the model, when a process starts: drawn from the seed, or pre-trained and always the same."""
        return self.model.initial_state(seed) if self.pretrained is None else self.pretrained

    def executor_for(self, controller: ProcessController) -> SimulatedExecutor:
        """What carries out the jobs of one of this service's processes."""
        return SimulatedExecutor(controller, self.engine, self.data.validation)

    def __deepcopy__(self, memo: dict[int, Any]) -> Service:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _load, self.origin


def load_service(
    scenario: str | Path | Mapping[str, Any] | Scenario,
    split: Split = "train",
    traces: str | None = None,
    engine: EngineKind = "stacked",
    device: str = "cpu",
) -> Service:
    """Load (once in a program) what a scenario needs.

    Args:
        scenario: name, file, plain data or object.
        split: the traces to use: `train`, `validation` or `test`.
        traces: folder of traces that replaces the scenario's own source. A scenario whose source is
            `folder` takes it from here, else from $SNAKEGYM_DATA.
        engine: what trains: `stacked`, or `sequential`, the reference in plain PyTorch.
        device: where the stacked engine computes, as PyTorch names it; all else stays on the CPU.

    Raises:
        SnakegymError: whatever is wrong with scenario, dataset, model, traces, budget, engine or device.
    """
    if split not in ("train", "validation", "test"):
        raise SnakegymError(f"split: found '{split}', expected train, validation or test")
    loaded = load_scenario(scenario)
    return _load(loaded.model_dump_json(), split, _trace_folder(loaded, traces), engine, device)


def _trace_folder(scenario: Scenario, traces: str | None) -> str | None:
    if traces is not None or scenario.network.traces.source != "folder":
        return traces
    folder = os.environ.get("SNAKEGYM_DATA")
    if not folder:
        raise SnakegymError(
            f"scenario '{scenario.name}' replays measured traces: found neither a folder (traces=..., "
            "--traces FOLDER) nor $SNAKEGYM_DATA, expected one with link and compute traces; "
            f"{scenario.name}.yaml and docs/scenarios.md say where public ones are"
        )
    return folder


@lru_cache(maxsize=16)
def _load(scenario_json: str, split: Split, traces: str | None, engine: EngineKind, device: str) -> Service:
    # Whoever copied and changed one may have erred.
    scenario = load_scenario(parse_json(scenario_json, "the scenario"))
    data = load_data(scenario.data)
    train = data.train
    tokens = not train.inputs.is_floating_point()
    if tokens and scenario.learning.augmentation is not None:
        raise SnakegymError("field 'learning.augmentation': found one for texts, expected null")
    if (
        scenario.model.weights is not None
        and (scenario.data.text or TextConfig()).tokenizer is None
        and tokens
    ):
        raise SnakegymError(
            "field 'data.text.tokenizer': found none beside 'model.weights', which know the tokens of their "
            "own tokenizer alone; expected the folder with its tokenizer.json"
        )
    n_outputs = train.task.n_outputs(train.n_classes)
    model, trainer = _trainer(
        scenario.model.model_dump_json(), data.input_shape, n_outputs, tokens, engine, device
    )
    lora = scenario.learning.lora
    if lora is not None:
        middle = range(1, model.n_layers - 1)
        check_rank(model, middle, lora.choices[-1], f"scenario '{scenario.name}', field 'learning.lora'")
    profile = profile_model(model, data.train.inputs[0], adapters=lora is not None)
    check_feasible(scenario, len(data.train), profile)
    library = load_library(scenario.network.traces, traces, split)
    origin = scenario_json, split, traces, engine, device
    pretrained = _pretrained(scenario.data.model_dump_json(), scenario.model.model_dump_json(), model)
    return Service(scenario, data, model, profile, trainer, library, origin, pretrained)


@lru_cache(maxsize=4)
def _pretrained(data: str, config: str, model: LayeredModel) -> ModelState | None:
    """What the model has learned before all processes (once in a program); None: nothing."""
    samples = load_data(DataConfig.model_validate_json(data)).pretraining
    pretraining = ModelConfig.model_validate_json(config).pretraining
    return None if samples is None or pretraining is None else pretrain(model, samples, pretraining)


@lru_cache(maxsize=16)
def _trainer(
    config: str, input_shape: tuple[int, ...], n_outputs: int, tokens: bool, engine: EngineKind, device: str
) -> tuple[LayeredModel, Engine]:
    """A model and its engine, the same for all scenarios that have it: their hops are trained together."""
    model = build_model(ModelConfig.model_validate_json(config), input_shape, n_outputs, tokens=tokens)
    return model, make_engine(model, engine, device)
