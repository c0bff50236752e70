import numpy as np
import pytest

from snakegym.envs.vector import make_members
from snakegym.training.episodes.play import play, play_together


def first_legal(mask: np.ndarray) -> int:
    return int(np.argmax(mask))


def test_episodes_played_together_are_those_played_alone(tiny: str) -> None:
    seeds = [3, 4, 5]
    members = make_members(3, scenario=tiny, engine="sequential")
    together = play_together(members, lambda _, masks, __: masks.argmax(axis=1), seeds)
    alone = members[0]
    records = [play(alone, lambda _: first_legal(alone.action_masks()), i, s) for i, s in enumerate(seeds)]
    assert together == records
    assert [record["hops"] for record in together] == [5, 5, 5]


def test_the_policy_is_asked_about_unfinished_episodes_alone(tiny: str) -> None:
    asked = []
    members = make_members(2, scenario=tiny)

    def choose(observations: dict[str, np.ndarray], masks: np.ndarray, episodes: np.ndarray) -> np.ndarray:
        assert episodes.tolist() in ([0, 1], [0])
        assert {len(value) for value in observations.values()} == {len(masks)}
        asked.append(len(masks))
        actions = masks.argmax(axis=1)
        if len(masks) == 2 and len(asked) % 2:
            assert episodes[0] == 0
            actions[0] = masks.shape[1] - 2  # the first one waits now and then, and ends later
        return actions

    records = play_together(members, choose, [0, 1])
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] == 1
    assert [record["hops"] for record in records] == [5, 5]
    assert records[0]["waits"] > records[1]["waits"]
    for record in records:
        assert record["total_reward"] == pytest.approx(sum(record["rewards"].values()))
