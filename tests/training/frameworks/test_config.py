"""What a comparison can be asked."""

from __future__ import annotations

import pytest

from snakegym.errors import SnakegymError
from snakegym.scenario import PoolConfig, list_scenarios, load_scenario
from snakegym.training.cli import run
from snakegym.training.frameworks.config import CompareConfig, Comparison


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frameworks": "fedprox"}, "unknown framework 'fedprox'"),
        ({"frameworks": " , "}, "--frameworks: found none"),
        ({"seeds": "0,x"}, "--seeds: found '0,x'"),
        ({"cycles": 0}, "--cycles: found 0"),
        ({"jobs": 0}, "--jobs: found 0"),
        ({"fields": {"data.alpha": -1.0}}, "--set: field 'data.alpha'"),
        ({"fields": {"model.name": "resnet"}}, "field 'model.name': unknown model 'resnet'"),
        ({"fields": {"model.options.width": 0}}, "field 'model.options.width'"),
        ({"fields": {"learning.epoch": 2}}, "--set: field 'learning.epoch'"),
        ({"fields": {"network.devices.9.memory_bytes": 2}}, "'network.devices' has no '9'"),
        ({"fields": {"network.nodes.many": 2}}, "'network.nodes' has no 'many'"),
        ({"fields": {"learning..epochs": 2}}, "expected FIELD=VALUE"),
        (
            {"fields": {"learning.epochs": "[1"}},
            "--set: found 'learning.epochs=[1', expected a value in YAML behind the '='",
        ),
        ({"device": "tpu:7"}, "--device: found 'tpu:7'"),
        ({"preset": "smoke", "scenario": "default"}, "--scenario: found 'default' besides --preset smoke"),
        ({"scenario": "nowhere"}, "unknown scenario 'nowhere'"),
        ({"fields": {"data.dataset": "cifar10"}, "data": "/nowhere"}, "found '/nowhere'"),
    ],
)
def test_bad_options_are_named(tmp_path, changes, message, config):
    bad = config(tmp_path / "out", **changes)
    with pytest.raises(SnakegymError) as error:
        run(bad)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not bad.out.exists()


def test_presets_say_what_is_left_out(tmp_path):
    smoke = Comparison.of(CompareConfig(tmp_path))
    assert (smoke.scenario.data.dataset, smoke.cycles) == ("digits", 10)
    paper = CompareConfig(tmp_path, preset="paper", data="/a: b", set=("model.options.width=0.25",))
    scenario = Comparison.of(paper).scenario
    assert (scenario.model.name, scenario.model.options, scenario.data.alpha) == (
        "vgg11",
        {"width": 0.25},
        2.0,
    )
    assert scenario.data.root == "/a: b"
    assert paper.seed_list() == [0, 1, 2]
    assert CompareConfig(tmp_path, preset="paper", seeds="5").seed_list() == [5]
    assert "splitfed-v2" in CompareConfig(tmp_path).framework_list()
    assert CompareConfig(tmp_path, frameworks="snake,snake-p2p").framework_list() == ["snake-p2p"]


@pytest.mark.parametrize("name", list_scenarios())
def test_every_scenario_can_be_compared_on(tmp_path, name):
    """Pool rules, batteries and budgets, which the other frameworks do not know, do not count."""
    base = load_scenario(name)
    scenario = Comparison.of(CompareConfig(tmp_path, scenario=name)).scenario
    assert scenario.pool == PoolConfig()
    assert not any(device.battery_j for device in scenario.network.devices)
    assert scenario.learning == base.learning
    assert scenario.process.parallel == base.process.parallel
