"""Scenarios that ship have a model of gains that belongs to them."""

from __future__ import annotations

import pytest

from snakegym.agents.planning.fitted.files import fingerprint, read_fitted, shipped_path
from snakegym.scenario import list_scenarios, load_scenario


@pytest.mark.parametrize("name", list_scenarios())
def test_a_shipped_scenario_has_its_file(name: str) -> None:
    path = shipped_path(name)
    assert path.exists(), f"run: snakegym fit {name}"
    fitted = read_fitted(path)
    assert fitted.gain.fingerprint == fingerprint(load_scenario(name)), f"run: snakegym fit {name}"
    assert fitted.gain.held_out.ahead[0].r2 > 0.2
