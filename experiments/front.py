"""Accuracy against costs: plans of which none is both better and cheaper, and what some really come to.

    python experiments/front.py --scenario default --seed 0 --out experiments/front.png

Plans are found by NSGA-II (`snakegym.agents.evolutionary`) on the model of gains and costs that all planners
share, at the beginning of one episode on training traces. Some of them are then carried out, hop by hop as
far as they are legal, and finished. Prints markdown. Needs snakegym[evolutionary].
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib.pyplot as plt

from snakegym.agents.evolutionary.genetic import Compromise, front
from snakegym.agents.planning.gain import load_gain
from snakegym.agents.planning.outlook import ForecastOutlook
from snakegym.agents.planning.state import PlanState
from snakegym.control.records import FINISH
from snakegym.envs.serpentine import SerpentineEnv

SHOWN = 7
"""Plans that are carried out."""


def carried_out(env: SerpentineEnv, plan: Compromise, seed: int) -> tuple[float, float, int]:
    """Accuracy, priced costs and hops of an episode that follows the plan."""
    env.reset(seed=seed)
    for hop in plan.plan:
        if not env.view().legal[hop.node, hop.layer]:
            break
        if env.step_as(hop)[2]:
            break
    view = env.view()
    if not env.controller.ended:
        env.step_as(FINISH)
    seconds, joules, n_bytes = view.objective.prices()
    spent = view.spent
    cost = seconds * spent.time_s + joules * spent.energy_j + n_bytes * spent.n_bytes
    return view.metric, cost, view.hops


def picture(plans: list[Compromise], real: list[tuple[float, float, int]], title: str, out: Path) -> None:
    """The front as planned, and points as measured."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    axes.plot([p.cost for p in plans], [100 * p.metric for p in plans], ".-", label="planned (NSGA-II)")
    axes.plot([c for _, c, _ in real], [100 * m for m, _, _ in real], "o", label="carried out")
    axes.set(xlabel="cost, reward units", ylabel="validation accuracy, %", title=title)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out, dpi=120)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", default="default")
    parser.add_argument("--hops", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("front.png"))
    options = parser.parse_args()
    env = SerpentineEnv(scenario=options.scenario, split="train")
    env.reset(seed=options.seed)
    state, gains = PlanState.of(env.view()), load_gain(env.scenario)
    plans = list(front(state, gains, ForecastOutlook(), hops=options.hops, seed=options.seed))
    shown = [plans[round(i * (len(plans) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    real = [carried_out(env, plan, options.seed) for plan in shown]
    picture(plans, real, f"{env.scenario.name}: accuracy against costs", options.out)
    print(f"{len(plans)} plans on the front of {env.scenario.name}, seed {options.seed}.\n")
    print("| hops planned | accuracy planned, % | cost planned | hops done | accuracy, % | cost |")
    print("|---:|---:|---:|---:|---:|---:|")
    for plan, (metric, cost, hops) in zip(shown, real, strict=True):
        planned = f"{len(plan.plan)} | {100 * plan.metric:.1f} | {plan.cost:.3f}"
        print(f"| {planned} | {hops} | {100 * metric:.1f} | {cost:.3f} |")


if __name__ == "__main__":
    main()
