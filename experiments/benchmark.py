"""The page of a benchmark: its tables, pictures and decision times, below what was written about them.

    python experiments/benchmark.py out/b [--page experiments/benchmark.md]

What stands above the line with MARK is kept, and is a skeleton in a new page; all below is made anew from
what `snakegym benchmark` left in the folder. Its pictures are copied beside the page; what every episode
earned and spent is kept in data/benchmark.csv.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from snakegym.errors import SnakegymError
from snakegym.training.runs.folder import read_json, to_csv, write_text

MARK = "<!-- Made by experiments/benchmark.py: do not write below. -->"
DIGITS = {"total_reward": 4, "validation_accuracy": 4, "time_s": 2, "energy_j": 3, "n_bytes": 0}
COLUMNS = ("scenario", "scheduler", "run", "episode", *DIGITS, "hops")
PICTURES = {"scores.png": "Scores with intervals", "profiles.png": "Performance profiles"}
SKELETON = """# What the schedulers are worth

**Question.** Which scheduler is best where, and what are foresight and joint planning worth?

**Answer.**

**How.** {episodes} {split} episodes of each scenario, seed {seed}; how to read the tables:
[docs/benchmark.md](../docs/benchmark.md).

    snakegym benchmark --scenario {scenarios} --scheduler {schedulers} \\
        --split {split} --episodes {episodes} --seed {seed} --out out/b
    python experiments/benchmark.py out/b

"""


def page(folder: Path, path: Path) -> str:
    """The page's new content."""
    data = read_json(folder / "benchmark.json")
    request = data["request"]
    schedulers = [name.removesuffix(" †") for name in data["overall"]["clearly_better_even_worse"]]
    above = SKELETON.format(
        **{key: request[key] for key in ("episodes", "split", "seed")},
        scenarios=" --scenario ".join(data["scenarios"]),
        schedulers=" --scheduler ".join(schedulers),
    )
    if path.exists():
        above, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
        if not mark:
            raise SnakegymError(f"{path}: found no line '{MARK}', expected a page that this script made")
    shown = [
        f"![{text}]({path.stem}-{name})\n" for name, text in PICTURES.items() if (folder / name).exists()
    ]
    tables = (folder / "benchmark.md").read_text(encoding="utf-8")
    latency = (folder / "latency" / "latency.md").read_text(encoding="utf-8")
    made = f"Made with snakegym {data['snakegym']}, code {request['code_sha256'][:12]}."
    return "\n".join([above + MARK, "", *shown, tables, "## Decisions\n", latency, made, ""])


def keep_episodes(folder: Path, path: Path) -> None:
    """One row an episode, from which whatever is on the page can be worked out again."""
    with (folder / "benchmark.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["run"] = Path(row["run"]).name
        row |= {name: f"{float(row[name]):.{digits}f}" for name, digits in DIGITS.items()}
    write_text(path, to_csv(rows, COLUMNS))


def main() -> None:
    """Write the page, its pictures and its data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page", type=Path, default=Path(__file__).with_suffix(".md"))
    asked = parser.parse_args()
    write_text(asked.page, page(asked.folder, asked.page))
    keep_episodes(asked.folder, asked.page.parent / "data" / "benchmark.csv")
    for name in PICTURES:
        if (asked.folder / name).exists():
            shutil.copyfile(asked.folder / name, asked.page.with_name(f"{asked.page.stem}-{name}"))


if __name__ == "__main__":
    main()
