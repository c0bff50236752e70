"""What goes before reinforcement learning: states are collected, and a policy is cloned from a teacher."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gymnasium import spaces
from sb3_contrib import MaskablePPO
from stable_baselines3.common.base_class import BaseAlgorithm

from snakegym.agents.algorithms import OWN_POLICIES, algorithm_class
from snakegym.agents.improved.learned import Learned
from snakegym.agents.kickstart import KickstartedPPO, Pull
from snakegym.agents.learned import build_policy
from snakegym.agents.teaching import check_teacher
from snakegym.agents.trained.checkpoint import open_checkpoint
from snakegym.agents.trained.config import Network
from snakegym.agents.trained.weights import policy_weights
from snakegym.envs.action import ActionCodec
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.training.learn.checkpoints import TrainingState, save_checkpoint
from snakegym.training.learn.config import TrainConfig
from snakegym.training.learn.imitation.clone import COLUMNS, Lesson, Row, clone, of_the_same_weights
from snakegym.training.learn.imitation.collect import collect
from snakegym.training.learn.imitation.improve import learn
from snakegym.training.learn.imitation.play import MOST_EPISODES, Pilot, Player
from snakegym.training.learn.imitation.states import States, joined
from snakegym.training.runs.folder import make_folder, to_csv, write_text
from snakegym.training.runs.progress import progress
from snakegym.training.runs.seeding import derive_seed

FOLDER = "imitation"
"""In the run folder: what was collected, and what came of it."""
CLONED = "clone.zip"
TABLE = "clone.csv"


def check_imitation(config: TrainConfig, env: SerpentineEnv, described: Mapping[str, Any]) -> None:
    """Raise SnakegymError where the policy cannot learn from that teacher; nothing is written."""
    options = config.imitation
    if options.teacher is None:
        return
    if config.algo in OWN_POLICIES:
        raise SnakegymError(
            f"--imitate: found algorithm '{config.algo}', expected maskable-ppo or ppo, whose policies can "
            "be taught by themselves"
        )
    for problem in env.problems:
        check_teacher(options.teacher, problem.scenario, options.imitate_privileged)
    if is_pulled(config) and algorithm_class(config.algo) is not MaskablePPO:
        raise SnakegymError(
            f"--pull: found {options.pull:g} with algorithm '{config.algo}', expected 0, or maskable-ppo, "
            "the only one that can be pulled towards a clone"
        )
    sizes = {(p.scenario.network.nodes, p.service.profile.n_middle) for p in env.problems}
    sizes.add((described["sizes"]["nodes"], described["sizes"]["layers"]))
    if described["ppo"]["policy"] == "mlp" and len(sizes) > 1:
        raise SnakegymError(
            "--imitate: found the policy 'mlp' for scenarios of different sizes, expected 'pairwise', whose "
            "weights fit all of them"
        )


def is_pulled(config: TrainConfig) -> bool:
    """Whether the learner is to stay near the clone at first."""
    options = config.imitation
    return options.teacher is not None and options.pull > 0 and options.pull_share > 0


def imitate(
    config: TrainConfig,
    described: Mapping[str, Any],
    settings: Mapping[str, Any],
    env: SerpentineEnv,
    model: BaseAlgorithm,
) -> None:
    """Clone, if that is asked for: the learner begins as the clone, and is pulled towards it.

    What is in the run folder already is not done again. A learner that has learned since stays as it is.

    Args:
        config: the options.
        described: what config.json says.
        settings: arguments of the environments to imitate in but the split.
        env: one of these.
        model: the learner.

    Raises:
        SnakegymError: a file cannot be written, or is damaged; a worker died.
        KeyboardInterrupt: with a line that says how to go on.
    """
    begun, pulled = model.num_timesteps > 0, isinstance(model, KickstartedPPO)
    if config.imitation.teacher is None or (begun and not pulled):
        return
    folder = config.folder / FOLDER
    make_folder(folder)
    path = folder / CLONED
    if not path.is_file():
        if begun:
            raise SnakegymError(f"{path}: not found, expected what the run began as, and is pulled towards")
        try:
            _make(config, described, settings, env, model, folder)
        except KeyboardInterrupt:
            hint = "what was collected is kept, the same command with --resume goes on from it"
            raise KeyboardInterrupt(f"{config.folder}: {hint}") from None
    weights = _read(path, model, config.algo)
    if not begun:
        model.policy.load_state_dict(weights)
    if isinstance(model, KickstartedPPO):
        model.begin_from(Pull(config.imitation.pull, config.imitation.pull_share), weights)


def _make(
    config: TrainConfig,
    described: Mapping[str, Any],
    settings: Mapping[str, Any],
    env: SerpentineEnv,
    model: BaseAlgorithm,
    folder: Path,
) -> None:
    """Collect, clone, and write what came of it: the table first, so that a clone has one."""
    options, ppo = config.imitation, described["ppo"]
    player = Player(
        settings=settings,
        teacher=str(options.teacher),
        temperature=options.imitate_temperature,
        noise=options.imitate_noise,
        gamma=ppo.get("gamma", 1.0),
        seed=config.seed,
    )
    network, masked = Network.model_validate(ppo), bool(described["masked"])
    found: list[States] = []
    rows: list[Row] = []
    for turn in range(options.imitate_rounds):
        if turn:
            weights = {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}
            player = replace(player, turn=turn, pilot=Pilot(network, masked, weights), _tables={})
            if options.improves:
                player = replace(player, learned=_learned(config, env, found))
        new = collect(player, -(-options.imitate_states // options.imitate_rounds), config.workers, folder)
        found = [joined(pair) for pair in zip(found, new, strict=True)] if turn else new
        taught = [_improved(states) for states in found] if turn and options.improves else found
        rows += [{"round": turn, **row} for row in _cloned(config, described, env, model, taught)]
    write_text(folder / TABLE, to_csv(rows, COLUMNS))
    save_checkpoint(folder / CLONED, model, TrainingState(algo=config.algo))
    last = [row for row in rows if row["round"] == rows[-1]["round"]]
    before, after = rows[0], min(last, key=lambda row: row["loss"])
    print(
        f"cloned {options.teacher} from {sum(map(len, found)):,} decisions; on episodes kept aside: "
        f"agreement {before['agreement']:.1%} before, {after['agreement']:.1%} after, divergence "
        f"{before['loss']:.2f} and {after['loss']:.2f}",
        file=sys.stderr,
    )


def _learned(config: TrainConfig, env: SerpentineEnv, found: Sequence[States]) -> list[Learned | None]:
    """What the teacher learned of each scenario."""
    seed = derive_seed(config.seed, "learned")
    return [
        learn(states, problem.scenario, problem.service.profile.n_middle, seed)
        for states, problem in zip(found, env.problems, strict=True)
    ]


def _improved(states: States) -> States:
    """Those of which a teacher that had learned something said what it would do."""
    return states.take(states.episode >= MOST_EPISODES)


def _cloned(
    config: TrainConfig,
    described: Mapping[str, Any],
    env: SerpentineEnv,
    model: BaseAlgorithm,
    found: Sequence[States],
) -> list[Row]:
    """Teach the learner's policy, by policies of the size of each scenario that share its weights."""
    network, masked = Network.model_validate(described["ppo"]), bool(described["masked"])
    lessons = []
    for problem, states in zip(env.problems, found, strict=True):
        n_nodes, n_middle = problem.scenario.network.nodes, problem.service.profile.n_middle
        codec = ActionCodec(n_nodes, n_middle, env.codec.layer_order)
        space: spaces.Dict = ViewEncoder(n_nodes, n_middle).space
        own = build_policy(network, masked, space, codec.n_actions)
        lessons.append(Lesson(of_the_same_weights(model.policy, own), states))
    options, bar = config.imitation, progress(config.imitation.imitate_epochs, "clone", "pass")

    def passed(row: Row) -> None:
        bar.set_postfix_str(f"divergence {row['loss']:.3f}, agreement {row['agreement']:.1%}", refresh=False)
        bar.update(1 if row["epoch"] else 0)

    try:
        return clone(
            model.policy,
            lessons,
            epochs=options.imitate_epochs,
            learning_rate=options.imitate_learning_rate,
            values=not described["ppo"]["normalize_reward"],
            masked=masked,
            seed=derive_seed(config.seed, "clone"),
            passed=passed,
        )
    finally:
        bar.close()


def _read(path: Path, model: BaseAlgorithm, algo: str) -> dict[str, Any]:
    """The weights of a clone. Raises SnakegymError if they are damaged, or another's."""
    with open_checkpoint(path) as checkpoint:
        return policy_weights(checkpoint, algo, model.policy.state_dict())
