"""Does it help a node to set samples aside whose labels are at home nowhere near them?

    python experiments/clustering.py --seeds 10 --out experiments/data/clustering.json

A share of the training samples gets another label (of texts: another topic), at random. Nodes get them by the
scenario's partition and set samples aside by `data.clustering`. Prints how many of the wrong ones were found,
how many right ones went with them, and for the digits the test accuracy after a process of round robin:
on right labels, on wrong ones, and on what clustering leaves of those.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from snakegym.agents.registry import make_scheduler
from snakegym.control.records import FINISH
from snakegym.control.service import Service, load_service
from snakegym.data.datasets import Dataset
from snakegym.data.partition import spread
from snakegym.scenario import ClusteringConfig, load_scenario
from snakegym.training.runs.folder import write_json

SCENARIOS = {"images": "default", "texts": "lm-topics"}


def spoilt(train: Dataset, share: float, rng: np.random.Generator) -> tuple[Dataset, np.ndarray]:
    """The samples, some with another label, and which those are."""
    labels = train.labels.numpy().copy()
    held = np.unique(labels)
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    for place in wrong:
        labels[place] = rng.choice(held[held != labels[place]])
    other = torch.from_numpy(labels)
    return replace(train, targets=other) if train.topics is None else replace(train, topics=other), wrong


def found(service: Service, train: Dataset, wrong: np.ndarray, seed: int, **changes: Any) -> dict[str, float]:
    """How well the nodes find what is wrong."""
    data = service.scenario.data.model_copy(update={"clustering": ClusteringConfig(**changes)})
    nodes = spread(data, train, service.scenario.network.nodes, np.random.default_rng(seed))
    gone = np.setdiff1d(np.arange(len(train)), np.concatenate(nodes))
    hit = len(np.intersect1d(gone, wrong))
    return {"found": 100 * hit / len(wrong), "lost": 100 * (len(gone) - hit) / (len(train) - len(wrong))}


def accuracy(service: Service, train: Dataset, clustering: ClusteringConfig | None, seed: int) -> float:
    """Test accuracy after the process, %."""
    data = service.scenario.data.model_copy(update={"clustering": clustering})
    scenario = service.scenario.model_copy(update={"data": data})
    own = replace(service, scenario=scenario, data=replace(service.data, train=train))
    controller, executor = own.start(np.random.default_rng(seed))
    scheduler = make_scheduler("serpentine", scenario)
    scheduler.reset(seed)
    while not controller.ended:
        decision = scheduler.schedule(controller.view())
        if decision is None:
            controller.wait()
            continue
        assert decision is not FINISH, "this rule goes on to the end"
        job = controller.dispatch(decision)
        controller.complete(job.id, executor.submit(job).result())
    return 100 * own.engine.evaluate([controller.state], own.data.test)[0].score


def shown(values: list[float]) -> str:
    """Mean and half of the 95 % interval by Student's t."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.1f} ± {half:.1f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for kind, name in SCENARIOS.items():
        service = load_service(load_scenario(name))
        for share in (0.05, 0.15, 0.3):
            for seed in range(options.seeds):
                train, wrong = spoilt(service.data.train, share, np.random.default_rng([seed, 7]))
                row = {"kind": kind, "wrong": share, "seed": seed, **found(service, train, wrong, seed)}
                if kind == "images":
                    row["right_labels"] = accuracy(service, service.data.train, None, seed)
                    row["wrong_labels"] = accuracy(service, train, None, seed)
                    row["clustered"] = accuracy(service, train, ClusteringConfig(), seed)
                rows.append(row)
    write_json(options.out, rows)
    print("| samples | wrong, % | found, % | right lost, % | right labels, % | wrong | clustered | gain |")
    print("|---|---|---|---|---|---|---|---|")
    for kind in SCENARIOS:
        for share in (0.05, 0.15, 0.3):
            own = [row for row in rows if row["kind"] == kind and row["wrong"] == share]
            cells = [shown([row[field] for row in own]) for field in ("found", "lost")]
            if kind == "images":
                cells += [shown([r[f] for r in own]) for f in ("right_labels", "wrong_labels", "clustered")]
                cells.append(shown([row["clustered"] - row["wrong_labels"] for row in own]))
            print(f"| {kind} | {100 * share:.0f} | " + " | ".join(cells + [""] * (6 - len(cells))) + " |")


if __name__ == "__main__":
    main()
