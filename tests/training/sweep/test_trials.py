"""Trials are claimed: none runs twice at a time, none is left out, whoever is killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from snakegym.training.sweep.trials import Proposal, Result, Trials

WORKER = """
import sys, time
from pathlib import Path
from snakegym.training.sweep.trials import Result, Trials
import snakegym.training.sweep.trials as module
module.CLAIM_S = 0.01
folder, log = Path(sys.argv[1]), Path(sys.argv[1], "log.txt")
trials = Trials(folder)

def note(text):
    with log.open("a") as file:
        file.write(text + "\\n")

print("ready", flush=True)
while any(trials.result(n) is None for n in range(12)):
    for number in range(12):
        with trials.claimed(number) as mine:
            if mine and trials.result(number) is None:
                note(f"begin {number}")
                time.sleep(0.05)
                trials.conclude(number, Result(state="finished", value=1.0, values={}))
                note(f"end {number}")
"""


def test_twelve_points_and_four_workers_killed_ten_times(tmp_path: Path) -> None:
    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )

    rng = random.Random(0)
    workers = [start() for _ in range(4)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            worker.stdout.readline()
        for _ in range(10):
            time.sleep(rng.uniform(0, 0.05))
            place = rng.randrange(4)
            workers[place].kill()
            workers[place].communicate()
            workers[place] = start()
        for worker in workers:
            worker.communicate(timeout=120)
            assert worker.returncode == 0
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
    lines = (tmp_path / "log.txt").read_text().splitlines()
    ends = [line.split()[1] for line in lines if line.startswith("end")]
    assert sorted(ends, key=int) == [str(n) for n in range(12)], "every point once, and none left out"


def test_one_that_is_claimed_is_nobody_elses(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("snakegym.training.sweep.trials.CLAIM_S", 0.01)
    trials = Trials(tmp_path)
    with trials.claimed(3) as mine:
        assert mine
        code = (
            "import sys; from pathlib import Path; import snakegym.training.sweep.trials as m\n"
            "m.CLAIM_S = 0.01\nwith m.Trials(Path(sys.argv[1])).claimed(3) as mine: print(mine)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
        assert done.stdout == "False\n"
    with trials.claimed(3) as mine:
        assert mine


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    trials = Trials(tmp_path)
    assert (trials.numbers(), trials.proposal(0), trials.result(0), trials.reports(0)) == ([], None, None, [])
    proposal = Proposal(number=7, variables={"a": 0.5}, parameters={"a": [1, None]})
    trials.propose(proposal)
    result = Result(state="stopped", value=1.0, values={"run-0": 1.0})
    trials.conclude(7, result)
    assert (trials.numbers(), trials.proposal(7), trials.result(7)) == ([7], proposal, result)
