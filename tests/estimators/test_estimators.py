"""nnrun.sklearn: a classifier and a regressor that scikit-learn takes like its own."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_regressor_multioutput,
    check_supervised_y_2d,
    estimator_checks_generator,
    parametrize_with_checks,
)

import nnrun
from nnrun.errors import SpecError
from nnrun.sklearn import Classifier, Regressor, _programs

X, LABELS = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[LABELS]
SMALL: dict[str, Any] = {"hidden": 8, "epochs": 60, "learning_rate": 0.05, "random_state": 0}
QUICK = {
    "check_classifier_data_not_an_array",
    "check_classifiers_one_label",
    "check_all_zero_sample_weights_error",
    "check_classifiers_one_label_sample_weights",
    "check_dict_unchanged",
    "check_dont_overwrite_attributes",
    "check_estimator_sparse_array",
    "check_estimators_nan_inf",
    "check_estimators_unfitted",
    "check_fit2d_1sample",
    "check_fit2d_predict1d",
    "check_get_params_invariance",
    "check_methods_sample_order_invariance",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_sample_weight_equivalence_on_dense_data",
    "check_set_params",
    "check_supervised_y_no_nan",
}


@pytest.fixture(scope="module")
def fitted() -> Classifier:
    return Classifier(**SMALL).fit(X, NAMES)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Grows with each program that is compiled; none is known at first."""
    calls: list[int] = []
    make = _programs.compile_programs

    def counted(*arguments: Any) -> Any:
        calls.append(len(calls))
        return make(*arguments)

    monkeypatch.setattr(_programs, "compile_programs", counted)
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)())
    yield calls


def test_names_of_classes_mean_the_labels_of_these_names_or_are_refused():
    """Of the labels 1 and 2, a run would take the name 1 for the second."""
    x = np.random.default_rng(0).normal(size=(60, 2))
    labels = (x[:, 0] > 0).astype(int)
    weight = {"name": "cross_entropy", "class_weight": {"1": 100.0}}
    of_positions = Classifier(epochs=3, loss=weight, random_state=0).fit(x, labels)
    assert (of_positions.predict(x) == 1).mean() > 0.9
    for given in ({"loss": weight}, {"overrides": ("metrics=[{name: f1, label: 1}]", "data.validation=0.3")}):
        with pytest.raises(SpecError, match=r"names classes, and the run .* \(0 is 1, 1 is 2\)"):
            Classifier(epochs=3, random_state=0, **given).fit(x, labels + 1)


def test_some_of_the_checks_of_scikit_learn() -> None:
    known = set()
    for instance, check in estimator_checks_generator(Classifier(hidden=8, epochs=20)):
        name = check.func.__name__  # type: ignore[union-attr]
        if name in QUICK:
            known.add(name)
            check(instance)
    assert len(known) >= 12


@pytest.mark.slow
@parametrize_with_checks([Classifier(), Regressor()])
def test_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_labels_of_any_type(fitted: Classifier) -> None:
    assert fitted.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    p = fitted.predict_proba(X)
    assert p.shape == (150, 3)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-12)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[p.argmax(1)])
    assert fitted.score(X, NAMES) > 0.95  # a third of them are of each class
    assert fitted.n_features_in_ == 4
    assert fitted.run_dir_ is None


def test_one_random_state_is_one_network(fitted: Classifier) -> None:
    again = clone(fitted).fit(X, NAMES)
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    other = clone(fitted).set_params(random_state=1).fit(X, NAMES)
    assert np.abs(other.predict_proba(X) - fitted.predict_proba(X)).max() > 1e-3


def test_a_pickle_needs_nothing_beside_it(fitted: Classifier) -> None:
    content = pickle.dumps(fitted)
    assert len(content) < 50_000
    np.testing.assert_array_equal(pickle.loads(content).predict_proba(X), fitted.predict_proba(X))  # noqa: S301


