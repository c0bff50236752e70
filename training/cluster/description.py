"""What is registered: a service's task, requirements and wishes, checked before anything begins.

The paper has a service bring objective, requirements and constraints; here they are fields of one document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from snakegym.agents.registry import is_privileged, list_schedulers, make_scheduler
from snakegym.control.service import load_service
from snakegym.documents import parse_json, parse_yaml
from snakegym.errors import SnakegymError
from snakegym.plugins import is_path
from snakegym.scenario import LayerOrder, Scenario, Split, describe_faults, load_scenario
from snakegym.scenario.section import (
    Bytes,
    CompanionRule,
    Count,
    Flops,
    Line,
    PathText,
    Seconds,
    Section,
    Weight,
    expecting,
)
from snakegym.scenario.whole import NO_FOLDER

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
"""Lower-case letters, digits and hyphens."""


class Sla(Section):
    """What the service is promised; a promise that is broken is an event, and a reason for more nodes."""

    deadline_s: Seconds | None = None
    """Time on the process's clock by which the least accuracy is reached (or the process over, if none is
    asked for); null: none."""
    least_accuracy: Annotated[float, Field(gt=0, le=1)] | None = None
    """Validation accuracy; null: any."""
    priority: Annotated[int, Field(ge=0, le=9)] = 5
    """9 is the highest. A process gets nodes before those of a lower one, and may take theirs."""


class Devices(Section):
    """Which nodes are wanted, and how many."""

    least_nodes: Count | None = None
    """Without so many a process does not begin; null: as many as `start_nodes`."""
    start_nodes: Count | None = None
    """It begins with, where there are enough; null: as many as the scenario's network has."""
    memory_bytes: Bytes | None = None
    """Of a node, at least; null: any."""
    peak_flops: Flops | None = None
    """FLOP/s of a node when it is idle, at least; null: any."""


class WantedData(Section):
    """Which data a node has to hold."""

    least_samples: Count | None = None
    """Of a node; null: any."""
    labels: Annotated[list[Annotated[int, Field(ge=0, lt=10**6)]], Field(max_length=1000)] = []  # noqa: RUF012
    """Of these the node holds at least one; empty: whichever."""


class LayerGuidelines(Section):
    """How layers are assigned, where the scenario says otherwise."""

    order: LayerOrder | None = None
    """`free`: the scheduler chooses; else a fixed order of the cycle; null: the scenario's."""
    repeat: bool | None = None
    """Whether a layer may be trained again before the cycle is complete; null: as the scenario says."""
    parallel: Count | None = None
    """Nodes that train a layer together (CS mode); null: as the scenario says."""
    companions: CompanionRule | None = None
    """Whom the rule takes along; null: the scenario's."""


class Goals(Section):
    """What is traded off, where the scenario says otherwise."""

    gain: Weight | None = None
    """Reward of accuracy from 0 to 1; null: the scenario's, as for all of these."""
    time: Weight | None = None
    """Price of a nominal hop's time."""
    energy: Weight | None = None
    """Price of a nominal hop's energy."""
    n_bytes: Weight | None = None
    """Price of a nominal hop's bytes."""
    target: Annotated[float, Field(gt=0, le=1)] | None = None
    """Validation accuracy that ends a process with success."""


class ServiceDescription(Section):
    """A service of Snake Learning: all that a Service Provider has to know of it."""

    name: Name
    task: Line = "train the scenario's model"
    """What is learned, in words."""
    scenario: Annotated[str | dict[str, Any], expecting("the name of a scenario, or its fields")]
    """Name of one that ships with snakegym, or its fields."""
    objective: Goals = Goals()
    """What is traded off."""
    sla: Sla = Sla()
    """What it is promised."""
    devices: Devices = Devices()
    """Nodes wanted."""
    data: WantedData = WantedData()
    """Data wanted."""
    layers: LayerGuidelines = LayerGuidelines()
    """Guidelines for layer assignment."""
    scheduler: PathText = "reference"
    """Who decides."""
    shadow: PathText | None = None
    """Whose choices are noted beside; null: nobody's."""
    split: Split = "test"
    """Traces that a simulated network replays."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Of network, data and initial model where they are drawn; each process adds its own number."""

    @model_validator(mode="after")
    def _consistent(self) -> ServiceDescription:
        least, start = self.devices.least_nodes, self.devices.start_nodes
        if least is not None and start is not None and least > start:
            raise ValueError(f"devices.least_nodes is {least}, expected at most devices.start_nodes, {start}")
        return self

    def plan(self) -> Scenario:
        """The scenario with the service's objective and guidelines. Raises SnakegymError, naming a field."""
        try:
            base = load_scenario(self.scenario)
        except SnakegymError as error:
            raise SnakegymError(f"service '{self.name}': field 'scenario': {error}") from None
        fields = base.model_dump()
        goals, layers = self.objective.model_dump(exclude_none=True), self.layers
        target = goals.pop("target", base.process.target)
        wishes = {
            "layer_order": layers.order,
            "repeat_layers": layers.repeat,
            "parallel": layers.parallel,
            "companions": layers.companions,
            "target": target,
        }
        fields["objective"] |= goals
        fields["process"] |= {name: wish for name, wish in wishes.items() if wish is not None}
        try:
            return load_scenario(fields)
        except SnakegymError as error:
            raise SnakegymError(
                f"service '{self.name}': objective and layers on its scenario: {error}"
            ) from None

    def seats(self, scenario: Scenario) -> tuple[int, int, int]:
        """Least nodes to begin with, nodes at the beginning, most nodes."""
        most = scenario.network.nodes
        start = most if self.devices.start_nodes is None else self.devices.start_nodes
        least = start if self.devices.least_nodes is None else self.devices.least_nodes
        return least, start, most


