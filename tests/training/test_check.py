from collections.abc import Callable

import numpy as np

from snakegym.envs.serpentine import SerpentineEnv
from snakegym.training.scenarios.check import gains

Run = Callable[..., tuple[int, str, str]]


def test_a_check_measures_and_judges(snakegym: Run, tiny: str) -> None:
    status, out, err = snakegym("scenarios", "check", tiny, "--episodes", 2)
    assert status == 0, err
    for text in (
        "serpentine",
        "same-node",
        "Spread over actions",
        "objective.nominal.time_s",
        "decisions matter",
    ):
        assert text in out
    # Five hops are too few to learn anything: the check says so.
    assert "NO   it can be learned" in out


def test_probing_leaves_the_state_as_it_was(tiny: str) -> None:
    env = SerpentineEnv(tiny)
    env.reset(seed=0)
    view = env.view()
    table = gains(env, np.random.default_rng(0))
    assert table.shape[1] == 4
    assert np.isfinite(table).all()
    assert env.view() is view
    np.testing.assert_array_equal(table, gains(env, np.random.default_rng(0)))
