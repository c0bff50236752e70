"""The measures of a finished piece."""

from __future__ import annotations

from snakegym.training.frameworks.results import final


def test_the_final_measures_add_up_rounds_and_validation_chooses_the_best():
    costs = {"node_memory_bytes": 7, "node_flops": 4, "synchronisations": 2, "energy_j": 0.5, "time_s": 3}
    rounds = [
        {"test_accuracy": 0.5, "validation_accuracy": 0.4, "n_bytes": 10, **costs},
        {"test_accuracy": 0.4, "validation_accuracy": 0.6, "n_bytes": 30, **costs},
        {"test_accuracy": 0.3, "validation_accuracy": 0.6, "n_bytes": 50, **costs},
    ]
    measures = final({"rounds": rounds})
    assert measures["test_accuracy"] == 0.3
    assert measures["best_test_accuracy"] == 0.4
    assert measures["bytes_per_round"] == 30
    assert measures["n_bytes"] == 90
    assert measures["time_s"] == 9
    assert measures["node_flops_per_round"] == 4
