"""In processes of the tests' Ray nodes: they see none of the files of a command, as on another machine."""

import os
import sys
from pathlib import Path

HIDDEN, SEEN = os.environ.get("HIDDEN_FOLDER", ""), os.environ.get("SEEN_FOLDER", "")


def refuse(event: str, arguments: tuple) -> None:
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | Path):
        path = os.path.abspath(arguments[0])
        if path.startswith(HIDDEN) and not path.startswith(SEEN):
            raise FileNotFoundError(2, "this file lies on another machine", path)


if HIDDEN:
    sys.addaudithook(refuse)
