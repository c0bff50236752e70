"""The wheel puts `snakegym` alone into site-packages, whole, and lives beside packages of common names."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SUBPACKAGES = ("agents", "envs", "training")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pip")
    out = tmp_path_factory.mktemp("wheel")
    source = out / "source"  # a copy, because a build leaves its files beside the sources
    for name in ("snakegym", *SUBPACKAGES):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--wheel-dir",
        str(out),
        str(source),
    ]
    subprocess.run(command, check=True, cwd=out)
    (found,) = out.glob("snakegym-*.whl")
    return found


def sources() -> set[str]:
    """What the wheel should hold, by the names that it has there."""
    kinds = {".py", ".pyi", ".yaml", ".jinja", ".json", ".typed", ".md", ".zip", ".css", ".html", ".js"}
    files = {
        path.relative_to(ROOT)
        for folder in ("snakegym", *SUBPACKAGES)
        for path in (ROOT / folder).rglob("*")
        if path.suffix in kinds
    }
    return {("" if f.parts[0] == "snakegym" else "snakegym/") + f.as_posix() for f in files}


@pytest.mark.slow
def test_it_holds_every_source_file_under_one_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == sources()


@pytest.mark.slow
def test_it_lives_beside_packages_and_folders_of_common_names(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    (site,) = (tmp_path / "venv").rglob("site-packages")
    # Torch and the others come from here; the paths of an editable install do not.
    ours = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(ours))
    theirs = site / "agents" / "__init__.py"
    theirs.parent.mkdir()
    theirs.write_text("MINE = False\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
    )
    assert theirs.read_text() == "MINE = False\n"
    put = {p.name for p in site.iterdir()} - {"dependencies.pth", "agents", "__pycache__"}
    assert {name.split("-")[0] for name in put} == {"snakegym"}

    users = tmp_path / "project"
    for name in ("envs", "training"):
        (users / name).mkdir(parents=True)
        (users / name / "__init__.py").write_text("raise ImportError('the folder of a user')\n")
    code = """if True:
        import agents, snakegym, snakegym.agents, gymnasium as gym
        assert agents.MINE is False
        assert "project" not in snakegym.__file__ and "site-packages" in snakegym.__file__
        env = gym.make("snakegym:snakegym/Serpentine-v1")
        env.reset(seed=0)
        print(env.step(env.action_space.sample())[1])
    """
    done = subprocess.run([str(python), "-c", code], cwd=users, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10
