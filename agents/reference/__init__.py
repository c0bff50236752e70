"""The policy that ships with snakegym: `--scheduler reference`.

`snakegym train --preset reference` makes it anew; `model_card.md` beside this file says on what it was
trained, how good it is and where it loses. It is a run folder without what only a training needs.
"""

from __future__ import annotations

from pathlib import Path

from snakegym.agents.learned import LearnedScheduler
from snakegym.scenario import Scenario

FOLDER = Path(__file__).parent


def make_reference(scenario: Scenario) -> LearnedScheduler:
    """The reference policy for a scenario, whatever its numbers of nodes and layers.

    A warning says so where it was not trained on that scenario. Raises SnakegymError as `LearnedScheduler`.
    """
    return LearnedScheduler(FOLDER, scenario)