@pytest.mark.slow
def test_programs_that_are_kept_change_no_bit(compiled: list[int]) -> None:
    """Data in other units, of another size; of a loss, the scale of the targets is no part of the program."""
    x, y = load_diabetes(return_X_y=True)
    regressor = Regressor(hidden=4, epochs=3, loss="huber", random_state=0)
    alone = clone(regressor).fit(3 * x[:200], 100 * y[:200]).predict(x)
    compiled.clear()
    _programs._programs.clear()
    clone(regressor).set_params(learning_rate=0.3, random_state=5).fit(x[50:245], y[50:245])
    after = clone(regressor).fit(3 * x[:200], 100 * y[:200]).predict(x)
    assert len(compiled) == 1
    np.testing.assert_array_equal(after, alone)


def test_a_search_compiles_once(compiled: list[int]) -> None:
    """Folds of 100 and settings share a program; the whole is 150 rows, which is another."""
    search = GridSearchCV(
        Classifier(**SMALL), {"learning_rate": [1e-6, 0.05], "weight_decay": [1e-5, 1e-2]}, cv=3
    )
    search.fit(X, NAMES)
    assert search.best_params_["learning_rate"] == 0.05
    assert search.best_score_ > 0.9
    assert len(compiled) == 2


def test_a_pipeline_is_cross_validated() -> None:
    x, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), Regressor(hidden=8, epochs=60, batch_size=64, random_state=0))
    scores = cross_val_score(pipeline, x, y, cv=3)
    baseline = cross_val_score(DummyRegressor(), x, y, cv=3)
    assert scores.min() > 0.3 > baseline.max()


def test_a_run_that_is_kept_is_that_of_the_estimator(tmp_path: Path) -> None:
    estimator = Classifier(**SMALL, runs_root=tmp_path / "runs").fit(X, LABELS)
    assert estimator.run_dir_ is not None and estimator.run_dir_.parent == tmp_path / "runs"
    model = nnrun.load(estimator.run_dir_)
    np.testing.assert_allclose(model.predict_proba(X), estimator.predict_proba(X), rtol=1e-9)
    measured = nnrun.evaluate(estimator.run_dir_, "train")
    assert measured["metrics"]["train/accuracy"] == pytest.approx(estimator.score(X, LABELS))
    clone(estimator).set_params(learning_rate=0.01).fit(X, LABELS)
    assert len(list((tmp_path / "runs").glob("data-*.npz"))) == 1
    assert len(list((tmp_path / "runs").glob("classifier-*"))) == 2


def test_a_row_of_weight_two_is_two_rows() -> None:
    """In standardisation too; a row of weight 0 is not there, whatever it says."""
    x, y = load_diabetes(return_X_y=True)
    x, y, weights = x[:40], y[:40].copy(), np.arange(40) % 3
    y[weights == 0] = 1e9
    weighted = Regressor(hidden=4, epochs=20, random_state=0).fit(x, y, sample_weight=weights)
    repeated = clone(weighted).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-7)


@pytest.mark.quick(1)
@pytest.mark.parametrize("changes", [{"loss": "poisson"}, {"overrides": ("data.standardize=none",)}])
def test_weights_count_in_whatever_unit_there_is(changes: dict[str, Any]) -> None:
    """Counts are divided by their weighted mean and not moved; inputs that stay as they are stay so."""
    x, weights = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40) % 3
    y = np.round(np.exp(x[:, 0]))
    weighted = Regressor(hidden=4, epochs=20, random_state=0, **changes).fit(x, y, sample_weight=weights)
    repeated = clone(weighted).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-7)


def test_a_batch_is_no_larger_than_what_overrides_leave_to_train_on() -> None:
    """38 rows, of which 8 validate, and 10 of the others are trained on."""
    changes = ["data.validation=0.2", "data.examples=10"]
    few = Classifier(hidden=4, epochs=3, overrides=changes).set_params(batch_size=np.int64(32))
    assert few.fit(X[::4], LABELS[::4]).n_steps_ <= 3
    with pytest.raises(
        SpecError, match=r"overrides: got \"schedule=cosine\"; write a list: \['schedule=cosine'\]"
    ):
        Classifier(overrides="schedule=cosine").fit(X, LABELS)


