"""Several targets of a regression, from a table to predictions: against scikit-learn and runs of one target each."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from sklearn.linear_model import LinearRegression

import nnrun
from nnrun.api._frames import uncounted
from nnrun.errors import NnrunError
from nnrun.look.examples import look_at
from nnrun.report.evaluated import evaluation_view
from nnrun.report.metric_table import metric_tables
from nnrun.report.plain_text import as_text

pytestmark = pytest.mark.filterwarnings("ignore:.*the run was trained on most of these examples")

TARGETS = ["height", "CO (mg/m3)", "z"]
SPEC = """
name: several
data: {name: csv, path: t.csv, target: [height, "CO (mg/m3)", z], validation: 0.25, batch_size: full}
model: linear
loss: squared_error
optimizer: {name: lbfgs}
train: {duration: 30 steps, precision: float64}
metrics: [r2, spearman]
"""
ROWS = 160


def write(folder: Path) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, 3))
    y = x @ draw.normal(size=(3, 3)) + 0.5 * draw.normal(size=(ROWS, 3))
    y = y * [8, 2e4, 0.01] + [170, 7e4, 0]
    lines = [",".join(map(repr, row)) for row in np.hstack([x, y]).tolist()]
    (folder / "t.csv").write_text("\n".join(["a,b,c," + ",".join(TARGETS), *lines]) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    write(folder)
    (folder / "spec.yaml").write_text(SPEC)
    return folder


@pytest.fixture(scope="module")
def run(place: Path, imported: Any) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        nnrun.train("spec.yaml", run_dir="runs/several")
    return place / "runs/several"


def part(run: Path, split: str, **options: Any) -> nnrun.Predictions:
    return nnrun.predict(run, split=split, **options)


def table_of(place: Path, name: str = "t.csv") -> dict[str, np.ndarray]:
    with (place / name).open() as file:
        head, *rows = csv.reader(file)
    return dict(zip(head, np.array(rows, float).T, strict=True))


def test_it_is_scikit_learns_linear_regression(place, run):
    data = table_of(place)
    x, y = (np.stack([data[name] for name in names], 1) for names in (["a", "b", "c"], TARGETS))
    truth = part(run, "train").targets
    rows = [int(np.flatnonzero((y == row).all(1))[0]) for row in truth]
    fitted = LinearRegression().fit(x[rows], y[rows])
    model = nnrun.load(run)
    assert model.targets == tuple(TARGETS) and "-> 3 numbers" in repr(model)
    predicted = model.predict({name: data[name] for name in "abc"})
    np.testing.assert_allclose((predicted - fitted.predict(x)) / y.std(0), 0, atol=1e-5)
    np.testing.assert_array_equal(predicted, model.predict(place / "t.csv"))


def test_metrics_are_scikit_learns(place, run):
    prediction = part(run, "test")
    summary = json.loads((run / "summary.json").read_text())
    metrics, truth = summary["metrics"]["best"], prediction.targets
    constant = np.broadcast_to(part(run, "train").targets.mean(0), truth.shape)
    functions = {"rmse": sk.root_mean_squared_error, "mae": sk.mean_absolute_error, "r2": sk.r2_score}
    for name, function in functions.items():
        assert metrics[f"test/{name}"] == pytest.approx(function(truth, prediction.values), rel=1e-9)
        each = [metrics[f"test/{name}({target})"] for target in TARGETS]
        np.testing.assert_allclose(
            each, function(truth, prediction.values, multioutput="raw_values"), rtol=1e-9
        )
        if name != "r2":  # which compares with a constant itself
            baseline = summary["baseline"]["metrics"]
            assert baseline[f"test/{name}"] == pytest.approx(function(truth, constant), rel=1e-9)
            raw = function(truth, constant, multioutput="raw_values")
            np.testing.assert_allclose(
                [baseline[f"test/{name}({target})"] for target in TARGETS], raw, rtol=1e-9
            )
    assert summary["best"]["metric"] == "val/loss"
    assert {"spearman(z)", "r2(z)"} < set(summary["rising"])


def test_k_targets_are_k_runs_of_one(place, monkeypatch):
    """A step on the mean over k targets is a step on each at a k-th of the rate, to rounding."""
    monkeypatch.chdir(place)
    common = ["optimizer={name: sgd, learning_rate: 0.3}", "train.duration=5 steps", "metrics=[]"]
    nnrun.train("spec.yaml", overrides=common, run_dir="runs/together")
    together = nnrun.predict("runs/together", split="test").values
    for j, target in enumerate(TARGETS):
        others = [name for name in TARGETS if name != target]
        alone = [f"data.target={target}", f"data.exclude={json.dumps(others)}", "optimizer.learning_rate=0.1"]
        nnrun.train("spec.yaml", overrides=[*common, *alone], run_dir=f"runs/alone{j}")
        single = nnrun.predict(f"runs/alone{j}", split="test").values
        np.testing.assert_allclose(together[:, j], single, rtol=1e-12)


def test_predictions_have_a_column_for_each_target_and_intervals_hold_for_each(place, run, warm):
    done = warm("predict", run, "--split", "test", "--interval", "0.8", "-o", "p.csv", folder=place)
    assert done.code == 0 and done.out.count("±") == 3 and "for each target by itself" in done.out
    columns, prediction = table_of(place, "p.csv"), part(run, "test", interval=0.8)
    names = [f"{what}({target})" for target in TARGETS for what in ("prediction", "lower", "upper")]
    assert [*columns] == ["row", *names, *(f"target({target})" for target in TARGETS)]
    assert {name: np.asarray(column).tolist() for name, column in prediction.columns().items()} == {
        name: column.tolist() for name, column in columns.items()
    }
    validation = part(run, "val")
    errors = np.sort(np.abs(validation.values - validation.targets), axis=0)
    rank = int(np.ceil((len(errors) + 1) * 0.8))
    for j, target in enumerate(TARGETS):
        width = columns[f"upper({target})"] - columns[f"prediction({target})"]
        np.testing.assert_allclose(width, errors[rank - 1, j], rtol=1e-6)


def test_show_and_evaluate_have_a_row_for_each_target(place, run, warm):
    shown = warm("show", run, folder=place, COLUMNS="120").out
    measured = warm("evaluate", run, "t.csv", "--metric", "mape", folder=place, COLUMNS="120").out
    for text, name in ((shown, "test/rmse"), (measured, "file/mape")):
        table = text[text.index("target ") :]
        assert name in table.splitlines()[0]
        assert all(any(line.startswith(f"{target} ") for line in table.splitlines()) for target in TARGETS)
    result = nnrun.evaluate(run, file=place / "t.csv")["metrics"]
    data = table_of(place)
    truth = np.stack([data[target] for target in TARGETS], 1)
    values = nnrun.load(run).predict(place / "t.csv")
    assert result["file/r2"] == pytest.approx(sk.r2_score(truth, values), rel=1e-9)
    assert result["file/rmse(z)"] == pytest.approx(
        sk.root_mean_squared_error(truth[:, 2], values[:, 2]), rel=1e-9
    )


def test_targets_are_in_the_order_of_the_spec(place, run):
    """A summary's keys are sorted, and so would height, z be here, but for capital letters."""
    summary = json.loads((run / "summary.json").read_text())
    assert summary["targets"] == TARGETS
    best = summary["metrics"]["best"]
    assert [name for name in best if name.startswith("test/mae(")] != [
        f"test/mae({name})" for name in TARGETS
    ]
    [_, table] = metric_tables({"best": best}, targets=summary["targets"])
    assert [str(cell) for cell in table.columns[0].cells] == TARGETS
    shown = as_text(*evaluation_view(nnrun.evaluate(run)))
    rows = [line for line in shown.splitlines() if line.startswith(tuple(TARGETS))]
    assert len(rows) % 3 == 0  # in a narrow terminal the table has several blocks
    for first in range(0, len(rows), 3):
        block = rows[first : first + 3]
        assert all(row.startswith(f"{name} ") for row, name in zip(block, TARGETS, strict=True))


