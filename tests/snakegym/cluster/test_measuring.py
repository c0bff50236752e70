"""What a node says of the compute that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from snakegym.cluster.measuring import Pulse, stated_share
from snakegym.errors import SnakegymError


def test_a_share_that_somebody_else_portions_out_is_what_is_said(tmp_path: Path) -> None:
    file = tmp_path / "share"
    pulse = Pulse("life", lambda: stated_share(file))
    for text in ("0.25", "1.0\n", "0"):
        file.write_text(text)
        assert pulse.beat().availability == float(text)


@pytest.mark.parametrize("text", ["1.5", "-0.1", "nan", "half", ""])
def test_a_share_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "share"
    file.write_text(text)
    with pytest.raises(SnakegymError, match=r"share: found .*, expected a share in \[0, 1\]"):
        stated_share(file)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SnakegymError, match="cannot be read: No such file"):
        stated_share(tmp_path / "share")


def test_else_it_is_what_is_seen() -> None:
    assert 0 <= Pulse("life").beat().availability <= 1
