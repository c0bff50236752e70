from snakegym.agents.registry import make_scheduler
from snakegym.control.records import FINISH, Assignment
from snakegym.control.service import load_service
from snakegym.control.view import ProcessView
from snakegym.errors import SnakegymError
from snakegym.scenario import Scenario, list_scenarios, load_scenario
from snakegym.training.episodes.run import run_episode

__all__ = [
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
]
__version__: str
