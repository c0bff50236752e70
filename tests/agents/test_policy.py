"""The pairwise policy treats nodes alike; algorithms are built from names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces

from snakegym.agents.algorithms import ALGORITHMS, make_algorithm
from snakegym.agents.hyperparameters import DEFAULTS
from snakegym.agents.policy import MaskablePairwisePolicy
from snakegym.envs.encoder import ViewEncoder
from snakegym.envs.features.layers import LAYER_FEATURES
from snakegym.envs.features.pairs import PAIR_FEATURES
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError

N, M = 5, 4
OPEN = LAYER_FEATURES.index("open")


def make_policy(pairs: bool = True) -> Any:
    torch.manual_seed(0)
    actions = N * M + 2 if pairs else N + 2
    return MaskablePairwisePolicy(ViewEncoder(N, M).space, spaces.Discrete(actions), lambda _: 1e-3)


@pytest.fixture
def _torch_rng() -> Any:
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def observation() -> dict[str, torch.Tensor]:
    rng = np.random.default_rng(0)
    space = ViewEncoder(N, M).space
    return {
        k: torch.from_numpy(rng.uniform(-1, 1, (3, *s.shape)).astype(np.float32)) for k, s in space.items()
    }


def renumbered(observation: Any, nodes: Any, layers: Any) -> dict[str, torch.Tensor]:
    """The same process with its nodes and layers in another order."""
    of_nodes, of_layers = (observation[key].reshape(3, n, -1) for key, n in (("nodes", N), ("layers", M)))
    pairs = observation["pairs"].reshape(3, N, M, -1)
    return {
        **observation,
        "nodes": of_nodes[:, nodes].flatten(1),
        "layers": of_layers[:, layers].flatten(1),
        "pairs": pairs[:, nodes][:, :, layers].flatten(1),
    }


@pytest.mark.usefixtures("_torch_rng")
@pytest.mark.parametrize("pairs", [True, False])
def test_renumbering_nodes_renumbers_their_scores(pairs: bool, observation: Any) -> None:
    policy, order = make_policy(pairs), np.random.default_rng(1).permutation(N)
    other = renumbered(observation, order, np.arange(M))
    before, after = (policy.get_distribution(o).distribution.probs for o in (observation, other))
    width = M if pairs else 1
    torch.testing.assert_close(
        before[:, :-2].reshape(3, N, width)[:, order], after[:, :-2].reshape(3, N, width)
    )
    torch.testing.assert_close(before[:, -2:], after[:, -2:])
    torch.testing.assert_close(policy.predict_values(observation), policy.predict_values(other))


@pytest.mark.usefixtures("_torch_rng")
def test_renumbering_layers_renumbers_their_scores_but_for_their_order(observation: Any) -> None:
    policy, order = make_policy(), np.array([2, 0, 3, 1])
    torch.nn.init.zeros_(policy.action_net.sequential)
    other = renumbered(observation, np.arange(N), order)
    before, after = (policy.get_distribution(o).distribution.probs for o in (observation, other))
    torch.testing.assert_close(before[:, :-2].reshape(3, N, M)[:, :, order].flatten(1), after[:, :-2])
    torch.testing.assert_close(policy.predict_values(observation), policy.predict_values(other))


@pytest.mark.usefixtures("_torch_rng")
@pytest.mark.parametrize("pairs", [True, False])
@pytest.mark.parametrize("key", ["nodes", "layers", "pairs", "process"])
def test_every_part_of_the_observation_counts(pairs: bool, key: str, observation: Any) -> None:
    policy = make_policy(pairs)
    torch.nn.init.orthogonal_(policy.action_net.score.weight)
    other = {**observation, key: observation[key].flip(1)}
    before, after = (policy.get_distribution(o).distribution.probs for o in (observation, other))
    assert not torch.allclose(before, after, rtol=1e-3)
    assert not torch.allclose(policy.predict_values(observation), policy.predict_values(other), rtol=1e-3)


@pytest.mark.usefixtures("_torch_rng")
def test_with_a_fixed_order_the_pair_of_the_open_layer_counts(observation: Any) -> None:
    policy = make_policy(pairs=False)
    torch.nn.init.orthogonal_(policy.action_net.score.weight)
    layers = observation["layers"].reshape(3, M, -1)
    layers[:, :, OPEN] = torch.tensor([0.0, 0.0, 1.0, 0.0])
    observation["layers"] = layers.flatten(1)
    pairs = observation["pairs"].reshape(3, N, M, len(PAIR_FEATURES)).clone()
    pairs[..., PAIR_FEATURES.index("legal")] = 0.0  # of illegal pairs the context knows nothing
    observation["pairs"] = pairs.flatten(1)
    before = policy.get_distribution(observation).distribution.probs
    for layer in range(M):
        changed = pairs.clone()
        changed[:, :, layer, PAIR_FEATURES.index("price")] += torch.arange(N) / N
        after = policy.get_distribution({**observation, "pairs": changed.flatten(1)}).distribution.probs
        assert torch.allclose(before, after) == (layer != 2)


@pytest.mark.usefixtures("_torch_rng")
def test_the_same_weights_fit_any_number_of_nodes_and_layers() -> None:
    small, large = (
        MaskablePairwisePolicy(ViewEncoder(n, m).space, spaces.Discrete(n * m + 2), lambda _: 1e-3)
        for n, m in ((N, M), (11, 7))
    )
    large.load_state_dict(small.state_dict())


@pytest.mark.usefixtures("_torch_rng")
def test_begins_with_the_lowest_open_layer(observation: Any) -> None:
    layers = observation["layers"].reshape(3, M, -1)
    layers[:, :, OPEN] = torch.tensor([0.0, 1.0, 0.0, 1.0])
    observation["layers"] = layers.flatten(1)
    probs = make_policy().get_distribution(observation).distribution.probs[:, :-2].reshape(3, N, M)
    assert (probs[:, :, 1] > 5 * probs[:, :, 3]).all()
    assert (probs[:, :, 3] > 5 * probs[:, :, [0, 2]].amax(dim=2)).all()


@pytest.mark.usefixtures("_torch_rng")
@pytest.mark.parametrize("pairs", [True, False])
def test_begins_with_little_wish_to_finish(pairs: bool, observation: Any) -> None:
    """As likely as the others it would end half of the episodes before a cycle is over."""
    probs = make_policy(pairs).get_distribution(observation).distribution.probs
    assert (probs[:, -2] > 10 * probs[:, -1]).all()
    assert (probs[:, -1] > 1e-4).all()


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_learns_and_predicts(name: str) -> None:
    env = SerpentineEnv("default")
    small = {"n_steps": 16, "batch_size": 8, "n_epochs": 1, "learning_starts": 0}
    own = {setting: value for setting, value in small.items() if setting in DEFAULTS[name]}
    algorithm = make_algorithm(name, env, 0, own)
    before = {key: tensor.clone() for key, tensor in algorithm.policy.state_dict().items()}
    algorithm.learn(32)  # two rollouts: rates that fall to 0 have got there after the last one
    assert algorithm.num_timesteps == 32
    action, _ = algorithm.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))
    still = [key for key, tensor in algorithm.policy.state_dict().items() if before[key].equal(tensor)]
    seldom = ("target", "wait", "finish")  # DQN learns of actions that were taken
    assert [key for key in still if not any(word in key for word in seldom)] == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sac", {}, "'sac'.*maskable-ppo"),
        ("ppo", {"policy": "cnn"}, "'cnn'.*pairwise"),
        ("ppo", {"gama": 0.9}, "hyperparameters of ppo.*gama"),
        ("maskable-ppo", {"clip": 1}, "hyperparameters of maskable-ppo.*clip"),
    ],
)
def test_bad_requests_are_named(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SnakegymError, match=message):
        make_algorithm(name, SerpentineEnv("default"), 0, settings)
