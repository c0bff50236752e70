"""`snakegym benchmark`: schedulers in several scenarios, on the same held-out episodes."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from snakegym import __version__
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.files import read_text
from snakegym.scenario import list_scenarios, load_scenario
from snakegym.training.analysis.groups import Runs, trainings
from snakegym.training.analysis.read import Evaluation
from snakegym.training.benchmark.config import ALL, BenchmarkConfig
from snakegym.training.benchmark.pieces import Piece, Player, Store, check_store, play_missing, portable
from snakegym.training.benchmark.results import FILES, report
from snakegym.training.benchmark.scenes import BenchmarkResult, Scene, analyse_all
from snakegym.training.benchmark.schedulers import Entrant, entrant_of, find_entrants
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.evaluate.stage import content_of, open_env, terrain_of
from snakegym.training.pool.opened import opened
from snakegym.training.pool.seam import Pool
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.conventions import REQUEST_FILES, write_request
from snakegym.training.runs.versions import code_digest

IDENTITY = "request.json"


@dataclass(frozen=True)
class Ground:
    """A scenario that is played in, and by whom."""

    config: EvaluateConfig
    env: SerpentineEnv
    entrants: Sequence[Entrant]

    @property
    def specs(self) -> tuple[str, ...]:
        """All runs of all schedulers that play here."""
        return self.config.scheduler

    @property
    def name(self) -> str:
        """Of the scenario."""
        return self.env.scenario.name

    def header(self) -> dict[str, Any]:
        """What has to agree for pieces to be of the same scenario."""
        scenario = self.env.scenario
        traces = json.dumps([entry["sha256"] for entry in self.env.service.library.manifest()])
        fitted = scenario.fitted and read_text(Path(scenario.fitted), "what was fitted to the scenario")
        return {
            "snakegym": __version__,
            "scenario": scenario.model_dump(mode="json"),
            "traces_sha256": hashlib.sha256(traces.encode()).hexdigest(),
            "fitted_sha256": hashlib.sha256(fitted.encode()).hexdigest() if fitted else None,
        }


def benchmark(config: BenchmarkConfig) -> BenchmarkResult:
    """Play what is missing, print the tables and leave the output folder.

    Raises:
        SnakegymError: bad input; then nothing was written.
        KeyboardInterrupt: with a line that says what is kept.
    """
    config.validate()
    with opened(config.ray) as pool:
        return _benchmark(config, pool)


def _benchmark(config: BenchmarkConfig, pool: Pool) -> BenchmarkResult:
    entrants, references = _entrants(config)
    grounds = _grounds(config, entrants, references)
    request = _request(config)
    runfolder.check_results(config.out, "benchmark", (IDENTITY, *REQUEST_FILES, *FILES), request)
    for ground in grounds:
        check_store(config.out, ground.name, ground.header())
    for folder in ("pieces", "latency"):
        runfolder.make_folder(config.out / folder)
    with runfolder.locked(config.out):
        runfolder.write_json(config.out / IDENTITY, {"request": request})
        write_request(config.out, config)
        stores = _play(config, grounds, pool)
        scenes = [_scene(config, ground, stores[ground.name]) for ground in grounds]
        result = analyse_all(config.out, scenes, references)
        report(config, request, scenes, result)
    print(f"written to {config.out}{os.sep}: {', '.join(n for n in FILES if (config.out / n).exists())}")
    return result


def _entrants(config: BenchmarkConfig) -> tuple[list[Entrant], tuple[str, str]]:
    """All that play, the references among them; the references' labels."""
    entrants = find_entrants(config.scheduler)
    missing = [spec for spec in (config.zero, config.one) if entrant_of(spec, entrants) is None]
    entrants = find_entrants([*config.scheduler, *missing]) if missing else entrants
    zero, one = (entrant_of(spec, entrants) for spec in (config.zero, config.one))
    if zero is None or one is None or zero is one:
        raise SnakegymError(
            f"--zero, --one: found '{config.zero}' and '{config.one}', expected two of the schedulers"
        )
    return entrants, (zero.label, one.label)


