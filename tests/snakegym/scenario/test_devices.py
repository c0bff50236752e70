import pytest

from snakegym.errors import SnakegymError
from snakegym.network.network import NodeProfile
from snakegym.scenario import DeviceConfig, load_scenario, parse_scenario
from snakegym.scenario.devices import DEVICES


@pytest.mark.parametrize("name", sorted(DEVICES))
def test_every_profile_makes_a_node(name):
    node = NodeProfile.of(DeviceConfig.model_validate({"profile": name}))
    assert node.name == name
    assert 1e6 < node.peak_flops < 1e13
    assert node.memory_bytes > 1e5
    assert node.battery_j > 0


def test_a_scenario_may_replace_some_of_a_profiles_numbers():
    device = DeviceConfig.model_validate({"profile": "phone", "name": "old", "peak_flops": 1e9, "share": 2})
    assert (device.name, device.peak_flops, device.share) == ("old", 1e9, 2)
    assert device.compute_power_w == DEVICES["phone"]["compute_power_w"]
    assert DeviceConfig.model_validate_json(device.model_dump_json()) == device


def test_several_kinds_of_devices_may_bear_one_name():
    fields = load_scenario("default").model_dump()
    fields["network"]["devices"] = [{"profile": "phone", "battery_j": j} for j in (10.0, None)]
    assert [d.name for d in load_scenario(fields).network.devices] == ["phone", "phone"]


def test_an_unknown_profile_is_named_with_the_known_ones():
    text = """
name: x
summary: x
network: {devices: [{profile: abacus}]}
process: {budget: {time_s: 10}}
objective: {nominal: {time_s: 1, energy_j: 1, n_bytes: 1}}
"""
    with pytest.raises(SnakegymError, match=r"network\.devices\.0.*unknown profile 'abacus'.*cortex-m4"):
        parse_scenario(text, "x.yaml")


def test_the_defaults_devices_are_its_own():
    assert all(device.profile is None for device in load_scenario("default").network.devices)
