"""Every scenario that is accepted plays with finite numbers, inside the spaces that it declares.

Scenarios are drawn from the bounds of the schema itself, so that a field that is added is tried as well.
"""

from __future__ import annotations

import copy
import math
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.network.traces.generator import GeneratorConfig
from snakegym.scenario import Scenario, Section, load_scenario

STEPS = 6
GENERATOR = ("network", "traces", "generator")
TEXTS = (("name",), ("summary",), ("data", "dataset"), ("data", "root"), ("network", "traces"))
LARGER_TAKES_LONGER = {
    ("learning", "epochs"): 2,
    ("network", "nodes"): 12,
    ("data", "cleaning", "anomalies"): None,
    (*GENERATOR, "links"): 5,
    (*GENERATOR, "computes"): 5,
}
"""Fields that are drawn up to here alone, or not at all, because more of them only takes longer."""


def bounds(metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, annotated_types.Ge | annotated_types.Gt):
            found["low"] = (
                item.ge if isinstance(item, annotated_types.Ge) else math.nextafter(item.gt, math.inf)
            )
        elif isinstance(item, annotated_types.Le | annotated_types.Lt):
            found["high"] = (
                item.le if isinstance(item, annotated_types.Le) else math.nextafter(item.lt, -math.inf)
            )
        else:
            found |= bounds(getattr(item, "metadata", ()))
    return found


def numbers(kind: type, low: float, high: float) -> st.SearchStrategy[Any]:
    """The ends, and what lies between them on a scale of decades."""
    if kind is int:
        return (
            st.sampled_from([low, high]) | st.integers(low, min(high, max(low, 100))) | st.integers(low, high)
        )
    smallest = math.log10(max(low, high * 1e-18))
    decades = st.floats(smallest, math.log10(high)).map(lambda x: min(high, max(low, 10**x)))
    return st.sampled_from([low, high]) | decades


def leaves(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Paths of all fields that are numbers or choices, each with what may stand there."""
    for name, field in section.model_fields.items():
        here = (*path, name)
        if here in TEXTS:
            continue
        if here in LARGER_TAKES_LONGER and LARGER_TAKES_LONGER[here] is None:
            continue
        yield from of_type(field.annotation, field.metadata, here)


def of_type(kind: Any, metadata: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, *more = get_args(kind)
        yield from of_type(inner, [*metadata, *more], path)
    elif origin in (Union, types.UnionType):
        inner = [k for k in get_args(kind) if k is not type(None)]
        if len(inner) == 1:
            yield path, st.none()
            yield from of_type(inner[0], metadata, path)
    elif origin is Literal:
        yield path, st.sampled_from(get_args(kind))
    elif kind is bool:
        yield path, st.booleans()
    elif kind in (int, float):
        found = bounds(metadata)
        found["high"] = LARGER_TAKES_LONGER.get(path, found["high"])
        yield path, numbers(kind, **found)
    elif isinstance(kind, type) and issubclass(kind, Section):
        if not any(field.is_required() for field in kind.model_fields.values()):
            yield path, st.just({})
        yield from leaves(kind, path)


def put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        if not isinstance(data.get(name), dict):
            data[name] = {}
        data = data[name]
    data[path[-1]] = value


PARTS = list(leaves(Scenario))
DEVICE = [part for part in leaves(load_scenario("default").network.devices[0].__class__)]
TRACES = [(path, values) for path, values in leaves(GeneratorConfig, GENERATOR)]
SMALL = load_scenario("default").model_dump(mode="json")
SMALL["model"]["options"] = {"width": 8, "middle": 3}
SMALL["learning"] |= {"epochs": 1, "batch_size": 64}
SMALL["network"]["traces"]["generator"] = {
    "links": 4,
    "computes": 4,
    "link_period_s": 300,
    "compute_period_s": 3600,
    "outage_s": 60,
    "outage_max_s": 120,
    "outage_weight": 2,
    "blackout": 0.5,
}
"""Links and nodes are out of reach often: that is where times and energies are infinite."""


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """A small scenario with some of its fields replaced by anything that their bounds allow."""
    data = copy.deepcopy(SMALL)
    for path, values in draw(st.lists(st.sampled_from(PARTS), max_size=12, unique_by=id)):
        put(data, path, draw(values))
    for path, values in (part for part in DEVICE if draw(st.integers(0, 3)) == 0):
        devices, value = data["network"]["devices"], draw(values)
        for device in draw(st.sampled_from([devices, devices[:1], devices[1:]])):
            put(device, path, value)
    for path, values in draw(st.lists(st.sampled_from(TRACES), max_size=3, unique_by=id)):
        put(data, path, draw(values))
    try:
        return load_scenario(data)
    except SnakegymError:
        assume(False)
        raise


def assert_finite(values: dict[str, Any]) -> None:
    wrong = {key: v for key, v in values.items() if not np.isfinite(np.asarray(v, np.float64)).all()}
    assert not wrong


def play(env: SerpentineEnv, data: st.DataObject) -> None:
    observation, info = env.reset(seed=data.draw(st.integers(0, 99), label="seed"))
    assert env.observation_space.contains(observation)
    for _ in range(STEPS):
        legal = np.flatnonzero(info["action_mask"]).tolist()
        anything = st.integers(0, env.codec.n_actions - 1)
        action = data.draw(st.sampled_from(legal) | anything, label="action")
        observation, reward, terminated, truncated, info = env.step(action)
        assert env.observation_space.contains(observation)
        assert np.isfinite(np.float32(reward))
        assert_finite(info)
        assert all(info[cost] >= 0 for cost in ("time_s", "energy_j", "n_bytes"))
        if terminated or truncated:
            event("to the end")
            return


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(scenarios(), st.data())
def test_every_accepted_scenario_plays_with_finite_numbers(scenario, data):
    try:
        env = SerpentineEnv(scenario)
    except SnakegymError:
        event("refused")
        return
    play(env, data)
    event("played")


@pytest.mark.parametrize("power", ["radio_power_w", "compute_power_w"])
def test_devices_that_take_no_power_play_as_any(power):
    data = copy.deepcopy(SMALL)
    for device in data["network"]["devices"]:
        device[power] = 0
    env = SerpentineEnv(data)
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        for _ in range(STEPS):
            assert env.observation_space.contains(observation)
            action = int(np.flatnonzero(info["action_mask"])[0])
            observation, reward, *_, info = env.step(action)
            assert np.isfinite(reward)
        assert env.observation_space.contains(observation)
