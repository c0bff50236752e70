"""One episode from Python, in one call."""

from __future__ import annotations

from pathlib import Path

from snakegym.agents.protocol import Scheduler
from snakegym.agents.registry import make_scheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.scenario import Scenario, Split
from snakegym.training.episodes.play import EpisodeRecord, play_scheduler


def run_episode(
    scenario: str | Path | Scenario = "default",
    scheduler: str | Scheduler = "greedy",
    seed: int = 0,
    split: Split = "test",
    traces: str | None = None,
) -> EpisodeRecord:
    """Play one episode and say what it cost and brought.

    Args:
        scenario: name, YAML file or object.
        scheduler: whatever `make_scheduler` understands, or an object with `reset` and `schedule`.
        seed: of network, data, initial model and scheduler.
        split: which traces: `train`, `validation` or `test`.
        traces: folder of traces of your own instead of the scenario's.

    Returns:
        Return, accuracies in [0, 1], seconds, joules and bytes, and every hop under `trace`.

    Raises:
        SnakegymError: whatever is wrong with scenario, traces or scheduler.
    """
    env = SerpentineEnv(scenario, split=split, traces=traces)
    made = make_scheduler(scheduler, env.scenario) if isinstance(scheduler, str) else scheduler
    return play_scheduler(env, made, 0, seed)
