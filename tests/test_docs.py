"""What the pages show runs as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/plugins.md"])
def test_the_examples_of_a_page_run(page: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))
    assert blocks
    for block in blocks:
        name = re.match(r"# (\w+\.py)\n", block)
        path = tmp_path / (name[1] if name else "example.py")
        path.write_text(block)
        done = subprocess.run([sys.executable, path.name], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
