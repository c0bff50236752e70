"""`snakegym experiment interruption`: what interruptions of one layer cost in accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.ticker import PercentFormatter

from snakegym import __version__
from snakegym.agents.registry import make_scheduler
from snakegym.control.execution.executor import Executor
from snakegym.control.execution.interrupting import InterruptingExecutor
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, load_scenario
from snakegym.training.analysis.intervals import Estimate, ratio_of_means
from snakegym.training.episodes.play import accuracy_on_test, episode_seed
from snakegym.training.experiment.config import ExperimentConfig
from snakegym.training.runs.conventions import REQUEST_FILES, write_request
from snakegym.training.runs.folder import check_results, locked, make_folder, write_json
from snakegym.training.runs.manifest import MANIFEST, write_manifest
from snakegym.training.runs.partial import PartialResults, Task
from snakegym.training.runs.progress import progress
from snakegym.training.show.figures import PALETTE, new_figure, save
from snakegym.training.show.tables import console, plain_table

DATA = {"iid": "IID", "dirichlet": "Dirichlet"}
NORMAL = "normal"
SHARES = {"interrupted half-way": 0.5, "interrupted at once": 0.0}
"""Name to share of the layer's local training that is done by then; the paper does not state it."""
FILES = ("interruption.json", "interruption.png", MANIFEST, *REQUEST_FILES)
PARTIAL = "partial.jsonl"
NO_LIMIT_S = 1e9


@dataclass(frozen=True)
class Run:
    """One process: test accuracy at its end, validation accuracy at the start and after each cycle."""

    test: float
    validation: tuple[float, ...]


Interruption = tuple[int, float, float]
"""Middle layer, share of its training that is done by then, and seconds until it is given up."""
Runs = dict[str, list[Run]]
"""Way of training to its runs, in the order of seeds."""


@dataclass(frozen=True)
class ExperimentResult:
    """What came out of an experiment."""

    folder: Path
    """Where its files lie."""
    runs: Mapping[str, Runs]
    """By data (DATA), then by way of training."""
    kept: Mapping[str, Mapping[str, Estimate]]
    """By data, then by way of training: its accuracy as a share of undisturbed training's."""


def experiment(config: ExperimentConfig) -> ExperimentResult:
    """Run, print the table and leave the output folder.

    Raises:
        SnakegymError: bad option, or a folder with other things in it.
        KeyboardInterrupt: with a line that says what is kept.
    """
    config.validate()
    request = {k: v for k, v in asdict(config).items() if k != "out"}
    check_results(config.out, "experiment", (*FILES, PARTIAL), request)
    torch.set_num_threads(1)
    envs = {(d, t): _env(d) for d in DATA for t in (NORMAL, *SHARES)}
    n_middle = envs["iid", NORMAL].service.profile.n_middle
    if config.layer >= n_middle:
        raise SnakegymError(f"--layer: found {config.layer}, expected a middle layer in [0, {n_middle})")
    make_folder(config.out)
    with locked(config.out):
        write_manifest(config.out, envs["iid", NORMAL])
        write_request(config.out, config)
        results = _train_all(config, envs)
        _write(config, request, results)
        (config.out / PARTIAL).unlink(missing_ok=True)
    _print(config, results)
    return ExperimentResult(config.out, results, {data: _kept(runs) for data, runs in results.items()})


def _train_all(config: ExperimentConfig, envs: Mapping[tuple[str, str], SerpentineEnv]) -> dict[str, Runs]:
    """The runs of all seeds; those that an interrupted command has finished are taken over."""
    scenarios = [env.scenario.model_dump(mode="json") for env in envs.values()]
    header = {
        "snakegym": __version__,
        "seed": config.seed,
        "cycles": config.cycles,
        "layer": config.layer,
        "scenarios": scenarios,
    }
    partial = PartialResults(config.out / PARTIAL, header, Run)
    tasks = [(d, t, i) for d, t in envs for i in range(config.seeds)]
    results: dict[str, Runs] = {data: {t: [] for t in (NORMAL, *SHARES)} for data in DATA}
    try:
        with progress(len(tasks), "interruption", "run") as bar:
            for data, training, i in tasks:
                task = Task(f"{data}, {training}", i)
                if task not in partial.records:
                    env, seed = envs[data, training], episode_seed(config.seed, i)
                    run = train(env, config.cycles, seed, _interruption(config, env, training))
                    partial.add(task, run)
                results[data][training].append(partial.records[task])
                bar.update()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{len(partial.records)} of {len(tasks)} runs are kept in {config.out}, the same command goes on "
            "from there"
        ) from None
    return results


