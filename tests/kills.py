"""Commands that are killed again and again: their reruns end with the numbers of an undisturbed run.

    python tests/kills.py --kills 40

Half of the kills come at a random time, the others the moment a temporary file is seen, which is between
its first byte and its renaming. After each, no process may be left; at the end, no temporary file.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

SCENARIO = Path(__file__).with_name("tiny.yaml").read_text()
TEMPORARY = re.compile(r"\.\d+\.")
STEPS = 128
CHECKPOINT_EVERY = 16
"""Steps of the training, whose rollouts are as long."""
MOST_TRIES = 5
"""For each kill: a command may be done before its kill is due."""
END_S = 20.0
"""For the processes of a killed command to end, on a busy machine."""


@dataclass(frozen=True)
class Case:
    """A command and how its result is looked at."""

    begin: str
    files: Sequence[str] = ()
    """Of the output folder, the same bytes after every rerun; none: all CSV files below it."""
    clock: str = ""
    """A key in JSON files under which stands how long something took: no result."""
    resume: str = ""
    """To add where the output folder holds a run."""

    def arguments(self, out: Path) -> list[str]:
        """The command with its output folder."""
        resume = self.resume if (out / "config.json").exists() else ""
        return [*f"{self.begin} {resume}".split(), "--out", out.name]


CASES = {
    "evaluate": Case(
        "evaluate --scheduler serpentine --scheduler random --scenario tiny.yaml --episodes 8 --jobs 2",
        ("evaluation.json", "evaluation.csv", "traces.json", "returns.png"),
    ),
    "benchmark": Case(
        # In this process: the pool is that of evaluate and compare.
        "benchmark --scenario tiny.yaml --scheduler random --one greedy --episodes 8 --jobs 1",
        ("benchmark.json", "benchmark.csv", "benchmark.md", "benchmark.html", "pieces/tiny.jsonl"),
    ),
    "experiment": Case(
        "experiment interruption --seeds 2 --cycles 1", ("interruption.json", "interruption.png")
    ),
    "compare": Case(
        "compare --scenario tiny.yaml --frameworks fedavg,snake-cs --seeds 0,1 --cycles 2 --jobs 2",
        ("compare.json",),
        clock="wall_s",
    ),
    "convert": Case("traces convert traces"),
    "train": Case(
        f"train --scenario tiny.yaml --timesteps {STEPS} --n-steps {CHECKPOINT_EVERY} --batch-size 16 "
        f"--n-epochs 1 --eval-every 32 --eval-episodes 1 --checkpoint-every {CHECKPOINT_EVERY} "
        "--wandb disabled",
        resume="--resume",
    ),
}


def start(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start a command in a session of its own, which all its processes share."""
    environment = os.environ | {"SNAKEGYM_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "snakegym.training.cli", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=(folder / "errors.txt").open("wb"),
        start_new_session=True,
    )


def finish(folder: Path, arguments: Sequence[str]) -> float:
    """Run a command to its end; its seconds."""
    begun = time.monotonic()
    status = start(folder, arguments).wait()
    said = (folder / "errors.txt").read_text()
    assert status == 0, f"{' '.join(arguments)}: status {status}: {said[-2000:]}"
    assert "Traceback" not in said, said
    return time.monotonic() - begun


