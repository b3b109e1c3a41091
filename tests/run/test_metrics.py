"""Metrics that a spec asks for, from the spec to every command that shows them or chooses by them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.utils.class_weight import compute_class_weight

from nnrun.errors import SpecError
from nnrun.record import metrics
from nnrun.runner import session
from nnrun.runner.by_example import DRAWS, metrics_of_resamples
from nnrun.spec import yaml12
from nnrun.training.baseline import baseline, constant_loss

CLASSES = """
data: {name: csv, path: table.csv, target: made}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 3 epochs, precision: float64}
metrics: [auroc, f1, {name: f1, label: bad}, balanced_accuracy, log_loss, {name: calibration_error, bins: 5}]
checkpoint: {best: val/auroc}
"""
NUMBERS = """
data: {name: csv, path: table.csv, target: size, exclude: made}
model: {name: mlp, hidden: [8]}
loss: squared_error
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 3 epochs, precision: float64}
metrics: [median_absolute_error, rmse, r2, spearman, mape, {name: pinball, q: 0.9}]
checkpoint: {best: val/spearman}
"""
MODULE = '''
import numpy as np
from nnrun.types import Measure

def cost(miss: float = 5.0) -> Measure:
    """What wrong answers cost: 1 each, `miss` where a bad one passes for good."""
    def terms(p, labels):
        wrong = p.argmax(1) != labels
        return wrong * np.where(labels == 0, miss, 1.0)
    return Measure(lambda averages: averages[0], rising=False, classifies=True, terms=terms)

def surest() -> Measure:
    """The largest probability, of all examples."""
    return Measure(lambda p, labels: p.max(), rising=True, classifies=True, bounds=(0, 1))

def short() -> Measure:
    return Measure(lambda averages: averages[0], True, True, terms=lambda p, labels: p[:2].sum(1))

def fails() -> Measure:
    return Measure(lambda p, labels: p.nothing, True, True)

def overwrites() -> Measure:
    def value(p, labels):
        p[:] = 0.5
        return 0.5
    return Measure(value, True, True)

def four() -> Measure:
    return Measure(lambda averages: averages[0], True, True, terms=lambda p, labels: p[:4, 0])

def accuracy() -> Measure:
    """In percent."""
    def terms(p, labels):
        return 100.0 * (p.argmax(1) == labels)
    return Measure(lambda averages: averages[0], True, True, terms=terms)

def loss() -> Measure:
    return Measure(lambda p, labels: 0.0, True, True)

def no_metric():
    return 3
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of 400 rows, in which `bad` is rare, and a module beside it."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    score = x @ [1.0, -1.0, 0.5] + rng.normal(size=400)
    with (tmp_path / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "size", "made"])
        writer.writerows(
            [*map(float, row), float(20 + s), "bad" if s > 1.7 else "good"]
            for row, s in zip(x, score, strict=True)
        )
    (tmp_path / "mine.py").write_text(MODULE)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    spec = folder / "spec.yaml"
    if "exclude: made" in text:  # the class would give the number away
        rows = [row[:-1] for row in csv.reader((folder / "table.csv").read_text().splitlines())]
        with (folder / "numbers.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        text = text.replace("table.csv", "numbers.csv").replace(", exclude: made", "")
    spec.write_text(text)
    return spec


@pytest.fixture
def run(folder: Path, warm: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """run(text, name, *overrides): trains and returns the JSON that it prints."""

    def train(text: str, name: str = "run", *overrides: str) -> dict[str, Any]:
        done = warm("train", written(folder, text), *overrides, "--run-dir", name, "--json", folder=folder)
        assert done.code == 0, done.err
        return done.json

    return train


def predictions(warm: Callable[..., Any], folder: Path, *arguments: str) -> list[dict[str, str]]:
    done = warm("predict", *arguments, "-o", "-", folder=folder)
    assert done.code == 0, done.err
    return list(csv.DictReader(io.StringIO(done.out)))


def test_metrics_of_classes_are_those_of_scikit_learn_on_what_predict_writes(run, warm, folder):
    best = run(CLASSES)["metrics"]["best"]
    rows = predictions(warm, folder, "run", "--split", "test")
    y = np.array([row["target"] == "bad" for row in rows], int)
    p = np.array([float(row["p(bad)"]) for row in rows])
    chosen = np.array([row["label"] == "bad" for row in rows], int)
    wanted = {
        "test/auroc": sk.roc_auc_score(y, p),
        "test/f1": sk.f1_score(y, chosen, average="macro"),
        "test/f1_bad": sk.f1_score(y, chosen),
        "test/balanced_accuracy": sk.balanced_accuracy_score(y, chosen),
        "test/log_loss": sk.log_loss(y, p),
        "test/accuracy": sk.accuracy_score(y, chosen),
    }
    assert {name: best[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert "test/calibration_error_5" in best


def test_metrics_of_numbers_are_those_of_scikit_learn_on_what_predict_writes(run, warm, folder):
    best = run(NUMBERS)["metrics"]["best"]
    rows = predictions(warm, folder, "run", "--split", "test")
    y, z = (np.array([float(row[name]) for row in rows]) for name in ("target", "prediction"))
    wanted = {
        "test/rmse": sk.root_mean_squared_error(y, z),
        "test/median_absolute_error": sk.median_absolute_error(y, z),
        "test/r2": sk.r2_score(y, z),
        "test/mape": sk.mean_absolute_percentage_error(y, z),
        "test/pinball_0.9": sk.mean_pinball_loss(y, z, alpha=0.9),
    }
    assert {name: best[name] for name in wanted} == pytest.approx(wanted, abs=1e-9)
    assert "test/spearman" in best


def test_the_best_step_is_chosen_by_the_metric_that_is_named(run, folder):
    summary = run(CLASSES, "run", "checkpoint.best=val/log_loss", "train.evaluate_every=3 steps")
    series = metrics.columns(metrics.read(folder / "run" / "metrics.jsonl"))
    steps, values = series["val/log_loss"]
    assert summary["best"] == {
        "metric": "val/log_loss", "value": float(values.min()), "step": int(steps[values.argmin()]),
    }  # fmt: skip
    assert set(summary["rising"]) == {"accuracy", "auroc", "f1", "f1_bad", "balanced_accuracy"}
    assert summary["bounds"]["log_loss"] == [0, None]


@pytest.mark.slow
def test_a_seed_of_several_has_the_bits_of_that_seed_alone(run, folder):
    run(CLASSES, "many", "train.seeds=3")
    run(CLASSES, "alone", "train.seed=2")
    logs = [(folder / name / "metrics.jsonl").read_bytes() for name in ("many/seed_2", "alone")]
    assert logs[0] == logs[1]
    assert "ci95" in json.loads((folder / "many" / "summary.json").read_text())


@pytest.mark.slow
def test_a_metric_changes_nothing_else(run, folder):
    """Neither another number of a line of metrics, nor the weights."""
    with_metrics = run(CLASSES, "with", "checkpoint.best=null")
    without = run(CLASSES, "without", "checkpoint.best=null", "metrics=null")
    lines = [metrics.read(folder / name / "metrics.jsonl") for name in ("with", "without")]
    for more, fewer in zip(*lines, strict=True):
        assert {name: more[name] for name in fewer} == fewer
    assert {name: with_metrics["metrics"]["best"][name] for name in without["metrics"]["best"]} == (
        without["metrics"]["best"]
    )


def test_outputs_in_many_pieces_give_the_same_bits(folder, monkeypatch):
    from nnrun.training import evaluate, programs

    with session.precision("float64"):
        experiment = session.prepare(written(folder, CLASSES)).experiment
        whole = programs.compile_programs(experiment)
        state = whole.initial()
        monkeypatch.setattr(evaluate, "_OUTPUTS", 1)  # a batch at a time
        monkeypatch.setattr(evaluate, "_LARGEST", 16)
        monkeypatch.setattr(evaluate, "_SMALLEST", 16)
        pieces = programs.compile_programs(experiment)
        monkeypatch.setattr(evaluate, "_OUTPUTS", 1 << 20)
        together = programs.compile_programs(experiment)
        assert pieces.evaluator.held.most == 16
        assert pieces.evaluate(state, "test") == together.evaluate(state, "test")
        nearly = whole.evaluate(state, "test")[0]
        assert pieces.evaluate(state, "test")[0] == pytest.approx(nearly, rel=1e-6)


@pytest.mark.parametrize(("text", "override", "message"), [
    (CLASSES, "metrics=[f1, r2]", "metrics.1: r2 judges numbers, and the targets of csv are classes; leave it out, "),
    (NUMBERS, "metrics=auroc", "metrics: auroc judges classes, and the targets of csv are numbers; leave it out, "),
    (CLASSES, "metrics={name: f1, label: worse}", "there is no class 'worse'; the classes are bad, good"),
    (CLASSES, "metrics={name: f1, label: bad, average: micro}", "micro is over all classes, and label asks for one"),
    (CLASSES, "metrics=top_k", "of 2 classes one of the 5 largest is always right; write k below 2"),
    (CLASSES, "metrics=[f1, f1]", "metrics.1: f1 with these options comes twice; write it once"),
    (CLASSES, "metrics=mine:short", "terms of 4 examples have the shape (2,)"),
    (CLASSES, "metrics=mine:fails", "mine:fails on 4 examples: AttributeError"),
    (CLASSES, "metrics=mine:overwrites", "mine:overwrites on 4 examples: ValueError: assignment destination is read"),
    (CLASSES, "metrics=mine:loss", "the name loss is taken; give the function another one"),
    (CLASSES, "metrics=mine:no_metric", "it must return a Measure (nnrun.types.Measure)"),
    (CLASSES, "checkpoint.best=val/f1_good", "there is no metric 'val/f1_good'; did you mean val/f1_bad?"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(folder, text, override, message):
    best = [] if override.startswith("checkpoint") else ["checkpoint.best=null"]
    with pytest.raises(SpecError) as caught:
        session.prepare(written(folder, text), [override, *best])
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["log_loss", "brier", "calibration_error"])
def test_probabilities_of_scores_are_refused(folder, name):
    overrides = ["loss=hinge", "checkpoint.best=null", f"metrics={name}"]
    with pytest.raises(SpecError, match=f"{name} needs probabilities, and the outputs of hinge are scores"):
        session.prepare(written(folder, CLASSES), overrides)


@pytest.mark.slow
def test_rankings_of_scores_are_those_of_the_margin(run, warm, folder):
    best = run(CLASSES, "run", "loss=hinge", "metrics=auroc")["metrics"]["best"]
    rows = predictions(warm, folder, "run", "--split", "test")
    margin = [float(row["score(bad)"]) - float(row["score(good)"]) for row in rows]
    wanted = sk.roc_auc_score([row["target"] == "bad" for row in rows], margin)
    assert best["test/auroc"] == pytest.approx(wanted, abs=1e-9)


def test_terms_of_another_length_are_refused_on_every_part(folder):
    """They fit the examples on which a metric is tried, and would be averaged over more than there are."""
    prepared = session.prepare(written(folder, CLASSES), ["metrics=mine:four", "checkpoint.best=null"])
    measure = prepared.experiment.loss(prepared.experiment.knobs).measures["four"]
    with pytest.raises(
        SpecError, match=r"mine.py:\d+: terms of 9 examples have the shape \(4,\); return \(9,\)"
    ):
        measure.each(np.full((9, 2), 0.5), np.zeros(9, np.int32))


def test_an_accuracy_of_the_users_own_is_compared_in_its_own_units(folder):
    own = session.prepare(written(folder, CLASSES), ["metrics=mine:accuracy", "checkpoint.best=null"])
    plain = session.prepare(written(folder, CLASSES), ["checkpoint.best=null"])
    share = baseline(plain.experiment, "test")["accuracy"]
    assert 0.5 < share < 1
    assert baseline(own.experiment, "test") == {"accuracy": pytest.approx(100 * share, rel=1e-12)}


def test_the_loss_of_outputs_of_0_is_that_of_knowing_nothing(folder):
    """log K for K classes; of standardised numbers, half the mean of their squares, which is 1."""
    classes = session.prepare(written(folder, CLASSES), ["checkpoint.best=null"])
    assert constant_loss(classes.experiment) == pytest.approx(np.log(2), rel=1e-6)
    smooth = session.prepare(written(folder, CLASSES), ["checkpoint.best=null", "loss.class_weight={bad: 9}"])
    assert constant_loss(smooth.experiment) == pytest.approx(np.log(2), rel=1e-6)
    numbers = session.prepare(written(folder, NUMBERS))
    assert constant_loss(numbers.experiment) == pytest.approx(0.5, rel=1e-5)


def test_a_metric_of_the_users_own(run, warm, folder):
    own = "metrics=[{name: mine:cost, miss: 3.0}, mine:surest]"
    best = run(CLASSES, "run", own, "checkpoint.best=val/cost_3.0")["metrics"]["best"]
    rows = predictions(warm, folder, "run", "--split", "test")
    costs = [(row["label"] != row["target"]) * (3.0 if row["target"] == "bad" else 1.0) for row in rows]
    assert best["test/cost_3.0"] == pytest.approx(np.mean(costs), abs=1e-12)
    wanted = max(max(float(row["p(bad)"]), float(row["p(good)"])) for row in rows)
    assert best["test/surest"] == pytest.approx(wanted, abs=1e-12)


def test_a_metric_without_a_value_says_why(run, warm, folder):
    """A table of 40 rows with two of them bad: one of the parts has none."""
    lines = (folder / "table.csv").read_text().splitlines()
    bad = [line for line in lines if line.endswith("bad")][:2]
    (folder / "table.csv").write_text(
        "\n".join([lines[0], *bad, *[r for r in lines if "good" in r][:38]]) + "\n"
    )
    text = CLASSES.replace("checkpoint: {best: val/auroc}", "").replace(
        "target: made", "target: made, batch_size: 8"
    )
    summary = run(text)
    empty = [name for name, reason in summary["undefined"].items() if reason == "all examples are of good"]
    assert {name.split("/")[1] for name in empty} == {"auroc"}
    assert all(summary["metrics"]["best"][name] == "nan" for name in empty)
    part = empty[0].split("/")[0]
    done = warm("evaluate", "run", "--split", part, "--json", folder=folder)
    assert done.json["undefined"][f"{part}/auroc"] == "all examples are of good"
    done = warm("evaluate", "run", "--split", part, folder=folder)
    assert f"warning: {part}/auroc is undefined: all examples are of good" in done.err
    shown = warm("show", "run", folder=folder)
    assert "undefined: all examples are of good" in shown.out


@pytest.mark.slow
def test_an_ensemble_and_its_best_member_go_by_them(run, warm, folder):
    run(CLASSES, "many", "train.seeds=3")
    done = warm("ensemble", "many", "-o", "both", "--json", folder=folder)
    assert done.code == 0, done.err
    account = json.loads((folder / "both" / "account.json").read_text())
    assert account["best"]["by"] == "auroc"
    scores = {member["name"]: member["validation"]["auroc"] for member in account["members"]}
    assert scores[account["best"]["name"]] == max(scores.values())
    rows = predictions(warm, folder, "both", "--split", "test")
    y, p = [row["target"] == "bad" for row in rows], [float(row["p(bad)"]) for row in rows]
    assert account["ensemble"]["auroc"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-9)
    assert account["ensemble"]["log_loss"] == pytest.approx(sk.log_loss(y, p), abs=1e-9)
    assert account["gain"]["over_mean"]["f1"]["examples"] is not None
    evaluated = warm("evaluate", "both", "--json", folder=folder).json
    assert evaluated["metrics"]["test/auroc"] == pytest.approx(account["ensemble"]["auroc"], abs=1e-12)


@pytest.mark.slow
def test_an_ensemble_of_numbers_measures_in_the_exact_units_of_the_target(run, warm, folder):
    run(NUMBERS, "many", "train.seeds=2")
    assert warm("ensemble", "many", "-o", "both", folder=folder).code == 0
    account = json.loads((folder / "both" / "account.json").read_text())
    rows = predictions(warm, folder, "both", "--split", "test")
    y, z = (np.array([float(row[name]) for row in rows]) for name in ("target", "prediction"))
    assert account["ensemble"]["mape"] == pytest.approx(sk.mean_absolute_percentage_error(y, z), abs=1e-12)
    assert account["ensemble"]["median_absolute_error"] == pytest.approx(
        sk.median_absolute_error(y, z), abs=1e-12
    )


@pytest.mark.slow
def test_a_sweep_is_judged_by_one(warm, folder):
    written(folder, CLASSES)
    (folder / "sweep.yaml").write_text(
        "base: spec.yaml\nsweep: {search: random, trials: 3, metric: val/f1_bad,"
        " over: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}}\n"
    )
    done = warm("sweep", "sweep.yaml", "--run-dir", "swept", "--json", folder=folder)
    assert done.code == 0, done.err
    board = json.loads((folder / "swept" / "leaderboard.json").read_text())
    values = [trial["value"] for trial in board["trials"]]
    assert values == sorted(values, reverse=True)  # more is better


@pytest.mark.slow
def test_beside_every_accuracy_stands_the_share_of_the_largest_class(run, warm, folder):
    summary = run(CLASSES, "run", "average=ema")
    rows = predictions(warm, folder, "run", "--split", "test")
    share = np.mean([row["target"] == "good" for row in rows])
    assert summary["baseline"]["prediction"] == "largest class"
    assert summary["baseline"]["metrics"]["test/accuracy"] == pytest.approx(share, abs=1e-12)
    done = warm("train", "spec.yaml", "--run-dir", "again", "average=ema", folder=folder)
    for name in ("test/accuracy", "test/ema/accuracy"):
        assert re.search(rf"{name} [0-9.]+% \(largest class: {share:.2%}\)", done.out), done.out
    assert "largest class\n" in warm("show", "run", folder=folder).out
    table = warm("evaluate", "run", folder=folder).out
    assert re.search(rf"test/accuracy +[0-9.]+% +{share:.2%}\n", table), table
    group = run(CLASSES, "many", "train.seeds=2")
    assert group["baseline"] == {**summary["baseline"]}
    assert warm("ensemble", "many", "-o", "both", folder=folder).code == 0
    account = json.loads((folder / "both" / "account.json").read_text())
    assert account["baseline"]["metrics"] == {"accuracy": pytest.approx(share, abs=1e-12)}
    assert "largest class" in (folder / "both" / "report.html").read_text()


def test_beside_numbers_stands_the_mean_of_the_training_targets(run, warm, folder):
    summary = run(NUMBERS)
    rows = predictions(warm, folder, "run", "--split", "test")
    y = np.array([float(row["target"]) for row in rows])
    trained = predictions(warm, folder, "run", "--split", "train")
    mean = np.full(len(y), np.mean([float(row["target"]) for row in trained]))
    wanted = {
        "test/rmse": sk.root_mean_squared_error(y, mean),
        "test/mae": sk.mean_absolute_error(y, mean),
        "test/median_absolute_error": sk.median_absolute_error(y, mean),
        "test/mape": sk.mean_absolute_percentage_error(y, mean),
        "test/pinball_0.9": sk.mean_pinball_loss(y, mean, alpha=0.9),
    }
    assert summary["baseline"]["prediction"] == "training mean"
    found = {
        name: value for name, value in summary["baseline"]["metrics"].items() if name.startswith("test/")
    }
    assert found == pytest.approx(wanted, abs=1e-9)


def test_each_class_and_which_is_taken_for_which(run, warm, folder):
    run(CLASSES)
    rows = predictions(warm, folder, "run", "--split", "test")
    names = ["bad", "good"]
    actual, chosen = ([row[column] for row in rows] for column in ("target", "label"))
    done = warm("evaluate", "run", "--per-class", "--json", folder=folder).json["per_class"]
    assert done["confusion"] == sk.confusion_matrix(actual, chosen, labels=names).tolist()
    for i, entry in enumerate(done["classes"]):
        shares = sk.precision_recall_fscore_support(actual, chosen, labels=names, zero_division=np.nan)
        wanted = [value if np.isfinite(value) else None for value in (part[i] for part in shares[:3])]
        assert [entry["precision"], entry["recall"], entry["f1"]] == pytest.approx(wanted)
        assert (entry["name"], entry["examples"]) == (names[i], shares[3][i])
    shown = warm("evaluate", "run", "--per-class", folder=folder).out
    assert re.search(rf"good +{actual.count('good')} +{chosen.count('good')} ", shown), shown
    assert "is \\ predicted" in shown
    run(CLASSES, "many", "train.seeds=2")
    group = warm("evaluate", "many", "--per-class", "--json", folder=folder).json
    assert [sum(map(sum, entry["per_class"]["confusion"])) for entry in group["runs"]] == [len(rows)] * 2


@pytest.mark.slow
def test_per_class_of_numbers_or_of_samples_is_refused(run, warm, folder):
    run(NUMBERS)
    done = warm("evaluate", "run", "--per-class", folder=folder)
    assert (done.code, done.out) == (2, "")
    assert "--per-class: run predicts numbers; leave it out" in done.err
    done = warm("evaluate", "run", "--per-class", "--samples", "3", folder=folder)
    assert "--per-class: classes are predicted without noise" in done.err


def test_classes_with_few_examples_are_said_once(warm, folder):
    lines = (folder / "table.csv").read_text().splitlines()
    bad = [line for line in lines if line.endswith("bad")][:9]
    (folder / "table.csv").write_text(
        "\n".join([lines[0], *bad, *[line for line in lines if "good" in line]]) + "\n"
    )
    done = warm("train", written(folder, CLASSES), "--quiet", folder=folder)
    assert done.code == 0, done.err
    [warning] = [line for line in done.out.splitlines() if "fewer than 10 examples" in line]
    assert re.search(r"bad \(\d in train, \d in val, \d in test\)$", warning), warning
    assert "good" not in warning
    [folder_of_run] = (folder / "runs").iterdir()
    counts = json.loads((folder_of_run / "summary.json").read_text())["few"]["bad"]
    assert sum(counts.values()) == 9
    assert warning in warm("show", folder_of_run, folder=folder).out


@pytest.mark.slow
def test_fitted_weights_of_classes_are_in_the_run_folder(run, warm, folder):
    plain = run(CLASSES, "plain")["metrics"]["best"]
    run(CLASSES, "run", "loss={class_weight: balanced}")
    labels = [row["target"] for row in predictions(warm, folder, "run", "--split", "train")]
    wanted = {name: len(labels) / (2 * labels.count(name)) for name in ("bad", "good")}
    resolved = yaml12.parse((folder / "run" / "resolved.yaml").read_bytes(), "resolved.yaml").value
    assert resolved["loss"]["class_weight"] == pytest.approx(wanted)
    again = warm("evaluate", "run", "--json", folder=folder).json["metrics"]
    summary = json.loads((folder / "run" / "summary.json").read_text())["metrics"]["best"]
    assert again["test/loss"] == pytest.approx(summary["test/loss"], rel=1e-9)
    assert again["test/loss"] != pytest.approx(plain["test/loss"], rel=1e-3)


def test_weights_are_for_any_number_of_classes(folder):
    """Of the ten of digits, whose names are numbers; the weights by scikit-learn."""
    digits = CLASSES.replace("{name: csv, path: table.csv, target: made}", "digits").replace(
        ", label: bad", ", label: 3"
    )
    experiment = session.prepare(written(folder, digits), ["loss={class_weight: balanced}"]).experiment
    labels = experiment.dataset.train.y
    theirs = compute_class_weight("balanced", classes=np.arange(10), y=labels)
    loss = experiment.loss(experiment.knobs)
    assert loss.weight is not None
    weights = loss.weight(np.zeros((10, 10), np.float32), np.arange(10))
    np.testing.assert_allclose(weights, theirs, rtol=1e-6)


@pytest.mark.parametrize(("override", "message"), [
    ("loss={class_weight: {worse: 3}}", "loss.class_weight: there is no class 'worse'; the classes are bad, good"),
    ("loss={class_weight: {bad: 0}}", "loss.class_weight.bad: got 0; write a value > 0"),
])  # fmt: skip
def test_weights_of_classes_that_cannot_be_are_refused(folder, override, message):
    with pytest.raises(SpecError) as caught:
        session.prepare(written(folder, CLASSES), [override])
    assert message in str(caught.value)


def test_the_resamples_of_a_sweep_have_metrics_of_all_predictions_at_once(folder, run):
    metrics_of_run = run(CLASSES, "classes", "train.duration=1 epochs")["metrics"]["best"]
    with session.precision("float64"):
        experiment = session.rebuild(folder / "classes", pytest.fail, ["test"]).experiment
        part, values = metrics_of_resamples(experiment, [folder / "classes"], pytest.fail)
    assert part == "test" and len(values["test/auroc"]) == DRAWS
    assert np.mean(values["test/auroc"]) == pytest.approx(metrics_of_run["test/auroc"], abs=0.03)
