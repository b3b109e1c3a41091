"""A trained model as an object: what `nnrun.load` returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from nnrun.data._standardise import new_inputs
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.prediction.combiner import Combiner
from nnrun.prediction.folds import in_units_of
from nnrun.prediction.inputs import arrays_for, pieces_for
from nnrun.prediction.models import SharedModel, by_model, open_model, state_of
from nnrun.prediction.output import names_of_labels
from nnrun.prediction.reading import WeightedMembers, as_ensemble, check_finite
from nnrun.runner import session
from nnrun.runner.averaged import averaged
from nnrun.runner.evaluation import load_intact
from nnrun.training.outputs import outputs_of
from nnrun.types import State, Tree

__all__ = ["LoadedRun", "Predictor", "load_ensemble", "load_predictor"]


class LoadedRun(NamedTuple):
    """A run, ready to predict."""

    folder: Path
    model: SharedModel
    state: State
    step: int


class Predictor:
    """A run, or an ensemble of runs, that predicts.

    run_dir   its folder
    step      of its checkpoint; None for an ensemble
    classes   names by label; () for a regression
    columns   names of the features, in order, where it was trained on a table; else ()
    targets   names of several targets; () where there is one
    label_classes   of several labels the two classes of each; () where targets are numbers
    shape     of one input
    warn      receives a line for each column of a table with names that the training part lacked

    Inputs are an array (n, *shape) as the data hold them (pixels from 0 to 255, features in their units), columns by
    name ({"age": [...], ...} or a DataFrame), or the path of a file or folder that `nnrun predict` reads.
    Predictions have the bits of `nnrun predict`.
    """

    def __init__(self, ensemble: WeightedMembers, members: list[LoadedRun], warn: Warn) -> None:
        self._ensemble, self.members, self.warn = ensemble, members, warn
        model = members[0].model
        self.fitted = fitted = model.experiment.dataset.fitted
        self.weights, self.precision = ensemble.weights, model.precision
        self.run_dir: Path = ensemble.folder
        self.step: int | None = members[0].step if len(members) == 1 else None
        self.classes: tuple[str, ...] = fitted.classes
        self.columns: tuple[str, ...] = tuple(column.name for column in fitted.columns)
        self.targets: tuple[str, ...] = fitted.targets
        self.label_classes: tuple[tuple[str, str], ...] = fitted.label_classes
        self.shape: tuple[int, ...] = fitted.shape
        self.combiner = Combiner(ensemble.how, len(members), model.kind)

    def __repr__(self) -> str:
        several = "labels" if self.label_classes else "numbers"
        numbers = f"{len(self.targets)} {several}" if self.targets else "a number"
        what = f"{len(self.classes)} classes" if self.classes else numbers
        of = f"step {self.step}" if self.step is not None else f"{len(self.members)} members"
        return f"Predictor({one_line(self.run_dir)}, {of}: inputs {self.shape} -> {what})"

    def predict(self, x: object) -> np.ndarray:
        """(n,): names of the classes, or numbers in units of the target, float64; of several targets (n, k).

        Of several labels (n, k): the name of the more probable class of each.
        Raises DataError, RunError for an input that is so large that the model gives NaN.
        """
        mean = self._mean(x)
        if self.label_classes:
            return names_of_labels(self.combiner.probabilities(mean), self.label_classes)
        if self.classes:
            return np.array(self.classes)[self.combiner.probabilities(mean).argmax(1)]
        return self.fitted.to_units(mean)

    def predict_proba(self, x: object) -> np.ndarray:
        """(n, classes) float64: the probability of each class; of several labels (n, k), that of the second of each.

        Raises SpecError where there are none, DataError.
        """
        if self.combiner.kind == "numbers":
            raise SpecError(
                f"{one_line(self.run_dir)}: predicts numbers, which have no probabilities; use predict"
            )
        if self.combiner.kind == "scores":
            raise SpecError(f"{one_line(self.run_dir)}: gives scores and no probabilities; use scores")
        return self.combiner.probabilities(self._mean(x))

    def scores(self, x: object) -> np.ndarray:
        """(n, classes) float64: what the classes are chosen by: probabilities, or scores where a loss makes those."""
        if self.combiner.kind == "numbers":
            raise SpecError(f"{one_line(self.run_dir)}: predicts numbers, not classes; use predict")
        return self.combiner.probabilities(self._mean(x))

    @property
    def params(self) -> Tree:
        """The parameters, as a tree of arrays.  Raises RunError for an ensemble."""
        return self._single().state.params

    def prepare(self, x: object) -> np.ndarray:
        """Inputs as `apply` takes them, (n, *shape).  Raises RunError for an ensemble, DataError."""
        model = self._single().model
        return np.concatenate([_ready(model, stored, before) for before, (stored,) in self._stored(x)])

    @property
    def apply(self) -> Callable[[Tree, Array], Array]:
        """The model as a pure function (params, inputs of `prepare`) -> outputs (n, ...), compiled with jax.jit.

        Outputs are logits or scores of the classes (n, classes), or standardised numbers (n, 1), of several targets
        (n, k); of labels their log-odds.  Inputs are standardised inside; there is no noise, and batch-norm statistics
        are those of the run.  It can be differentiated.  Of a run in float64, use it within jax.enable_x64(True).
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

    def outputs(
        self, stored: Sequence[np.ndarray], tick: Callable[[], None], before: int = 0
    ) -> list[np.ndarray]:
        """The outputs (n, ...) of each member for inputs as its data hold them.

        tick     called after each batch of each member
        before   how many inputs came before these, for messages
        Raises DataError for a number that is too large for the run's precision.
        """
        outputs = []
        for (_, model, state, _), x in zip(self.members, stored, strict=True):
            inputs = _ready(model, x, before)
            with session.precision(model.precision):
                outputs.append(model.outputs(_moved(state, jax.device_put), inputs, tick))
        return outputs

    def outputs_of_part(self, part: str, tick: Callable[[], None]) -> list[np.ndarray]:
        """The outputs (n, ...) of each member for train, val or test, where that was read."""
        outputs = []
        for _, model, state, _ in self.members:
            with session.precision(model.precision):
                outputs.append(model.outputs(_moved(state, jax.device_put), model.part(part).x, tick))
        return outputs

    def mean(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """The mean (n, ...) of what members give, in units of the first."""
        alike = [
            in_units_of(self.fitted, member.model, given)
            for member, given in zip(self.members, outputs, strict=True)
        ]
        return self.combiner.mean(alike, self.weights)

    def _mean(self, x: object) -> np.ndarray:
        means = []
        for before, stored in self._stored(x):
            means.append(self.mean(self.outputs(stored, lambda: None, before)))
            check_finite(means[-1], self.run_dir, before)
        return np.concatenate(means)

    def _stored(self, x: object) -> Iterator[tuple[int, list[np.ndarray]]]:
        """The inputs in pieces, as the data of each member hold them, and how many came before each."""
        models = [member.model for member in self.members]
        if not isinstance(x, str | Path):
            yield 0, arrays_for(models, x, self.warn)
            return
        before = 0
        for inputs, stored in pieces_for(models, Path(x), self.warn):
            yield before, stored
            before += len(inputs.x)


def _moved(state: State, move: Callable[[Tree], Tree]) -> State:
    """The state with what predictions depend on moved to the device or from it; what is there already stays."""
    return state._replace(params=move(state.params), stats=move(state.stats), knobs=move(state.knobs))


def _ready(model: SharedModel, stored: np.ndarray, before: int) -> np.ndarray:
    """Inputs as the data hold them, as a model takes them."""
    data = model.experiment.dataset
    return new_inputs(stored, data.fitted, data.train.x.dtype, before)


def load_predictor(folder: Path, which: str, average: str | None, warn: Warn) -> Predictor:
    """The model of a run, or all models of an ensemble, on the device.

    which     last, best, or a step
    average   that the run kept, which predicts in place of the trained parameters; None: those
    Raises RunError, SpecError, MachineError.
    """
    return load_ensemble(as_ensemble(folder, average), which, warn)


def load_ensemble(
    ensemble: WeightedMembers,
    which: str,
    warn: Warn,
    needed: Sequence[str] = (),
    metrics: Sequence[str] = (),
    resident: bool = True,
) -> Predictor:
    """The models of these runs.

    needed    parts of their data that are read
    metrics   of the catalogue that they have beside those of their specs
    resident  whether the parameters of several members stay on the device; if not, they wait in the host's memory, and
              those of one member at a time are on the device
    Raises as `load_predictor`.
    """
    average, resident = ensemble.average, resident or len(ensemble.members) == 1
    parts: dict[int, LoadedRun] = {}
    for group in by_model(ensemble.members):
        contents = {i: load_intact(ensemble.members[i], which) for i in group}
        remeasured = average and any(name.startswith("stats/") for name in contents[group[0]].arrays)
        read = [*needed, "train"] if remeasured else needed
        model = open_model(ensemble.members[group[0]], warn, read, metrics)
        with session.precision(model.precision):
            for i, content in contents.items():
                place = one_line(ensemble.members[i])
                if average:
                    content = averaged(model.experiment, model.like)(content, average, place)
                state = state_of(model, content.arrays, place)
                state = state if resident else _moved(state, jax.device_get)
                parts[i] = LoadedRun(ensemble.members[i], model, state, content.step)
    return Predictor(ensemble, [parts[i] for i in sorted(parts)], warn)
