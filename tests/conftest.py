"""Fixtures shared by all tests."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

torch.set_num_threads(1)  # tiny models: more threads only add jitter
hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")  # as on CI: a busy machine is no fault


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--rewrite-golden`: where planners changed on purpose; then look at the difference."""
    parser.addoption("--rewrite-golden", action="store_true", help="write the golden plans anew")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Servers of another project may fail once on a busy machine: that is reported. Twice is a failure."""
    for item in items:
        if item.get_closest_marker("ray") or item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Parsed traces go to a folder of this session, not to the user's cache."""
    os.environ["SNAKEGYM_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real data (traces, CIFAR-10): $SNAKEGYM_DATA or ../shared/data beside the checkout."""
    root = Path(os.environ.get("SNAKEGYM_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"no real data: {root} is no folder (set SNAKEGYM_DATA)")
    return root