def _grounds(
    config: BenchmarkConfig, entrants: Sequence[Entrant], references: tuple[str, str]
) -> list[Ground]:
    """The scenarios, each with those who play in it; all that could be wrong with them is found out."""
    found: list[Ground] = []
    for name in list_scenarios() if config.scenario == (ALL,) else config.scenario or ("default",):
        measured = load_scenario(name).network.traces.source == "folder"
        asked = EvaluateConfig(
            (),
            config.out,
            name,
            split=config.split,
            episodes=config.episodes,
            seed=config.seed,
            traces=config.traces if measured else None,
            stochastic=config.stochastic,
        )
        try:
            env = open_env(asked)
        except SnakegymError as error:
            if config.scenario != (ALL,):
                raise
            warnings.warn(f"scenario '{name}' is left out: {error}", SnakegymWarning, stacklevel=3)
            continue
        if any(ground.name == env.scenario.name for ground in found):
            raise SnakegymError(f"--scenario: found two called '{env.scenario.name}', expected each once")
        found.append(_ground(asked, env, entrants))
    if not found:
        raise SnakegymError("--scenario: found none that can be played here, expected one at least")
    _check_places(entrants, found, references)
    return found


def _ground(asked: EvaluateConfig, env: SerpentineEnv, entrants: Sequence[Entrant]) -> Ground:
    playing = [entrant for entrant in entrants if entrant.specs(env.scenario.name)]
    specs = tuple(spec for entrant in playing for spec in entrant.specs(env.scenario.name))
    for spec in specs:
        make_scheduler(spec, env.scenario)  # raises for whatever is wrong with it
    return Ground(replace(asked, scheduler=specs), env, playing)


def _check_places(
    entrants: Sequence[Entrant], grounds: Sequence[Ground], references: tuple[str, str]
) -> None:
    """Say who cannot play where. Raises SnakegymError for one who can nowhere, or a reference somewhere."""
    for entrant in entrants:
        nowhere = [ground.name for ground in grounds if entrant not in ground.entrants]
        if not nowhere:
            continue
        trained = ", ".join(sorted({name for run in entrant.runs for name in run.scenarios}))
        if len(nowhere) == len(grounds) or entrant.label in references:
            raise SnakegymError(
                f"--scheduler: found '{entrant.label}', trained on {trained}, expected runs for "
                f"{', '.join(nowhere)}"
            )
        said = f"'{entrant.label}' was trained on {trained}: it does not play in {', '.join(nowhere)}"
        warnings.warn(said, SnakegymWarning, stacklevel=4)


def _request(config: BenchmarkConfig) -> dict[str, Any]:
    """What has to agree for a benchmark to be the same one, with more schedulers, scenarios or episodes."""
    return {
        "code_sha256": code_digest(),
        "split": config.split,
        "seed": config.seed,
        "stochastic": config.stochastic,
    }


def _play(config: BenchmarkConfig, grounds: Sequence[Ground], pool: Pool) -> Mapping[str, Store]:
    stores = {
        g.name: Store.open(
            config.out, g.name, g.header(), {s: digest for s in g.specs if (digest := content_of(s))}
        )
        for g in grounds
    }
    pieces = [Piece(g.name, s, e) for g in grounds for s in g.specs for e in range(config.episodes)]
    player = (
        portable({g.name: (g.config, g.env) for g in grounds})
        if pool.is_remote
        else Player({g.name: g.config for g in grounds})
    )
    play_missing(pool, player, pieces, stores, config.jobs)
    for ground in grounds:
        stores[ground.name].sort(ground.specs, config.episodes)
    return stores


def _scene(config: BenchmarkConfig, ground: Ground, store: Store) -> Scene:
    records = {spec: store.records(spec, config.episodes) for spec in ground.specs}
    places = {entrant.label: entrant.specs(ground.name) for entrant in ground.entrants}
    evaluation = Evaluation(
        folders=(),
        version=__version__,
        request={"split": config.split, "seed": config.seed, "episodes": config.episodes},
        scenario=ground.env.scenario.model_dump(mode="json"),
        records=records,
        trained=trainings(ground.specs),
        weights={spec: digest for spec, digest in store.contents.items()},
        terrain=terrain_of(ground.env, config.seed),
        traces=ground.env.service.library.manifest(),
        baseline=None,
    )
    return Scene(
        evaluation,
        {e.label: Runs([records[s] for s in places[e.label]], e.is_trained) for e in ground.entrants},
        places,
        {
            label: [each for spec in specs for each in store.latencies(spec, config.episodes)]
            for label, specs in places.items()
        },
    )
