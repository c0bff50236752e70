"""A scenario whose episodes end after a few short hops, by budget or by target."""

import pytest

import snakegym
from snakegym.scenario import Scenario


@pytest.fixture(scope="session")
def brief() -> Scenario:
    scenario = snakegym.load_scenario("default")
    learning = scenario.learning.model_copy(update={"epochs": 1, "batch_size": 64})
    budget = scenario.process.budget.model_copy(update={"hops": 3})
    process = scenario.process.model_copy(update={"budget": budget, "target": 0.26, "wait_s": 60.0})
    return scenario.model_copy(update={"learning": learning, "process": process, "name": "brief"})
