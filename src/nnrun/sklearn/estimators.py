"""A classifier and a regressor for scikit-learn: pipelines, searches and cross-validation take them like its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from nnrun.amounts import figure
from nnrun.sklearn._data import Given
from nnrun.sklearn._fitting import fit
from nnrun.sklearn._settings import Parameters

__all__ = ["Classifier", "Regressor"]

Data = Any  # whatever scikit-learn takes: an array, a list of rows, a DataFrame, a Series


class _Estimator(BaseEstimator):
    """What both have."""

    def __init__(
        self,
        spec: str | Path | Mapping[str, object] | None = None,
        *,
        overrides: Sequence[str] = (),
        hidden: int | Sequence[int] | None = None,
        activation: str | None = None,
        dropout: float | None = None,
        loss: str | Mapping[str, object] | None = None,
        optimizer: str | Mapping[str, object] | None = None,
        learning_rate: float | None = None,
        weight_decay: float | None = None,
        batch_size: int | str | None = None,
        epochs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        runs_root: str | Path | None = None,
    ) -> None:
        self.spec = spec
        self.overrides = overrides
        self.hidden = hidden
        self.activation = activation
        self.dropout = dropout
        self.loss = loss
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.random_state = random_state
        self.runs_root = runs_root

    def _counted(
        self, x: np.ndarray, y: np.ndarray, sample_weight: Data
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """The rows that weigh something, and their weights, None where all weigh the same."""
        if sample_weight is None:
            return x, y, sample_weight
        weights = np.full(len(y), sample_weight, float) if np.isscalar(sample_weight) else sample_weight
        weights = np.asarray(check_array(weights, ensure_2d=False, input_name="sample_weight"), np.float64)
        shape = (len(y),)
        if weights.shape != shape or (weights < 0).any():
            got = (
                f"shape {weights.shape}"
                if weights.shape != shape
                else f"a weight of {figure(weights.min(), 6)}"
            )
            raise ValueError(f"sample_weight: got {got}; give a number of 0 or more for each sample, {shape}")
        rows = weights > 0
        if not rows.any():
            raise ValueError("sample_weight: every weight is zero; give at least two samples more than that")
        return x[rows], y[rows], weights[rows]

    def _train(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, labels: Sequence[object] = ()
    ) -> None:
        """Trains on inputs (n, inputs) float64 and targets: int32 positions of labels (n,) or, of none, float64."""
        if len(y) < 2:
            raise ValueError(f"{type(self).__name__}: 1 sample or none has a weight; at least two are needed")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        parameters = Parameters(*(getattr(self, name) for name in Parameters._fields))
        root = None if self.runs_root is None else Path(self.runs_root)
        name = type(self).__name__.lower()
        given = Given(x, y, weights, len(labels), tuple(map(str, labels)))
        self.network_, self.run_dir_, self.n_steps_ = fit(parameters, given, seed, root, name)

    def _finite(self, outputs: np.ndarray) -> np.ndarray:
        """Raises ValueError naming the first input that the network says nothing of."""
        bad = np.flatnonzero(~np.isfinite(outputs).reshape(len(outputs), -1).all(1))
        if len(bad):
            raise ValueError(
                f"{type(self).__name__}: predicts NaN or infinity for the input at index {bad[0]}; correct it or "
                "leave it out"
            )
        return outputs

    def _inputs(self, X: Data) -> np.ndarray:
        check_is_fitted(self, "network_")
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False))


def _gives_probabilities(estimator: Classifier) -> bool:
    """Whether there are probabilities; a loss such as hinge makes scores."""
    if _gives_scores(estimator):
        raise AttributeError(
            "predict_proba: the loss makes scores and no probabilities; use decision_function"
        )
    return True


def _gives_scores(estimator: Classifier) -> bool:
    """Whether the loss that it was trained with makes scores."""
    return hasattr(estimator, "network_") and estimator.network_.scores


class Classifier(ClassifierMixin, _Estimator):
    """A network that tells classes apart, with the interface of scikit-learn.

    spec            a spec file, or a dict that says the same; None: an mlp of 64 units that Adam trains for 100 epochs
                    in float64.  Its data block is replaced by what `fit` gets; of it batch_size, validation,
                    split_seed, stratify, sampling and bootstrap count, and nothing is held out unless validation is
                    written
    overrides       changes of the spec, as on the command line: ("schedule=cosine", "model.norm=batch")
    hidden          widths of the hidden layers, (64, 64), or of one
    activation, dropout, loss, optimizer, learning_rate, weight_decay, batch_size, epochs
                    the keys of these names in the blocks of a spec; None: as the spec says.  A batch is all examples
                    where there are fewer than batch_size
    random_state    of initial weights, order and noise: the same int gives the same network
    runs_root       the folder in which run folders and their data are kept; None: nothing stays on disk

    After `fit`: classes_, n_features_in_, feature_names_in_ (of a DataFrame), n_steps_ (trained, up to the best by
    validation where there is such a part), run_dir_ (None unless runs_root is given).
    """

    def fit(self, X: Data, y: Data, sample_weight: Data = None) -> Classifier:
        """Trains on X (n, inputs) and labels y (n,) of any type; a row of weight 2 counts as two rows.

        Raises ValueError for what scikit-learn refuses, and the errors of nnrun.errors.
        """
        shape = np.asarray(y).shape
        if len(shape) == 2 and shape[1] > 1:
            raise ValueError(
                f"y should be a 1d array, got an array of shape {shape}; of several labels, write "
                "sklearn.multioutput.MultiOutputClassifier(Classifier(...)), which trains one for each"
            )
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        X, y, sample_weight = self._counted(X, y, sample_weight)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__}: y has 1 class, {self.classes_[0]!r}; at least two classes are needed"
            )
        self._train(X, labels.astype(np.int32), sample_weight, self.classes_.tolist())
        return self

    def predict(self, X: Data) -> np.ndarray:
        """(n,): labels, as `fit` got them."""
        scores = self._chosen_by(X)
        return self.classes_[scores.argmax(1)]

    @available_if(_gives_probabilities)
    def predict_proba(self, X: Data) -> np.ndarray:
        """(n, classes) float64: the probability of each of `classes_`."""
        return self._chosen_by(X)

    @available_if(_gives_scores)
    def decision_function(self, X: Data) -> np.ndarray:
        """(n, classes) float64: the scores of a loss such as hinge; of two classes (n,), the second minus the first."""
        scores = self._chosen_by(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def _chosen_by(self, X: Data) -> np.ndarray:
        """(n, classes) float64: what labels are chosen by: probabilities, or scores where the loss makes those."""
        x = self._inputs(X)
        return self._finite(self.network_.probabilities(x))


class Regressor(RegressorMixin, _Estimator):
    """A network that predicts numbers, with the interface of scikit-learn.  Parameters are those of `Classifier`.

    Without a spec it minimises the squared error; targets are standardised for training, and predicted in their units.
    """

    def fit(self, X: Data, y: Data, sample_weight: Data = None) -> Regressor:
        """Trains on X (n, inputs) and numbers y (n,), or several for each sample, (n, k).

        A row of weight 2 counts as two rows.  Of several, the loss is the mean over them.
        Raises ValueError for what scikit-learn refuses, and the errors of nnrun.errors.
        """
        X, y = validate_data(
            self, X, y, dtype=np.float64, ensure_min_samples=2, y_numeric=True, multi_output=True
        )
        X, y, sample_weight = self._counted(X, y, sample_weight)
        y = y.astype(np.float64)
        self._given_columns = y.ndim == 2
        self._train(X, y[:, 0] if y.shape[1:] == (1,) else y, sample_weight)
        return self

    def __sklearn_tags__(self) -> Tags:
        """Several targets are taken, too."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Data) -> np.ndarray:
        """Float64 of the shape that `fit` got: (n,), (n, 1) or (n, k)."""
        x = self._inputs(X)
        numbers = self._finite(self.network_.numbers(x))
        return numbers[:, None] if self._given_columns and numbers.ndim == 1 else numbers
