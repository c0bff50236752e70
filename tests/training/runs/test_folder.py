import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from snakegym.errors import SnakegymError
from snakegym.training.runs import folder as runfolder
from snakegym.training.runs.seeding import derive_seed


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    runfolder.write_json(path, {"old": 1})
    with pytest.raises(ValueError, match="JSON"):
        runfolder.write_json(path, {"new": float("nan")})
    with pytest.raises(TypeError), runfolder.replacing(path) as temporary:
        temporary.write_text(5)  # type: ignore[arg-type]
    assert runfolder.read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def dead_process() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_leftovers_of_a_killed_write_do_not_count_as_content(tmp_path: Path) -> None:
    (tmp_path / ".snakegym-123-config.json").write_text("half")
    (tmp_path / ".snakegym.lock").touch()
    assert runfolder.existing_files(tmp_path) == []
    (tmp_path / ".profile").touch()
    assert runfolder.existing_files(tmp_path) == [".profile"]
    assert runfolder.existing_files(tmp_path / "missing") == []


def test_leftovers_are_removed_by_whoever_holds_the_folder_next(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    for leftover in (
        ".snakegym-123-config.json",
        f".snakegym-{os.getppid()}-config.json",
        "runs/.snakegym-4711-fedavg-0.json",
    ):
        (tmp_path / leftover).write_text("half")
    whole = [".2024.x", ".4711.config.json", ".5", ".lock", ".profile", ".snakegym-", ".snakegym-mine-x"]
    whole += ["config.json", "runs/.2024.x", "runs/fedavg-0.json"]
    for content in whole:
        (tmp_path / content).write_text("whole")
    with runfolder.locked(tmp_path):
        pass
    left = {str(p.relative_to(tmp_path)): p.read_text() for p in tmp_path.rglob("*") if p.is_file()}
    assert left == dict.fromkeys(whole, "whole"), "hidden files of the user's are none of ours"


def test_a_write_removes_what_dead_processes_left_of_the_same_file(tmp_path: Path) -> None:
    dead, alive = dead_process(), os.getppid()
    for owner in (dead, alive):
        (tmp_path / f".snakegym-{owner}-a.json").write_text("half")
        (tmp_path / f".snakegym-{owner}-b.json").write_text("half")
    (tmp_path / f".snakegym-{dead}-a").mkdir()
    runfolder.write_json(tmp_path / "a.json", 1)
    left = {p.name for p in tmp_path.iterdir()}
    others = {f".snakegym-{dead}-b.json", f".snakegym-{alive}-b.json"}
    assert left == {"a.json", f".snakegym-{alive}-a.json", f".snakegym-{dead}-a", *others}, (
        "the living may be writing"
    )
    assert runfolder.temporary_path(tmp_path / "a").name == f".snakegym-{os.getpid()}-a"
    assert not (tmp_path / f".snakegym-{dead}-a").exists(), "a folder as well"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_append_to_a_full_disk_is_an_error_of_ours() -> None:
    with pytest.raises(SnakegymError, match=r"^/dev/full: cannot write this file: No space left on device$"):
        runfolder.append_text(Path("/dev/full"), "a line\n")


def test_a_file_that_may_not_grow_is_an_error_of_ours(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom snakegym.errors import SnakegymError\n"
        "from snakegym.training.runs.folder import append_text\n"
        "try: append_text(Path('long'), 'x' * 5000)\nexcept SnakegymError as error: print(error)"
    )
    limited = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)),
    )
    assert (limited.stdout, limited.stderr) == ("long: cannot write this file: File too large\n", "")


class Shape(BaseModel):
    names: list[str]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "field '(all of it)': found [], input should be"),
        ("{}", "field 'names': field required"),
        ('{"names": ["a", 5]}', "field 'names.1': found 5, input should be a valid string"),
        ('{"names"', "cannot read it as JSON"),
    ],
)
def test_a_file_of_another_shape_is_named_with_its_field(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(SnakegymError) as error:
        runfolder.read_shape(path, Shape, "this test")
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


def test_a_folder_serves_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        runfolder.locked(tmp_path),
        pytest.raises(SnakegymError, match="another snakegym command"),
        runfolder.locked(tmp_path),
    ):
        pass
    with runfolder.locked(tmp_path):
        pass


def test_a_killed_command_holds_no_folder(tmp_path: Path) -> None:
    code = (
        "import os\nfrom pathlib import Path\nfrom snakegym.training.runs.folder import locked\n"
        "with locked(Path('.')): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path)
    assert (tmp_path / ".snakegym.lock").exists()
    with runfolder.locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SnakegymError, match="expected a folder"):
        runfolder.existing_files(tmp_path / "file")
    with pytest.raises(SnakegymError, match="cannot create"):
        runfolder.make_folder(tmp_path / "file" / "sub")


def test_the_first_difference_is_named() -> None:
    assert runfolder.first_difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert runfolder.first_difference({"a": {"b": 1}}, {"a": {"b": 2}}) == "field 'a.b': found 1, expected 2"
    assert runfolder.first_difference({"a": 1, "new": 2}, {"a": 1}) == "field 'new': found 2, expected null"


def test_csv_quotes_what_needs_it() -> None:
    text = runfolder.to_csv([{"a": 'x,"y"', "b": None}], ["a", "b"])
    assert text == 'a,b\n"x,""y""",\n'


def test_seeds_depend_on_every_part() -> None:
    seeds = {derive_seed(s, p, i) for s in (0, 1) for p in ("episode", "learner") for i in range(50)}
    assert len(seeds) == 200
    assert all(0 <= s < 2**31 for s in seeds)
    assert derive_seed(3, "episode", 4) == derive_seed(3, "episode", 4)


def test_a_json_file_that_says_something_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"a": {"b": 1, "b": 2}}')
    with pytest.raises(SnakegymError, match=r"x\.json: cannot read it as JSON: .*found 'b' twice"):
        runfolder.read_json(tmp_path / "x.json")
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(SnakegymError, match=r"pipe\.json: cannot read it as JSON"):
        runfolder.read_json(tmp_path / "pipe.json")
