"""What `snakegym serve` and its clients can be asked. Nothing heavy is imported here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from snakegym.errors import SnakegymError
from snakegym.training.cluster.optional import needs_cluster, needs_ray
from snakegym.training.options import Int, Text, above_zero, at_least_one, not_negative, said_default

File = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=said_default)]
FOLDER = Path("provider")
MOST_PORT = 65535
NODE = re.compile("[a-z0-9]([a-z0-9-]{0,58}[a-z0-9])?")
PROCESS = re.compile("[a-z0-9-]{1,80}")


@dataclass(frozen=True)
class Cluster:
    """A command of the cluster."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        needs_cluster()


@dataclass(frozen=True)
class ServeConfig(Cluster):
    """Be a Service Provider: HTTP API, web page, registry, processes on this machine.

    Services are registered and their processes run on nodes that are simulated here, with real training.
    Everything is kept in one folder: started again on it, the provider and its processes go on. At the first
    start a token is made there, which only you can read: the page and the other commands ask for it.
    """

    folder: Path = FOLDER
    """Data folder: registry, token, checkpoints of processes."""
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0: all of this machine's, for networks of your own, or with TLS."""
    port: int = 8080
    """Port to listen on; 0: one that is free."""
    database: Text = None
    """URL of a database as SQLAlchemy takes it, PostgreSQL's say; default: a file in the folder."""
    simulated: int = 16
    """Simulated nodes."""
    slots: int = 4
    """Processes that each of them may serve at a time."""
    ray: Text = None
    """Run on real nodes instead of simulated ones, in the Ray cluster at this address (host:port); `start`:
    in one of the provider's own, which `snakegym node` joins. Needs snakegym[ray]."""
    ray_ip: Text = None
    """Where `--ray start` listens: this machine's address in the network of the nodes; default: for nodes of
    this machine alone."""
    pace: float = 0.0
    """Seconds to take for a simulated one, to look on; 0: as fast as it goes."""
    trust: bool = False
    """Whoever has a token may name code and files of this machine, as schedulers and models of one's own."""
    certificate: File = None
    """Serve HTTPS with this certificate (PEM) ..."""
    key: File = None
    """... and this key of it."""
    rate: float = 100.0
    """Requests a second that one token may make."""

    def validate(self) -> None:
        super().validate()
        if not 0 <= self.port <= MOST_PORT:
            raise SnakegymError(f"--port: found {self.port}, expected 0 to {MOST_PORT}")
        if self.ray is not None:
            needs_ray()
        at_least_one(simulated=self.simulated, slots=self.slots)
        above_zero(rate=self.rate)
        if not 0 <= self.pace <= 3600:
            raise SnakegymError(f"--pace: found {self.pace}, expected 0 to 3600")
        if (self.certificate is None) is not (self.key is None):
            raise SnakegymError("--certificate, --key: found one of them, expected both or none")


@dataclass(frozen=True)
class ClientConfig(Cluster):
    """What all have that ask a provider."""

    provider: str = "http://127.0.0.1:8080"
    """Address of the provider."""
    token: File = None
    """File with a token; default: $SNAKEGYM_TOKEN, which is the token itself, else provider/token."""
    ca: File = None
    """Certificate (PEM) to trust, of a provider that made its own."""

    def validate(self) -> None:
        super().validate()
        if not self.provider.startswith(("http://", "https://")):
            raise SnakegymError(
                f"--provider: found {self.provider!r}, expected http://HOST:PORT or https://…"
            )


@dataclass(frozen=True, kw_only=True)
class SubmitConfig(ClientConfig):
    """Register a service, unless it is, and start a process of it.

    The file describes a service, or is a scenario, which is a service of its name then; the name of a
    scenario that ships will do, too. Prints the id of the process.
    """

    file: tyro.conf.Positional[str]
    """A .yaml or .json file, or the name of a scenario."""
    scheduler: Text = None
    """Who decides; default: as the service says (reference, if it says nothing)."""
    shadow: Text = None
    """Whose choices are noted beside."""
    seed: Int = None
    """Of network, data and initial model; default: another one for each process."""
    priority: Int = None
    """0 to 9, the highest; default: as the service says."""
    watch: bool = False
    """Look on until it is over."""

    def validate(self) -> None:
        super().validate()
        if self.seed is not None:
            not_negative(seed=self.seed)


