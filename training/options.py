"""What can be asked of the command line: one documented dataclass a command.

tyro makes the command line from these classes; the docstrings are its help. Nothing heavy is
imported here, so `--help` answers at once. Values are checked by `validate`, not on construction:
tyro would turn such an error into a box of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder, Split

Int = Annotated[int | None, tyro.conf.arg(metavar="INT")]
Float = Annotated[float | None, tyro.conf.arg(metavar="FLOAT")]
Folder = Annotated[str | None, tyro.conf.arg(metavar="FOLDER")]
Algorithm = Literal["maskable-ppo", "ppo"]
WandbMode = Literal["auto", "online", "offline", "disabled"]


@dataclass(frozen=True)
class Hyperparameters:
    """Settings of PPO; whatever is left out keeps the algorithm's default for this package."""

    learning_rate: Float = None
    """Step size of the policy's optimiser."""
    n_steps: Int = None
    """Environment steps of one rollout, over all environments together."""
    batch_size: Int = None
    """Minibatch of one gradient step."""
    n_epochs: Int = None
    """Passes over each rollout."""
    gamma: Float = None
    """Discount of later rewards."""
    gae_lambda: Float = None
    """Bias-variance trade-off of the advantages."""
    ent_coef: Float = None
    """Weight of the entropy bonus: more explores longer."""
    clip_range: Float = None
    """How far one update may move the policy."""
    policy: Literal["pairwise", "mlp"] | None = None
    """Network: pairwise (shares its weights over nodes and layers) or mlp (a plain perceptron)."""

    def given(self) -> dict[str, Any]:
        """The settings that were set."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}


@dataclass(frozen=True)
class TrainConfig:
    """Train a scheduler by reinforcement learning.

    Leaves in the run folder: config.json, traces.json (what was used), checkpoints/latest.zip,
    best.zip (best on validation traces), progress.csv, learning_curve.png and wandb/.
    `snakegym evaluate --scheduler FOLDER` uses the best one.
    """

    out: Path
    """Run folder; new or empty, unless --resume."""
    algo: Algorithm = "maskable-ppo"
    """maskable-ppo never proposes an illegal hop; ppo has to learn that."""
    scenario: str = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file."""
    timesteps: int = 20_000
    """Environment steps to train; rounded up to whole rollouts."""
    seed: int = 0
    """Seeds everything."""
    resume: bool = False
    """Go on with the run in --out from its last checkpoint; --timesteps may be raised."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    layer_order: LayerOrder | None = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""
    n_envs: int = 1
    """Environments played at a time, in this process; the networks of several are trained together."""
    eval_every: int = 2_000
    """Steps between two evaluations on validation traces."""
    eval_episodes: int = 8
    """Episodes of one such evaluation, always the same ones."""
    checkpoint_every: int = 1_000
    """Steps between two checkpoints: what a kill may cost at most (rounded up to whole rollouts)."""
    wandb: WandbMode = "auto"
    """Weights & Biases; auto: as WANDB_MODE says, else online if you are logged in, else offline."""
    ppo: Annotated[Hyperparameters, tyro.conf.arg(name="")] = field(default_factory=Hyperparameters)
    """Hyperparameters."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(
            timesteps=self.timesteps,
            n_envs=self.n_envs,
            eval_every=self.eval_every,
            eval_episodes=self.eval_episodes,
            checkpoint_every=self.checkpoint_every,
        )
        not_negative(seed=self.seed)
        given = self.ppo.given()
        for name in ("gamma", "gae_lambda"):
            if not 0 <= given.get(name, 0) <= 1:
                raise SnakegymError(f"--{name.replace('_', '-')}: found {given[name]}, expected 0 to 1")
        at_least_one(**{name: given[name] for name in ("n_steps", "batch_size", "n_epochs") if name in given})
        not_negative(
            **{name: given[name] for name in ("learning_rate", "ent_coef", "clip_range") if name in given}
        )


@dataclass(frozen=True)
class EvaluateConfig:
    """Compare schedulers on the same episodes.

    Every scheduler meets the same traces, data and initial models. Leaves evaluation.json (the
    same bytes whenever it is repeated), evaluation.csv and pictures in the output folder.
    An evaluation that was interrupted goes on where it stopped when the command is repeated.
    """

    scheduler: tyro.conf.UseAppendAction[tuple[str, ...]]
    """A registered scheduler or the folder of a training run; repeat it to compare several.
    Runs that differ in the seed alone count as one scheduler with several training seeds."""
    out: Path
    """Output folder; new, empty, or of the same evaluation."""
    scenario: str = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file."""
    split: Split = "test"
    """Which traces: train, validation or test."""
    episodes: int = 20
    """Episodes for each scheduler."""
    seed: int = 0
    """Seeds the episodes: episode i is the same for every scheduler."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    layer_order: LayerOrder | None = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""
    jobs: Int = None
    """Processes that play episodes; results do not depend on it. Default: one for 2 cores, at most 4."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes, jobs=1 if self.jobs is None else self.jobs)
        not_negative(seed=self.seed)
        if not self.scheduler:
            raise SnakegymError("--scheduler: found none, expected one at least")
        twice = sorted({s for s in self.scheduler if self.scheduler.count(s) > 1})
        if twice:
            raise SnakegymError(f"--scheduler: found {', '.join(twice)} twice, expected each once")


@dataclass(frozen=True)
class ListScenarios:
    """List the scenarios that ship with snakegym; `check` measures one, `show` prints one.

    `snakegym scenarios check NAME` measures whether a scenario is worth solving,
    `snakegym scenarios show NAME` prints all its settings. Both take a .yaml file as well.
    """


@dataclass(frozen=True)
class CheckScenario:
    """Measure whether a scenario is worth solving.

    Plays fixed rules, tries many hops from the same states, and compares with what the scenario
    file says about itself.
    """

    name: tyro.conf.Positional[str] = "default"
    """Name of a scenario, or a .yaml file."""
    episodes: int = 10
    """Episodes for each rule."""
    seed: int = 0
    """Seeds the episodes."""
    split: Split = "train"
    """Which traces."""

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        at_least_one(episodes=self.episodes)
        not_negative(seed=self.seed)


@dataclass(frozen=True)
class ShowScenario:
    """Print all settings of a scenario as YAML, defaults filled in: a start for your own."""

    name: tyro.conf.Positional[str] = "default"
    """Name of a scenario, or a .yaml file."""


def at_least_one(**counts: float) -> None:
    """Raise SnakegymError for the first of these options that is below 1."""
    for name, value in counts.items():
        if value < 1:
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected 1 or more")


def above_zero(**numbers: float) -> None:
    """Raise SnakegymError for the first of these options that is not a finite number above 0."""
    for name, value in numbers.items():
        if not 0 < value < math.inf:
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected a number above 0")


def not_negative(**numbers: float) -> None:
    """Raise SnakegymError for the first of these options that is below 0."""
    for name, value in numbers.items():
        if not value >= 0:
            raise SnakegymError(f"--{name.replace('_', '-')}: found {value}, expected 0 or more")
