"""What `import snakegym` offers."""

import subprocess
import sys

import snakegym

NAMES = {
    "FINISH",
    "Assignment",
    "ProcessView",
    "Scenario",
    "SnakegymError",
    "list_scenarios",
    "load_scenario",
    "load_service",
    "make_scheduler",
    "run_episode",
}


def test_the_exported_names() -> None:
    assert set(snakegym.__all__) == NAMES
    assert set(dir(snakegym)) >= NAMES
    assert all(getattr(snakegym, name).__doc__ for name in NAMES)


def test_the_root_imports_nothing_from_above() -> None:
    above = ("snakegym.agents", "snakegym.envs", "snakegym.training", "torch")
    code = f"import snakegym, sys; print([m for m in sys.modules if m.startswith({above})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_readme_s_example() -> None:
    record = snakegym.run_episode("default", "serpentine", seed=3)
    assert record["hops"] == len(record["trace"])
    assert 0 < record["validation_accuracy"] <= 1
