"""The command line `snakegym`: train, evaluate, benchmark, explain, play, report and what else there is."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from dataclasses import dataclass, field
from io import StringIO, TextIOWrapper
from typing import Annotated, Any

import tyro

from snakegym.documents import parse_yaml
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.files import read_text, user_path
from snakegym.training.arguments import (
    SECTIONS,
    as_we_write,
    from_document,
    kinds_of,
    taken_out,
    value_of,
)
from snakegym.training.benchmark.config import BenchmarkConfig
from snakegym.training.cluster.commands.config import CLUSTER_COMMANDS, Cluster, ParsedCluster
from snakegym.training.evaluate.config import EvaluateConfig
from snakegym.training.experiment.config import ExperimentConfig
from snakegym.training.explain.config import ExplainConfig
from snakegym.training.fit.config import FitConfig
from snakegym.training.frameworks.config import CompareConfig
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.presets import in_preset, presets
from snakegym.training.learn.zoo import is_zoo, options_of
from snakegym.training.play.config import PlayConfig
from snakegym.training.repeated import refuse_repeated
from snakegym.training.report.config import ReportConfig
from snakegym.training.scenarios.config import CheckScenario, ListScenarios, ShowScenario
from snakegym.training.sweep.config import SweepConfig
from snakegym.training.traces.config import (
    ConvertTraces,
    GenerateTraces,
    InspectTraces,
    ListTraces,
    ParsedTraces,
    PlotTraces,
    Traces,
)

Command = (
    TrainConfig
    | EvaluateConfig
    | BenchmarkConfig
    | ExplainConfig
    | PlayConfig
    | ReportConfig
    | CompareConfig
    | ExperimentConfig
    | FitConfig
    | SweepConfig
    | ListScenarios
    | CheckScenario
    | ShowScenario
    | Traces
    | Cluster
)


@dataclass(frozen=True)
class AboutScenarios:
    """List the scenarios that ship with snakegym, measure one, or print one."""

    command: (
        Annotated[ListScenarios, tyro.conf.subcommand("list")]
        | Annotated[CheckScenario, tyro.conf.subcommand("check")]
        | Annotated[ShowScenario, tyro.conf.subcommand("show")]
    ) = field(default_factory=ListScenarios)


@dataclass(frozen=True)
class AboutTraces:
    """List, inspect, convert, plot and generate traces of networks and machines."""

    command: ParsedTraces


Parsed = (
    Annotated[TrainConfig, tyro.conf.subcommand("train")]
    | Annotated[EvaluateConfig, tyro.conf.subcommand("evaluate")]
    | Annotated[BenchmarkConfig, tyro.conf.subcommand("benchmark")]
    | Annotated[ExplainConfig, tyro.conf.subcommand("explain")]
    | Annotated[PlayConfig, tyro.conf.subcommand("play")]
    | Annotated[ReportConfig, tyro.conf.subcommand("report")]
    | Annotated[CompareConfig, tyro.conf.subcommand("compare")]
    | Annotated[ExperimentConfig, tyro.conf.subcommand("experiment")]
    | Annotated[FitConfig, tyro.conf.subcommand("fit")]
    | Annotated[SweepConfig, tyro.conf.subcommand("sweep")]
    | Annotated[AboutScenarios, tyro.conf.subcommand("scenarios")]
    | Annotated[AboutTraces, tyro.conf.subcommand("traces")]
    | ParsedCluster
)

COMMANDS: dict[str, type[Any]] = {
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "play": PlayConfig,
    "report": ReportConfig,
    "compare": CompareConfig,
    "benchmark": BenchmarkConfig,
    "explain": ExplainConfig,
    "experiment": ExperimentConfig,
    "fit": FitConfig,
    "sweep": SweepConfig,
    "scenarios": ListScenarios,
    "scenarios list": ListScenarios,
    "scenarios check": CheckScenario,
    "scenarios show": ShowScenario,
    "traces list": ListTraces,
    "traces inspect": InspectTraces,
    "traces convert": ConvertTraces,
    "traces plot": PlotTraces,
    "traces generate": GenerateTraces,
    **CLUSTER_COMMANDS,
}
"""Options by the words that a command is called with."""

ABOUT = """Schedule Snake Learning on mobile networks: train a policy, compare it with planners and rules.

