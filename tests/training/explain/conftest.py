"""Two of the shortest trainings, that differ in the seed."""

from pathlib import Path

import pytest

from snakegym.agents.hyperparameters import Hyperparameters
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.train import train

TINY = Path(__file__).parents[2] / "tiny.yaml"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the runs `a-0` and `a-1`, and `tiny.yaml`."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY.read_text())
    for seed in (0, 1):
        train(
            TrainConfig(
                scenario=str(folder / "tiny.yaml"),
                timesteps=32,
                seed=seed,
                out=folder / f"a-{seed}",
                eval_every=16,
                eval_episodes=1,
                wandb="disabled",
                ppo=Hyperparameters(n_steps=16, batch_size=16, n_epochs=1),
            )
        )
    return folder