def test_a_spec_file_says_what_parameters_do_not(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(
        "data: {name: digits, batch_size: 16, validation: 0.2}\nmodel: {name: mlp, hidden: [8], norm: batch}\n"
        "optimizer: {name: sgd, learning_rate: 0.1}\n"
        "train: {duration: 40 epochs, early_stopping: {patience: 3 epochs}}\n"
    )
    spec = tmp_path / "net.yaml"
    estimator = Classifier(
        spec, epochs=20, overrides=("model.norm=layer",), runs_root=tmp_path, random_state=3
    )
    estimator.fit(X, NAMES)
    resolved = (estimator.run_dir_ / "resolved.yaml").read_text()
    for text in ("batch_size: 16", "validation: 0.2", "name: layer", "20 epochs", "name: sgd", "test: 0"):
        assert text in resolved
    assert estimator.n_steps_ % 8 == 0 and estimator.n_steps_ <= 160  # the best of 120 / 16 steps an epoch
    assert estimator.score(X, NAMES) > 0.8


def test_a_loss_of_scores_has_no_probabilities() -> None:
    estimator = Classifier(**SMALL, loss="hinge").fit(X[:100], NAMES[:100])
    assert not hasattr(estimator, "predict_proba")
    scores = estimator.decision_function(X[:100])
    np.testing.assert_array_equal(estimator.predict(X[:100]), estimator.classes_[(scores > 0).astype(int)])
    assert not hasattr(Classifier(), "decision_function")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"learning_rate": -1}, r"optimizer\.learning_rate: got -1"),
        ({"hidden": [0]}, r"model\.hidden"),
        ({"overrides": ("data.test=0.2",)}, "leave it out"),
        ({"overrides": ("train.folds=3",)}, r"train\.folds: an estimator is one run"),
        ({"overrides": ("train.seeds=3",)}, r"train\.seeds: an estimator is one run"),
        ({"spec": "absent.yaml"}, "absent.yaml: no such file"),
        ({"loss": "squared_error"}, "does not fit"),
    ],
)
def test_what_is_wrong_is_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        Classifier(**parameters).fit(X, NAMES)


def test_what_cannot_be_trained_on_is_refused() -> None:
    with pytest.raises(ValueError, match="1 class"):
        Classifier().fit(X, np.ones(150))
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        Classifier().fit(scipy.sparse.csr_array(X), NAMES)
    with pytest.raises(ValueError, match="NaN"):
        Classifier().fit(np.where(X > 5, np.nan, X), NAMES)
    with pytest.raises(ValueError, match="sample_weight: got a weight of -1"):
        Classifier().fit(X, NAMES, sample_weight=-np.ones(150))


def test_several_targets_are_a_linear_regression_of_each() -> None:
    draw = np.random.default_rng(0)
    y = X[:, :3] @ draw.normal(size=(3, 2)) * [1.0, 1e4] + draw.normal(size=(len(X), 2))
    spec = {
        "model": "linear",
        "loss": "squared_error",
        "optimizer": "lbfgs",
        "train": {"duration": "60 steps", "precision": "float64"},
    }
    weights = draw.integers(1, 4, len(X))
    fitted = Regressor(spec, batch_size="full", random_state=0).fit(X, y, weights)
    expected = LinearRegression().fit(X, y, weights)
    np.testing.assert_allclose(fitted.predict(X), expected.predict(X), rtol=1e-3, atol=1e-4)
    assert fitted.score(X, y) == pytest.approx(r2_score(y, fitted.predict(X)))
    assert fitted.predict(X).shape == (len(X), 2)
    column = Regressor(spec, batch_size="full", random_state=0).fit(X, y[:, :1])
    flat = Regressor(spec, batch_size="full", random_state=0).fit(X, y[:, 0])
    np.testing.assert_array_equal(column.predict(X), flat.predict(X)[:, None])
    again = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))


@pytest.mark.slow
def test_the_checks_of_scikit_learn_for_several_targets() -> None:
    regressor = Regressor(hidden=8, epochs=5)
    check_regressor_multioutput("Regressor", regressor)
    check_supervised_y_2d("Regressor", regressor)


def test_several_labels_are_a_classifier_each():
    labels = np.stack([X[:, 2] > 4, X[:, 0] > 6], axis=1).astype(int)
    with pytest.raises(
        ValueError, match=r"shape \(150, 2\); of several labels, write .*MultiOutputClassifier"
    ):
        Classifier().fit(X, labels)
    several = MultiOutputClassifier(Classifier(**SMALL)).fit(X, labels)
    assert (several.predict(X) == labels).mean() > 0.9
