"""What `snakegym train` can be asked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from snakegym.agents.hyperparameters import Hyperparameters, check
from snakegym.errors import SnakegymError
from snakegym.scenario import LayerOrder
from snakegym.training.learn.imitation.config import Imitation
from snakegym.training.options import Folder, Text, at_least_one, not_negative, said_default
from snakegym.training.tracking.options import Labels, WandbMode, tracker_names

MOST = {"n_envs": 4096, "workers": 256, "eval_episodes": 10_000, "timesteps": 10**12}
"""More than this is a slip of the finger."""


def spelled(name: str) -> str:
    """An option as it stands on the command line."""
    return f"--{name.replace('_', '-')}"


@dataclass(frozen=True)
class TrainConfig:
    """Train a scheduler by reinforcement learning.

    Leaves in the run folder: config.json (options, hyperparameters, versions), traces.json (what was used),
    checkpoints/latest.zip, best.zip (best on validation traces), progress.csv, learner.csv (the algorithm's
    own metrics), learning_curve.png, model_card.md and wandb/; and for scripts made for Stable-Baselines3 and
    its Zoo evaluations.npz, 0.monitor.csv, best_model.zip, config.yml and command.txt. `snakegym evaluate
    --scheduler FOLDER` uses the best one. Checkpoints are read without running anything that is in them.

    `--preset reference` stands for the options that the reference policy is made with: it imitates a planner,
    then improves on it. Those on the command line, or in a file for --config, count more.
    """

    out: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint=said_default)] = None
    """Run folder; new or empty, unless --resume. Default: below runs/, called by WANDB_RUN_ID if that is set,
    and then gone on with; else by scenario, algorithm, seed and time."""
    algo: str = "maskable-ppo"
    """maskable-ppo, recurrent-ppo, a2c and dqn never propose an illegal hop (the last three by a mask in the
    policy pairwise), ppo has to learn that; or your own as module:class."""
    scenario: str = "default"
    """Name of a scenario (see `snakegym scenarios`), or a .yaml file. Several, parted by commas, or `all`
    that need no data: then each episode is of one of them, and the policy learns for every size."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """FIELD=VALUE: a field of the scenario that is to be different; repeat it for several. --network.nodes=9
    says the same as --set network.nodes=9."""
    timesteps: int = 20_000
    """Environment steps to train; rounded up to whole rollouts."""
    seed: int = 0
    """Seeds everything."""
    resume: bool = False
    """Go on with the run in --out from its last checkpoint; --timesteps may be raised.
    Its episodes begin anew, so it is not, number by number, the uninterrupted run."""
    traces: Folder = None
    """Folder with traces of your own, in any known format, instead of the scenario's (`snakegym traces`)."""
    skip_bad_traces: bool = False
    """Go on without the files in it that cannot be used, after naming them."""
    trace_format: Text = None
    """Which format its files are of, or formats, parted by | (`snakegym traces inspect --help`)."""
    layer_order: LayerOrder | None = None
    """Who chooses the layer: free (the scheduler) or a fixed order; default: as the scenario says."""
    n_envs: int = 1
    """Environments played at a time; the networks of several are trained together."""
    workers: int = 1
    """Processes that share them, one a core; with 1 all happens in this one."""
    device: str = "cpu"
    """Where these networks are trained, as PyTorch names it (cuda)."""
    learner_device: str = "cpu"
    """Where the scheduler itself learns."""
    eval_every: int = 2_000
    """Steps between two evaluations on validation traces."""
    eval_episodes: int = 8
    """Episodes of one such evaluation, always the same ones."""
    checkpoint_every: int = 1_000
    """Steps between two checkpoints: what a kill may cost at most (rounded up to whole rollouts)."""
    track: str = "wandb"
    """Where metrics, tables and pictures go besides the folder: wandb (Weights & Biases), tensorboard, or
    both with a comma between them."""
    wandb: WandbMode = "auto"
    """Weights & Biases; auto: as WANDB_MODE says, else online if you are logged in, else offline."""
    labels: Annotated[Labels, tyro.conf.arg(name="")] = field(default_factory=Labels)
    """How the run is labelled there."""
    imitation: Annotated[Imitation, tyro.conf.arg(name="")] = field(default_factory=Imitation)
    """Learning from a planner first."""
    ppo: Annotated[Hyperparameters, tyro.conf.arg(name="")] = field(default_factory=Hyperparameters)
    """Hyperparameters."""

    @property
    def folder(self) -> Path:
        """The run folder, once it is decided on (see `placed`)."""
        assert self.out is not None
        return self.out

    def validate(self) -> None:
        """Raise SnakegymError for the first option whose value is impossible."""
        tracker_names(self.track)
        at_least_one(
            timesteps=self.timesteps,
            n_envs=self.n_envs,
            workers=self.workers,
            eval_every=self.eval_every,
            eval_episodes=self.eval_episodes,
            checkpoint_every=self.checkpoint_every,
        )
        for name, most in MOST.items():
            if getattr(self, name) > most:
                raise SnakegymError(
                    f"{spelled(name)}: found {getattr(self, name)}, expected at most {most:,}"
                )
        if self.workers > self.n_envs:
            limit = f"{spelled('n_envs')}, {self.n_envs}"
            raise SnakegymError(f"{spelled('workers')}: found {self.workers}, expected at most {limit}")
        not_negative(seed=self.seed)
        self.imitation.validate(spelled)
        check(self.ppo.given(), spelled)
