"""Which file belongs to which scenario, and what becomes of damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakegym.agents.planning.fitted.features import FEATURES
from snakegym.agents.planning.fitted.files import fingerprint, read_fitted
from snakegym.agents.planning.gain import FormulaGain, load_gain
from snakegym.agents.planning.state import PlanState
from snakegym.envs.serpentine import SerpentineEnv
from snakegym.errors import SnakegymError, SnakegymWarning
from snakegym.scenario import Scenario, load_scenario

N = len(FEATURES)


def document(scenario: Scenario) -> dict[str, Any]:
    """What fits the scenario, with two hidden units; expects 0.25 of every hop on the second layer."""
    n_middle = 3
    gain = {
        "fingerprint": fingerprint(scenario),
        "features": list(FEATURES),
        "mean": [0.0] * N,
        "scale": [1.0] * N,
        "weights": [[[0.0, 0.0]] * N, [[0.0, 0.0]] * 2, [[0.0] * n_middle] * 2],
        "biases": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.25, 0.0]],
        "lowest": -1.0,
        "highest": 1.0,
        "ceiling": 1.0,
        "held_out": {
            "episodes": 1,
            "hops": 9,
            "sd": 0.1,
            "ahead": [],
            "nodes_alone": 0.1,
            "formula": 0.1,
            "optimism": 0.0,
            "chosen": 0,
        },
        "fitted_on": {"split": "train", "episodes": 5, "hops": 50, "seed": 0, "snakegym": "1"},
    }
    return {"version": 1, "scenario": scenario.name, "gain": gain, "forecasts": None}


def own_scenario(folder: Path, **learning: Any) -> Path:
    fields = load_scenario("default").model_dump(mode="json", exclude={"fitted"})
    fields["model"] = {"name": "mlp", "options": {"width": 8, "middle": 3}}
    fields["learning"].update(learning)
    path = folder / "mine.json"
    path.write_text(json.dumps(fields))
    return path


def test_the_file_beside_a_scenario_is_used(tmp_path: Path) -> None:
    path = own_scenario(tmp_path)
    (tmp_path / "mine.fitted.json").write_text(json.dumps(document(load_scenario(path))))
    gains = load_gain(load_scenario(path))
    x = np.zeros((1, 4, N))
    np.testing.assert_array_equal(gains.of(x), np.tile([0.0, 0.25, 0.0], (1, 4, 1)))  # type: ignore[attr-defined]


def test_what_was_found_too_optimistic_is_taken_off(tmp_path: Path) -> None:
    path = own_scenario(tmp_path)
    scenario, expected = load_scenario(path), []
    env = SerpentineEnv(scenario)
    env.reset(seed=0)
    for optimism in (0.0, 0.01, -0.01):
        fitted = document(scenario)
        fitted["gain"]["held_out"]["optimism"] = optimism
        (tmp_path / "mine.fitted.json").write_text(json.dumps(fitted))
        expected.append(load_gain(load_scenario(path)).expected(PlanState.of(env.view())))
    np.testing.assert_allclose(expected[1], expected[0] - 0.01)
    np.testing.assert_array_equal(expected[2], expected[0])


def test_without_a_file_planners_go_by_the_formula_and_say_so(tmp_path: Path) -> None:
    with pytest.warns(SnakegymWarning, match="general formula"):
        assert load_gain(load_scenario(own_scenario(tmp_path))) == FormulaGain()


def test_the_file_of_another_scenario_is_not_used(tmp_path: Path) -> None:
    fitted = document(load_scenario(own_scenario(tmp_path)))
    path = own_scenario(tmp_path, learning_rate=0.01)
    (tmp_path / "mine.fitted.json").write_text(json.dumps(fitted))
    with pytest.warns(SnakegymWarning, match="have changed since it was fitted") as caught:
        assert load_gain(load_scenario(path)) == FormulaGain()
    assert len(caught) == 2  # the other: that there is none


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"version": 2}, "version"),
        ({"more": 1}, "more"),
        ({"gain.mean": [0.0]}, "mean"),
        ({"gain.scale": [0.0] * N}, "scale"),
        ({"gain.biases": [[0.0], [0.0, 0.0], [0.0] * 3]}, "biases"),
        ({"gain.features": ["metric"]}, "features"),
        ({"gain.ceiling": "high"}, "gain.ceiling"),
        ({"gain.highest": None}, "gain.highest"),
    ],
)
def test_a_damaged_file_is_named_with_the_field(tmp_path: Path, change: dict[str, Any], field: str) -> None:
    fitted = document(load_scenario("default"))
    for name, value in change.items():
        section, _, key = name.rpartition(".")
        (fitted[section] if section else fitted)[key] = value
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(fitted))
    with pytest.raises(SnakegymError, match=r"bad\.json") as caught:
        read_fitted(path)
    assert field in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"version": 1, "version": 1}', "[]", '{"version": NaN}'])
def test_what_is_no_such_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(SnakegymError, match=r"bad\.json"):
        read_fitted(path)


def test_a_file_that_a_scenario_names_has_to_be_there(tmp_path: Path) -> None:
    path = own_scenario(tmp_path)
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "fitted": "gone.json"}))
    with pytest.raises(SnakegymError, match=str(tmp_path / "gone.json")):
        load_gain(load_scenario(path))


def test_a_fingerprint_is_of_what_gains_depend_on() -> None:
    fields = load_scenario("default").model_dump()

    def changed(section: str, **values: Any) -> str:
        return fingerprint(
            Scenario.model_validate({**fields, section: {**fields[section], **values}}),
        )

    same = fingerprint(load_scenario("default"))
    assert changed("objective", time=0.5) == same
    assert changed("network", rtt_s=0.01) == same
    assert changed("process", budget={"time_s": 1.0}) == same
    assert fingerprint(Scenario.model_validate({**fields, "name": "other"})) == same
    others = [
        changed("learning", epochs=9),
        changed("data", alpha=7.0),
        changed("model", options={"width": 9}),
        changed("network", nodes=5),
        changed("process", repeat_layers=True),
    ]
    assert len({same, *others}) == 1 + len(others)