def running(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue  # ended meanwhile
        if int(of) == session and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def temporary_files(folder: Path) -> list[Path]:
    """What a write under way, or a kill within it, has in a folder of commands."""
    return [
        Path(where) / name
        for where, folders, files in os.walk(folder)
        if "cache" not in where
        for name in (*folders, *files)
        if TEMPORARY.match(name)
    ]


def after(seconds: float) -> Callable[[], bool]:
    """When so much time has passed."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def at_temporary(folder: Path, number: int) -> Callable[[], bool]:
    """When the next file in the folder is being written, the one of this number, from 0."""
    before, seen = set(temporary_files(folder)), set[Path]()

    def due() -> bool:
        seen.update(path for path in temporary_files(folder) if path not in before)
        return len(seen) > number

    return due


def kill(process: subprocess.Popen[bytes], due: Callable[[], bool]) -> bool:
    """Kill a command when that is due, and see its processes end; whether it ran still."""
    while process.poll() is None and not due():
        time.sleep(0.001)
    killed = process.poll() is None
    process.kill()
    process.wait()
    until = time.monotonic() + END_S
    while (left := running(process.pid)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left, f"processes left: {left}"
    return killed


def check_training(folder: Path) -> None:
    """The training has all its steps, of each rollout one line of the curve."""
    with zipfile.ZipFile(folder / "checkpoints" / "latest.zip") as archive:
        state = json.loads(archive.read("snakegym.json"))
    assert state["timesteps"] == STEPS, state["timesteps"]
    steps = [int(line.split(",")[0]) for line in (folder / "progress.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps)), steps
    assert steps[-1] == STEPS, steps


def steps_kept(folder: Path) -> tuple[int, int]:
    """Of a killed training: steps of the curve, steps of the checkpoint."""
    curve = folder / "progress.csv"
    latest = folder / "checkpoints" / "latest.zip"
    reached = int(curve.read_text().splitlines()[-1].split(",")[0]) if curve.exists() else 0
    if not latest.exists():
        return reached, 0
    with zipfile.ZipFile(latest) as archive:
        return reached, int(json.loads(archive.read("snakegym.json"))["timesteps"])


def results(case: Case, out: Path) -> dict[str, bytes]:
    """The files that have to be the same."""
    names = case.files or sorted(str(p.relative_to(out)) for p in out.rglob("*.csv"))
    found = {name: (out / name).read_bytes() for name in names}
    return {n: timeless(data, case.clock) for n, data in found.items()} if case.clock else found


def timeless(data: bytes, clock: str) -> bytes:
    """A JSON file without what depends on the machine's speed."""
    drop: Callable[[dict[str, object]], object] = lambda pairs: {k: v for k, v in pairs.items() if k != clock}  # noqa: E731
    return json.dumps(json.loads(data, object_hook=drop)).encode()


def disturb(name: str, folder: Path, kills: int, chain: int, rng: random.Random) -> int:
    """Kill a command so many times as it runs, `chain` times before each full rerun; how often it was."""
    case, whole = CASES[name], folder / f"{name}-whole"
    if name == "convert":
        finish(folder, ["traces", "generate", "--links", "300", "--computes", "300", "--out", "traces"])
    seconds = finish(folder, case.arguments(whole))
    expected = results(case, whole)
    met, tries = 0, 0
    while met < kills and tries < MOST_TRIES * kills:
        out = folder / f"{name}-{tries}"
        for _ in range(min(chain, kills - met)):
            tries += 1
            process = start(folder, case.arguments(out))
            by_clock = tries % 2 or name == "convert"  # which writes everything in a moment
            due = after(rng.uniform(0, seconds)) if by_clock else at_temporary(folder, rng.randrange(4))
            if not kill(process, due):
                break  # it was done before: there is nothing left to disturb
            met += 1
            if name == "train":
                reached, kept = steps_kept(out)
                assert reached - kept <= CHECKPOINT_EVERY, f"{reached} steps, {kept} of them kept"
        if not is_finished(name, out):
            finish(folder, case.arguments(out))
        if name == "train":
            check_training(out)
        else:
            assert results(case, out) == expected, f"{out.name}: other numbers than {whole.name}"
        assert not temporary_files(folder), temporary_files(folder)
    return met


def is_finished(name: str, out: Path) -> bool:
    """Whether a folder that is written in one step is there; no other command minds being repeated."""
    return name == "convert" and out.exists()


def main() -> None:
    """Run all commands, or those named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commands", nargs="*", default=list(CASES), metavar="COMMAND")
    parser.add_argument("--kills", type=int, default=40, help="of all commands together")
    parser.add_argument("--chain", type=int, default=5, help="kills before a rerun is let go on to its end")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng = random.Random(asked.seed)
    for name in asked.commands:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "tiny.yaml").write_text(SCENARIO)
            kills = -(-asked.kills // len(asked.commands))
            met = disturb(name, Path(folder), kills, asked.chain, rng)
            print(
                f"{name}: killed {met} times while it ran: the numbers of an undisturbed run",
                flush=True,
            )


if __name__ == "__main__":
    main()
