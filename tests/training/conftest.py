"""What the tests of commands have in common: a small scenario, the command line, its processes and pages."""

import base64
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import pytest
from matplotlib.figure import Figure

from snakegym.training.cli import main

TINY = Path(__file__).parents[1] / "tiny.yaml"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
)
"""A white one, as PNG."""


def _load(name: str) -> ModuleType:
    """A module that lies beside this one, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def wandb_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A stand-in of Weights & Biases, to which the environment leads."""
    module = _load("wandb_server")
    server = module.WandbServer()
    for name in ("WANDB_MODE", "WANDB_SERVICE", "WANDB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", module.KEY)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "10")
    monkeypatch.setenv("WANDB_FINISH_TIMEOUT", "5")
    yield server
    server.mode = "answers"
    server.close()


@pytest.fixture(autouse=True)
def blank_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are composed but left blank: to paint them takes longer than all the rest of a small command.

    Where they are looked at the marker `painted` says so; commands in processes of their own paint theirs.
    """
    if request.node.get_closest_marker("painted") is None:
        monkeypatch.setattr(Figure, "savefig", leave_blank)


def leave_blank(figure: Figure, target: Path | BinaryIO, **options: Any) -> None:
    """In place of `Figure.savefig`: a white pixel."""
    if isinstance(target, Path):
        target.write_bytes(PIXEL)
    else:
        target.write(PIXEL)


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    """Path of a small scenario."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY.read_text())
    return str(path)


@pytest.fixture
def snakegym(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("WANDB_MODE", raising=False)

    def run(*args: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = 0
        try:
            main([str(a) for a in args])
        except SystemExit as stop:
            status = int(stop.code or 0)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def heed_ctrl_c() -> Callable[[], None]:
    """For `preexec_fn`: started in the background, a shell's children inherit an ignored Ctrl-C."""

    def heed() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return heed


@pytest.fixture
def start_snakegym(heed_ctrl_c: Callable[[], None]) -> Callable[..., subprocess.Popen[str]]:
    """Start the command line in a process of its own."""

    def start(*args: object, cwd: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "snakegym.training.cli", *map(str, args)]
        return subprocess.Popen(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=heed_ctrl_c,
        )

    return start


class Sessions:
    """Sessions of processes (`start_new_session=True`), named by the process that began them."""

    def __init__(self) -> None:
        if not Path("/proc/self/stat").exists():
            pytest.skip("no /proc to look for processes in")

    def running(self, session: int, word: bytes = b"") -> list[int]:
        """Ids of its processes, or of those with that word in their command lines."""
        found = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):  # no process, or it ended meanwhile
                state, _, _, of = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                if int(of) == session and state not in "ZX" and word in (folder / "cmdline").read_bytes():
                    found.append(int(folder.name))
        return found

    def wait_for_end(self, session: int, seconds: float) -> list[int]:
        """Those of its processes that run after so many seconds still."""
        until = time.monotonic() + seconds
        while (left := self.running(session)) and time.monotonic() < until:
            time.sleep(0.05)
        return left

    def kill(self, session: int) -> None:
        """End whatever is left of it."""
        for process in self.running(session):
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture
def sessions() -> Sessions:
    """To see which processes a command has left behind."""
    return Sessions()


class Nodes:
    """Two Ray nodes on this machine, whose processes see no files of the tests; see `ray_nodes.py`.

    Args:
        hidden: folder whose files they do not see.
        cache: folder in it that is theirs.
    """

    def __init__(self, hidden: Path, cache: Path) -> None:
        here, self.folder = Path(__file__).parent, cache
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join((str(here / "pool" / "nodes"), str(here / "pool"))),
            "HIDDEN_FOLDER": str(hidden),
            "SEEN_FOLDER": str(cache),
            "SNAKEGYM_CACHE": str(cache),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, str(here / "ray_nodes.py")],
            cwd=cache,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        self.address = self._line()
        assert self.address, "two nodes began"

    def tell(self, command: str) -> None:
        """`kill` a node or `add` one."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        assert self._line() == command

    def at_work(self) -> list[int]:
        """Workers that are at a task."""
        return Sessions().running(self.process.pid, b"run_task")

    def close(self) -> None:
        """End all their processes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=20)
        Sessions().kill(self.process.pid)

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@pytest.fixture(scope="session")
def ray_nodes(cache_of_the_tests: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two Ray nodes."""
    pytest.importorskip("ray")
    nodes = Nodes(tmp_path_factory.getbasetemp(), tmp_path_factory.mktemp("ray"))
    yield nodes
    nodes.close()


SHORT = {
    "--timesteps": 32,
    "--n-steps": 16,
    "--batch-size": 16,
    "--n-epochs": 1,
    "--eval-every": 16,
    "--eval-episodes": 1,
    "--checkpoint-every": 16,
    "--wandb": "disabled",
}


@pytest.fixture
def short() -> dict[str, object]:
    """Options of the shortest training: two rollouts, each with an evaluation and a checkpoint."""
    return dict(SHORT)


@pytest.fixture(scope="session")
def shortest_run(cache_of_the_tests: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the shortest training on the small scenario leaves; once, and to be copied."""
    folder = tmp_path_factory.mktemp("shortest") / "run"
    options = [str(part) for option in SHORT.items() for part in option]
    main(["train", "--out", str(folder), "--scenario", str(TINY), *options])
    return folder


@pytest.fixture
def a_run(shortest_run: Path, tmp_path: Path) -> Path:
    """The shortest training, done already, in the folder `run` of the test."""
    return shutil.copytree(shortest_run, tmp_path / "run")


VOID = {"meta", "img", "link", "br"}


class Page(HTMLParser):
    """Collects what a test asks of a page, and that its tags are balanced."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.refers: list[str] = []
        self.headings: list[int] = []
        self.open: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(given)
        if tag[0] == "h" and tag[1:].isdigit():
            self.headings.append(int(tag[1:]))
        self.addresses += [str(given[k]) for k in ("href", "src") if k in given]
        self.ids += [str(given["id"])] if "id" in given else []
        self.refers += [str(given["aria-labelledby"])] if "aria-labelledby" in given else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def check_structure(self) -> None:
        """It refers to nothing but itself, and to what there is."""
        assert all(a.startswith(("#", "data:image/png;base64,")) for a in self.addresses)
        assert not any(word in self.source for word in ("http:", "https:", "@import", "url("))
        assert len(set(self.ids)) == len(self.ids)
        targets = {a[1:] for a in self.addresses if a.startswith("#")} | set(self.refers)
        assert targets <= set(self.ids)
        assert self.headings[0] == 1
        assert all(b - a <= 1 for a, b in zip(self.headings, self.headings[1:], strict=False))


@pytest.fixture
def read_page() -> Callable[[Path], Page]:
    """Read an HTML page of ours and check its structure."""

    def read(path: Path) -> Page:
        page = Page(path)
        page.check_structure()
        return page

    return read
