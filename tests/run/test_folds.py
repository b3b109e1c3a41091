"""Cross-validation through the command line and from Python: a group of ordinary runs."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnrun
from nnrun.data._folds import Fold
from nnrun.data._prepare import prepare
from nnrun.errors import RunError, SpecError
from nnrun.record import preprocessing
from nnrun.runner import session
from nnrun.runner.folds_summary import folds_summary
from nnrun.statistics.mean import mean_and_interval
from nnrun.types import Examples, Source

SPEC = """
name: folds
data: {name: csv, path: t.csv, target: y, categorical: [c], missing: mean, unknown: zeros, batch_size: 32}
model: {name: linear}
loss: LOSS
optimizer: {name: adam, learning_rate: 0.03}
train: {duration: 3 epochs, folds: 3, evaluate_every: 2 steps}
checkpoint: {every: 2 steps}
"""


def write(folder: Path, loss: str) -> Path:
    """A table of 150 rows with a number, some of it missing, a category, and labels or numbers to predict."""
    random = np.random.default_rng(0)
    number, name = random.normal(size=150), random.integers(0, 3, 150)
    value = number + (name == 1) + random.normal(size=150)
    y = [f"{100 * v:.1f}" for v in value] if loss == "squared_error" else ["ny"[int(v > 0.3)] for v in value]
    cells = ["" if i % 11 == 0 else f"{a:.3f}" for i, a in enumerate(number)]
    lines = (f"{a},{'pqr'[c]},{label}" for a, c, label in zip(cells, name, y, strict=True))
    (folder / "t.csv").write_text("\n".join(["a,c,y", *lines]) + "\n")
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.replace("LOSS", loss))
    return spec


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("folds")
    spec = write(folder, "{name: cross_entropy, class_weight: balanced}")
    return nnrun.train(spec, run_dir=folder / "cv").run_dir


def json_of(path: Path) -> Any:
    return json.loads(path.read_text())


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_summary_is_the_mean_of_the_last_steps_with_the_corrected_interval(group: Path) -> None:
    summary = json_of(group / "summary.json")
    runs = [json_of(group / f"fold_{i}" / "summary.json") for i in (1, 2, 3)]
    values = [run["metrics"]["last"]["val/accuracy"] for run in runs]
    parts = [json_of(group / f"fold_{i}" / "preprocessing.json") for i in (1, 2, 3)]
    validated = sum(part["parts"]["val"]["examples"] for part in parts)
    assert validated == 120  # each example beside the test part once
    assert summary["folds"]["ratio"] == 0.5
    mean, half = mean_and_interval(values, ratio=0.5)
    assert summary["mean"]["last"]["val/accuracy"] == pytest.approx(mean)
    low, high = summary["ci95"]["last"]["val/accuracy"]
    assert (low, high) == pytest.approx((max(mean - (half or 0), 0), min(mean + (half or 0), 1)))
    # The best steps were chosen by what validates, and all folds share the test part.
    assert not [name for name in summary["mean"]["best"] if name.startswith("val/")]
    assert summary["ci95"]["last"]["test/accuracy"] is None
    assert [run["run"] for run in summary["runs"]] == ["fold_1", "fold_2", "fold_3"]


def test_weights_of_classes_and_seeds_are_of_each_fold(group: Path) -> None:
    texts = [(group / f"fold_{i}" / "resolved.yaml").read_text() for i in (1, 2, 3)]
    weights = [text[text.index("class_weight") : text.index("optimizer:")] for text in texts]
    assert len(set(weights)) > 1
    assert "class_weight: balanced" in (group / "resolved.yaml").read_text()
    for i, text in enumerate(texts):
        assert f"seed: {i}\n" in text


@pytest.mark.parametrize("fold", [0, 1])
def test_a_table_that_is_edited_while_folds_are_made_is_in_all_of_them_or_in_none(
    fold: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a large table takes a minute, and there may be a hundred folds."""
    spec, table = write(tmp_path, "squared_error"), tmp_path / "t.csv"
    before = [session.build.build(session.build.of_fold(session.prepare(spec).spec, i)) for i in (1, 2, 3)]
    prepared, describe = session.prepare(spec), session.describe

    def edited() -> None:
        table.write_text(table.read_text().replace("y\n", "y\n0.5,p,900\n", 1))

    def described(checked: Any, experiment: Any, folder: Path, *rest: Any) -> None:
        describe(checked, experiment, folder, *rest)
        if folder.name == f"fold_{fold}":
            edited()

    monkeypatch.setattr(session, "describe", described)
    if fold == 0:  # between the check of the spec and the first fold
        edited()
        with pytest.raises(RunError, match="the data have changed since they were read; begin again"):
            session.create(prepared, tmp_path / "cv", tmp_path)
        assert not (tmp_path / "cv").exists()
        return
    folder = session.create(prepared, tmp_path / "cv", tmp_path)
    made = [session.recorded(folder / f"fold_{i}").digest for i in (1, 2, 3)]
    assert made == [experiment.dataset.fitted.digest for experiment in before]


