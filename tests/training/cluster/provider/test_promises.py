"""When a promise is broken."""

from __future__ import annotations

import pytest

from snakegym.training.cluster.description import Sla
from snakegym.training.cluster.provider.promises import Progress, broken


@pytest.mark.parametrize(
    ("sla", "now", "found"),
    [
        (Sla(), Progress(1e9, 0.0, 0.0), []),
        (Sla(deadline_s=10), Progress(9.9, 0.1, 0.1), []),
        (Sla(deadline_s=10), Progress(10, 0.1, 0.1), [("deadline", "broken")]),
        (Sla(deadline_s=10), Progress(10, 0.1, 0.1, over=True), []),
        (Sla(least_accuracy=0.5), Progress(10, 0.4, 0.1), []),
        (Sla(least_accuracy=0.5), Progress(10, 0.4, 0.1, over=True), [("least_accuracy", "broken")]),
        (Sla(least_accuracy=0.5), Progress(10, 0.5, 0.1, over=True), []),
        (Sla(deadline_s=10, least_accuracy=0.5), Progress(10, 0.4, 0.1), [("least_accuracy", "broken")]),
        (Sla(deadline_s=10, least_accuracy=0.5), Progress(11, 0.6, 0.1), []),
        (Sla(deadline_s=10, least_accuracy=0.5), Progress(4.9, 0.1, 0.1), []),
        (Sla(deadline_s=10, least_accuracy=0.5), Progress(5, 0.29, 0.1), [("least_accuracy", "at risk")]),
        (Sla(deadline_s=10, least_accuracy=0.5), Progress(5, 0.31, 0.1), []),
    ],
)
def test_promises(sla: Sla, now: Progress, found: list[tuple[str, str]]) -> None:
    assert [(event["promise"], event["state"]) for event in broken(sla, now)] == found
