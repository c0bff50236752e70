"""Contracts: what a scheduler, a model or an executor of your own has to keep, as checks for your tests.

    from snakegym.testing import check_model, check_scheduler

    def test_my_scheduler():
        check_scheduler(MyScheduler)

    def test_my_model():
        check_model(LayeredModel(my_layers), input_shape=(1, 8, 8), n_classes=10)

Each check plays the part through as the Process Controller would, in seconds, and raises AssertionError that
says which promise was broken. snakegym's own schedulers, models and executor pass the same checks.
"""

from __future__ import annotations

from snakegym.testing.executors import Process, check_executor
from snakegym.testing.models import check_model
from snakegym.testing.schedulers import Schedules, check_scheduler

__all__ = ["Process", "Schedules", "check_executor", "check_model", "check_scheduler"]