def read_description(text: str, origin: str) -> ServiceDescription:
    """The service in a document: JSON if `origin` ends in `.json`, else YAML. Raises SnakegymError."""
    parse = parse_json if origin.endswith(".json") else parse_yaml
    return describe(parse(text, origin), origin)


def describe(document: Any, origin: str = "service") -> ServiceDescription:
    """The service that plain data describe; a scenario's fields alone are a service of that name.

    Raises:
        SnakegymError: a field is missing, unknown, of a wrong type or out of range; all of them are named.
    """
    if not isinstance(document, Mapping):
        raise SnakegymError(
            f"{origin}: found {type(document).__name__}, expected a mapping with the fields of a service"
        )
    fields = dict(document)
    if "scenario" not in fields and {"network", "process"} <= fields.keys():
        scenario = load_scenario(fields)
        fields = {"name": scenario.name, "task": scenario.summary, "scenario": fields}
    try:
        return ServiceDescription.model_validate(fields)
    except ValidationError as error:
        raise SnakegymError(f"{origin}: {describe_faults(error)}") from None


def check_service(service: ServiceDescription, trusted: bool = False) -> Scenario:
    """Load all that a process of it needs but its network; the scenario that its processes have.

    Args:
        service: to be checked.
        trusted: whether it may name code, files and folders of this machine.

    Raises:
        SnakegymError: scenario, model, data, SLA, number of nodes or scheduler cannot be had; names a field.
    """
    scenario, where = service.plan(), f"service '{service.name}': field"
    if not trusted:
        for field, value in _foreign(service, scenario):
            raise SnakegymError(
                f"{where} '{field}': found {value!r:.80}, which leads to code or files of the provider, "
                "expected what ships with snakegym (or a provider that was told to trust: serve --trust)"
            )
    for field, scheduler in (("scheduler", service.scheduler), ("shadow", service.shadow)):
        if scheduler is not None:
            _check_scheduler(f"{where} '{field}'", scheduler, scenario)
    most, budget = scenario.network.nodes, scenario.process.budget.time_s
    for field in ("least_nodes", "start_nodes"):
        wanted = getattr(service.devices, field)
        if wanted is not None and wanted > most:
            raise SnakegymError(
                f"{where} 'devices.{field}': found {wanted}, expected at most network.nodes, {most}"
            )
    if service.sla.deadline_s is not None and service.sla.deadline_s > budget:
        raise SnakegymError(
            f"{where} 'sla.deadline_s': found {service.sla.deadline_s:g}, expected at most the time of the "
            f"scenario's budget, {budget:g} s, at which a process ends"
        )
    loaded = load_service(scenario, service.split)
    n_classes = loaded.data.train.n_classes
    if strange := [label for label in service.data.labels if label >= n_classes]:
        raise SnakegymError(f"{where} 'data.labels': found {strange[0]}, expected labels below {n_classes}")
    return scenario


def _check_scheduler(where: str, spec: str, scenario: Scenario) -> None:
    if is_privileged(spec):
        raise SnakegymError(
            f"{where}: found '{spec}', a yardstick that knows the future, expected a scheduler"
        )
    if spec not in list_schedulers():
        try:
            make_scheduler(spec, scenario)
        except SnakegymError as error:
            raise SnakegymError(f"{where}: {error}") from None


def _foreign(service: ServiceDescription, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Fields that lead to code, files or folders, with what stands there."""
    known = list_schedulers()
    for field, spec in (("scheduler", service.scheduler), ("shadow", service.shadow)):
        if spec is not None and spec not in known:
            yield field, spec
    if isinstance(service.scenario, str) and service.scenario.endswith((".yaml", ".yml", ".json")):
        yield "scenario", service.scenario
    data, model, traces = scenario.data, scenario.model, scenario.network.traces
    named = {"scenario.data.dataset": data.dataset, "scenario.model.name": model.name}
    yield from ((field, spec) for field, spec in named.items() if is_path(spec) or ":" in spec)
    paths = {"scenario.data.root": data.root, "scenario.fitted": scenario.fitted}
    yield from ((field, path) for field, path in paths.items() if path is not None)
    if traces.source not in NO_FOLDER:
        yield "scenario.network.traces.source", traces.source
