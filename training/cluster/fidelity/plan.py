"""What is measured: a scenario on generated traces, and everything that follows from its seed."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import is_privileged, make_scheduler
from snakegym.control.nodes.holdings import NodeData, node_data
from snakegym.control.service import Service, load_service
from snakegym.data.partition import spread
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.network.network import Network, draw_network
from snakegym.training.cluster.description import ServiceDescription, describe
from snakegym.training.cluster.fidelity.laboratory import MOST_NODES
from snakegym.training.cluster.fidelity.quota import parent_group
from snakegym.training.runs.seeding import derive_seed

SPLIT: Final = "test"
QUOTA: Final = "cgroup quota"
DUTY: Final = "duty cycle"
CORE_FLOPS: Final = 4e10
"""FLOP/s of a processor, about: a scenario has to say something before it is measured."""
SHARES: Final = (0.15, 0.3)
"""Of a processor: what the kinds of nodes have when all of it is free."""
SCENARIO: Final[dict[str, Any]] = {
    "name": "fidelity",
    "summary": "nodes of one machine behind shaped links",
    "data": {"dataset": "digits", "partition": "dirichlet", "alpha": 0.3},
    "model": {"name": "blocks", "options": {"width": 64, "smallest": 64, "largest": 1536, "middle": 5}},
    "learning": {"epochs": 12, "batch_size": 32, "learning_rate": 0.001, "decay": 0.95},
    "network": {
        "rtt_s": 0.0,
        "measure_window_s": 10.0,
        "traces": {
            "source": "generated",
            # Links of Mbit/s that change every second and never fail, compute that changes every two.
            "generator": {
                "links": 40,
                "computes": 40,
                "good_bps": 2.0e7,
                "fair_bps": 1.0e7,
                "poor_bps": 5.0e6,
                "uplink_ratio": 0.6,
                "outage_weight": 0.0,
                "good_s": 15.0,
                "fair_s": 10.0,
                "poor_s": 10.0,
                "day_s": 600.0,
                "compute_period_s": 3600.0,
                "compute_step_s": 2.0,
                "burst_s": 15.0,
                "burst_share": 0.7,
                "blackout": 0.0,
                "floor": 0.1,
            },
        },
        "devices": [
            {
                "name": f"{share:g} processors",
                "peak_flops": share * CORE_FLOPS,
                "memory_bytes": 1e9,
                "compute_power_w": 0.6,
                "radio_power_w": 0.5,
            }
            for share in SHARES
        ],
    },
    "process": {"wait_s": 1.0, "budget": {"time_s": 3600.0}},
    "objective": {
        "gain": 10.0,
        "time": 0.05,
        "energy": 0.03,
        "n_bytes": 0.03,
        "nominal": {"time_s": 2.0, "energy_j": 1.0, "n_bytes": 800_000},
    },
}


@dataclass(frozen=True)
class Plan:
    """What is to be measured; the same one measures on the same traces."""

    hops: int = 50
    nodes: int = 4
    mode: str = "p2p"
    seed: int = 0
    compute: str = QUOTA
    """How nodes are held back: a `QUOTA` of their processes, or a `DUTY` cycle within the training."""

    def request(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the nodes, by seat."""
        return tuple(f"node-{i}" for i in range(self.nodes))

    def service(self, scheduler: str, hops: int | None = None) -> ServiceDescription:
        """A process of so many hops, or those of the plan."""
        fields = SCENARIO | {
            "network": SCENARIO["network"] | {"nodes": self.nodes, "mode": self.mode},
            "process": SCENARIO["process"],
        }
        budget = SCENARIO["process"]["budget"] | {"hops": hops or self.hops}
        fields["process"] = fields["process"] | {"budget": budget}
        return describe(
            {
                "name": "fidelity",
                "scenario": fields,
                "scheduler": scheduler,
                "seed": self.seed,
                "split": SPLIT,
            }
        )

    def scheduler(self, name: str) -> Scheduler:
        """Of that name. Raises SnakegymError: there is none."""
        with warnings.catch_warnings():  # that a policy was trained elsewhere, and nothing is fitted to this
            warnings.simplefilter("ignore", SnakegymWarning)
            return make_scheduler(name, self.service(name).plan())

    @cached_property
    def loaded(self) -> Service:
        """The service, whoever schedules."""
        return load_service(self.service("random").plan(), SPLIT)

    @cached_property
    def indices(self) -> list[NDArray[np.int64]]:
        """Samples of each node, as indices into the training part."""
        rng = np.random.default_rng(derive_seed(self.seed, "data"))
        return spread(self.loaded.scenario.data, self.loaded.data.train, self.nodes, rng)

    @cached_property
    def data(self) -> NodeData:
        """What the nodes have."""
        return node_data(self.loaded.data.train, self.indices, len(self.loaded.data.validation))

    @cached_property
    def network(self) -> Network:
        """Devices, traces and where in them the nodes are at time 0; device speeds are the scenario's."""
        rng = np.random.default_rng(derive_seed(self.seed, "network"))
        return draw_network(self.loaded.scenario.network, self.loaded.library, rng)

    @cached_property
    def shares(self) -> list[float]:
        """Of a processor, that each node has when all of it is free."""
        return [float(peak) / CORE_FLOPS for peak in self.network.peak_flops]

    def flops(self, node: int, layer: int) -> float:
        """Of a hop's training and evaluation on that node."""
        profile, config = self.loaded.profile, self.loaded.scenario.learning
        training = (
            float(profile.training_flops(config.trains)[layer]) * config.epochs * len(self.indices[node])
        )
        evaluated = self.mode == "p2p"
        return training + evaluated * float(profile.teacher_flops(len(self.loaded.data.validation)))


def read_command(words: Sequence[str]) -> tuple[Path, tuple[str, ...], Plan]:
    """The folder, the schedulers and the plan of a command line.

    Raises:
        SnakegymError: a number is out of range, or there is no such scheduler.
    """
    parser = argparse.ArgumentParser("python -m snakegym.training.cluster.fidelity", description=__doc__)
    parser.add_argument(
        "out", type=Path, help="folder for results; taken up where it holds some of the same plan"
    )
    parser.add_argument("--hops", type=int, default=Plan.hops, help="of a process, at most")
    parser.add_argument("--nodes", type=int, default=Plan.nodes)
    parser.add_argument("--mode", choices=("p2p", "cs"), default=Plan.mode)
    parser.add_argument("--seed", type=int, default=Plan.seed, help="of traces, data and model")
    parser.add_argument(
        "--compute",
        choices=("quota", "duty"),
        help="how nodes are held back: by a quota of a cgroup, which is the default where there is one, or "
        "by sleeping after each training for as long as it would have taken",
    )
    parser.add_argument("--scheduler", action="append", metavar="NAME", help="once for each; default: three")
    found = parser.parse_args(words)
    schedulers = tuple(dict.fromkeys(found.scheduler or ("reference", "serpentine", "random")))
    for option, least, most in (("hops", 1, 10_000), ("nodes", 2, MOST_NODES), ("seed", 0, 2**31 - 1)):
        value = getattr(found, option)
        if not least <= value <= most:
            raise SnakegymError(f"--{option}: found {value}, expected {least} to {most}")
    quota = found.compute == "quota" if found.compute else parent_group() is not None
    plan = Plan(found.hops, found.nodes, found.mode, found.seed, QUOTA if quota else DUTY)
    for name in schedulers:
        if is_privileged(name):
            raise SnakegymError(
                f"--scheduler: found '{name}', which knows the future, expected one that does not"
            )
        plan.scheduler(name)
    return found.out, schedulers, plan
