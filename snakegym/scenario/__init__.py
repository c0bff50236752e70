"""Scenarios: the whole decision problem in one validated, frozen, serialisable object.

A scenario is a YAML or JSON file; `load_scenario` takes the name of one that ships with snakegym, the
path of a user's own, or plain data. Everything else is built from it (`snakegym.control.service`).
"""

from snakegym.scenario.learning import (
    AugmentationConfig,
    CleaningConfig,
    DataConfig,
    DistillationConfig,
    EarlyExitConfig,
    LearningConfig,
    LoraConfig,
    ModelConfig,
    TextConfig,
)
from snakegym.scenario.network import DeviceConfig, MendRules, NetworkConfig, TraceConfig
from snakegym.scenario.process import (
    BudgetConfig,
    NominalHop,
    Objective,
    PoolConfig,
    ProcessConfig,
)
from snakegym.scenario.section import (
    BitRate,
    CompanionRule,
    Count,
    Evaluation,
    Fraction,
    LayerOrder,
    Mode,
    Positive,
    Precision,
    Ratio,
    Seconds,
    Section,
    Share,
    Split,
    Trains,
    Weight,
)
from snakegym.scenario.whole import (
    Scenario,
    describe_faults,
    fitted_beside,
    list_scenarios,
    load_scenario,
    parse_scenario,
)

__all__ = [
    "AugmentationConfig",
    "BitRate",
    "BudgetConfig",
    "CleaningConfig",
    "CompanionRule",
    "Count",
    "DataConfig",
    "DeviceConfig",
    "DistillationConfig",
    "EarlyExitConfig",
    "Evaluation",
    "Fraction",
    "LayerOrder",
    "LearningConfig",
    "LoraConfig",
    "MendRules",
    "Mode",
    "ModelConfig",
    "NetworkConfig",
    "NominalHop",
    "Objective",
    "PoolConfig",
    "Positive",
    "Precision",
    "ProcessConfig",
    "Ratio",
    "Scenario",
    "Seconds",
    "Section",
    "Share",
    "Split",
    "TextConfig",
    "TraceConfig",
    "Trains",
    "Weight",
    "describe_faults",
    "fitted_beside",
    "list_scenarios",
    "load_scenario",
    "parse_scenario",
]
