"""The one place that imports pymoo.

Blank and Deb, "pymoo: Multi-Objective Optimization in Python", IEEE Access 2020,
DOI 10.1109/ACCESS.2020.2990567.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from snakegym.control.view import Floats
from snakegym.errors import SnakegymError

Score = Callable[[Floats], Floats]
"""From genes [n, n_genes] in [0, 1] to objectives [n, n_objectives], all to be minimised."""


def evolve(
    score: Score, first: Floats, n_objectives: int, generations: int, seed: int
) -> tuple[Floats, Floats]:
    """Genes and objectives of the best found: one individual, or a front that nothing found dominates.

    A genetic algorithm for one objective, NSGA-II (Deb et al. 2002, DOI 10.1109/4235.996017) for more, with
    simulated binary crossover and polynomial mutation.

    Args:
        score: what is to be minimised.
        first: [n, n_genes]: the first generation, and the size of all.
        n_objectives: one or more.
        generations: so many, the first included.
        seed: of all draws.

    Raises:
        SnakegymError: pymoo is not installed.
    """
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.algorithms.soo.nonconvex.ga import GA
        from pymoo.core.problem import Problem
        from pymoo.optimize import minimize
    except ModuleNotFoundError as error:
        raise SnakegymError(
            f"no module '{error.name}', which evolution needs: pip install 'snakegym[evolutionary]'"
        ) from error

    class Genes(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=first.shape[1], n_obj=n_objectives, xl=0.0, xu=1.0)

        def _evaluate(self, x: Floats, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
            out["F"] = score(x)

    method = GA if n_objectives == 1 else NSGA2
    result = minimize(
        Genes(), method(pop_size=len(first), sampling=first), ("n_gen", generations), seed=seed, verbose=False
    )
    return np.atleast_2d(result.X), np.atleast_2d(result.F)
