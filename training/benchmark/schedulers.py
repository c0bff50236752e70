"""Who takes part in a benchmark: from what was typed to one scheduler or several training runs of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from snakegym.agents.registry import is_privileged, list_schedulers
from snakegym.agents.trained.config import read_config, scenarios_of
from snakegym.errors import SnakegymError
from snakegym.files import is_folder
from snakegym.training.analysis.groups import MARK, config_of, digest_of_settings, pattern_of

OF_THE_SCENARIO = ("scenario", "sizes", "traces")
"""Fields of a run's config.json that follow from what it was trained on."""


@dataclass(frozen=True)
class Run:
    """A training run, or a scheduler that is not trained."""

    spec: str
    scenarios: tuple[str, ...] = ()
    """Names of those it was trained on."""
    anywhere: bool = True
    """Whether it plays in others as well: not trained, or on several and with weights for any size."""
    seed: int | None = None
    """Of the training."""
    settings: str = ""
    """What the training has in common with those that differ in nothing but seed and scenario."""


@dataclass(frozen=True)
class Entrant:
    """One scheduler, with all its training runs."""

    label: str
    runs: Sequence[Run]

    @property
    def is_trained(self) -> bool:
        """Whether its runs are values of several that there could be."""
        return any(run.seed is not None for run in self.runs)

    def specs(self, scenario: str) -> list[str]:
        """Those of its runs that play in a scenario."""
        return [run.spec for run in self.runs if run.anywhere or scenario in run.scenarios]


def find_entrants(asked: Sequence[str]) -> list[Entrant]:
    """The schedulers that were asked for, in that order.

    Args:
        asked: each a spec as `make_scheduler` takes it, a pattern of run folders, or NAME=SPEC,SPEC.

    Raises:
        SnakegymError: a pattern that no folder matches, a folder that is no run, two runs of one scheduler
            with the same seed and scenario, a name or a run that is there twice.
    """
    found: list[Entrant] = []
    alike: dict[str, list[Run]] = {}
    for text in asked:
        name, specs = _named(text)
        runs = [_run(spec) for spec in specs]
        if name is not None:
            found.append(Entrant(name + MARK * any(is_privileged(s) for s in specs), runs))
            continue
        for run in runs:
            together = alike.setdefault(run.settings or run.spec, [])
            if not together:
                found.append(Entrant("", together))
            together.append(run)
    entrants = [Entrant(e.label or pattern_of([r.spec for r in e.runs]), tuple(e.runs)) for e in found]
    _check(entrants)
    return entrants


def entrant_of(spec: str, entrants: Sequence[Entrant]) -> Entrant | None:
    """The one that was asked for by this word."""
    name, specs = _named(spec)
    for entrant in entrants:
        runs = [run.spec for run in entrant.runs]
        if entrant.label.removesuffix(MARK) == (name or spec) or (name is None and runs == specs):
            return entrant
    return None


def _named(text: str) -> tuple[str | None, list[str]]:
    """Name, if one was given, and specs."""
    name, equals, rest = text.partition("=")
    if not equals or _is_one(text):
        return None, _filled_in(text)
    if not name.strip() or not all(part.strip() for part in rest.split(",")):
        raise SnakegymError(f"--scheduler: found '{text}', expected NAME=SPEC or NAME=SPEC,SPEC")
    return name.strip(), [spec for part in rest.split(",") for spec in _filled_in(part.strip())]


def _is_one(text: str) -> bool:
    return text in list_schedulers() or is_folder(Path(text))


def _filled_in(spec: str) -> list[str]:
    """A pattern of folders as what it matches, anything else as it is."""
    if not any(sign in spec for sign in "*?[") or _is_one(spec):
        return [spec]
    found = sorted(path for path in glob(spec) if is_folder(Path(path)))
    if not found:
        raise SnakegymError(
            f"--scheduler: found no folder that matches '{spec}', expected those of training runs"
        )
    return found


def _run(spec: str) -> Run:
    if spec in list_schedulers() or not is_folder(Path(spec)):
        return Run(spec)
    config = read_config(Path(spec))
    settings = digest_of_settings(config_of(spec), but=OF_THE_SCENARIO)
    scenarios = tuple(str(scenario.get("name")) for scenario in scenarios_of(config))
    anywhere = len(scenarios) > 1 and config.ppo.policy == "pairwise"
    return Run(spec, scenarios, anywhere, config.seed, settings)


def _check(entrants: Sequence[Entrant]) -> None:
    labels = [entrant.label for entrant in entrants]
    specs = [run.spec for entrant in entrants for run in entrant.runs]
    for what, names in (("schedulers called", labels), ("schedulers", specs)):
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SnakegymError(f"--scheduler: found two {what} '{twice[0]}', expected each once")
    for entrant in (entrant for entrant in entrants if len(entrant.runs) > 1):
        _check_together(entrant)


def _check_together(entrant: Entrant) -> None:
    """Whether several runs can be training seeds of one scheduler."""
    seen: dict[tuple[str, int | None], str] = {}
    for run in entrant.runs:
        if not run.scenarios:
            raise SnakegymError(
                f"--scheduler: found '{run.spec}' and others in '{entrant.label}', expected folders of "
                "training runs where there are several"
            )
        for scenario in run.scenarios:
            other = seen.setdefault((scenario, run.seed), run.spec)
            if other != run.spec:
                raise SnakegymError(
                    f"--scheduler: found {other} and {run.spec} in '{entrant.label}', trained on {scenario} "
                    f"with one seed ({run.seed}), expected runs that differ in one of them, or NAME=SPEC for "
                    "each"
                )
