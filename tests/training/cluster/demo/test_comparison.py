"""The decisions of a real process played again in a simulation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from snakegym.cluster.node import Node
from snakegym.cluster.statements import Means
from snakegym.control.service import load_service
from snakegym.data.datasets import Dataset
from snakegym.scenario import load_scenario
from snakegym.training.cluster.commands.telling import told
from snakegym.training.cluster.demo.comparison import compare
from snakegym.training.cluster.description import describe
from snakegym.training.cluster.local.course import Course
from snakegym.training.cluster.local.keeping import Keeper, Log
from snakegym.training.cluster.stages.directory import NearNodes
from snakegym.training.cluster.stages.real import RealStage

NAMES = ("a", "b", "c")


def document() -> dict[str, Any]:
    """A process whose scheduler chooses ranks, too."""
    plain = load_scenario("default").model_dump()
    plain["network"].update(mode="cs", nodes=len(NAMES))
    plain["model"] = {"name": "mlp", "options": {"width": 16, "middle": 3}}
    lora = {"rank": "free", "ranks": [1, 4]}
    plain["learning"].update(batch_size=64, epochs=1, trains="middle", lora=lora)
    plain["process"].update(budget={"time_s": 1000, "hops": 6}, wait_s=0.2)
    return {"name": "real", "scenario": plain, "scheduler": "greedy"}


def test_hops_of_a_chosen_rank_are_played_again_with_it(tmp_path: Path) -> None:
    service = describe(document())
    loaded = load_service(service.plan(), service.split)
    train = loaded.data.train
    indices = [np.arange(i, len(train), len(NAMES)) for i in range(len(NAMES))]
    shares = [Dataset(train.inputs[i], train.targets[i], train.n_classes) for i in map(torch.tensor, indices)]
    nodes = [
        Node(Means(name, 1e9, 1e9), lambda _, i=i: shares[i])  # type: ignore[misc]
        for i, name in enumerate(NAMES)
    ]
    course = Course(
        service, RealStage("p", loaded, service.seed, NearNodes(*nodes)), Keeper(tmp_path), NAMES, "here"
    )
    while not course.ended:
        course.step()
    course.end()
    events = Log(tmp_path).since(0)
    hops = [event for event in events if event["kind"] == "hop"]
    assert {hop["rank"] for hop in hops} <= {1, 4}
    assert f"at rank {hops[0]['rank']}; " in told(hops[0])
    found = compare(loaded, service.seed, indices, NAMES, events)
    for hop, simulated in zip(hops, found.simulated, strict=True):
        assert simulated.assignment.rank == hop["rank"]
        if not hop["abandoned"]:
            assert (simulated.costs.n_bytes, simulated.metric) == (hop["n_bytes"], hop["metric"])