def test_true_values_in_columns_of_other_names(place, run, warm):
    text = (place / "t.csv").read_text().replace("height", "cm", 1).replace(",z", ",depth=z", 1)
    (place / "renamed.csv").write_text(text)
    arguments = ["--target", "height=cm", "--target", "z=depth=z"]
    done = warm("evaluate", run, "renamed.csv", *arguments, "--json", folder=place)
    metrics = nnrun.evaluate(run, file=place / "t.csv")["metrics"]
    assert json.loads(done.out)["metrics"] == metrics
    named = {"height": "cm", "z": "depth=z"}
    assert nnrun.evaluate(run, file=place / "renamed.csv", target=named)["metrics"] == metrics
    for target, words in (
        ({"height": "a"}, "--target a: is a feature of the run"),
        ({"height": "z"}, "column 'z' would be that of two targets"),
        ({"x": "z"}, "--target x=z: the run has 3 targets; write --target TARGET=COLUMN"),
        ("z", "--target z: the run has 3 targets; write --target TARGET=COLUMN"),
        ({"height": "inches"}, "there is no column 'inches' (the true values)"),
    ):
        with pytest.raises(NnrunError, match=re.escape(words)):
            nnrun.evaluate(run, file=place / "t.csv", target=target)


@pytest.mark.slow
def test_folds_and_their_ensemble(place, monkeypatch, warm):
    monkeypatch.chdir(place)
    changes = ["train.folds=2", "data.validation=0.5", "model={name: mlp, hidden: [4]}"]
    nnrun.train("spec.yaml", overrides=changes, run_dir="runs/cv")
    folds = sorted(Path("runs/cv").glob("fold_*"))
    mean = np.mean([nnrun.predict(fold, split="test").values for fold in folds], axis=0)
    done = warm("ensemble", *folds, "-o", "runs/both", folder=place)
    assert done.code == 0, done.err
    assert "(z)" not in done.out  # of a metric of each target there is a column in the tables of evaluate
    together = nnrun.predict("runs/both", split="test")
    np.testing.assert_allclose(together.values, mean, rtol=1e-6)
    scored = nnrun.evaluate("runs/both")["metrics"]
    assert scored["test/mae(z)"] == pytest.approx(np.abs(mean - together.targets).mean(0)[2], rel=1e-5)
    held = nnrun.predict("runs/cv", split="val", checkpoint="last")
    assert held.values.shape == (held.targets.shape[0], 3) and len(np.unique(held.kept["row"])) == len(
        held.values
    )