Start with `snakegym scenarios`. Each command explains itself: `snakegym train --help`. Each takes its options
from a YAML file, too: --config FILE; those on the command line count more."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point. Exits with 2 on bad input, 1 where a scenario is not worth solving, 130 on Ctrl-C; never
    with a traceback for any of them.
    """
    _print_anything()
    try:
        with plain_warnings():
            arguments = sys.argv[1:] if argv is None else list(argv)
            command = parse(arguments)
            refuse_repeated(arguments, type(command))
            run(command)
        sys.stdout.flush()  # what cannot be printed is said here, not at the exit
    except SnakegymError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt as stop:
        reason = stop.args[0] if stop.args else "nothing was left half-written"
        print(f"\nstopped by Ctrl-C: {reason}", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `snakegym scenarios | head`
        _forget_output()
        sys.exit(141)
    except OSError as error:  # `snakegym scenarios > /dev/full`
        _forget_output()
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(2)


def _print_anything() -> None:
    """A file may be called what no encoding has letters for: such a name is printed as well as it can be."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """What is left to print goes nowhere, or the interpreter would try again at its exit."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Print our own warnings as a line for users, without the place in the code."""
    usual = warnings.formatwarning

    def plain(message: Warning | str, category: type[Warning], *place: object, **more: object) -> str:
        if issubclass(category, SnakegymWarning):
            return f"warning: {message}\n"
        return usual(message, category, *place, **more)  # type: ignore[arg-type]

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = usual


def parse(argv: Sequence[str]) -> Command:
    """The command that these arguments ask for; exits with 2 and an explanation if there is none."""
    if list(argv[:1]) == ["--version"]:
        from importlib.metadata import version

        print(f"snakegym {version('snakegym')}")
        sys.exit(0)
    file = None
    for words in (list(argv[:2]), list(argv[:1])):
        command = COMMANDS.get(" ".join(words))
        if command is not None:
            file, options = taken_out(argv[len(words) :])
            preset, options = (
                taken_out(options, "--preset", presets()) if command is TrainConfig else (None, options)
            )
            if file is not None:
                options = [*in_file(file, command, options), *options]
            if preset is not None:
                options = [*in_preset(preset, options), *options]
            argv = [*words, *as_we_write(options, command)]
            break
    with one_line(file):
        parsed = tyro.cli(
            Parsed,
            prog="snakegym",
            description=ABOUT,
            args=argv,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes),
        )
    return parsed.command if isinstance(parsed, AboutScenarios | AboutTraces) else parsed


def in_file(file: str, command: type[Any], options: Sequence[str]) -> list[str]:
    """The options in a file for `--config`, but for those given. Raises SnakegymError if it is none."""
    document = parse_yaml(read_text(user_path(file), "the options"), file) or {}
    if command is TrainConfig and is_zoo(document, {**kinds_of(command), **dict.fromkeys(SECTIONS)}):
        document = options_of(document, file, value_of(options, "scenario") or "default")
    return from_document(document, file, command, options)


@contextmanager
def one_line(file: str | None) -> Iterator[None]:
    """What the parser refuses is said in one line that names the file, if options came from one."""
    if file is None:
        yield
        return
    said = StringIO()
    try:
        with redirect_stderr(said):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        words = said.getvalue().translate(dict.fromkeys(map(ord, "│╭╮╰╯─"), " ")).split()
        raise SnakegymError(f"{file}: {' '.join(words)[:300]}") from None


def run(command: Command) -> None:
    """Carry out a command; raises SnakegymError for impossible values.

    Heavy imports happen here, so that `--help` stays quick.
    """
    if not isinstance(command, ListScenarios | ShowScenario):
        command.validate()
    match command:
        case TrainConfig():
            from snakegym.training.learn.train import train

            train(command)
        case EvaluateConfig():
            from snakegym.training.evaluate.evaluate import evaluate

            evaluate(command)
        case BenchmarkConfig():
            from snakegym.training.benchmark.benchmark import benchmark

            benchmark(command)
        case ExplainConfig():
            from snakegym.training.explain.command import explain

            explain(command)
        case PlayConfig():
            from snakegym.training.play.command import play

            play(command)
        case ReportConfig():
            from snakegym.training.report.page import report

            report(command)
        case CompareConfig():
            from snakegym.training.frameworks.compare import compare

            compare(command)
        case ExperimentConfig():
            from snakegym.training.experiment.interruption import experiment

            experiment(command)
        case FitConfig():
            from snakegym.training.fit.command import fit

            fit(command)
        case SweepConfig():
            from snakegym.training.sweep.command import sweep

            sweep(command)
        case CheckScenario():
            from snakegym.training.scenarios.check import check

            if not all(result.good for result in check(command)):
                sys.exit(1)
        case ListScenarios():
            from snakegym.training.scenarios.listing import list_all

            list_all()
        case ShowScenario():
            from snakegym.training.scenarios.listing import show

            show(command.name)
        case Cluster():
            from snakegym.training.cluster.commands.run import run as run_cluster

            run_cluster(command)
        case Traces():
            from snakegym.training.traces import command as traces

            traces.run(command)


if __name__ == "__main__":
    main()