def test_one_fold_alone_has_the_bits_of_the_group(group: Path, tmp_path: Path) -> None:
    alone = nnrun.train(
        group.parent / "spec.yaml", ["train.fold=2", "train.seed=1"], run_dir=tmp_path / "alone"
    )
    for name in ("metrics.jsonl", "preprocessing.json", "summary.json"):
        assert (alone.run_dir / name).read_bytes() == (group / "fold_2" / name).read_bytes()


def test_commands_name_the_folds(group: Path, warm: Callable[..., Any]) -> None:
    assert "mean ± corrected 95% interval of 3 folds" in warm("show", group, folder=group.parent).out
    assert "done (3 folds)" in warm("ls", group.parent, folder=group.parent).out
    shown = warm("train", group.parent / "spec.yaml", "--dry-run", folder=group.parent).out
    assert "fold 1 of 3: examples: 80 in train, 40 in val, 30 in test" in shown


def test_evaluate_measures_each_fold_with_its_own_preprocessing(group: Path) -> None:
    measured = nnrun.evaluate(group, "val", "last")
    summary = json_of(group / "summary.json")
    assert "mean" in measured
    for name in ("val/accuracy", "val/loss"):
        assert measured["mean"][name] == pytest.approx(summary["mean"]["last"][name], rel=1e-5)
        assert measured["ci95"][name] == pytest.approx(summary["ci95"]["last"][name], rel=1e-5)


