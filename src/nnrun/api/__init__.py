"""The same from Python: each function does what the command of its name does, and returns what that shows."""

from nnrun.api.comparisons import Comparison, compare
from nnrun.api.ensembles import Ensemble, ensemble
from nnrun.api.models import Evaluation, Predictions, Predictor, evaluate, load, predict
from nnrun.api.runs import Result, resume, train
from nnrun.api.sweeps import Sweep, sweep

__all__ = [
    "Comparison",
    "Ensemble",
    "Evaluation",
    "Predictions",
    "Predictor",
    "Result",
    "Sweep",
    "compare",
    "ensemble",
    "evaluate",
    "load",
    "predict",
    "resume",
    "sweep",
    "train",
]
