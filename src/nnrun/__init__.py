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

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnrun import errors as errors
    from nnrun import sklearn as sklearn

    __version__: str
    from nnrun.api import (
        Comparison,
        Ensemble,
        Evaluation,
        Predictions,
        Predictor,
        Result,
        Sweep,
        compare,
        ensemble,
        evaluate,
        load,
        predict,
        resume,
        sweep,
        train,
    )

__all__ = [
    "Comparison", "Ensemble", "Evaluation", "Predictions", "Predictor", "Result", "Sweep", "__version__", "compare",
    "ensemble", "evaluate", "load", "predict", "resume", "sweep", "train",
]  # fmt: skip

_ROOMS = ("errors", "sklearn")  # that are public too


class _Facade(ModuleType):
    """`nnrun.sweep` and `nnrun.ensemble` are functions, also once the rooms of these names are imported.

    Python sets a package as an attribute of the one that it lies in; `from nnrun.sweep import ...` does not need that.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"nnrun.{name}")
    if name == "__version__":
        return _version()
    if name in __all__:
        from nnrun import api

        return getattr(api, name)
    raise AttributeError(f"module 'nnrun' has no attribute {name!r}")


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("nnrun")
    except PackageNotFoundError:  # a source tree that is not installed
        return "0"


def __dir__() -> list[str]:
    return [*__all__, *_ROOMS]
