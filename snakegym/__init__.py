"""Snake Learning as a reinforcement-learning environment.

Importing it registers the environments by name, so that this floor imports nothing from above:

    import gymnasium as gym, snakegym
    env = gym.make("snakegym/Serpentine-v0", scenario="default", split="train")
"""

from contextlib import suppress

from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, list_scenarios, load_scenario

__all__ = ["Scenario", "SnakegymError", "list_scenarios", "load_scenario"]
__version__ = "0.1.0"

with suppress(ModuleNotFoundError):  # learning itself does without: `snakegym compare` on a bare GPU machine
    from gymnasium import register

    for _name in ("", "crowd", "flaky", "large", "tidal"):  # what needs no data; "" is the default
        register(
            id=f"snakegym/Serpentine{_name.title()}-v0",
            entry_point="snakegym.envs.serpentine:SerpentineEnv",
            vector_entry_point="snakegym.envs.vector:SerpentineVectorEnv",
            kwargs={"scenario": _name} if _name else {},
        )
