from __future__ import annotations

import json
from pathlib import Path

import pytest

from snakegym.scenario import load_scenario


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A scenario file of one's own whose episodes have a dozen hops of a tiny model."""
    fields = load_scenario("default").model_dump(mode="json", exclude={"fitted"})
    fields.update(name="tiny", model={"name": "mlp", "options": {"width": 8, "middle": 2}})
    fields["network"]["nodes"] = 4
    fields["process"]["budget"] = {"time_s": 1e5, "hops": 12}
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(fields))
    return path
