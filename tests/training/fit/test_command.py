"""`snakegym fit`: from a scenario's file to a model that planners find beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.fitted.files import read_fitted
from snakegym.agents.planning.fitted.model import FittedGain
from snakegym.agents.planning.gain import load_gain
from snakegym.agents.planning.state import PlanState
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError
from snakegym.scenario import load_scenario
from snakegym.training.cli import main
from snakegym.training.fit import record as recording
from snakegym.training.fit.command import fit
from snakegym.training.fit.config import FitConfig

EPISODES = 10


@pytest.mark.painted
def test_planners_find_what_was_fitted(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tiny.with_name("tiny.png")
    main(["fit", str(tiny), "--episodes", str(EPISODES), "--picture", str(picture)])
    out = capsys.readouterr().out
    assert "one hop" in out
    assert "8 hops in a row" in out
    written = tiny.with_name("tiny.fitted.json")
    fitted = read_fitted(written)
    assert fitted.gain.fitted_on.episodes == EPISODES
    assert fitted.gain.held_out.episodes == EPISODES // 5
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tiny.parent.iterdir()) == [
        "tiny.fitted.json", "tiny.json", "tiny.png"
    ]  # fmt: skip
    scenario = load_scenario(tiny)
    gains = load_gain(scenario)
    assert isinstance(gains, FittedGain)
    env = SerpentineEnv(scenario)
    env.reset(seed=1)
    expected = gains.expected(PlanState.of(env.view()))
    assert expected.shape == (1, 4, 2)
    assert 0.0 < expected.max() < 1.0, "the first hop brings something"


def test_stopped_and_repeated_it_ends_with_the_same_bytes(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tiny.with_name("whole.json")
    fit(FitConfig(str(tiny), out=str(whole), episodes=EPISODES))
    play, calls = recording._play, []

    def stop_in_the_second_part(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return play(*args)

    again = tiny.with_name("again.json")
    monkeypatch.setattr(recording, "_play", stop_in_the_second_part)
    with pytest.raises(KeyboardInterrupt, match=f"2 of {EPISODES} episodes are kept"):
        fit(FitConfig(str(tiny), out=str(again), episodes=EPISODES))
    assert not again.exists()
    fit(FitConfig(str(tiny), out=str(again), episodes=EPISODES))
    assert len(calls) == 5, "the first part was not played again"
    assert again.read_bytes() == whole.read_bytes()


def test_global_generators_are_left_alone(tiny: Path) -> None:
    import torch

    np.random.seed(5)  # noqa: NPY002
    torch.manual_seed(5)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    fit(FitConfig(str(tiny), episodes=6))
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 4}, "--episodes: found 4"),
        ({"seed": -1}, "--seed: found -1"),
        ({"name": "all", "out": "x.json"}, "--out: found x.json"),
        ({"name": "nowhere"}, "unknown scenario 'nowhere'"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SnakegymError, match=message):
        fit(FitConfig(**{"name": "default", **options}))