@dataclass(frozen=True)
class ProcessesConfig(ClientConfig):
    """List the processes of a provider, the newest first."""

    service: Text = None
    """Of this service alone."""


@dataclass(frozen=True)
class NodesConfig(ClientConfig):
    """List the nodes of a provider."""


@dataclass(frozen=True, kw_only=True)
class NodeConfig(ClientConfig):
    """Be a node: offer this machine, with samples that never leave it, until Ctrl-C.

    It joins the Ray cluster of the provider (serve --ray) and trains for its processes. The folder has a file
    of samples for each dataset that processes may ask for, `digits.npz` say, with arrays `inputs` (numbers as
    the model takes them, [n, ...]) and `labels` (integers [n]).
    """

    name: str
    """Of the node: lower-case letters, digits and hyphens; no other node of the provider has it."""
    data: Path
    """Folder with its samples."""
    ip: Text = None
    """This machine's address in the network of the nodes; default: of this machine alone."""
    memory_bytes: float | None = None
    """That training may use; default: what is free now."""
    slots: int = 1
    """Processes that it serves at a time."""
    throttle: float = 1.0
    """Compute that many times slower than it could: to try things."""
    compute_power_w: float | None = None
    """Power while it computes, W, by which energy is charged; default: 10."""
    radio_power_w: float | None = None
    """Power while it sends or receives, W; default: 1."""

    def validate(self) -> None:
        super().validate()
        needs_ray()
        if not NODE.fullmatch(self.name):
            raise SnakegymError(
                f"--name: found {self.name!r:.80}, expected at most 60 lower-case letters, digits and hyphens"
            )
        at_least_one(slots=self.slots)
        if not 1 <= self.throttle <= 1000:
            raise SnakegymError(f"--throttle: found {self.throttle}, expected 1 to 1000")
        stated = ("memory_bytes", "compute_power_w", "radio_power_w")
        above_zero(**{name: v for name in stated if (v := getattr(self, name)) is not None})


@dataclass(frozen=True, kw_only=True)
class _OfOne(ClientConfig):
    process: tyro.conf.Positional[str]
    """Id of the process (`snakegym processes`)."""

    def validate(self) -> None:
        super().validate()
        if not PROCESS.fullmatch(self.process):
            raise SnakegymError(
                f"found {self.process!r:.80}, expected the id of a process (snakegym processes)"
            )


@dataclass(frozen=True, kw_only=True)
class WatchConfig(_OfOne):
    """Print what happens in a process until it is over; exits with 1 if it fails."""

    since: int = 0
    """Number of the last event that is not to be shown."""

    def validate(self) -> None:
        super().validate()
        not_negative(since=self.since)


@dataclass(frozen=True)
class StopConfig(_OfOne):
    """End a process: what it trained is kept, its nodes are free."""


@dataclass(frozen=True, kw_only=True)
class MigrateConfig(_OfOne):
    """Move the Process Controller of a process; it goes on from its checkpoint."""

    machine: Text = None
    """Where to; default: the host chooses."""


ParsedCluster = (
    Annotated[ServeConfig, tyro.conf.subcommand("serve")]
    | Annotated[NodeConfig, tyro.conf.subcommand("node")]
    | Annotated[SubmitConfig, tyro.conf.subcommand("submit")]
    | Annotated[ProcessesConfig, tyro.conf.subcommand("processes")]
    | Annotated[NodesConfig, tyro.conf.subcommand("nodes")]
    | Annotated[WatchConfig, tyro.conf.subcommand("watch")]
    | Annotated[StopConfig, tyro.conf.subcommand("stop")]
    | Annotated[MigrateConfig, tyro.conf.subcommand("migrate")]
)
CLUSTER_COMMANDS: dict[str, type[Any]] = {
    "serve": ServeConfig,
    "node": NodeConfig,
    "submit": SubmitConfig,
    "processes": ProcessesConfig,
    "nodes": NodesConfig,
    "watch": WatchConfig,
    "stop": StopConfig,
    "migrate": MigrateConfig,
}
