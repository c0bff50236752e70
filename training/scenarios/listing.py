"""`snakegym scenarios` and `snakegym scenarios show`."""

from __future__ import annotations

import yaml

from snakegym.scenario import list_scenarios, load_scenario


def list_all() -> None:
    """Print every scenario that ships with snakegym, one line each."""
    names = list_scenarios()
    width = max(map(len, names), default=0)
    for name in names:
        print(f"{name:{width}}  {load_scenario(name).summary}")


def show(name: str) -> None:
    """Print all settings of a scenario as YAML. Raises SnakegymError for an unknown one."""
    data = load_scenario(name).model_dump(mode="json")
    print(yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=110), end="")
