"""The pieces of a benchmark, each a scheduler on an episode of a scenario: playing and keeping them."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from typing_extensions import TypedDict  # pydantic asks for it before Python 3.12

from snakegym.agents.protocol import Scheduler
from snakegym.control.records import Decision
from snakegym.control.view import ProcessView
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.training.episodes.play import EpisodeRecord
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.evaluate.stage import EPISODES_WORTH_A_WORKER, Stage, packed
from snakegym.training.pool.packing import Packer
from snakegym.training.pool.parcel import Portable
from snakegym.training.pool.seam import Pool
from snakegym.training.runs.folder import first_difference
from snakegym.training.runs.partial import PartialResults, Task, read_header
from snakegym.training.runs.progress import progress


class Piece(NamedTuple):
    """One scheduler on one episode of a scenario."""

    scenario: str
    scheduler: str
    episode: int


class Latency(TypedDict):
    """How long the decisions of an episode took, milliseconds: wall time, and what the processor worked."""

    decisions: int
    median_ms: float
    p95_ms: float
    worst_ms: float
    median_cpu_ms: float


class Stopwatch:
    """A scheduler whose decisions are timed; all else is its own."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._seconds: list[float] = []
        self._cpu_seconds: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheduler, name)

    def reset(self, seed: int) -> None:
        """The scheduler's own."""
        self._scheduler.reset(seed)

    def schedule(self, view: ProcessView) -> Decision:
        """The scheduler's own, timed."""
        begun, cpu = time.perf_counter(), time.process_time()
        decision = self._scheduler.schedule(view)
        self._cpu_seconds.append(time.process_time() - cpu)
        self._seconds.append(time.perf_counter() - begun)
        return decision

    def read(self) -> Latency:
        """Of all decisions so far."""
        ms = 1000 * np.array(self._seconds or [0.0])
        return Latency(
            decisions=len(self._seconds),
            median_ms=float(np.median(ms)),
            p95_ms=float(np.quantile(ms, 0.95)),
            worst_ms=float(ms.max()),
            median_cpu_ms=1000 * float(np.median(self._cpu_seconds or [0.0])),
        )


class Player:
    """Plays pieces of all scenarios, in whatever process it is; the stage used last is kept."""

    def __init__(self, configs: Mapping[str, EvaluateConfig]) -> None:
        self._configs = configs
        self._stage: tuple[str, Stage] | None = None

    def __reduce__(self) -> tuple[type[Player], tuple[Mapping[str, EvaluateConfig]]]:
        """Another process builds its own stages."""
        return Player, (self._configs,)

    def __call__(self, piece: Piece, *_: Any) -> tuple[EpisodeRecord, Latency]:
        """Depends on nothing that was played before, the latency apart."""
        if self._stage is None or self._stage[0] != piece.scenario:
            self._stage = piece.scenario, Stage(self._configs[piece.scenario])
        stage = self._stage[1]
        watch = Stopwatch(stage.schedulers[piece.scheduler])
        return stage.play_with(watch, piece.episode), watch.read()


def portable(grounds: Mapping[str, tuple[EvaluateConfig, SerpentineEnv]]) -> Portable:
    """A player on other machines, of which none has files of this one.

    Args:
        grounds: by scenario how it is played in, and the environment.
    """
    packer = Packer()
    schedulers: dict[str, str] = {}
    configs: dict[str, EvaluateConfig] = {}
    for name, (config, env) in grounds.items():
        places, configs[name] = packed(packer, config, env)
        schedulers |= places
    return Portable(Player, configs, packer.parcel, schedulers)


@dataclass(frozen=True)
class Store:
    """Finished pieces of a scenario on the disk, in two files: what they brought, and how long they took.

    Args:
        episodes: repeats byte for byte.
        latency: does not.
        contents: of schedulers that are files: a digest, so that others under the same name do not count.
    """

    episodes: PartialResults[EpisodeRecord]
    latency: PartialResults[Latency]
    contents: Mapping[str, str]

    @classmethod
    def open(cls, out: Path, scenario: str, header: dict[str, Any], contents: Mapping[str, str]) -> Store:
        """Of a scenario; creates its files. `check_store` says before whether they are others'."""
        paths = [out / folder / f"{scenario}.jsonl" for folder in ("pieces", "latency")]
        return cls(
            PartialResults(paths[0], header, EpisodeRecord),
            PartialResults(paths[1], header, Latency),
            contents,
        )

    def has(self, spec: str, episode: int) -> bool:
        """Whether that piece is finished."""
        task = self._task(spec, episode)
        return task in self.episodes.records and task in self.latency.records

    def add(self, piece: Piece, record: EpisodeRecord, latency: Latency) -> None:
        """Keep a finished piece."""
        task = self._task(piece.scheduler, piece.episode)
        self.latency.add(task, latency)
        self.episodes.add(task, record)

    def records(self, spec: str, episodes: int) -> list[EpisodeRecord]:
        """The first episodes of a scheduler."""
        return [self.episodes.records[self._task(spec, episode)] for episode in range(episodes)]

    def latencies(self, spec: str, episodes: int) -> list[Latency]:
        """How long its decisions took in them."""
        return [self.latency.records[self._task(spec, episode)] for episode in range(episodes)]

    def sort(self, specs: Sequence[str], episodes: int) -> None:
        """Bring both files into the order in which the schedulers were asked for."""
        tasks = [self._task(spec, episode) for spec in specs for episode in range(episodes)]
        self.episodes.sort(tasks)
        self.latency.sort(tasks)

    def _task(self, spec: str, episode: int) -> Task:
        return Task(f"{spec}@{self.contents[spec]}" if spec in self.contents else spec, episode)


def check_store(out: Path, scenario: str, header: Mapping[str, Any]) -> None:
    """Raise SnakegymError if the folder holds pieces of a scenario of that name that is another one."""
    path = out / "pieces" / f"{scenario}.jsonl"
    found = read_header(path)
    difference = None if found is None else first_difference(header, found)
    if difference:
        raise SnakegymError(f"{path}: holds pieces of another benchmark: {difference}; choose another --out")


def play_missing(
    pool: Pool,
    player: Player | Portable,
    pieces: Sequence[Piece],
    stores: Mapping[str, Store],
    jobs: int | None,
) -> None:
    """Play what the stores do not hold yet.

    Args:
        pool: where to.
        player: plays a piece.
        pieces: all that are to be there.
        stores: by scenario.
        jobs: how many at a time, as asked.

    Raises:
        SnakegymError: a process died, or a file cannot be written.
        KeyboardInterrupt: with a line that says what is kept.
    """
    missing = [p for p in pieces if not stores[p.scenario].has(p.scheduler, p.episode)]
    done = len(pieces) - len(missing)
    if done:
        print(f"going on after {done} of {len(pieces)} episodes", file=sys.stderr)
    try:
        width = pool.width(jobs, len(missing), EPISODES_WORTH_A_WORKER)
        bar = progress(len(pieces), "benchmark", "episode", initial=done)
        with bar, pool.working(player, missing, width) as played:
            for piece, (record, latency) in played:
                stores[piece.scenario].add(piece, record, latency)
                done += 1
                bar.set_postfix_str(f"{piece.scenario}, {piece.scheduler}", refresh=False)
                bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{done} of {len(pieces)} episodes are kept, the same command goes on from there"
        ) from None
