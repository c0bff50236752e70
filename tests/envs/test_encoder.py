"""What an observation says of a view, column by column where it is easily said."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

import snakegym
from snakegym.control.forecast import forecast, price
from snakegym.control.view import ProcessView
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.features.layers import LAYER_FEATURES
from snakegym.envs.features.nodes import NODE_FEATURES
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.envs.features.process import PROCESS_FEATURES
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.network.records import Costs
from snakegym.scenario import Scenario


def scenario(**process) -> Scenario:
    """The default one with small models, a budget of everything, and a target."""
    data = snakegym.load_scenario("default").model_dump()
    data["model"] = {"name": "mlp", "options": {"width": 16, "middle": 5}}
    budget = {"time_s": 500.0, "energy_j": 200.0, "hops": 40, "decisions": 60}
    data["process"].update({"budget": budget, "target": 0.95, **process})
    return Scenario.model_validate(data)


@pytest.fixture(scope="module")
def view() -> ProcessView:
    """After some hops and a wait."""
    env = SerpentineEnv(scenario())
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(8):
        env.step(int(rng.choice(np.flatnonzero(env.action_masks()[: env.codec.wait]))))
    env.step(env.codec.wait)
    return env.view()


def columns(view: ProcessView) -> dict[str, np.ndarray]:
    """Every column by its key and name, with the shape of what it is about."""
    encoder = ViewEncoder(view.n_nodes, view.n_middle)
    seen = encoder.encode(view)
    assert encoder.space.contains(seen)
    found = {}
    for key, shape, names in (
        ("nodes", (view.n_nodes,), NODE_FEATURES),
        ("layers", (view.n_middle,), LAYER_FEATURES),
        ("pairs", (view.n_nodes, view.n_middle), PAIR_FEATURES),
        ("process", (), PROCESS_FEATURES),
    ):
        table = seen[key].reshape(*shape, len(names))
        found |= {f"{key}.{name}": table[..., i] for i, name in enumerate(names)}
    return found


def test_pairs_stand_in_the_order_of_the_actions(view):
    legal = ViewEncoder(view.n_nodes, view.n_middle).encode(view)["pairs"][:: len(PAIR_FEATURES)]
    np.testing.assert_array_equal(legal, view.legal.ravel())


def test_pairs_tell_what_a_hop_is_forecast_to_cost(view):
    seen, hop = columns(view), forecast(view)
    nominal = view.objective.nominal
    cost = price(view.objective, hop.time_s, hop.energy_j, hop.n_bytes)
    for name, x in (
        ("time", hop.time_s / nominal.time_s),
        ("energy", hop.energy_j / nominal.energy_j),
        ("n_bytes", hop.n_bytes / nominal.n_bytes),
        ("price", 10 * cost),
        ("time_share", hop.time_s / view.left_s),
    ):
        finite = np.isfinite(x)
        expected = x[finite] / (1 + x[finite])
        np.testing.assert_allclose(seen[f"pairs.{name}"][finite], expected, atol=1e-6)
        assert (seen[f"pairs.{name}"][~finite] == 1).all()


def test_pairs_tell_who_trained_what_when_and_who_holds_it(view):
    seen, pairs = columns(view), view.pairs
    never = pairs.last_hop < 0
    assert 0 < never.sum() < never.size
    assert (seen["pairs.hop_recency"][never] == 0).all()
    np.testing.assert_allclose(
        seen["pairs.hop_recency"][~never], 1 / (view.hops - pairs.last_hop[~never]), rtol=1e-6
    )
    np.testing.assert_allclose(
        seen["pairs.cycle_recency"][~never], 1 / (1 + view.cycle - pairs.last_cycle[~never]), rtol=1e-6
    )
    np.testing.assert_allclose(seen["pairs.last_gain"], np.tanh(10 * pairs.last_gain), atol=1e-6)
    np.testing.assert_array_equal(seen["pairs.held"], view.held[:, 1:-1])
    np.testing.assert_array_equal(seen["nodes.holds_first"], view.held[:, 0])
    np.testing.assert_allclose(seen["nodes.recency"], seen["pairs.hop_recency"].max(axis=1))
    np.testing.assert_allclose(seen["layers.recency"], seen["pairs.hop_recency"].max(axis=0))


def test_memory_room_is_negative_where_a_hop_does_not_fit(view):
    needed = view.layers.memory_bytes
    small = replace(view.nodes, memory_bytes=np.full(view.n_nodes, np.median(needed)))
    room = columns(replace(view, nodes=small))["pairs.memory_room"]
    np.testing.assert_array_equal(room < 0, np.broadcast_to(needed > np.median(needed), room.shape))


def test_the_battery_counts_where_there_is_one(view):
    node_j = forecast(view).node_energy_j
    battery_j = np.full(view.n_nodes, np.inf)
    battery_j[0], battery_j[1] = node_j[0, 0], 0.0
    seen = columns(replace(view, nodes=replace(view.nodes, battery_j=battery_j)))
    assert seen["pairs.battery_share"][0, 0] == pytest.approx(0.5)
    assert (seen["pairs.battery_share"][1] > 0.999).all()
    assert (seen["pairs.battery_share"][2:] == 0).all()
    assert seen["nodes.battery_hops"][1] == 0
    assert (seen["nodes.battery_hops"][2:] == 1).all()


def test_nodes_tell_how_they_have_been(view):
    seen, nodes = columns(view), view.nodes
    for ago in (4, 3, 2):
        np.testing.assert_allclose(seen[f"nodes.availability_{ago}"], nodes.past_availability[:, -ago])
        np.testing.assert_allclose(seen[f"nodes.up_{ago}"], nodes.past_up[:, -ago])
        order = np.argsort(nodes.past_uplink_bps[:, -ago])
        assert (np.diff(seen[f"nodes.uplink_{ago}"][order]) >= 0).all()
    np.testing.assert_allclose(seen["nodes.mean_availability"], nodes.past_availability[:, -1])


def test_whatever_ends_an_episode_is_seen_coming(view):
    near = {
        "time": replace(view, spent=Costs(499.0, 0, 0), clock_s=499.0),
        "energy": replace(view, spent=Costs(0, 199.0, 0)),
        "hops": replace(view, hops=39),
        "decisions": replace(view, waits=59 - view.hops),
    }
    start = replace(view, spent=Costs(), clock_s=0.0, hops=0, waits=0)
    fresh = columns(start)
    for name, late in near.items():
        seen = columns(late)
        assert fresh[f"process.{name}_spent"] == 0
        assert seen[f"process.{name}_spent"] > 0.9
        assert seen[f"process.{name}_left"] < 0.2 < fresh[f"process.{name}_left"]
    assert columns(replace(view, metric=0.94))["process.target_left"] == pytest.approx(0.01)
    free = view.budget.model_copy(update={"energy_j": None, "hops": None})
    seen = columns(replace(view, budget=free, target=None))
    for name in ("energy_left", "hops_left", "target_left"):
        assert seen[f"process.{name}"] == 1


def test_labels_are_told_in_two_numbers_whatever_their_number(view):
    one, all_alike = np.zeros_like(view.nodes.labels), np.ones_like(view.nodes.labels)
    one[:, 0] = 1.0
    skewed = columns(replace(view, nodes=replace(view.nodes, labels=one)))
    even = columns(replace(view, nodes=replace(view.nodes, labels=all_alike)))
    np.testing.assert_allclose(skewed["nodes.label_entropy"], 0, atol=1e-6)
    np.testing.assert_allclose(even["nodes.label_entropy"], 1, atol=1e-6)
    np.testing.assert_allclose(even["nodes.label_distance"], 0, atol=1e-6)
    mixed = all_alike.copy()
    mixed[0] = one[0]
    seen = columns(replace(view, nodes=replace(view.nodes, labels=mixed)))
    assert seen["nodes.label_distance"].argmax() == 0


def test_one_encoder_follows_from_process_to_process(view):
    env = SerpentineEnv(scenario())
    env.reset(seed=5)
    other, encoder = env.view(), ViewEncoder(view.n_nodes, view.n_middle)
    encoder.encode(view)
    for seen in (other, view):
        for key, value in ViewEncoder(view.n_nodes, view.n_middle).encode(seen).items():
            np.testing.assert_array_equal(encoder.encode(seen)[key], value)


def test_encoding_a_hundred_nodes_takes_less_than_a_millisecond():
    data = scenario().model_dump()
    data["network"]["nodes"] = 100
    data["data"]["partition"] = "iid"
    data["model"]["options"]["middle"] = 9
    env = SerpentineEnv(Scenario.model_validate(data))
    env.reset(seed=0)
    view, encoder = env.view(), ViewEncoder(100, 9)

    def once() -> float:
        start = time.process_time()
        for _ in range(20):
            encoder.encode(view)
        return (time.process_time() - start) / 20

    assert min(once() for _ in range(10)) < 1e-3


def test_the_documentation_says_how_many_columns_there_are():
    page = SerpentineEnv.__doc__ or ""
    for size in (
        f"[n_nodes * {len(NODE_FEATURES)}]",
        f"[n_middle * {len(LAYER_FEATURES)}]",
        f"[n_nodes * n_middle * {len(PAIR_FEATURES)}]",
        f"[{len(PROCESS_FEATURES)}]",
    ):
        assert f"| {size} |" in page
