"""Is there road work in this street picture? With a probability that can be trusted, or "defer".

>>> import workzone
>>> bundle = workzone.open("runs/demo/bundle")            # doctest: +SKIP
>>> bundle.predict("street.jpg").verdict                  # doctest: +SKIP
<Verdict.ROADWORK: 'roadwork'>

Everything here is imported on first use: `import workzone` is free.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workzone.core.types import Prediction, Verdict
    from workzone.engine.predictor import Predictor

__version__ = "0.1.0"
__all__ = ["Prediction", "Verdict", "__version__", "open"]

_LAZY = {"Prediction": "workzone.core.types", "Verdict": "workzone.core.types"}


def open(bundle: str | Path) -> Predictor:  # noqa: A001 - reads as workzone.open(...)
    """Open a bundle: verify it, run its golden pictures, and return what answers.

    Raises:
        BundleError: The bundle was changed, is incomplete, or gives other answers than it was sealed with.
    """
    from workzone.engine.predictor import open_predictor

    return open_predictor(Path(bundle))


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'workzone' has no attribute '{name}'")
