"""A trained model as an object: what `nnrun.load` returns."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from nnrun.data._inputs import inputs_of, read_inputs
from nnrun.data._standardise import new_inputs
from nnrun.ensemble.average import Combiner
from nnrun.ensemble.folds import in_units_of
from nnrun.ensemble.models import Model, by_model, open_model, state_of
from nnrun.ensemble.prediction import as_ensemble, check_finite
from nnrun.ensemble.reading import Ensemble
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.runner import session
from nnrun.runner.averaged import averaged
from nnrun.runner.evaluation import load_intact
from nnrun.training.outputs import outputs_of
from nnrun.types import State, Tree

__all__ = ["LoadedRun", "Predictor", "load_predictor"]


class LoadedRun(NamedTuple):
    """A run, ready to predict."""

    folder: Path
    model: Model
    state: State
    step: int


class Predictor:
    """A run, or an ensemble of runs, that predicts.

    run_dir   its folder
    step      of its checkpoint; None for an ensemble
    classes   names by label; () for a regression
    columns   names of the features, in order, where it was trained on a table; else ()
    shape     of one input
    warn      receives a line for each column of a table with names that the training part lacked

    Inputs are an array (n, *shape) as the data hold them (pixels from 0 to 255, features in their units), columns by
    name ({"age": [...], ...} or a DataFrame), or the path of a file or folder that `nnrun predict` reads.
    Predictions have the bits of `nnrun predict`.
    """

    def __init__(self, ensemble: Ensemble, members: list[LoadedRun], warn: Warn) -> None:
        self._ensemble, self.members, self.warn = ensemble, members, warn
        model = members[0].model
        self.fitted = fitted = model.experiment.dataset.fitted
        self.weights, self.precision = ensemble.weights, model.precision
        self.run_dir: Path = ensemble.folder
        self.step: int | None = members[0].step if len(members) == 1 else None
        self.classes: tuple[str, ...] = fitted.classes
        self.columns: tuple[str, ...] = tuple(column.name for column in fitted.columns)
        self.shape: tuple[int, ...] = fitted.shape
        self.combiner = Combiner(ensemble.how, len(members), model.classifies, model.scores)

    def __repr__(self) -> str:
        what = f"{len(self.classes)} classes" if self.classes else "a number"
        of = f"step {self.step}" if self.step is not None else f"{len(self.members)} members"
        return f"Predictor({one_line(self.run_dir)}, {of}: inputs {self.shape} -> {what})"

    def predict(self, x: object) -> np.ndarray:
        """(n,): names of the classes, or numbers in units of the target, float64.

        Raises DataError, RunError for an input that is so large that the model gives NaN.
        """
        mean = self._mean(x)
        if self.classes:
            return np.array(self.classes)[self.combiner.probabilities(mean).argmax(1)]
        data = self.members[0].model.experiment.dataset
        return mean[:, 0].astype(np.float64) * data.target_scale + data.target_shift

    def predict_proba(self, x: object) -> np.ndarray:
        """(n, classes) float64: the probability of each class.  Raises SpecError where there are none, DataError."""
        if not self.classes:
            raise SpecError(
                f"{one_line(self.run_dir)}: predicts numbers, which have no probabilities; use predict"
            )
        if self.combiner.scores:
            raise SpecError(f"{one_line(self.run_dir)}: gives scores and no probabilities; use scores")
        return self.combiner.probabilities(self._mean(x))

    def scores(self, x: object) -> np.ndarray:
        """(n, classes) float64: what the classes are chosen by: probabilities, or scores where a loss makes those."""
        if not self.classes:
            raise SpecError(f"{one_line(self.run_dir)}: predicts numbers, not classes; use predict")
        return self.combiner.probabilities(self._mean(x))

    @property
    def params(self) -> Tree:
        """The parameters, as a tree of arrays.  Raises RunError for an ensemble."""
        return self._single().state.params

    def prepare(self, x: object) -> np.ndarray:
        """Inputs as `apply` takes them, (n, *shape).  Raises RunError for an ensemble, DataError."""
        return self._inputs(self._single().model, x)

    @property
    def apply(self) -> Callable[[Tree, Array], Array]:
        """The model as a pure function (params, inputs of `prepare`) -> outputs (n, ...), compiled with jax.jit.

        Outputs are logits or scores of the classes (n, classes), or standardised numbers (n, 1).  Inputs are
        standardised inside; there is no noise, and batch-norm statistics are those of the run.  It can be
        differentiated.  Of a run in float64 it is to be used within jax.enable_x64(True).
        """
        return self._applied

    @cached_property
    def _applied(self) -> Callable[[Tree, Array], Array]:
        _, model, state, _ = self._single()

        def apply(params: Tree, inputs: Array) -> Array:
            return outputs_of(model.experiment, params, state.stats, state.knobs, inputs)

        return jax.jit(apply)

    def _single(self) -> LoadedRun:
        if len(self.members) > 1:
            raise RunError(
                f"{one_line(self.run_dir)}: an average of predictions has no parameters; load one of its members, such "
                f"as {one_line(self._ensemble.members[0])}"
            )
        return self.members[0]

    def _mean(self, x: object) -> np.ndarray:
        outputs = []
        for _, model, state, _ in self.members:
            inputs = self._inputs(model, x)
            with session.precision(model.precision):
                given = model.outputs(state, inputs, lambda: None)
            outputs.append(in_units_of(self.fitted, model, given))
        mean = self.combiner.mean(outputs, self.weights)
        check_finite(mean, self.run_dir)
        return mean

    def _inputs(self, model: Model, x: object) -> np.ndarray:
        data = model.experiment.dataset
        if isinstance(x, str | Path):
            stored = read_inputs(Path(x), model.block, data.fitted, self.warn).x
        else:
            stored = inputs_of(x, data.fitted, self.warn)
        return new_inputs(stored, data.fitted, data.train.x.dtype)


def load_predictor(folder: Path, which: str, average: str | None, warn: Warn) -> Predictor:
    """The model of a run, or all models of an ensemble, on the device.

    which     last, best, or a step
    average   that the run kept, which predicts in place of the trained parameters; None: those
    Raises RunError, SpecError, MachineError.
    """
    ensemble = as_ensemble(folder, average)
    parts: dict[int, LoadedRun] = {}
    for group in by_model(ensemble.members):
        contents = {i: load_intact(ensemble.members[i], which) for i in group}
        remeasured = average and any(name.startswith("stats/") for name in contents[group[0]].arrays)
        model = open_model(ensemble.members[group[0]], warn, ["train"] if remeasured else [])
        with session.precision(model.precision):
            for i, content in contents.items():
                place = one_line(ensemble.members[i])
                if average:
                    content = averaged(model.experiment, model.like)(content, average, place)
                parts[i] = LoadedRun(
                    ensemble.members[i], model, state_of(model, content.arrays, place), content.step
                )
    return Predictor(ensemble, [parts[i] for i in sorted(parts)], warn)