def test_another_choice_of_targets_is_another_model(place, run, warm):
    done = warm(
        "train", "spec.yaml", "--from", run, "data.target=[height, z]", 'data.exclude=["CO*"]', folder=place
    )
    assert done.code != 0 and "params/output/kernel is [3, 3] in that run and [3, 2] in the model" in done.err


@pytest.mark.slow
def test_an_exported_model_gives_all_targets(place, run, warm):
    done = warm("export", run, "-o", "exported", folder=place)
    assert done.code == 0, done.err
    program = (
        "import numpy as np, model, numpy_model\n"
        "x = {'a': [0.5, 1], 'b': [0, 2.5], 'c': [-1, 1e-3]}\n"
        "np.savez('out.npz', a=model.Model().predict(x), b=numpy_model.Model().outputs(x))\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=place / "exported", check=True)
    ours = nnrun.load(run).predict({"a": [0.5, 1], "b": [0, 2.5], "c": [-1, 1e-3]})
    with np.load(place / "exported/out.npz") as theirs:
        np.testing.assert_allclose(theirs["a"], ours, rtol=1e-9)
        np.testing.assert_allclose(theirs["b"], ours, rtol=1e-9)


def test_the_report_looks_at_the_examples_that_are_farthest_off(run):
    prediction = part(run, "test")
    looked = look_at(run, "test", "best", pytest.fail, uncounted)
    deviation = part(run, "train").targets.std(0)
    far = (np.abs(prediction.values - prediction.targets) / deviation).mean(1).argmax()
    name, height = looked["wrong"][0]["target"].partition(",")[0].split()
    assert (name, float(height)) == ("height", pytest.approx(prediction.targets[far, 0], rel=1e-3))
    assert looked["wrong"][0]["error"].startswith("height ")
    assert "targets" not in looked  # which is a picture of one target


@pytest.mark.slow
def test_intervals_hold_their_level_for_each_target_over_many_runs(tmp_path, monkeypatch):
    """Fresh tables, each split, trained, calibrated on 39 rows and used on new rows: 0.8 is exact, ⌈0.8 · 40⌉ / 40.

    Targets have other units, and errors of other shapes.  Given a validation part, the coverage is Beta(32, 8).
    """
    monkeypatch.chdir(tmp_path)
    draw, runs, rows, new = np.random.default_rng(7), 20, 117, 300
    covered = np.zeros((runs, 3))
    spec = SPEC.replace("validation: 0.25", f"validation: {39 / rows!r}, test: 0")
    (tmp_path / "spec.yaml").write_text(spec)
    for i in range(runs):
        x = draw.normal(size=(rows + new, 3))
        errors = [
            draw.normal(size=rows + new),
            draw.laplace(size=rows + new),
            draw.exponential(size=rows + new),
        ]
        y = (x @ draw.normal(size=(3, 3)) + np.stack(errors, 1)) * [8, 2e4, 0.01] + [170, 7e4, 0]
        for name, part in (("t", slice(0, rows)), ("new", slice(rows, None))):
            lines = [",".join(map(repr, row)) for row in np.hstack([x, y])[part].tolist()]
            (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c," + ",".join(TARGETS), *lines]) + "\n")
        nnrun.train("spec.yaml", [f"train.seed={i}", f"data.split_seed={i}"], run_dir=f"runs/{i}")
        columns = nnrun.predict(f"runs/{i}", "new.csv", interval=0.8, checkpoint="last").columns()
        for j, target in enumerate(TARGETS):
            low, high = (np.array(columns[f"{end}({target})"], float) for end in ("lower", "upper"))
            covered[i, j] = ((low <= y[rows:, j]) & (y[rows:, j] <= high)).mean()
    deviation = np.sqrt((0.8 * 0.2 / 41 + 0.8 * 0.2 / new) / runs)
    assert np.abs(covered.mean(0) - 0.8).max() < 4 * deviation
    assert covered.std(0).max() < 2 * deviation * np.sqrt(runs)
