import io
import tarfile

import pytest

from snakegym.data.archives import unpacked
from snakegym.errors import SnakegymError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pack(path, name="set/images", content=b"pixels", mode="w:xz"):
    with tarfile.open(path, mode) as tar:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))


def test_a_folder_is_taken_as_it_is(tmp_path):
    (tmp_path / "set").mkdir()
    pack(tmp_path / "set.tar.xz")
    assert unpacked(tmp_path, "set") == tmp_path


def test_neither_folder_nor_archive_is_left_to_the_reader(tmp_path):
    assert unpacked(tmp_path, "set") == tmp_path


@pytest.mark.parametrize(("suffix", "mode"), [(".tar.xz", "w:xz"), (".tar.gz", "w:gz"), (".tar", "w")])
def test_an_archive_is_unpacked_once_into_the_cache(tmp_path, cache, suffix, mode):
    pack(tmp_path / f"set{suffix}", mode=mode)
    root = unpacked(tmp_path, "set")
    assert root.is_relative_to(cache)
    file = root / "set" / "images"
    assert file.read_bytes() == b"pixels"
    file.write_bytes(b"touched")
    assert unpacked(tmp_path, "set") == root
    assert file.read_bytes() == b"touched"
    assert [p.name for p in root.parent.iterdir()] == [root.name]  # nothing temporary is left


def test_another_archive_does_not_pass_for_the_old_one(tmp_path):
    archive = tmp_path / "set.tar.xz"
    pack(archive)
    old = unpacked(tmp_path, "set")
    pack(archive, content=b"more pixels")
    assert (unpacked(tmp_path, "set") / "set" / "images").read_bytes() == b"more pixels"
    assert unpacked(tmp_path, "set") != old


def test_an_archive_of_something_else_is_refused(tmp_path):
    pack(tmp_path / "set.tar.xz", name="other/images")
    with pytest.raises(SnakegymError, match="found no folder 'set'"):
        unpacked(tmp_path, "set")


@pytest.mark.parametrize("content", [b"", b"no archive at all"])
def test_a_broken_archive_is_refused(tmp_path, cache, content):
    (tmp_path / "set.tar.xz").write_bytes(content)
    with pytest.raises(SnakegymError, match=r"set\.tar\.xz: cannot unpack it"):
        unpacked(tmp_path, "set")
    assert not list(cache.glob("*/*"))


def test_members_cannot_escape_the_cache(tmp_path):
    pack(tmp_path / "set.tar.xz", name="set/../../../escaped")
    with pytest.raises(SnakegymError, match="cannot unpack it"):
        unpacked(tmp_path, "set")
    assert not list(tmp_path.rglob("escaped"))
