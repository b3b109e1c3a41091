"""nnrun: train neural networks from a YAML file.

    import nnrun
    result = nnrun.train("spec.yaml", ["optimizer.learning_rate=3e-4"])
    result.metrics["val/accuracy"]      # (steps, values)
    result.params["hidden_1"]["kernel"]
    model = nnrun.load(result.run_dir)
    model.predict_proba(x)              # (n, classes)

Importing this module imports neither jax nor anything else that is slow.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnrun.api import Predictor, Result, evaluate, load, resume, train

__all__ = ["Predictor", "Result", "__version__", "evaluate", "load", "resume", "train"]

try:
    __version__ = version("nnrun")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        from nnrun import api

        return getattr(api, name)
    raise AttributeError(f"module 'nnrun' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
