"""sb3-contrib's MaskablePPO on networks trained together, the best model chosen on validation traces.

Use `MaskableEvalCallback`: SB3's own `EvalCallback` knows no masks, and says nothing about it. It then
measures a policy that is mostly waiting, and keeps the wrong model.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.callbacks import MaskableEvalCallback
from sb3_contrib.common.maskable.evaluation import evaluate_policy

from snakegym.envs.sb3 import SerpentineVecEnv


def main(timesteps: int, out: Path, scenario: str = "default") -> float:
    """Train; the best model's mean return on test traces."""
    validation = SerpentineVecEnv(5, scenario=scenario, split="validation")
    validation.seed(100)
    model = MaskablePPO(
        "MultiInputPolicy",
        SerpentineVecEnv(16, scenario=scenario, split="train"),
        n_steps=32,  # short rollouts: each step trains a network
        batch_size=64,
        learning_rate=3e-4,
        seed=0,
        device="cpu",
    )
    best = MaskableEvalCallback(
        validation, n_eval_episodes=10, eval_freq=128, best_model_save_path=str(out), verbose=0
    )
    model.learn(timesteps, callback=best)
    model.set_parameters(out / "best_model.zip")
    test = SerpentineVecEnv(5, scenario=scenario, split="test")
    test.seed(200)
    mean, spread = evaluate_policy(model, test, n_eval_episodes=10)
    print(f"return on test traces: {mean:.2f} +- {spread:.2f} (10 episodes)")
    return float(mean)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timesteps", type=int, default=20_000)
    parser.add_argument("--out", type=Path, default=Path("sb3-masked-ppo"))
    arguments = parser.parse_args()
    main(arguments.timesteps, arguments.out)
