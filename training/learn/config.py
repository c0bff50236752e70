"""What `snakegym train` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder
from snakegym.training.options import Float, Folder, Int, at_least_one, not_negative

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
