from pathlib import Path

import pytest

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


def test_leftovers_of_a_killed_write_do_not_count_as_content(tmp_path: Path) -> None:
    (tmp_path / ".123.config.json").write_text("half")
    (tmp_path / ".lock").touch()
    assert runfolder.existing_files(tmp_path) == []
    (tmp_path / ".profile").touch()
    assert runfolder.existing_files(tmp_path) == [".profile"]
    assert runfolder.existing_files(tmp_path / "missing") == []


def test_a_folder_serves_one_command_at_a_time(tmp_path: Path) -> None:
    with (
        runfolder.locked(tmp_path),
        pytest.raises(SnakegymError, match="another snakegym command"),
        runfolder.locked(tmp_path),
    ):
        pass
    with runfolder.locked(tmp_path):
        pass


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
