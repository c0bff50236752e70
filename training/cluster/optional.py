"""The packages of the extra `cluster`: asked for here, before anything that imports them is."""

from __future__ import annotations

from importlib.util import find_spec

from snakegym.errors import SnakegymError

PACKAGES = ("fastapi", "httpx", "prometheus_client", "psutil", "sqlalchemy", "uvicorn")


def needs_cluster() -> None:
    """Raise SnakegymError, which says what to install, if a package of the extra is missing."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise SnakegymError(
            f"found no {' and no '.join(missing)}, expected them: pip install 'snakegym[cluster]'"
        )


def needs_ray() -> None:
    """Raise SnakegymError, which says what to install, if Ray is missing."""
    if find_spec("ray") is None:
        raise SnakegymError("found no Ray here, expected it: pip install 'snakegym[cluster,ray]'")
