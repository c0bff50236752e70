"""Where a scenario comes from, and what is said when it is wrong."""

import json
import os
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, load_scenario, parse_scenario


def default(path=(), value=None):
    """The default as plain data, with the field at that path replaced."""
    data = load_scenario("default").model_dump(mode="json")
    inner = data
    for name in path[:-1]:
        inner = inner[name]
    if path:
        inner[path[-1]] = value
    return data


WRONG = [
    (("network", "nodes"), 2**63),
    (("network", "nodes"), 1_000_000),
    (("network", "nodes"), True),
    (("network", "nodes"), 9.0),
    (("network", "nodes"), "9"),
    (("network", "rtt_s"), 1e30),
    (("network", "devices"), {}),
    (("network", "devices"), [{"profile": ["phone"]}]),
    (("network", "devices"), [{"profile": {}}]),
    (("network", "devices"), [7]),
    (("network", "devices"), []),
    (("network", "traces", "generator"), {"links": True}),
    (("network", "traces", "generator"), {"links": "80"}),
    (("network", "traces", "source"), ""),
    (("learning", "frozen"), "int4"),
    (("learning", "learning_rate"), "1e-4"),
    (("learning", "epochs"), 0),
    (("model", "options"), {"width": float("inf")}),
    (("model", "options"), {"width": 10**30}),
    (("model", "options"), {"width": None}),
    (("model", "options"), {"width": [1]}),
    (("process", "wait_s"), 1e-308),
    (("process", "budget", "time_s"), float("nan")),
    (("objective", "nominal", "time_s"), 1e-300),
    (("objective", "nominal", "energy_j"), 1e300),
    (("objective", "time"), -1),
    (("summary",), "two\nlines"),
    (("name",), "Großes"),
    (("data", "root"), 7),
    (("pool", "leave_rate_per_h"), 1e300),
]


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_a_wrong_value_is_named_with_its_field_in_one_line(path, value):
    field = ".".join(path)
    with pytest.raises(SnakegymError, match=f"field '{field}") as error:
        load_scenario(default(path, value))
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600


def paths(data, path=()):
    yield path
    for name, value in data.items() if isinstance(data, dict) else ():
        yield from paths(value, (*path, name))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from([path for path in paths(default()) if path]), anything)
def test_whatever_stands_in_a_field_is_taken_or_refused_in_one_line(path, value):
    try:
        scenario = load_scenario(default(path, value))
    except SnakegymError as error:
        message = str(error)
    else:
        assert load_scenario(json.loads(scenario.model_dump_json())) == scenario
        return
    assert "\n" not in message
    assert len(message) < 3000


@pytest.mark.parametrize("power", ["radio_power_w", "compute_power_w", "peak_flops", "memory_bytes", "share"])
def test_a_devices_numbers_have_bounds(power):
    devices = default()["network"]["devices"]
    devices[1][power] = 1e308
    with pytest.raises(SnakegymError, match=rf"network\.devices\.1\.{power}'.*found 1e\+308"):
        load_scenario(default(("network", "devices"), devices))


def test_huge_wrong_values_are_shown_in_short():
    with pytest.raises(SnakegymError) as error:
        load_scenario(default(("network", "nodes"), ["x" * 10**6] * 1000))
    assert len(str(error.value)) < 400
    with pytest.raises(SnakegymError, match=r"more$") as error:
        load_scenario(default() | {f"field{i}": 1 for i in range(100)})
    assert len(str(error.value)) < 2000


@pytest.mark.parametrize("given", [None, 5, ["default"], b"default", True])
def test_other_things_are_no_scenario(given):
    with pytest.raises(SnakegymError, match="scenario: found"):
        load_scenario(given)


