"""The one place that imports what `snakegym[llm]` brings: transformers and tokenizers."""

from __future__ import annotations

import importlib
from typing import Any

from snakegym.errors import SnakegymError


def import_llm(module: str) -> Any:
    """A module of transformers or tokenizers.

    Raises:
        SnakegymError: they are not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SnakegymError(
            f"no module '{error.name}', expected what language models take: pip install 'snakegym[llm]'"
        ) from None