def test_every_example_has_the_prediction_of_the_fold_that_did_not_see_it(
    group: Path, warm: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "oof.csv"
    warm("predict", group, "--split", "val", "--checkpoint", "last", "-o", file, folder=group.parent)
    predicted, table = rows(file), rows(group.parent / "t.csv")
    assert len({row["row"] for row in predicted}) == 120
    assert all(row["target"] == table[int(row["row"])]["y"] for row in predicted)
    accuracies = [
        json_of(group / f"fold_{i}" / "summary.json")["metrics"]["last"]["val/accuracy"] for i in (1, 2, 3)
    ]
    right = [row["label"] == row["target"] for row in predicted]
    assert np.mean(right) == pytest.approx(np.mean(accuracies))  # folds of 40 examples each


@pytest.mark.slow
def test_an_ensemble_of_folds_that_standardise_targets_differently(
    tmp_path: Path, warm: Callable[..., Any]
) -> None:
    spec = write(tmp_path, "squared_error")
    group = nnrun.train(spec, ["train.folds=2"], run_dir=tmp_path / "cv").run_dir
    folder = tmp_path / "ensemble"
    made = json.loads(warm("ensemble", group, "-o", folder, "--json", folder=group.parent).out)
    new = {"a": [0.5, float("nan"), -1.0], "c": ["p", "q", "r"]}
    singles = [nnrun.load(group / f"fold_{i}").predict(new) for i in (1, 2)]
    np.testing.assert_allclose(nnrun.load(folder).predict(new), np.mean(singles, axis=0), rtol=1e-5)
    file = tmp_path / "test.csv"
    warm("predict", folder, "--split", "test", "-o", file, folder=group.parent)
    errors = [float(row["prediction"]) - float(row["target"]) for row in rows(file)]
    assert made["ensemble"]["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=1e-5)
    assert nnrun.evaluate(folder)["metrics"]["test/rmse"] == pytest.approx(made["ensemble"]["rmse"], rel=1e-5)
    assert made["gain"]["over_mean"]["rmse"]["members"] is None
    for command in (
        ("evaluate", folder, "--split", "val"),
        ("ensemble", group, "--split", "val"),
        ("ensemble", group, "--average", "weighted"),
        ("export", folder, "-o", tmp_path / "exported"),
    ):
        refused = warm(*command, folder=group.parent)
        assert refused.code and "folds" in refused.err


def test_a_killed_group_ends_with_the_same_files(
    group: Path, tmp_path: Path, warm: Callable[..., Any]
) -> None:
    """As kill -9 leaves it in the second fold: a checkpoint in the middle, states that say running, nothing later."""
    left = tmp_path / "left"
    shutil.copytree(group, left)
    (left / "summary.json").unlink()
    for fold, steps in (("fold_2", {2, 4}), ("fold_3", set[int]())):
        (left / fold / "summary.json").unlink()
        for path in (left / fold / "checkpoints").iterdir():
            if int("".join(filter(str.isdigit, path.name)) or -1) not in steps:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (left / fold / "state.json").write_text('{"status": "running"}')
    shutil.rmtree(left / "fold_3" / "checkpoints")
    (left / "fold_3" / "metrics.jsonl").unlink()
    (left / "state.json").write_text('{"status": "running"}')
    resumed = warm("resume", left, folder=group.parent)
    assert resumed.code == 0, resumed.err
    for name in ("summary.json", "fold_2/metrics.jsonl", "fold_2/summary.json", "fold_3/metrics.jsonl"):
        assert (left / name).read_bytes() == (group / name).read_bytes(), name


def test_compare_pairs_the_folds(group: Path, tmp_path: Path, warm: Callable[..., Any]) -> None:
    """Copies of a group in which something else was learned, and in which other examples validated."""
    other, apart = tmp_path / "other", tmp_path / "apart"
    summary = json_of(group / "summary.json")
    first = [member["metrics"]["last"]["val/accuracy"] for member in summary["runs"]]
    second = [0.9, 0.5, 0.7]
    for member, value in zip(summary["runs"], second, strict=True):
        member["metrics"]["last"]["val/accuracy"] = value
        member["metrics"]["best"]["val/accuracy"] = 1.0
    for place, partition in ((other, summary["folds"]["partition"]), (apart, "another")):
        shutil.copytree(group, place)
        spec = (place / "resolved.yaml").read_text().replace("learning_rate: 0.03", "learning_rate: 0.1")
        (place / "resolved.yaml").write_text(spec)
        summary["folds"]["partition"] = partition
        (place / "summary.json").write_text(json.dumps(summary))
    compared = json.loads(warm("compare", group, other, "--json", folder=tmp_path).out)
    (pair,) = compared["comparisons"]
    assert (pair["unit"], pair["seeds"], compared["metric"]) == ("folds", 3, "val/accuracy")
    assert pair["difference"] == pytest.approx(np.mean(first) - np.mean(second))
    half = mean_and_interval([a - b for a, b in zip(first, second, strict=True)], ratio=0.5)[1]
    assert pair["high"] - pair["difference"] == pytest.approx(half)
    text = warm("compare", group, apart, folder=tmp_path).out
    assert "the folds do not validate with the same examples" in text


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.seeds=2"], "every fold is trained once"),
        (["data.validation=0.2"], r"train\.folds decides what validates, 1/3 .* or write 0\.333"),
        (["data.bootstrap=true"], "left out twice"),
        (["train.fold=4"], "there are 3"),
        (["train.folds=null", "train.repeats=2"], "belongs to train.folds"),
        (["train.folds=1"], "≥ 2"),
    ],
)
def test_what_contradicts_folds_is_refused(group: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        nnrun.train(group.parent / "spec.yaml", overrides, runs_root=group.parent / "none")
    assert not (group.parent / "none").exists()


def test_weights_of_another_run_and_sweeps_are_refused(
    group: Path, tmp_path: Path, warm: Callable[..., Any]
) -> None:
    spec = group.parent / "spec.yaml"
    with pytest.raises(SpecError, match="may have been trained on examples that a fold validates with"):
        nnrun.train(spec, weights_from=group / "fold_1", runs_root=tmp_path)
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(f"base: {spec}\nsweep:\n  over:\n    optimizer.learning_rate: [0.1, 0.2]\n")
    refused = warm("sweep", sweep, "--dry-run", folder=group.parent)
    assert refused.code == 2
    assert "a sweep trains seeds, not folds" in refused.err
    spec.with_name("alone.yaml").write_text(spec.read_text().replace("folds: 3", "repeats: 2"))
    sweep.write_text(sweep.read_text().replace("spec.yaml", "alone.yaml"))
    refused = warm("sweep", sweep, "--dry-run", folder=group.parent)
    assert refused.code == 2
    assert "train.repeats: belongs to train.folds" in refused.err


def test_an_interrupted_group_says_what_continues(
    group: Path, tmp_path: Path, begun: Callable[..., Any]
) -> None:
    spec, place = group.parent / "spec.yaml", tmp_path / "cv"
    process = begun("train", spec, "train.duration=20000 epochs", "--run-dir", place, folder=tmp_path)
    while not (place / "fold_1" / "metrics.jsonl").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM
    assert json_of(place / "state.json")["status"] == "interrupted"
    assert json_of(place / "fold_1" / "state.json")["status"] == "interrupted"
    assert json_of(place / "fold_2" / "state.json")["status"] == "created"


@pytest.mark.slow
def test_the_interval_of_a_summary_holds_the_error_over_samples_of_examples(tmp_path: Path) -> None:
    """From nnrun's own division to summary.json: least squares on 200 samples, each divided in three parts ten times.

    What the interval is about is the mean absolute error of a model that is trained on two thirds of such a sample.
    Without the correction it holds that in about half of the cases (docs/statistics.md).
    """
    draw, numbers = np.random.default_rng(0), []
    for sample in range(200):
        x = np.hstack([draw.normal(size=(60, 3)), np.ones((60, 1))])
        y = x @ [1.0, -1.0, 0.5, 0.0] + draw.standard_t(5, 60)
        source = Source(Examples(x[:, :3], y), None, (), "feature")
        folders = []
        for number in range(1, 31):
            fold = Fold(number, 3)
            data = prepare(source, validation=0.0, test=0.0, split_seed=sample, fold=fold)
            train, val = data.rows["train"], data.rows["val"]
            weights = np.linalg.lstsq(x[train], y[train], rcond=None)[0]
            error = {"val/mae": float(np.abs(x[val] @ weights - y[val]).mean())}
            folders.append(tmp_path / f"{sample}" / f"fold_{number}")
            folders[-1].mkdir(parents=True)
            preprocessing.write(folders[-1], data.fitted)
            summary = {"status": "done", "steps": 1, "metrics": {"last": error, "best": error}}
            (folders[-1] / "summary.json").write_text(json.dumps(summary))
        result = folds_summary(tmp_path / f"{sample}", folders)
        assert result["folds"]["ratio"] == 0.5
        errors = [run["metrics"]["last"]["val/mae"] for run in result["runs"]]
        naive = mean_and_interval([float(error) for error in errors])[1]
        numbers.append((result["mean"]["last"]["val/mae"], *(result["ci95"]["last"]["val/mae"] or ()), naive))
    mean, low, high, naive = np.array(numbers).T
    truth = mean.mean()
    assert 0.88 <= ((low <= truth) & (truth <= high)).mean() <= 0.99
    assert (np.abs(mean - truth) <= naive).mean() < 0.65
