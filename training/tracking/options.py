"""Options of the commands that are tracked. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from snakegym.errors import SnakegymError
from snakegym.training.options import Text

WandbMode = Literal["auto", "online", "offline", "disabled"]
TRACKERS = ("wandb", "tensorboard")
"""Names of all of them."""


def tracker_names(track: str) -> list[str]:
    """The trackers that `--track` asks for, each once. Raises SnakegymError for one that is unknown."""
    names = [name.strip() for name in track.split(",")]
    for name in names:
        if name not in TRACKERS:
            expected = f"{' or '.join(TRACKERS)}, or both with a comma between them"
            raise SnakegymError(f"--track: found {name!r:.60}, expected {expected}")
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Labels:
    """What a run is called and sorted by in Weights & Biases; its environment variables say the same.

    TensorBoard shows what is given here as text.
    """

    wandb_name: Text = None
    """Of the run; default: WANDB_NAME, else {scenario}__{algo}__{seed}__{time}."""
    wandb_project: Text = None
    """Default: WANDB_PROJECT, else snakegym."""
    wandb_entity: Text = None
    """Whose project it is, a user or a team; default: WANDB_ENTITY, else your own."""
    wandb_group: Text = None
    """What the run belongs to; default: WANDB_RUN_GROUP."""
    wandb_tags: Text = None
    """With commas between them; default: WANDB_TAGS."""
    wandb_job_type: Text = None
    """Default: WANDB_JOB_TYPE, else the command: train or evaluate."""
    wandb_notes: Text = None
    """Default: WANDB_NOTES."""
    wandb_media: bool = True
    """Pictures, one episode and the best model are logged at the end; --no-wandb-media leaves them out."""
