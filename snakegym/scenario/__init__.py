"""Scenarios: the whole decision problem in one validated, frozen, serialisable object.

A scenario is a YAML file; `load_scenario` takes the name of one that ships with snakegym or the
path of a user's own. Everything else is built from it (`snakegym.control.service`).
"""

from snakegym.scenario.learning import (
    AugmentationConfig,
    CleaningConfig,
    DataConfig,
    DistillationConfig,
    EarlyExitConfig,
    LearningConfig,
    ModelConfig,
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
    Count,
    Evaluation,
    Fraction,
    LayerOrder,
    Mode,
    NonNegative,
    Positive,
    Section,
    Share,
    Split,
)
from snakegym.scenario.whole import Scenario, list_scenarios, load_scenario, parse_scenario

__all__ = [
    "AugmentationConfig",
    "BudgetConfig",
    "CleaningConfig",
    "Count",
    "DataConfig",
    "DeviceConfig",
    "DistillationConfig",
    "EarlyExitConfig",
    "Evaluation",
    "Fraction",
    "LayerOrder",
    "LearningConfig",
    "MendRules",
    "Mode",
    "ModelConfig",
    "NetworkConfig",
    "NominalHop",
    "NonNegative",
    "Objective",
    "PoolConfig",
    "Positive",
    "ProcessConfig",
    "Scenario",
    "Section",
    "Share",
    "Split",
    "TraceConfig",
    "list_scenarios",
    "load_scenario",
    "parse_scenario",
]
