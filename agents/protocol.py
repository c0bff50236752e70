"""The one thing that every scheduler is: a view goes in, an assignment comes out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from snakegym.control.records import Decision
    from snakegym.control.view import ProcessView
    from snakegym.envs.serpentine import SerpentineEnv


class Scheduler(Protocol):
    """Decides the next hop of a process from what its Process Controller can know.

    The same object drives a simulated process and a real one; it never sees a trace.
    """

    def reset(self, seed: int) -> None:
        """Forget the last episode and seed all randomness; called before each episode."""
        ...

    def schedule(self, view: ProcessView) -> Decision:
        """The next assignment, None to wait, or FINISH to end the process. Does not change the view."""
        ...


def let_watch(scheduler: Any, env: SerpentineEnv) -> None:
    """Give the environment, just reset, to a scheduler with a method `watch(env)`.

    Yardsticks have it, which know more than a view shows, and whoever stands before one.
    """
    getattr(scheduler, "watch", lambda _: None)(env)
