"""Where hops train low-rank adapters, only these travel, are charged and forecast."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from snakegym.control.forecast import forecast
from snakegym.control.progress.checkpoint import ProcessCheckpoint
from snakegym.control.records import Assignment
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.network.network import NodeProfile, constant_network
from snakegym.scenario import load_scenario

RANK = 2
ADAPTERS = 4 * RANK * (16 + 16)
"""Bytes of those of a block of the models here."""


def lora(rank: Any = RANK, **fields: Any) -> dict[str, Any]:
    return {"trains": "middle", "lora": {"rank": rank, **fields}}


def test_who_has_the_rest_receives_adapters_alone(start: Callable[..., Any], hop: Callable[..., Any]) -> None:
    controller, executor = start(learning=lora(), repeat_layers=True)
    size = controller.view().layer_bytes
    first = hop(controller, executor, 0, 0)
    assert first.costs.n_bytes == size.sum(), "the whole model"
    assert controller.view().nodes.missing_bytes.tolist() == [0, *[size.sum()] * 3]
    hop(controller, executor, 1, 1)
    assert controller.view().nodes.missing_bytes[0] == ADAPTERS
    hop(controller, executor, 1, 1)
    hop(controller, executor, 2, 0)
    view = controller.view()
    assert view.nodes.missing_bytes[:3].tolist() == [3 * ADAPTERS, ADAPTERS, 0], "one a hop since then"
    assert view.lacking[0].tolist() == [0, ADAPTERS, 2 * ADAPTERS, 0, 0]
    assert view.held[1].tolist() == [True, False, True, True, True]
    assert hop(controller, executor, 0, 2).costs.n_bytes == 3 * ADAPTERS


def test_no_more_is_sent_than_the_layer_has(start: Callable[..., Any], hop: Callable[..., Any]) -> None:
    controller, executor = start(learning=lora(rank=8), repeat_layers=True)
    hop(controller, executor, 0, 0)
    for _ in range(3):
        hop(controller, executor, 1, 0)
    view = controller.view()
    assert view.layer_bytes[1] < 3 * 4 * ADAPTERS
    assert view.nodes.missing_bytes[0] == view.layer_bytes[1]


def test_ends_that_are_trained_travel_as_they_are(start: Callable[..., Any], hop: Callable[..., Any]) -> None:
    controller, executor = start(learning={**lora(), "trains": "both-ends"})
    size = controller.view().layer_bytes
    hop(controller, executor, 0, 0)
    hop(controller, executor, 1, 1)
    assert controller.view().nodes.missing_bytes[0] == size[0] + ADAPTERS + size[-1]


def test_the_pce_gets_adapters_and_nodes_those_of_all(
    start: Callable[..., Any], hop: Callable[..., Any]
) -> None:
    controller, executor = start(mode="cs", learning=lora(), parallel=2)
    size = controller.view().layer_bytes
    done = hop(controller, executor, 0, 0)
    assert done.costs.n_bytes == 2 * size.sum() + 2 * ADAPTERS
    members = [part.node for part in done.parts]
    missing = controller.view().nodes.missing_bytes
    assert (missing[members] == 2 * ADAPTERS).all(), "each has what it began from"
    others = [node for node in range(4) if node not in members]
    assert (missing[others] == size.sum()).all()
    again = controller.dispatch(Assignment(members[0], 1, (members[1],)))
    assert controller.complete(again.id, executor.run(again)).costs.n_bytes == 2 * 3 * ADAPTERS


def test_an_evaluating_pce_is_sent_what_it_lacks(start: Callable[..., Any], hop: Callable[..., Any]) -> None:
    controller, executor = start(evaluation="pce", learning=lora())
    size = controller.view().layer_bytes
    assert hop(controller, executor, 0, 0).costs.n_bytes == size.sum() + ADAPTERS
    assert controller.view().lacking_pce.sum() == 0


@pytest.mark.parametrize("mode", ["p2p", "cs"])
@pytest.mark.parametrize("rank", [RANK, "speed", "memory"])
def test_hops_cost_what_they_were_forecast_to(start: Callable[..., Any], mode: str, rank: Any) -> None:
    controller, executor = start(mode=mode, learning=lora(rank, ranks=[1, 2, 8]))
    for node, layer in ((0, 0), (1, 1), (2, 2), (1, 0), (0, 1), (3, 2), (0, 0)):
        view = controller.view()
        expected = forecast(view)
        job = controller.dispatch(Assignment(node, layer))
        costs = controller.complete(job.id, executor.run(job)).costs
        assert costs.n_bytes == expected.n_bytes[node, layer]
        assert costs.time_s == pytest.approx(expected.time_s[node, layer])
        assert costs.energy_j == pytest.approx(expected.energy_j[node, layer])
        assert job.training.rank == view.adapters.ranks[node, layer]


def process(memory: float, rank: Any) -> Any:
    from snakegym.control.controller import ProcessController

    config = load_scenario("default").model_dump()
    config["network"].update(mode="p2p", nodes=4)
    config["model"] = {"name": "blocks", "options": {"width": 16, "middle": 3, "largest": 256}}
    config["learning"].update(lora(rank, ranks=[8, 1, 2]), epochs=1)
    service = load_service(config)
    drawn, _ = service.start(np.random.default_rng(0))
    profiles = [NodeProfile(f"n{i}", 1e7 * (i + 1), memory, 0.3, 0.5) for i in range(4)]
    network = constant_network(profiles, 0.5, 1e6, 2e6)
    data, rng = drawn.managers.data, np.random.default_rng(0)
    controller = ProcessController(
        service.scenario, service.profile, network, data, drawn.state, drawn.metric, rng
    )
    return service, controller.view()


def test_the_faster_a_node_the_higher_its_rank() -> None:
    _, view = process(8e6, "speed")
    assert view.adapters.ranks.tolist() == [[2] * 3, [2] * 3, [2] * 3, [8] * 3]
    assert (np.diff(view.adapters.flops[[0, 3]], axis=0) > 0).all()


def test_a_rank_is_the_highest_that_a_node_has_room_for() -> None:
    service, _ = process(8e6, 1)
    needed = service.profile.hop_memory(service.scenario.learning, originals=True, rank=2)
    _, view = process(float(needed[1]), "memory")
    assert view.adapters.ranks[0].tolist()[1] == 2
    assert (np.diff(view.adapters.ranks[0]) <= 0).all(), "the larger the block the lower its rank"
    assert (view.adapters.memory_bytes <= needed[1])[view.fits].all()


def test_a_killed_process_goes_on_the_same(start: Callable[..., Any], hop: Callable[..., Any]) -> None:
    controller, executor = start(learning=lora(), repeat_layers=True)
    for node, layer in ((0, 0), (1, 1), (2, 0)):
        hop(controller, executor, node, layer)
    found = controller.checkpoint()
    twin, other = start(learning=lora(), repeat_layers=True)
    twin.restore(ProcessCheckpoint(found.layers, json.loads(json.dumps(found.journal))))
    np.testing.assert_array_equal(twin.view().lacking, controller.view().lacking)
    for process_, by in ((controller, executor), (twin, other)):
        hop(process_, by, 1, 2)
    assert twin.metric == controller.metric
    np.testing.assert_array_equal(twin.view().lacking, controller.view().lacking)


def test_after_a_step_back_adapters_do_for_nobody_else(
    start: Callable[..., Any], hop: Callable[..., Any]
) -> None:
    from snakegym.network.network import Network
    from snakegym.network.traces.trace import LinkTrace, Trace

    up, dies = Trace("c", [0], [1e6]), Trace("d", [0, 60.0, 1e5], [1e6, 0.0, 1e6], 2e5)
    network = Network(
        [NodeProfile("n", 1e7, 8e6, 0.3, 0.5)] * 4,
        [Trace("c", [0], [1.0])] * 4,
        [LinkTrace("l", t, t, 0.1) for t in (up, up, dies, up)],
    )
    controller, executor = start(network=network, learning=lora(), pool={"recovery_s": 5}, wait_s=5)
    for node, layer in ((0, 0), (1, 1), (2, 2)):
        hop(controller, executor, node, layer)
    assert controller.clock_s < 60
    while controller.clock_s < 75:
        controller.wait()
    assert controller.recoveries[0].source == 1
    view = controller.view()
    assert view.nodes.missing_bytes[1] == 0
    assert view.lacking[0].tolist() == [0, 0, view.layer_bytes[2], 0, 0]
    hop(controller, executor, 1, 2)
    assert controller.view().lacking[0].tolist() == [0, 0, view.layer_bytes[2], ADAPTERS, 0]


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        ({"name": "mlp", "options": {"width": 8}}, {"rank": 9}, "'learning.lora': found rank 9, expected at"),
        ({"name": "mlp", "options": {"width": 8}}, {"rank": "speed"}, "found rank 16, expected at most 8"),
        (
            {"name": "vgg", "options": {"width": 4}},
            {"rank": 1},
            "layer 1 of the model, expected one with lin",
        ),
        ({"name": "mlp"}, {"rank": 0}, "learning.lora.rank"),
        ({"name": "mlp"}, {"ranks": []}, "learning.lora.ranks"),
        (
            {"name": "mlp"},
            {"rank": "size"},
            r"field 'learning.lora.rank': expected a whole number from 1 to 4096, memory, speed or free "
            r"\(found 'size'\)$",
        ),
    ],
)
def test_what_does_not_fit_is_named(model: Any, fields: Any, message: str) -> None:
    config = load_scenario("default").model_dump()
    config["model"] = model
    config["learning"]["lora"] = fields
    with pytest.raises(SnakegymError, match=message):
        load_service(config)


@pytest.mark.parametrize("frozen", ["bf16", "int8", "nf4"])
@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_where_the_base_is_in_low_precision_it_travels_so_once(
    start: Callable[..., Any], hop: Callable[..., Any], frozen: str, mode: str
) -> None:
    plain, _ = start(mode=mode, learning=lora())
    controller, executor = start(mode=mode, learning={**lora(), "frozen": frozen}, repeat_layers=True)
    view = controller.view()
    assert (view.layer_bytes < plain.view().layer_bytes / 1.7).all()
    assert view.layer_bytes.sum() == sum(t.nbytes for x in controller.state.layers for t in x.values())
    cast_up = plain.view().layer_bytes.max()
    saved = plain.view().needed_bytes - (view.needed_bytes - cast_up)
    assert (saved > 0).all(), "and nobody keeps more beside it than what is cast up at a time"
    base = view.layer_bytes.sum()
    first = hop(controller, executor, 1, 0)
    assert first.costs.n_bytes == base + (ADAPTERS if mode == "cs" else 0)
    hop(controller, executor, 2, 0)
    after = controller.view()
    assert after.nodes.missing_bytes[1] == ADAPTERS
    assert after.layer_bytes.sum() == base + 2 * ADAPTERS, "they stay beside it"
    assert after.nodes.missing_bytes[3] == base + 2 * ADAPTERS
    found = sum(t.nbytes for x in controller.state.layers for t in x.values())
    assert found == after.layer_bytes.sum()
    np.testing.assert_allclose(after.needed_bytes - view.needed_bytes, 2 * ADAPTERS)
    np.testing.assert_array_equal(after.fits, controller.managers.fits)
    twin, other = start(mode=mode, learning={**lora(), "frozen": frozen}, repeat_layers=True)
    checkpoint = controller.checkpoint()
    twin.restore(ProcessCheckpoint(checkpoint.layers, json.loads(json.dumps(checkpoint.journal))))
    np.testing.assert_array_equal(twin.view().layer_bytes, after.layer_bytes)
    np.testing.assert_array_equal(twin.view().needed_bytes, after.needed_bytes)
    for process_, by in ((controller, executor), (twin, other)):
        hop(process_, by, 0, 2)
    assert twin.metric == controller.metric
    for _ in range(20):
        hop(controller, executor, 2, 0)
    bound = base + 4 * 16 * (16 + 16) + ADAPTERS
    assert controller.view().layer_bytes.sum() == bound, "as large as they can be"
    found = sum(t.nbytes for x in controller.state.layers for t in x.values())
    assert found == bound


@pytest.mark.parametrize("mode", ["p2p", "cs"])
def test_a_rank_that_is_chosen_is_what_is_trained_sent_and_forecast(
    start: Callable[..., Any], mode: str
) -> None:
    fields = lora("free", ranks=[8, 1, 2])
    controller, executor = start(mode=mode, learning=fields, repeat_layers=True)
    plan = [(0, 0, 2), (1, 1, 8), (2, 2, None), (1, 0, 1), (0, 1, 2), (3, 2, 8), (0, 0, None)]
    for node, layer, rank in plan:
        view = controller.view()
        expected, before = forecast(view.at_rank(rank)), controller.state.layers[layer + 1]
        job = controller.dispatch(Assignment(node, layer, rank=rank))
        costs = controller.complete(job.id, executor.run(job)).costs
        used = rank or 8
        assert job.training.rank == used
        assert costs.n_bytes == expected.n_bytes[node, layer]
        assert costs.time_s == pytest.approx(expected.time_s[node, layer])
        assert costs.energy_j == pytest.approx(expected.energy_j[node, layer])
        if mode == "cs":
            assert job.send is not None
            assert job.send.n_bytes == used * ADAPTERS // RANK
        after = controller.state.layers[layer + 1]
        changed = {name: t - before[name] for name, t in after.items() if t.ndim == 2}
        assert [int(np.linalg.matrix_rank(t.double().numpy(), tol=1e-6)) for t in changed.values()] == [used]
    behind = controller.view().lacking[2]
    assert behind[2] == 2 * ADAPTERS // RANK, "what came after its visit, by the rank that was chosen"


def test_companions_train_the_rank_that_is_chosen(start: Callable[..., Any]) -> None:
    controller, executor = start(mode="cs", learning=lora("free", ranks=[1, 8]), parallel=2)
    expected = forecast(controller.view().at_rank(1))
    job = controller.dispatch(Assignment(0, 0, rank=1))
    assert [member.training.rank for member in job.members] == [1, 1]
    hop = controller.complete(job.id, executor.run(job))
    assert hop.costs.n_bytes == expected.n_bytes[0, 0]
    assert hop.costs.time_s == pytest.approx(expected.time_s[0, 0])
    again = json.loads(json.dumps(controller.checkpoint().journal))
    twin, _ = start(mode="cs", learning=lora("free", ranks=[1, 8]), parallel=2)
    twin.restore(ProcessCheckpoint(controller.checkpoint().layers, again))
    assert twin.history[0].assignment == Assignment(0, 0, rank=1)


def test_a_rank_that_is_not_offered_is_refused(start: Callable[..., Any]) -> None:
    for fields, rank in ((lora("free", ranks=[1, 8]), 2), (lora(2), 2), ({}, 1)):
        controller, _ = start(learning=fields)
        with pytest.raises(SnakegymError, match="is not legal now"):
            controller.dispatch(Assignment(0, 0, rank=rank))
