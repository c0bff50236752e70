"""Make the policy that ships with snakegym of a training run: `python experiments/ship_reference.py RUN`.

Of its best checkpoint only the policy's tensors and our stamp are kept: nothing that is pickled, and no
optimiser. The card is written by hand, from the run's own and the benchmark.
"""

from __future__ import annotations

import re
import sys
import zipfile
from pathlib import Path

from snakegym.agents.reference import FOLDER
from snakegym.agents.trained.checkpoint import STAMP
from snakegym.training.runs.folder import replacing, write_text

KEPT = ("policy.pth", STAMP)


def ship(run: Path) -> None:
    """Copy what `LearnedScheduler` reads of a run."""
    with (
        zipfile.ZipFile(run / "best.zip") as whole,
        replacing(FOLDER / "best.zip") as temporary,
        zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as shipped,
    ):
        for name in KEPT:
            shipped.writestr(zipfile.ZipInfo(name), whole.read(name), zipfile.ZIP_DEFLATED)
    said = (run / "config.json").read_text(encoding="utf-8")
    write_text(FOLDER / "config.json", re.sub(r'/[^",]*/', "", said))  # where files lay is nobody's business


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