@pytest.mark.parametrize("suffix", [".yaml", ".yml", ".json"])
def test_files_of_every_suffix_give_the_same_and_refuse_a_name_given_twice(tmp_path, suffix):
    path, data = tmp_path / f"mine{suffix}", default()
    text = json.dumps(data, indent=1) if suffix == ".json" else yaml.safe_dump(data)
    path.write_text(text)
    assert load_scenario(path) == load_scenario(str(path)) == load_scenario("default")
    line = next(line for line in text.splitlines() if "alpha" in line)
    path.write_text(text.replace(line, f"{line.rstrip(',')}{',' if suffix == '.json' else ''}\n{line}"))
    with pytest.raises(SnakegymError, match=rf"mine\{suffix}.*found 'alpha' twice"):
        load_scenario(path)


def test_plain_data_is_a_scenario():
    scenario = load_scenario("default")
    data = scenario.model_dump(mode="json")
    assert load_scenario(json.loads(json.dumps(data))) == scenario
    assert Scenario.model_validate(scenario.model_dump()) == scenario


def test_numbers_that_yaml_1_1_would_change_are_refused():
    text = yaml.safe_dump(default())
    with pytest.raises(SnakegymError, match=r"mine\.yaml, line \d+: found '011'"):
        parse_scenario(text.replace("nodes: 9", "nodes: 011"), "mine.yaml")
    wait = parse_scenario(text.replace("wait_s: 5.0", "wait_s: 1e-2"), "mine.yaml").process.wait_s
    assert wait == 0.01


def test_folders_are_relative_to_the_file_that_names_them(tmp_path, monkeypatch):
    data = default(("data", "root"), "images")
    data["network"]["traces"]["source"] = "../traces"
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "mine.yaml").write_text(yaml.safe_dump(data))
    monkeypatch.chdir(tmp_path)
    scenario = load_scenario("scenarios/mine.yaml")
    assert Path(scenario.data.root) == tmp_path / "scenarios" / "images"
    assert Path(scenario.network.traces.source).resolve() == tmp_path / "traces"
    data["network"]["traces"]["source"] = str(tmp_path)
    data["data"]["root"] = "~/images"
    monkeypatch.setenv("HOME", "/home/somebody")
    (tmp_path / "mine.json").write_text(json.dumps(data))
    scenario = load_scenario("mine.json")
    assert (scenario.data.root, scenario.network.traces.source) == ("/home/somebody/images", str(tmp_path))
    data["data"]["root"] = "~no-such-user/images"
    (tmp_path / "mine.json").write_text(json.dumps(data))
    with pytest.raises(SnakegymError, match=r"mine\.json: field 'data\.root': ~no-such-user"):
        load_scenario("mine.json")


def test_python_files_too_are_relative_and_a_path_that_is_no_text_is_refused(tmp_path):
    data = default(("model", "name"), "nets.py:Net")
    data["data"]["dataset"] = "samples.py:load"
    (tmp_path / "mine.json").write_text(json.dumps(data))
    scenario = load_scenario(tmp_path / "mine.json")
    assert scenario.model.name == f"{tmp_path}/nets.py:Net"
    assert scenario.data.dataset == f"{tmp_path}/samples.py:load"
    odd = tmp_path / os.fsdecode(b"\xff")
    odd.mkdir()
    (odd / "mine.json").write_text(json.dumps(data))
    with pytest.raises(SnakegymError, match="expected a path that is text"):
        load_scenario(odd / "mine.json")


@pytest.mark.parametrize("source", ["generated", "folder"])
def test_words_for_sources_stay_words(tmp_path, source):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(default(("network", "traces", "source"), source)))
    assert load_scenario(tmp_path / "mine.yaml").network.traces.source == source


def test_endless_inputs_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "large.yaml").write_text("# " + "x" * 2**21)
    start = time.process_time()
    for name in ("pipe", "zero", "large"):
        with pytest.raises(SnakegymError, match=rf"{name}\.yaml: cannot read the scenario") as error:
            load_scenario(tmp_path / f"{name}.yaml")
        assert "\n" not in str(error.value)
    with pytest.raises(SnakegymError, match="no such user"):
        load_scenario("~no-such-user/x.yaml")
    assert time.process_time() - start < 5
