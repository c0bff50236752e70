"""What users name as a file is a regular, small one, or refused in one line and at once."""

import os
from pathlib import Path

import pytest

from snakegym.errors import SnakegymError
from snakegym.files import is_folder, read_text, user_path


def test_a_text_is_read_with_or_without_byte_order_mark(tmp_path):
    for content in (b"a: \xc3\xa4", b"\xef\xbb\xbfa: \xc3\xa4"):
        (tmp_path / "x").write_bytes(content)
        assert read_text(tmp_path / "x", "the text") == "a: ä"


def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SnakegymError, match=r"cannot read the text: found a pipe.*regular file"):
            read_text(path, "the text")


@pytest.mark.parametrize("content", [b"12345", b"\xff", None])
def test_too_large_no_text_or_not_there(tmp_path, content):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(SnakegymError, match=r"x: cannot read the text: ") as error:
        read_text(tmp_path / "x", "the text", most_bytes=4)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", [Path("."), Path("a" * 5000), Path("a\0b")])
def test_folders_and_impossible_names(path):
    with pytest.raises(SnakegymError, match="cannot read the text"):
        read_text(path, "the text")


@pytest.mark.parametrize("path", ["~no-such-user/x", "", "a\0b"])
def test_paths_that_are_none(path):
    with pytest.raises(SnakegymError):
        user_path(path)


def test_home_is_filled_in_and_odd_names_are_no_folders(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/x") == tmp_path / "x"
    assert is_folder(tmp_path)
    assert not is_folder(Path("a" * 5000))
