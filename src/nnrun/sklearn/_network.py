"""A fitted network that an estimator carries: it needs no folder, and it can be pickled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from nnrun import build, catalog, spec
from nnrun.catalog import Spec
from nnrun.data._prepare import without_data
from nnrun.prediction.combiner import Combiner
from nnrun.preprocessing import Preprocessing
from nnrun.record.names import SPEC
from nnrun.runner.session import precision
from nnrun.sklearn._data import standardised, with_unit_scale
from nnrun.sklearn._programs import outputs_for
from nnrun.spec.document import from_data
from nnrun.training import flat
from nnrun.training.outputs import Outputs, essential
from nnrun.training.start import one_like
from nnrun.types import Experiment, State

__all__ = ["Network"]

_NEEDED = ("params/", "stats/", "knobs/model/", "knobs/loss/", "step", "key")  # of the arrays of a checkpoint


class _Ready(NamedTuple):
    """What computes outputs.

    dtype    of inputs
    scores   whether outputs of classes are scores, of which no softmax is a probability
    """

    outputs: Outputs
    state: State
    dtype: np.dtype
    scores: bool


class Network:
    """The model of a run.

    text     of its resolved.yaml
    folder   where the user's own modules are
    fitted   what standardises inputs and targets
    arrays   of its checkpoint
    """

    def __init__(
        self, text: str, folder: Path, fitted: Preprocessing, arrays: Mapping[str, np.ndarray]
    ) -> None:
        self.text, self.folder, self.fitted = text, folder, fitted
        self.arrays = {name: array for name, array in arrays.items() if name.startswith(_NEEDED)}

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled."""
        return {name: value for name, value in self.__dict__.items() if name != "_ready"}

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """The outputs (n, classes), (n, 1), or of several targets (n, k), for inputs (n, inputs) float64."""
        ready = self._ready
        inputs = standardised(x, self.fitted, ready.dtype)
        with precision(self._precision):
            return ready.outputs(ready.state, inputs, lambda: None)

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """(n, classes) float64; scores where the loss makes those."""
        combiner = Combiner("probabilities", 1, "scores" if self.scores else "classes")
        return combiner.probabilities(combiner.values(self.outputs(x)))

    def numbers(self, x: np.ndarray) -> np.ndarray:
        """(n,) float64 in units of the target; of several (n, k)."""
        return self.fitted.to_units(self.outputs(x))

    @property
    def scores(self) -> bool:
        """Whether outputs of classes are scores, of which no softmax is a probability."""
        return self._ready.scores

    @cached_property
    def _spec(self) -> Spec:
        """Its data are not read."""
        tree = spec.parse(self.text.encode(), "the spec of the fitted model")
        assert isinstance(tree.value, dict)
        document = from_data(tree.value, tree.problems, self.folder / SPEC, self.text)
        return build.with_folds(catalog.bind(document, with_data=False))

    @property
    def _precision(self) -> str:
        return self._spec.train.precision

    @cached_property
    def _ready(self) -> _Ready:
        """Made when it is first asked for, also in another process."""
        with precision(self._precision):
            kind = np.dtype(jax.numpy.zeros(()).dtype)
            experiment: Experiment = build.build(self._spec, with_unit_scale(without_data(self.fitted, kind)))
            like = essential(one_like(experiment))
            shapes = flat.shapes(like)
            state = flat.unflatten({name: self.arrays[name] for name in shapes}, like)
            outputs = outputs_for(self._spec, experiment)
            loss = experiment.loss(experiment.knobs)
        return _Ready(outputs, state, kind, bool(self.fitted.classes) and not loss.probabilities)
