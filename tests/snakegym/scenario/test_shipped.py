"""The scenarios that ship with snakegym."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, list_scenarios, load_scenario

MEASURED = ("metro-3g", "pedestrian-5g", "vehicular-5g")
IMAGES = "cifar10-vgg11"
LANGUAGE = "lm-topics"
WITHOUT_EXTRA = pytest.mark.skipif(find_spec("transformers") is None, reason="needs snakegym[llm]")
GENERATED = tuple(
    pytest.param(name, marks=WITHOUT_EXTRA) if name == LANGUAGE else name
    for name in list_scenarios()
    if name not in (*MEASURED, IMAGES)
)


def test_all_the_promised_ones_are_there():
    assert set(list_scenarios()) >= {
        "default",
        "tidal",
        "flaky",
        "crowd",
        "large",
        IMAGES,
        LANGUAGE,
        *MEASURED,
    }


@pytest.mark.parametrize("name", list_scenarios())
def test_each_is_documented_and_survives_serialisation(name):
    scenario = load_scenario(name)
    assert scenario.name == name
    assert scenario.summary
    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario
    page = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    assert f"`{name}`" in page


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_generated_ones_serve_every_split_with_a_trace_of_its_own_for_each_node(name, split):
    service = load_service(name, split)
    controller, _ = service.start(np.random.default_rng(0))
    assert controller.view().legal.any()
    nodes = service.scenario.network.nodes
    assert len(set(controller.network.link_names)) == nodes
    assert len(set(controller.network.compute_names)) == nodes


@pytest.mark.parametrize("name", GENERATED)
def test_some_devices_lack_memory_for_some_layers_and_layers_differ_in_size(name):
    service = load_service(name)
    needs = service.profile.hop_memory(service.scenario.learning)
    sizes = [device.memory_bytes for device in service.scenario.network.devices]
    assert min(sizes) < needs.max()
    assert max(sizes) >= needs.max()
    middle = service.profile.n_bytes[1:-1]
    assert middle.max() > 3 * middle.min()


@WITHOUT_EXTRA
def test_in_the_one_with_texts_early_blocks_cost_more_time_and_late_ones_more_bytes():
    service = load_service(LANGUAGE)
    learning, profile = service.scenario.learning, service.profile
    smaller = np.diff(profile.n_bytes[1:-1])
    assert (smaller > 0).all()
    assert (np.diff(profile.hop_memory(learning)) < 0).all()
    assert np.argmin(profile.training_flops(learning.trains)) > 0, "gradients stop at the block in training"
    controllers = [service.start(np.random.default_rng(seed))[0] for seed in (0, 1)]
    assert controllers[0].metric == controllers[1].metric, "all start from the pre-trained model"


def test_the_one_with_texts_says_what_has_to_be_installed(monkeypatch):
    for name in ("transformers", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)
    fields = load_scenario(LANGUAGE).model_dump()
    fields["data"]["text"]["length"] += 1  # or it may have been loaded before
    with pytest.raises(SnakegymError, match=r"pip install 'snakegym\[llm\]'") as error:
        load_service(fields)
    assert "\n" not in str(error.value)


def test_the_one_with_images_says_where_they_have_to_be(monkeypatch, tmp_path):
    monkeypatch.delenv("SNAKEGYM_DATA", raising=False)
    with pytest.raises(
        SnakegymError, match=r"'data\.root': found none, nor \$SNAKEGYM_DATA, expected"
    ) as error:
        load_service(IMAGES)
    assert "\n" not in str(error.value)
    monkeypatch.setenv("SNAKEGYM_DATA", str(tmp_path))
    with pytest.raises(SnakegymError, match=r"expected the files of torchvision dataset 'CIFAR10'"):
        load_service(IMAGES)


@pytest.mark.slow
def test_the_one_with_images_reads_the_users_own(shared_data, monkeypatch):
    monkeypatch.setenv("SNAKEGYM_DATA", str(shared_data))
    controller, _ = load_service(IMAGES).start(np.random.default_rng(0))
    assert controller.view().legal.any()
    assert controller.view().nodes.samples.sum() == 1500


@pytest.mark.slow
def test_in_the_one_with_images_early_layers_cost_compute_and_memory_and_late_ones_bytes(
    shared_data, monkeypatch
):
    monkeypatch.setenv("SNAKEGYM_DATA", str(shared_data))
    service = load_service(IMAGES)
    learning, profile = service.scenario.learning, service.profile
    needs, sizes = profile.hop_memory(learning), [d.memory_bytes for d in service.scenario.network.devices]
    assert (np.diff(profile.hop_flops(learning)) < 0).all()
    assert (np.diff(needs) < 0).all()
    assert min(sizes) < needs.max() < max(sizes)
    convolutions = profile.n_bytes[1:8]
    assert (np.diff(convolutions) >= 0).all()
    assert convolutions[-1] > 30 * convolutions[0]


@pytest.mark.parametrize("name", MEASURED)
def test_measured_ones_say_what_they_need(name, monkeypatch):
    monkeypatch.delenv("SNAKEGYM_DATA", raising=False)
    with pytest.raises(SnakegymError, match=r"--traces FOLDER.*\$SNAKEGYM_DATA") as error:
        load_service(name)
    assert "\n" not in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURED)
def test_measured_ones_find_their_traces_in_every_split(name, shared_data, monkeypatch):
    monkeypatch.setenv("SNAKEGYM_DATA", str(shared_data))
    for split in ("train", "validation", "test"):
        controller, _ = load_service(name, split).start(np.random.default_rng(0))
        assert controller.view().legal.any()
    given = load_service(name, "train", str(shared_data))
    assert given is load_service(name, "train"), "the argument and the variable mean the same"
