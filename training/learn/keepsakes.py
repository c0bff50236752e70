"""What a tracked run is remembered by: its curve, one episode of the best policy, the model and its card."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from snakegym.agents.learned import LearnedScheduler
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import score_name
from snakegym.training.episodes.play import EpisodeRecord, episode_seed
from snakegym.training.episodes.terrain import Terrain
from snakegym.training.learn.checkpoints import TrainingState
from snakegym.training.learn.logged import HOP_COLUMNS, hop_rows
from snakegym.training.show import plots
from snakegym.training.show.figures import save
from snakegym.training.show.film import film_episode
from snakegym.training.show.gantt import gantt
from snakegym.training.tracking.tracker import Tracker

FPS = 2.0
CARD = "model_card.md"


def log_keepsakes(
    tracker: Tracker,
    folder: Path,
    described: dict[str, Any],
    state: TrainingState,
    env: SerpentineEnv,
    accuracies: list[list[float]],
) -> None:
    """Log tables, pictures, a film and the model of a run that is done.

    Args:
        tracker: gets them.
        folder: the run folder, with best.zip.
        described: content of its config.json.
        state: of the run.
        env: of the split `validation`; an episode is played on it.
        accuracies: rows of steps of training, hop and mean accuracy.
    """
    tracker.table("validation/accuracy_by_hop", ("timesteps", "hop", "accuracy"), accuracies)
    tracker.picture("media/learning_curve", folder / "learning_curve.png")
    with tempfile.TemporaryDirectory() as temporary:
        film = Path(temporary) / "episode.gif"
        try:
            scheduler = LearnedScheduler(folder, env.scenario)
            record = film_episode(env, scheduler, episode_seed(described["seed"], 0, "validation"), film, FPS)
        except SnakegymError:  # no best model yet
            return
        _log_episode(tracker, record, film, env)
    name = f"{described['scenario']['name']}-{described['algo']}-{described['run_id']}"
    about = {"timesteps": state.best_timesteps, "validation_return": state.best_score}
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in name)
    tracker.model(plain, [folder / "best.zip", folder / "config.json", folder / CARD], about)


def _log_episode(tracker: Tracker, record: EpisodeRecord, film: Path, env: SerpentineEnv) -> None:
    records = {"best policy, first validation episode": [record]}
    metric = score_name(env.scenario.data.dataset)
    tracker.table("episode/hops", HOP_COLUMNS, hop_rows(record))
    tracker.picture("media/episode", film)
    for name, figure in {
        "gantt": gantt(records, Terrain.of(env.view()), metric),
        "accuracy": plots.accuracy_over_time(records, metric),
    }.items():
        path = film.with_name(f"{name}.png")
        save(figure, path)
        tracker.picture(f"media/{name}", path)


def model_card(described: dict[str, Any], state: TrainingState, folder: Path) -> str:
    """What somebody who finds the model has to know of it, as Markdown."""
    scenario, settings = described["scenario"], described["ppo"]
    imitation, pairwise = described["imitation"], settings["policy"] == "pairwise"
    began = ""
    if imitation["imitate"] is not None:
        began = (
            f"; began as a clone of {imitation['imitate']}, from {imitation['imitate_states']:,} decisions"
        )
    others = "its weights fit others, of which they have seen nothing" if pairwise else "it fits no others"
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    score = "not evaluated yet" if state.best_score is None else f"{state.best_score:.3f}"
    lines = [
        f"# {described['algo']} on '{scenario['name']}'",
        "",
        "A scheduler of Snake Learning: at each decision it chooses the node that trains next and the layer.",
        "",
        f"- scenario: {scenario['name']}: {scenario['summary']}",
        f"- mean return on {described['eval_episodes']} validation episodes: {score}, after "
        f"{state.best_timesteps:,} of {state.timesteps:,} steps; chosen by it, so too good by a little",
        f"- seed {described['seed']}, run {described['run_id']}, {described['n_envs']} environments{began}",
        f"- sizes: {', '.join(f'{n} {what}' for what, n in described['sizes'].items())}; {others}",
        f"- made with {versions}",
        "",
        "| hyperparameter | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in settings.items()),
        "",
        "Test traces were not looked at. How good it is on them:",
        "",
        f"    snakegym evaluate --scheduler {folder} --scheduler greedy --scenario {scenario['name']} "
        "--out results",
    ]
    return "\n".join(lines) + "\n"
