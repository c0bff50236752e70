"""Other people's parts, from a folder of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

import snakegym
from snakegym.agents.registry import make_scheduler
from snakegym.control.service import load_service
from snakegym.errors import SnakegymError
from snakegym.frameworks.registry import entry, framework_name
from snakegym.scenario import Scenario, load_scenario

MINE = """
from helper_of_mine import WAIT
from snakegym import Assignment

class Mine:
    def __init__(self, scenario):
        self.scenario = scenario
    def reset(self, seed):
        pass
    def schedule(self, view):
        legal = view.legal.nonzero()
        return Assignment(int(legal[0][0]), int(legal[1][0])) if len(legal[0]) else WAIT

class Far(Mine):
    def schedule(self, view):
        return Assignment(99, 0)

class Tuple(Mine):
    def schedule(self, view):
        return (0, 0)

class Half:
    def __init__(self, scenario): pass

def broken(scenario):
    raise RuntimeError("no such thing")

number = 3
"""
NET = """
import torch
from torch import nn

def Net(input_shape, n_classes, width=8):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(input_shape[0], width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, width), nn.Tanh(), nn.Linear(width, n_classes))

def listed(input_shape, n_classes):
    return [nn.Linear(input_shape[0], 8), nn.Linear(8, 8), nn.Linear(8, n_classes)]

class Own(nn.Module):
    def __init__(self, input_shape, n_classes):
        super().__init__()

def wrong(input_shape, n_classes):
    return [nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, n_classes)]

def outputs(input_shape, n_classes):
    return [nn.Linear(input_shape[0], 8), nn.Linear(8, 8), nn.Linear(8, n_classes + 1)]
"""
DATA = """
import numpy as np

def blobs(root):
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 4
    return rng.normal(size=(400, 6)) + 3 * np.eye(4, 6)[labels], labels

def with_test(root):
    x, y = blobs(root)
    return (x, y), (x[:50], y[:50])

def nans(root):
    x, y = blobs(root)
    x[3, 2] = np.nan
    return x, y

