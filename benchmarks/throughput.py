"""Environment steps per second, against a plain PyTorch loop that does the same training.

`python benchmarks/throughput.py --quick --json FILE` measures the environments in under two minutes;
without `--quick` also PPO end to end, what grows with nodes and layers, and what a hop costs
against full training. Everybody takes turns within one run, so that ratios hold on a noisy machine:
each is the median over rounds, of CPU time where that is all the time there is. Everything runs on one
thread, but for those with two processes.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for the workers of SubprocVecEnv, too

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from contenders import VECTORISED, SingleAgainstPlain, Turn, Vectorised
from machine import describe_machine, in_words, save, save_json, table

LABELS = {
    "plain_loop": "plain PyTorch loop",
    "single_env": "one environment",
    "sequential_16": "16, by the sequential engine",
    "dummy_vec": "16 in SB3's DummyVecEnv",
    "subproc_2": "2 in SB3's SubprocVecEnv, 2 processes",
    "subproc_2_sequential": "the same, by the sequential engine",
    "stacked_4": "4 trained together",
    "stacked_16": "16 trained together",
    "stacked_64": "64 trained together",
    "workers_2x8": "16 in 2 workers, 8 trained together in each",
    "workers_2x16": "32 in 2 workers, 16 trained together in each",
    "workers_2x32": "64 in 2 workers, 32 trained together in each",
}
PROCESSES = ("subproc_2", "subproc_2_sequential", "workers_2x8", "workers_2x16", "workers_2x32")
"""Those whose CPU time is spent elsewhere."""
HOPS_A_TURN = 24
QUICK_S, FULL_S = 80.0, 200.0


def measure(seconds: float, seed: int) -> dict[str, Any]:
    """Steps per second of all contenders, in turns, and their ratios; takes about so long."""
    end = time.perf_counter() + seconds
    pair = SingleAgainstPlain(seed)
    others = {key: Vectorised(make(), seed) for key, make in VECTORISED.items()}
    try:
        pair.turn(4)
        for other in others.values():  # the first steps of a process import and allocate
            other.turn(1)
        pair.ratios.clear()
        rounds: list[dict[str, Turn]] = []
        longest = 0.0
        while time.perf_counter() + longest < end or len(rounds) < 3:
            start = time.perf_counter()
            turns = {key: other.turn(HOPS_A_TURN) for key, other in others.items()}
            rounds.append({**pair.turn(HOPS_A_TURN), **turns})
            longest = max(longest, time.perf_counter() - start)
    finally:
        for key in PROCESSES:
            others[key].env.close()
    return summary(rounds, pair.ratios)


def summary(rounds: list[dict[str, Turn]], ratios: list[float]) -> dict[str, Any]:
    """Key to steps per second, and the ratios under `ratios`."""
    totals = {key: sum((r[key] for r in rounds), Turn()) for key in LABELS}

    def against(key: str, other: str, attribute: str) -> float:
        def cost(turn: Turn) -> float:
            return float(getattr(turn, attribute) / turn.hops)

        return statistics.median(cost(r[other]) / cost(r[key]) for r in rounds)

    alone = [key for key in LABELS if key not in ("plain_loop", *PROCESSES)]
    return {
        **{key: round(turn.per_second, 2) for key, turn in totals.items()},
        "rounds": len(rounds),
        "cpu_ms_a_step": {
            key: round(t.cpu_s / t.hops * 1e3, 3) for key, t in totals.items() if key not in PROCESSES
        },
        "ratios": {
            "single_env_time_to_plain_loop_hop_by_hop": round(statistics.median(ratios), 3),
            **{f"{key}_to_plain_loop_cpu": round(against(key, "plain_loop", "cpu_s"), 3) for key in alone},
            **{f"{key}_to_plain_loop": round(against(key, "plain_loop", "wall_s"), 3) for key in LABELS},
            **{f"stacked_16_to_{key}": round(against("stacked_16", key, "wall_s"), 3) for key in PROCESSES},
            **{
                f"workers_2x{n // 2}_to_stacked_{n}": round(
                    against(f"workers_2x{n // 2}", f"stacked_{n}", "wall_s"), 3
                )
                for n in (16, 64)
            },
        },
    }


def write(result: dict[str, Any]) -> str:
    """The figures of `measure` as markdown."""
    ratios, cpu = result["ratios"], result["cpu_ms_a_step"]
    rows = [
        [
            label,
            f"{result[key]:.1f}",
            f"{ratios[f'{key}_to_plain_loop']:.2f}",
            f"{cpu[key]:.2f}" if key in cpu else "",
            f"{ratios[f'{key}_to_plain_loop_cpu']:.2f}" if f"{key}_to_plain_loop_cpu" in ratios else "",
        ]
        for key, label in LABELS.items()
    ]
    return "\n".join(
        [
            "## Environment steps per second",
            "",
            table(["", "steps/s", "x plain loop", "CPU ms a step", "x plain loop, CPU time"], rows),
            "",
            f"Time of one environment by that of the plain loop, median of the same hops: "
            f"{ratios['single_env_time_to_plain_loop_hop_by_hop']:.3f}. 16 trained together by SubprocVecEnv "
            f"with 2 workers: {ratios['stacked_16_to_subproc_2']:.2f}, "
            f"{ratios['stacked_16_to_subproc_2_sequential']:.2f} if those use the sequential engine. "
            f"Two workers by one process: {ratios['workers_2x8_to_stacked_16']:.2f} with 16 environments, "
            f"{ratios['workers_2x32_to_stacked_64']:.2f} with 64. "
            f"{result['rounds']} rounds, resets included.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="environments alone, in under two minutes")
    parser.add_argument("--seconds", type=float, help="for the environments: about how long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--markdown", type=Path, help="write the tables to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    machine = describe_machine()
    seconds = args.seconds or (QUICK_S if args.quick else FULL_S)
    result = measure(seconds, args.seed)
    sections = [f"Measured on: {in_words(machine)}.", write(result)]
    if not args.quick:
        import end_to_end
        import hop_cost
        import scaling

        for name, part in (("ppo", end_to_end), ("scaling", scaling), ("hop_cost", hop_cost)):
            result[name] = part.measure()
            sections.append(part.write(result[name]))
    text = "\n\n".join(sections) + "\n"
    print(text)
    if args.markdown:
        save(args.markdown, "# Benchmarks\n\n" + text)
    if args.json:
        save_json(args.json, {"machine": machine, **result})


if __name__ == "__main__":
    main()
