"""Several labels of an example, from a table to predictions: against scikit-learn, one label at a time."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import sklearn.metrics as sk
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

import nnrun
from nnrun.api._frames import uncounted
from nnrun.build.several_targets import _mean
from nnrun.errors import NnrunError
from nnrun.look.examples import look_at
from nnrun.prediction.models import open_model
from nnrun.report.per_label import per_label_of
from nnrun.runner.warm_start import _changes
from nnrun.statistics.metric import Undefined

pytestmark = pytest.mark.filterwarnings("ignore:.*the run was trained on most of these examples")

LABELS, YES = ["comedy", "crime (any)", "award"], ["1", "1", "yes"]
SPEC = """
name: labels
data: {name: csv, path: t.csv, target: [comedy, "crime (any)", award], validation: 0.25, batch_size: full}
model: linear
loss: binary_cross_entropy
optimizer: {name: lbfgs}
train: {duration: 60 steps, precision: float64}
checkpoint: {best: val/exact_match}
"""
ROWS = 200


def write(folder: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 3))
    there = expit(1.5 * x @ draw.normal(size=(3, 3)) + [0, -1, 1]) > draw.uniform(size=(ROWS, 3))
    lines = [
        ",".join([*map(repr, row), str(int(a)), str(int(b)), "yes" if c else "no"])
        for row, (a, b, c) in zip(x.tolist(), there.tolist(), strict=True)
    ]
    (folder / "t.csv").write_text("\n".join(["a,b,c," + ",".join(LABELS), *lines]) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labels")
    write(folder)
    (folder / "spec.yaml").write_text(SPEC)
    return folder


@pytest.fixture(scope="module")
def run(place: Path, imported: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        nnrun.train("spec.yaml", overrides=["metrics=[auroc, brier]"], run_dir="runs/labels")
    return place / "runs/labels"


@pytest.fixture(scope="module")
def seeds(place: Path, imported: Any) -> list[Path]:
    """Two members that differ."""
    changes = [
        "train.seeds=2",
        "model={name: mlp, hidden: [4]}",
        "train.duration=8 steps",
        "checkpoint.best=val/loss",
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        nnrun.train("spec.yaml", overrides=changes, run_dir="runs/seeds")
    return sorted((place / "runs/seeds").glob("seed_*"))


def table_of(place: Path, name: str = "t.csv") -> dict[str, np.ndarray]:
    with (place / name).open() as file:
        head, *rows = csv.reader(file)
    return dict(zip(head, np.array(rows).T, strict=True))


def inputs_of(data: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([data[name].astype(float) for name in "abc"], 1)


def there(data: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([data[name] == yes for name, yes in zip(LABELS, YES, strict=True)], 1)


def test_it_is_a_logistic_regression_of_each_label(place, run):
    data = table_of(place)
    x, y = inputs_of(data), there(data)
    model = nnrun.load(run, "last")
    assert model.targets == tuple(LABELS) and "-> 3 labels" in repr(model) and model.classes == ()
    assert model.label_classes == (("0", "1"), ("0", "1"), ("no", "yes"))
    trained = open_model(run, pytest.fail, ["train"]).experiment.dataset.rows["train"]
    p = model.predict_proba({name: data[name].astype(float) for name in "abc"})
    for j in range(3):
        theirs = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x[trained], y[trained, j])
        np.testing.assert_allclose(p[:, j], theirs.predict_proba(x)[:, 1], atol=1e-5)
    names = model.predict(place / "t.csv")
    np.testing.assert_array_equal(names[:, 2], np.where(p[:, 2] > 0.5, "yes", "no"))
    with jax.enable_x64(True):
        outputs = np.asarray(model.apply(model.params, model.prepare(x)))
    np.testing.assert_allclose(outputs, logit(p), atol=1e-4)


def test_metrics_are_scikit_learns(run):
    prediction = nnrun.predict(run, split="test")
    summary = json.loads((run / "summary.json").read_text())
    metrics, p = summary["metrics"]["best"], prediction.probabilities
    y = np.stack([prediction.targets[:, j] == yes for j, yes in enumerate(YES)], 1)
    per_label = {
        "accuracy": lambda y, p: sk.accuracy_score(y, p > 0.5), "loss": sk.log_loss, "auroc": sk.roc_auc_score,
        "brier": sk.brier_score_loss,
    }  # fmt: skip
    for name, function in per_label.items():
        each = [function(y[:, j], p[:, j]) for j in range(3)]
        assert [metrics[f"test/{name}({label})"] for label in LABELS] == pytest.approx(each, rel=1e-9)
        assert metrics[f"test/{name}"] == pytest.approx(np.mean(each), rel=1e-9)
    assert metrics["test/exact_match"] == pytest.approx(sk.accuracy_score(y, p > 0.5))
    assert summary["best"]["metric"] == "val/exact_match" and summary["targets"] == LABELS
    largest = np.maximum(y.mean(0), 1 - y.mean(0))
    constant = summary["baseline"]["metrics"]
    assert summary["baseline"]["prediction"] == "largest class"
    assert [constant[f"test/accuracy({label})"] for label in LABELS] == pytest.approx(largest.tolist())
    assert constant["test/accuracy"] == pytest.approx(largest.mean())
    assert constant["test/exact_match"] == pytest.approx((y == (y.mean(0) > 0.5)).all(1).mean())


def test_predictions_have_two_columns_for_each_label(place, run, warm):
    done = warm("predict", run, "--split", "test", "-o", "p.csv", folder=place)
    assert done.code == 0, done.err
    columns, prediction = table_of(place, "p.csv"), nnrun.predict(run, split="test")
    pairs = [
        name
        for label, yes in zip(LABELS, YES, strict=True)
        for name in (f"label({label})", f"p({label}={yes})")
    ]
    expected = ["row", *pairs, *(f"target({label})" for label in LABELS)]
    assert [*columns] == expected == [*prediction.columns()]
    for name, column in prediction.columns().items():
        assert columns[name].tolist() == list(map(str, np.asarray(column).tolist()))
    assert set(columns["target(award)"]) == {"no", "yes"}
    warm("predict", run, "t.csv", "-o", "p.npz", folder=place)
    with np.load(place / "p.npz") as arrays:
        np.testing.assert_array_equal(arrays["probabilities"], nnrun.load(run).predict_proba(place / "t.csv"))
        np.testing.assert_array_equal(arrays["labels"], arrays["probabilities"] > 0.5)
        assert arrays["label_classes"].tolist() == [["0", "1"], ["0", "1"], ["no", "yes"]]
        assert arrays["target_names"].tolist() == LABELS


def test_new_examples_are_measured_by_the_names_of_their_classes(place, run):
    data = table_of(place)
    result = nnrun.evaluate(run, file=place / "t.csv", metrics=["mcc"])["metrics"]
    p, y = nnrun.load(run).predict_proba(place / "t.csv"), there(data)
    assert result["file/auroc(award)"] == pytest.approx(sk.roc_auc_score(y[:, 2], p[:, 2]), rel=1e-9)
    each = [sk.matthews_corrcoef(y[:, j], p[:, j] > 0.5) for j in range(3)]
    assert result["file/mcc"] == pytest.approx(np.mean(each), rel=1e-9)
    np.savez(place / "new.npz", x=inputs_of(data), y=y.astype(int))
    (place / "bad.csv").write_text("a,b,c,comedy,crime (any),award\n1,2,3,1,7,maybe\n")
    with pytest.raises(NnrunError) as error:
        nnrun.evaluate(run, file=place / "bad.csv")
    assert len(str(error.value).splitlines()) == 2 and "bad.csv:2:5" in str(error.value)


@pytest.mark.parametrize(
    "how", ["vote", *(pytest.param(how, marks=pytest.mark.slow) for how in ("probabilities", "logits"))]
)
def test_ensembles_average_each_label(place, seeds, warm, how):
    done = warm("ensemble", *seeds, "-o", f"runs/{how}", "--average", how, folder=place)
    assert done.code == 0, done.err
    p = np.stack([nnrun.predict(member, split="test").probabilities for member in seeds])
    expected = {
        "probabilities": p.mean(0),
        "logits": expit(logit(p).mean(0)),
        "vote": ((p > 0.5) + p / 3).mean(0) / (4 / 3),  # a vote is 1, and p decides between equal counts
    }[how]
    together = nnrun.predict(place / f"runs/{how}", split="test")
    np.testing.assert_allclose(together.probabilities, expected, rtol=1e-9)
    y = np.stack([together.targets[:, j] == yes for j, yes in enumerate(YES)], 1)
    scored = nnrun.evaluate(place / f"runs/{how}")["metrics"]
    assert scored["test/loss"] == pytest.approx(-np.log(np.where(y, expected, 1 - expected)).mean(), rel=1e-6)
    disagreement = ((p[0] > 0.5) != (p[1] > 0.5)).mean()
    assert (
        f"members disagree on {100 * disagreement:.1f}% of the labels of the examples on average" in done.out
    )


@pytest.mark.slow
def test_folds_predict_every_example_once(place, monkeypatch):
    monkeypatch.chdir(place)
    nnrun.train("spec.yaml", overrides=["train.folds=2", "data.validation=0.5"], run_dir="runs/cv")
    held = nnrun.predict("runs/cv", split="val", checkpoint="last")
    assert held.probabilities.shape == (160, 3) and len(set(held.kept["row"])) == 160
    y = there(table_of(place))[np.array(held.kept["row"], int)]
    np.testing.assert_array_equal(held.targets[:, 2] == "yes", y[:, 2])
    assert sk.roc_auc_score(y, held.probabilities) > 0.7


def test_weights_of_labels_say_what_they_were_trained_for(run):
    labels = nnrun.load(run).fitted
    classes = labels._replace(classes=("no", "yes"), targets=(), label_classes=())
    numbers = labels._replace(label_classes=())
    was = "labels 0 or 1, no or yes"
    for before, now, words in (
        (labels, classes, f"was trained for {was}, this run is for no, yes"),
        (classes, labels, f"was trained for no, yes, this run is for {was}"),
        (labels, numbers, f"was trained for {was}, this run is for numbers"),
        (numbers, labels, f"was trained for numbers, this run is for {was}"),
    ):
        assert [change for change in _changes(before, now) if "trained for" in change] == [words]
    assert _changes(labels, labels) == []


def test_what_has_no_meaning_for_several_labels_is_refused(place, run):
    for call, words in (
        (lambda: nnrun.predict(run, split="test", interval=0.9), "predicts labels, and gives the probability"),
        (lambda: nnrun.predict(run, split="test", calibrated=True), "each of which would need a temperature"),
        (lambda: nnrun.train(place / "spec.yaml", ["data.sampling=balanced"]), "several labels, each with classes"),
        (lambda: nnrun.train(place / "spec.yaml", ["metrics=[rmse]"]), "rmse judges numbers"),
        (lambda: nnrun.train(place / "spec.yaml", ["metrics=[{name: f1, label: 'yes'}]"]),
         "f1: of comedy, crime (any), there is no class 'yes'; the classes are 0, 1"),
        (lambda: nnrun.train(place / "spec.yaml", ["loss={name: binary_cross_entropy, class_weight: balanced}"]),
         "unknown key"),
        (lambda: nnrun.train(place / "spec.yaml", ["data.target=comedy", "data.exclude=['c*', award]"]), "one label"),
    ):  # fmt: skip
        with pytest.raises(
            NnrunError, match=re.escape(words) if words != "one label" else "there is one; write|fits"
        ):
            call()


def test_a_table_has_a_row_for_each_label(place, run, warm):
    """Of the test part, and of a file, which is read in pieces: scikit-learn's shares at a probability of a half."""
    done = warm("evaluate", run, "--per-class", folder=place)
    assert done.code == 0, done.err
    of_part = nnrun.predict(run, split="test")
    p = nnrun.load(run).predict_proba(place / "t.csv")
    of_file = warm("evaluate", run, "t.csv", "--per-class", "--json", folder=place).json["per_label"][
        "labels"
    ]
    looked = look_at(run, "test", "best", pytest.fail, uncounted)["per_label"]["labels"]
    for entries, yes, predicted in (
        (looked, np.stack([of_part.targets[:, j] == yes for j, yes in enumerate(YES)], 1), of_part.probabilities > 0.5),
        (of_file, there(table_of(place)), p > 0.5),
    ):  # fmt: skip
        assert [(entry["name"], entry["there"]) for entry in entries] == list(zip(LABELS, YES, strict=True))
        for j, entry in enumerate(entries):
            y, z = yes[:, j], predicted[:, j]
            shares = sk.precision_recall_fscore_support(y, z, average="binary")[:3]
            assert [entry["precision"], entry["recall"], entry["f1"]] == pytest.approx(shares)
            assert [entry["positives"], entry["predicted"], entry["right"]] == [
                y.sum(),
                z.sum(),
                (y & z).sum(),
            ]
            assert entry["accuracy"] == pytest.approx(sk.accuracy_score(y, z))
            assert entry["baseline"] == pytest.approx(max(y.mean(), 1 - y.mean()))
    assert "award=yes" in done.out and "largest class" in done.out