def halves(root):
    x, y = blobs(root)
    return x, y / 2
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, which is also where the user is."""
    names = {"mine.py": MINE, "helper_of_mine.py": "WAIT = None", "mynet_of_mine.py": NET, "mydata.py": DATA}
    for name, text in names.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in [name for name in sys.modules if name.endswith("_of_mine")]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


BLOBS = {"dataset": "mydata.py:blobs"}
OWN_NET = {"name": "mynet_of_mine:Net", "options": {}}


def net(name: str, **options: object) -> dict[str, dict[str, object]]:
    return {"model": {"name": f"mynet_of_mine:{name}", "options": options}}


def scenario(hops: int = 12, **changes: object) -> Scenario:
    data = load_scenario("default").model_dump(mode="json")
    data["process"]["budget"]["hops"] = hops  # hops of so small a model take next to no simulated time
    for part, values in changes.items():
        data[part] |= values
    return Scenario.model_validate(data)


def test_a_scheduler_from_a_file_plays_an_episode(folder: Path) -> None:
    record = snakegym.run_episode(scheduler="mine.py:Mine", seed=1)
    assert record["illegal"] == 0
    assert {hop["node"] for hop in record["trace"]}
    assert record == snakegym.run_episode(scheduler=f"{folder}/mine.py:Mine", seed=1)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("mine.py:Nobody", "found no 'Nobody' in"),
        ("nobody.py:Mine", "found no file"),
        ("nobody_at_all:Mine", "cannot import it: ModuleNotFoundError"),
        ("mine.py:number", "found int, expected a class or function"),
        ("mine.py:broken", "cannot make it: RuntimeError: no such thing"),
        ("mine.py:Half", "without reset and schedule"),
        ("mine.py", "unknown scheduler"),
        (":", "unknown scheduler"),
    ],
)
def test_what_is_wrong_with_a_scheduler_is_said_in_a_line(folder: Path, spec: str, reason: str) -> None:
    with pytest.raises(SnakegymError, match=reason) as error:
        make_scheduler(spec, load_scenario("default"))
    assert "\n" not in str(error.value)
    assert spec in str(error.value)


@pytest.mark.parametrize("name", ["Far", "Tuple"])
def test_what_is_no_assignment_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(SnakegymError, match=r"expected None \(wait\), FINISH or an Assignment"):
        snakegym.run_episode(scheduler=f"mine.py:{name}")


def test_own_model_and_own_samples_train(folder: Path) -> None:
    own = scenario(80, data=BLOBS, model={"name": "mynet_of_mine:Net", "options": {"width": 12}})
    service = load_service(own)
    assert service.model.n_middle == 2
    assert service.data.n_classes == 4
    assert service.data.input_shape == (6,)
    record = snakegym.run_episode(own, "serpentine", seed=0)
    assert record["validation_accuracy"] > record["initial_accuracy"] + 0.2


def test_modules_without_parameters_belong_to_the_layer_before_them(folder: Path) -> None:
    model = load_service(scenario(data=BLOBS, model=OWN_NET)).model
    kinds = [[type(m).__name__ for m in layer.children()] for layer in model.layers]
    assert kinds == [["Flatten", "Linear", "ReLU"], ["Linear", "ReLU"], ["Linear", "Tanh"], ["Linear"]]


def test_own_test_samples_are_kept_apart(folder: Path) -> None:
    parts = load_service(scenario(data={"dataset": "mydata.py:with_test"})).data
    assert len(parts.test) == 50
    assert len(parts.train) + len(parts.validation) == 400


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            net("Own"),
            "found Own, expected an nn.Sequential or a list",
        ),
        (net("wrong"), r"cannot take samples of shape \(6,\)"),
        (net("outputs"), r"outputs of shape \(2, 5\)"),
        (net("listed", depth=3), "cannot make it: TypeError"),
        ({"data": {"dataset": "mydata.py:nans"}}, "1 inputs that are not finite"),
        ({"data": {"dataset": "mydata.py:halves"}}, "labels of type float64"),
        ({"data": {"dataset": "mydata.py:none"}}, "found no 'none'"),
    ],
)
def test_what_is_wrong_with_a_model_or_samples_is_said(
    folder: Path, changes: dict[str, dict[str, object]], reason: str
) -> None:
    with pytest.raises(SnakegymError, match=reason):
        load_service(scenario(**{"data": BLOBS, **changes}))


def test_a_plug_in_leaves_the_global_generators_alone(folder: Path) -> None:
    before, numpys = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    load_service(scenario(data=BLOBS, model=OWN_NET))
    assert torch.equal(before, torch.get_rng_state())
    assert (numpys == np.random.get_state()[1]).all()  # noqa: NPY002


def test_frameworks_of_ones_own(folder: Path) -> None:
    (folder / "frames.py").write_text(
        "from snakegym.frameworks.fedavg import FedAvg\nclass Slow(FedAvg):\n    title = 'Slow averaging'\n"
    )
    assert framework_name("frames.py:Slow") == "frames.py:Slow"
    assert entry("frames.py:Slow").title == "Slow averaging"
    with pytest.raises(SnakegymError, match="unknown framework 'fedavgg': expected one of centralised"):
        framework_name("fedavgg")


def test_entry_points_of_installed_packages(folder: Path) -> None:
    site = folder / "site"
    info = site / "theirs-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "theirs.py").write_text(MINE.replace("helper_of_mine", "theirs_helper"))
    (site / "theirs_helper.py").write_text("WAIT = None")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[snakegym.schedulers]\nfirst-legal = theirs:Mine\ngreedy = theirs:Mine\n"
    )
    code = """if True:
        import sys; sys.path.append("site")
        from snakegym.agents.registry import list_schedulers, make_scheduler
        from snakegym import load_scenario
        scenario = load_scenario("default")
        print(type(make_scheduler("first-legal", scenario)).__name__)
        print(type(make_scheduler("greedy", scenario)).__name__)
        print("first-legal" in list_schedulers())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Mine", "GreedyScheduler", "True"]


def test_a_scenario_file_and_the_command_line_take_them(folder: Path) -> None:
    data = scenario(data=BLOBS, model=OWN_NET).model_dump(mode="json")
    (folder / "own.yaml").write_text(yaml.safe_dump(data | {"name": "own"}))
    command = "evaluate --scheduler mine.py:Mine --scheduler greedy --scenario own.yaml --episodes 2"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.pop(0); from snakegym.training.cli import main; main()",
         *command.split(), "--jobs", "2", "--out", "out"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "mine.py:Mine" in (folder / "out" / "evaluation.json").read_text()
