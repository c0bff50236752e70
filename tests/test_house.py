"""Imports only go down: between the floors, and from room to room inside snakegym/ and training/."""

from __future__ import annotations

import ast
import pkgutil
import re
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = ("training", "agents", "envs", "snakegym")
"""From the top; a module may import what stands right of it, and its own."""
COMMANDS = (
    "cluster",
    "sweep",
    "sweeps",
    "scenarios",
    "traces",
    "experiment",
    "fit",
    "frameworks",
    "benchmark",
    "explain",
    "report",
    "play",
    "evaluate",
    "learn",
)
TOOLS = ("pool", "tracking", "runs", "arguments", "options")
ROOMS = {
    "snakegym": (
        "testing",
        "cluster",
        "frameworks",
        "control",
        "learning",
        "models",
        "data",
        "network",
        "scenario",
    ),
    "training": ("cli", *COMMANDS, "show", "analysis", "episodes", *TOOLS),
}
"""In the same order; in snakegym/ other single modules (errors, arrays and so on) lie below all folders."""


LENIENT = re.compile(r"json\.loads?\(|model_validate_json|validate_json\(|yaml\.(safe_|full_|unsafe_)?load")


class Import(NamedTuple):
    """One module importing something."""

    where: str
    importer: tuple[str, ...]
    """Floor, room, and so on."""
    imported: tuple[str, ...]


def place(module: str) -> tuple[str, ...]:
    """Floor, room, and so on of a module of ours."""
    parts = tuple(module.split("."))[1:]
    return parts if parts and parts[0] in FLOORS else ("snakegym", *parts)


def all_imports(root: Path = ROOT) -> list[Import]:
    """Every import of ours in our code, wherever in a module it stands; the root's own excepted."""
    found = []
    for floor in FLOORS:
        for path in sorted((root / floor).rglob("*.py")):
            importer = (floor, *path.relative_to(root / floor).with_suffix("").parts)
            if importer == ("snakegym", "__init__"):  # offers what is above by name alone
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    assert node.level == 0, f"{path}: relative import, expected a full name"
                    names = [f"{node.module}.{alias.name}" for alias in node.names]
                where = f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"
                found += [Import(where, importer, place(n)) for n in names if n.split(".")[0] == "snakegym"]
    return found


def upward(imports: list[Import]) -> list[str]:
    """Those that go up, from floor to floor or from room to room."""
    wrong = []
    for where, importer, imported in imports:
        floors = FLOORS.index(importer[0]), FLOORS.index(imported[0])
        rooms = ROOMS.get(importer[0], ())
        one, other = (
            rooms.index(p[1]) if p[1:] and p[1] in rooms else len(rooms) for p in (importer, imported)
        )
        if floors[1] < floors[0] or (floors[0] == floors[1] and other < one):
            wrong.append(f"{where}: {'.'.join(importer)} imports {'.'.join(imported)}")
    return wrong


def circles(imports: list[Import]) -> list[str]:
    """Where what lies side by side in one folder, a module or a room, imports each other in a circle."""
    graphs: dict[tuple[str, ...], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for _, importer, imported in imports:
        shared = 0
        while importer[shared : shared + 1] == imported[shared : shared + 1] != ():
            shared += 1
        if importer[shared:] and imported[shared:]:
            graphs[importer[:shared]][importer[shared]].add(imported[shared])
    found = []
    for folder, graph in graphs.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            found.append(f"{'.'.join(folder)}: {' < '.join(error.args[1])}")
    return found


def test_imports_only_go_down() -> None:
    imports = all_imports()
    assert len(imports) > 500, "the code was found"
    assert upward(imports) == []
    assert circles(imports) == []


@pytest.mark.parametrize("floor", ROOMS)
def test_every_folder_has_its_place_in_the_order(floor: str) -> None:
    folders = {p.name for p in (ROOT / floor).iterdir() if (p / "__init__.py").exists()}
    assert folders <= set(ROOMS[floor])


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("snakegym/network/costs.py", "import snakegym.control.records"),
        ("snakegym/network/costs.py", "def f():\n    from snakegym.envs import encoder"),
        ("snakegym/errors.py", "from snakegym.scenario import Scenario"),
        ("envs/reward.py", "from snakegym.agents.rules import Serpentine"),
        ("training/pool/seam.py", "from snakegym.training import cli"),
        ("training/show/plots.py", "from snakegym.training.learn.checkpoints import Row"),
    ],
)
def test_an_import_that_goes_up_is_found(tmp_path: Path, path: str, code: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(code)
    (found,) = upward(all_imports(tmp_path))
    assert found.startswith(path)


def test_a_circle_of_rooms_is_found(tmp_path: Path) -> None:
    room = tmp_path / "snakegym" / "network" / "traces"
    room.mkdir(parents=True)
    (room / "trace.py").write_text("from snakegym.network.costs import bits")
    (room.parent / "costs.py").write_text("from snakegym.network.traces.trace import Trace")
    (found,) = circles(all_imports(tmp_path))
    assert found.startswith("snakegym.network: ")


def lenient(root: Path = ROOT) -> list[str]:
    """Where JSON or YAML is read by what takes the last of two values for one name."""
    found = []
    for path in (path for floor in (*FLOORS, "experiments") for path in sorted((root / floor).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        if path.name != "documents.py" and LENIENT.search(text) and "parse_json(" not in text:
            found.append(str(path.relative_to(root)))
    return found


def test_documents_are_read_strictly() -> None:
    """Two modules read what they have written themselves a moment before."""
    assert [Path(path).name for path in lenient()] == ["plain.py", "quantisation.py"]


SCRIPTS = [path for name in ("benchmarks", "examples", "experiments") for path in (ROOT / name).glob("*.py")]


@pytest.mark.parametrize("path", sorted(SCRIPTS), ids=lambda path: path.stem)
def test_scripts_name_what_there_is(path: Path) -> None:
    """No test runs all of them, and mypy does not read them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "snakegym":
            for alias in node.names:
                pkgutil.resolve_name(f"{node.module}.{alias.name}")