def test_all_labels_of_which_a_metric_has_no_value_are_named():
    why = Undefined("there is one class")
    mean = _mean([0.5, why, why, Undefined("other")], ["a", "b", "c", "d"])
    assert isinstance(mean, Undefined)
    assert mean.reason == "of b, c, there is one class; of d, other"


def test_shares_without_a_denominator_are_none():
    entry = per_label_of(["a"], [("no", "yes")], [[[5, 0], [0, 0]]])["labels"][0]
    assert (entry["precision"], entry["recall"], entry["f1"]) == (None, None, None)
    assert (entry["examples"], entry["accuracy"], entry["baseline"]) == (5, 1.0, 1.0)


def test_the_report_looks_at_the_labels_that_are_wrong(run):
    prediction = nnrun.predict(run, split="test")
    looked = look_at(run, "test", "best", pytest.fail, uncounted)
    wrong = (prediction.values != prediction.targets).any(1)
    assert looked["errors"] == wrong.sum() and looked["labels"] == LABELS
    y = np.stack([prediction.targets[:, j] == yes for j, yes in enumerate(YES)], 1)
    worst = np.unravel_index(np.abs(prediction.probabilities - y).argmax(), y.shape)
    share = max(prediction.probabilities[worst], 1 - prediction.probabilities[worst])
    text = f"{LABELS[worst[1]]} {prediction.values[worst]} {share:.1%}"
    assert text in looked["wrong"][0]["predicted"]


@pytest.mark.slow
def test_an_exported_model_gives_all_labels(place, run, warm):
    done = warm("export", run, "-o", "exported", folder=place)
    assert done.code == 0, done.err
    program = (
        "import numpy as np, model, numpy_model\n"
        "x = {'a': [0.5, 1], 'b': [0, 2.5], 'c': [-1, 1e-3]}\n"
        "ours = model.Model()\n"
        "np.savez('out.npz', a=ours.predict_proba(x), b=numpy_model.Model().outputs(x), names=ours.predict(x))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=place / "exported", check=True)
    x = {"a": [0.5, 1], "b": [0, 2.5], "c": [-1, 1e-3]}
    with np.load(place / "exported/out.npz") as theirs:
        np.testing.assert_allclose(theirs["a"], nnrun.load(run).predict_proba(x), atol=1e-9)
        np.testing.assert_allclose(theirs["b"], nnrun.load(run).predict_proba(x), atol=1e-9)
        np.testing.assert_array_equal(theirs["names"], nnrun.load(run).predict(x))
