"""Snake Learning as a reinforcement-learning environment.

Importing it registers the environments by name, so that this floor imports nothing from above:

    import gymnasium as gym, snakegym
    env = gym.make("snakegym/Serpentine-v1", scenario="default", split="train")
"""

from contextlib import suppress
from importlib import import_module
from typing import Any

from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, list_scenarios, load_scenario

__version__ = "0.1.0"
_LATER = {
    "FINISH": "snakegym.control.records",
    "Assignment": "snakegym.control.records",
    "ProcessView": "snakegym.control.view",
    "load_service": "snakegym.control.service",
    "make_scheduler": "snakegym.agents.registry",
    "run_episode": "snakegym.training.episodes.run",
}
"""Imported when first asked for: they bring torch with them."""
__all__ = ["Scenario", "SnakegymError", "list_scenarios", "load_scenario", *_LATER]


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'snakegym' has no attribute '{name}'")
    globals()[name] = found = getattr(import_module(_LATER[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


with suppress(ModuleNotFoundError):  # learning itself does without: `snakegym compare` on a bare GPU machine
    from gymnasium import register

    _FORMS = {"": {}, "Flat": {"observation": "flat"}, "Masked": {"observation": "masked"}}
    for _name in ("", "crowd", "flaky", "large", "tidal"):  # what needs no data; "" is the default
        for _form, _kwargs in _FORMS.items():  # ids of their own: many programs pass an id and nothing else
            register(
                id=f"snakegym/Serpentine{_name.title()}{_form}-v1",
                entry_point="snakegym.envs.serpentine:SerpentineEnv",
                vector_entry_point="snakegym.envs.vector:SerpentineVectorEnv",
                kwargs=({"scenario": _name} if _name else {}) | _kwargs,
            )