def train(env: SerpentineEnv, cycles: int, seed: int, interruption: Interruption | None) -> Run:
    """Round robin over nodes and layers until so many cycles are complete."""
    scheduler = make_scheduler("serpentine", env.scenario)
    scheduler.reset(seed)
    env.reset(seed=seed)
    executor: Executor = env.executor
    if interruption is not None:
        executor = InterruptingExecutor(executor, *interruption)
    validation = [env.controller.metric]
    while len(validation) <= cycles:
        view = env.view()
        job = env.begin(env.codec.encode(scheduler.schedule(view), view))
        env.finish(None if job is None else executor.submit(job).result())
        if env.controller.cycle.index == len(validation):
            validation.append(env.controller.metric)
    return Run(accuracy_on_test(env), tuple(validation))


def _env(data: str) -> SerpentineEnv:
    settings = load_scenario("default").model_dump()
    settings["data"]["partition"] = data
    settings["process"].update(budget={"time_s": NO_LIMIT_S}, layer_order="serpentine", evaluation="observer")
    return SerpentineEnv(Scenario.model_validate(settings))


def _interruption(config: ExperimentConfig, env: SerpentineEnv, training: str) -> Interruption | None:
    """What becomes of the layer's training: the PC waits for as long as for any node that is out."""
    if training == NORMAL:
        return None
    return config.layer, SHARES[training], env.scenario.network.timeout_s


def _kept(runs: Runs) -> dict[str, Estimate]:
    """Accuracy with interruptions as a share of that without; the same seeds, so they are pairs."""
    normal = [run.test for run in runs[NORMAL]]
    return {name: ratio_of_means([run.test for run in runs[name]], normal) for name in SHARES}


def _write(config: ExperimentConfig, request: Mapping[str, Any], results: Mapping[str, Runs]) -> None:
    document: dict[str, Any] = {
        "request": request,
        "shares": SHARES,
        "kept": {data: {k: asdict(v) for k, v in _kept(runs).items()} for data, runs in results.items()},
        "runs": {
            data: {k: [asdict(r) for r in v] for k, v in runs.items()} for data, runs in results.items()
        },
    }
    write_json(config.out / FILES[0], document)
    _draw(results, config.out / FILES[1])


def _draw(results: Mapping[str, Runs], path: Path) -> None:
    figure, axes = new_figure(len(results))
    for ax, (data, runs) in zip(axes, results.items(), strict=True):
        for colour, (name, of_seeds) in zip(PALETTE, runs.items(), strict=False):
            curves = np.array([run.validation for run in of_seeds])
            cycles = np.arange(curves.shape[1])
            ax.plot(cycles, curves.mean(axis=0), color=colour, label=name)
            ax.fill_between(cycles, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.12, lw=0)
        ax.set(title=DATA[data], xlabel="Cycles", ylabel="Validation accuracy")
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes[-1].legend(loc="lower right", frameon=False, fontsize=8)
    figure.supxlabel("lines: mean over seeds; bands: lowest to highest", fontsize=8)
    save(figure, path)


def _print(config: ExperimentConfig, results: Mapping[str, Runs]) -> None:
    table = plain_table(
        f"Middle layer {config.layer} interrupted in each of {config.cycles} cycles, {config.seeds} seeds"
    )
    for title in ("Data", "Training", "Test accuracy", "Kept", "95 % interval"):
        table.add_column(title, justify="left" if title in ("Data", "Training") else "right")
    for data, runs in results.items():
        shares = _kept(runs)
        for name, of_seeds in runs.items():
            accuracy = f"{np.mean([run.test for run in of_seeds]):.1%}"
            kept = shares.get(name)
            cells = ("", "") if kept is None else (f"{kept.value:.1%}", f"{kept.low:.1%} to {kept.high:.1%}")
            table.add_row(DATA[data], name, accuracy, *cells)
    out = console()
    out.print(table)
    out.print(
        "[dim]kept: accuracy as a share of normal training's, interval by Student's t over pairs of a "
        "seed; "
        "the paper reports 98.8 % (IID) and 97.8 % (Non-IID) for VGG-11 on CIFAR-10[/dim]"
    )
    out.print(f"written to {config.out}: {', '.join(FILES)}")
