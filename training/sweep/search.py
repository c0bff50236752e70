"""How settings are chosen and trials stopped, by Optuna: the one place that imports it.

What is known of the trials lies in the sweep's folder; a study is made of it anew for each question, so there
is no other storage that a kill could leave behind.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from snakegym.errors import SnakegymError
from snakegym.training.runs.seeding import derive_seed
from snakegym.training.sweep.parameters import Parameter
from snakegym.training.sweep.sweepfile import Stopping, Sweep

if TYPE_CHECKING:
    import optuna

FEWEST_FOR_IMPORTANCE = 4
"""Finished trials."""


@dataclass(frozen=True)
class Seen:
    """What is known of a trial."""

    variables: Mapping[str, float]
    values: Sequence[float] = ()
    """Logged so far."""
    value: float | None = None
    """At its end; None: it runs, or failed."""
    over: bool = False


def check_installed() -> None:
    """Raise SnakegymError if Optuna is not there."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise SnakegymError(
            "a sweep by method random or bayes, or with early_terminate, needs Optuna: "
            "pip install 'snakegym[sweep]' adds it"
        ) from None


def choose(sweep: Sweep, number: int, seed: int, seen: Sequence[Seen]) -> dict[str, float]:
    """The variables of a trial.

    Args:
        sweep: what is searched.
        number: of the trial, from 0.
        seed: of the sweep.
        seen: all trials before.
    """
    if sweep.method == "grid":
        return sweep.point(number)
    with _quiet():
        import optuna

        trial_seed = derive_seed(seed, "trial", number)
        sampler = (
            optuna.samplers.RandomSampler(seed=trial_seed)
            if sweep.method == "random"
            # Trials under way count as bad ones, so that the next does not repeat them.
            else optuna.samplers.TPESampler(seed=trial_seed, constant_liar=True)
        )
        study = _study(sweep, seen, sampler)
        trial = study.ask(_distributions(sweep.parameters))
        found = {name: float(value) for name, value in trial.params.items()}
    return {p.name: found.get(p.name, 0.0) for p in sweep.parameters}


def to_be_stopped(stopping: Stopping, maximize: bool, own: Sequence[float], others: Sequence[Seen]) -> bool:
    """Whether a trial is to be stopped after its last value, by asynchronous successive halving.

    Args:
        stopping: when and how strictly.
        maximize: whether more is better.
        own: values it has logged.
        others: all other trials, those under way as well.
    """
    with _quiet():
        import optuna

        pruner = optuna.pruners.SuccessiveHalvingPruner(
            min_resource=stopping.min_iter, reduction_factor=stopping.eta, min_early_stopping_rate=0
        )
        study = optuna.create_study(direction="maximize" if maximize else "minimize", pruner=pruner)
        stop = False
        for values in [*(other.values for other in others), own]:
            trial = study.ask()
            for step, value in enumerate(values, 1):
                trial.report(value, step)
                stop = trial.should_prune()
    return bool(stop) if own else False


def importances(sweep: Sweep, seen: Sequence[Seen], seed: int) -> dict[str, float]:
    """How much of the variance of the result each parameter accounts for, by fANOVA, the largest first.

    Nothing if there are too few trials, or they all came out the same.
    """
    done = [s for s in seen if s.value is not None]
    varied = [p for p in sweep.parameters if len({s.variables[p.name] for s in done}) > 1]
    if len(done) < FEWEST_FOR_IMPORTANCE or not varied or len({s.value for s in done}) < 2:
        return {}
    with _quiet():
        import optuna

        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=derive_seed(seed, "importance"))
        study = _study(sweep, done, optuna.samplers.RandomSampler(seed=0))
        found = optuna.importance.get_param_importances(
            study, evaluator=evaluator, params=[p.name for p in varied]
        )
    return {name: float(share) for name, share in found.items() if math.isfinite(share)}


def _study(sweep: Sweep, seen: Sequence[Seen], sampler: Any) -> optuna.Study:
    import optuna

    study = optuna.create_study(direction="maximize" if sweep.maximize else "minimize", sampler=sampler)
    distributions = _distributions(sweep.parameters)
    states = optuna.trial.TrialState
    for s in seen:
        state = states.COMPLETE if s.value is not None else states.FAIL if s.over else states.RUNNING
        params = {name: _as_searched(s.variables[name], d) for name, d in distributions.items()}
        study.add_trial(
            optuna.trial.create_trial(state=state, value=s.value, params=params, distributions=distributions)
        )
    return study


def _as_searched(variable: float, distribution: Any) -> float | int:
    import optuna

    return variable if isinstance(distribution, optuna.distributions.FloatDistribution) else int(variable)


def _distributions(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Of the parameters that are searched."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, Any] = {}
    for p in parameters:
        if p.kind == "choice":
            found[p.name] = CategoricalDistribution(list(range(len(p.choices))))
        elif p.kind == "integer":
            found[p.name] = IntDistribution(int(p.low), int(p.high))
        elif p.kind != "constant":
            found[p.name] = FloatDistribution(p.low, p.high, log=p.kind == "logarithmic")
    return found


@contextmanager
def _quiet() -> Iterator[None]:
    import optuna

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
