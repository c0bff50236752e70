"""`snakegym fit`: record hops on training traces, fit a model of their gains, say how good it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from snakegym import __version__
from snakegym.agents.planning.fitted.features import FEATURES
from snakegym.agents.planning.fitted.files import (
    VERSION,
    Fitted,
    FittedOn,
    GainSection,
    HeldOut,
    fingerprint,
    shipped,
    shipped_path,
)
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.control.view import Floats
from snakegym.envs.vector import make_members
from snakegym.errors import SnakegymError
from snakegym.files import user_path
from snakegym.scenario import Scenario, fitted_beside, list_scenarios, load_scenario
from snakegym.training.fit.config import FitConfig
from snakegym.training.fit.errors import Comparison, held_out
from snakegym.training.fit.network import fit_network, whole_hops
from snakegym.training.fit.rates import fit_forecasts
from snakegym.training.fit.record import TOGETHER, Recording, record
from snakegym.training.runs.folder import locked, make_folder, write_text
from snakegym.training.runs.manifest import scenario_of
from snakegym.training.show.figures import PALETTE, new_figure, save
from snakegym.training.show.tables import console, plain_table

ALL = "all"


def fit(config: FitConfig) -> dict[str, Fitted]:
    """Fit, print, and write; what was fitted, by the scenario's name.

    Raises:
        SnakegymError: bad option, unknown scenario, or a file that cannot be written.
        KeyboardInterrupt: with a line that says what is kept.
    """
    config.validate()
    torch.set_num_threads(1)
    if config.name != ALL:
        scenario = scenario_of(config.name, config.skip_bad_traces, config.trace_format)
        return {scenario.name: _fit_one(config, scenario, _place(config))}
    found = {}
    for name in list_scenarios():
        if shipped(load_scenario(name)) is not None and not config.again:
            print(f"{name}: has its file already (--again fits it once more)")
            continue
        scenario = scenario_of(name, config.skip_bad_traces, config.trace_format)
        try:
            found[name] = _fit_one(config, scenario, shipped_path(name))
        except SnakegymError as error:  # its samples or traces are not here
            print(f"{name}: left out: {error}")
    return found


def _place(config: FitConfig) -> Path:
    """Where the file goes."""
    if config.out is not None:
        return user_path(config.out)
    return (
        shipped_path(config.name)
        if config.name in list_scenarios()
        else fitted_beside(user_path(config.name))
    )


def _fit_one(config: FitConfig, scenario: Scenario, out: Path) -> Fitted:
    members = make_members(
        min(TOGETHER, config.episodes), scenario=scenario, split="train", traces=config.traces
    )
    n_middle = members[0].codec.n_middle
    make_folder(out.parent)
    partial = out.with_name(f".{out.name}.recorded")
    with locked(out.parent):
        recordings = record(
            members,
            config.episodes,
            config.seed,
            partial,
            lambda known: fit_network(known, n_middle, config.seed),
        )
        errors, compared = held_out(recordings, n_middle, config.seed)
        model = fit_network(recordings, n_middle, config.seed)
        gain = _section(scenario, model, errors, recordings, config.seed)
        rates = fit_forecasts(scenario, members[0].service.library)
        fitted = Fitted(
            version=VERSION, scenario=scenario.name, gain=gain, forecasts=rates.model_dump(mode="json")
        )
        _print(scenario, errors)
        if config.picture is not None:
            _draw(scenario, compared, user_path(config.picture))
        write_text(out, fitted.model_dump_json() + "\n")
        partial.unlink(missing_ok=True)
    print(f"written to {out}")
    return fitted


def _section(
    scenario: Scenario, model: FittedGain, errors: HeldOut, recordings: Sequence[Recording], seed: int
) -> GainSection:
    on = FittedOn(
        split="train",
        episodes=len(recordings),
        hops=len(whole_hops(recordings)),
        seed=seed,
        snakegym=__version__,
    )
    first, second, last = (_rounded(w) for w in model.weights)
    return GainSection(
        fingerprint=fingerprint(scenario),
        features=FEATURES,
        mean=_row(model.mean),
        scale=_row(model.scale),
        weights=(first, second, last),
        biases=(_row(model.biases[0]), _row(model.biases[1]), _row(model.biases[2])),
        lowest=_short(model.lowest),
        highest=_short(model.highest),
        ceiling=model.ceiling,
        held_out=errors,
        fitted_on=on,
    )


def _short(value: float) -> float:
    """Five digits: the file stays small, and no decision depends on the others."""
    return float(f"{value:.5g}")


def _row(values: Floats) -> tuple[float, ...]:
    return tuple(_short(v) for v in values.tolist())


def _rounded(matrix: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(_row(row) for row in matrix)


def _print(scenario: Scenario, errors: HeldOut) -> None:
    table = plain_table(
        f"Gains of hops in '{scenario.name}', foreseen in {errors.episodes} episodes that were held out"
    )
    for title, justify in (
        ("Of", "left"),
        ("By", "left"),
        ("R2", "right"),
        ("MAE", "right"),
        ("Bias", "right"),
    ):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    table.add_row("one hop", "general formula", f"{errors.formula:.2f}", "", "")
    table.add_row("one hop", "fitted, without the layer", f"{errors.nodes_alone:.2f}", "", "")
    for ahead in errors.ahead:
        of = "one hop" if ahead.hops == 1 else f"{ahead.hops} hops in a row"
        table.add_row(of, "fitted", f"{ahead.r2:.2f}", f"{ahead.mae:.4f}", f"{ahead.bias:+.4f}")
    table.add_row(
        "hops of its own choice",
        f"a model that saw none of these {errors.chosen}",
        "",
        "",
        f"{errors.optimism:+.4f}",
    )
    out = console()
    out.print(table)
    out.print(
        f"[dim]{errors.hops} hops, standard deviation of a gain {errors.sd:.4f}; R2: share of the variance "
        "that is explained; MAE, bias: in accuracy; several in a row: the model goes on from what it "
        "expected; hops of its own choice promised too much, which planners take off[/dim]\n"
    )


def _draw(scenario: Scenario, compared: Mapping[int, Comparison], path: Path) -> None:
    """Expected and measured, of one hop and of the most in a row."""
    shown = [c for c in (compared[min(compared)], compared[max(compared)]) if len(c.measured)]
    figure, axes = new_figure(max(1, len(shown)))
    for ax, comparison in zip(axes, shown, strict=False):
        both = np.concatenate([comparison.expected, comparison.measured])
        ax.plot([both.min(), both.max()], [both.min(), both.max()], color=PALETTE[7], lw=0.8)
        ax.scatter(comparison.expected, comparison.measured, s=4, alpha=0.3, lw=0, color=PALETTE[0])
        of = "one hop" if comparison.hops == 1 else f"{comparison.hops} hops in a row"
        title = f"{scenario.name}: {of}, R2 {comparison.summary().r2:.2f}"
        ax.set(title=title, xlabel="Expected gain in accuracy", ylabel="Measured")
    make_folder(path.parent)
    save(figure, path)
