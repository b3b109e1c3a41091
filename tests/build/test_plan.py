"""When things happen in a run, in steps by hand; folds, names and small checks of `build`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnrun import catalog
from nnrun.build.completed import structure_of
from nnrun.build.folds import fold_of, folds_asked, of_fold, with_folds
from nnrun.build.inputs import check_inputs
from nnrun.build.metrics import make_measures, with_measures
from nnrun.build.patches import second_moments_of
from nnrun.build.plan import average_names, make_plan
from nnrun.build.schedule import factors
from nnrun.catalog import Spec
from nnrun.duration import Clock
from nnrun.errors import SpecError
from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.hinge import hinge
from nnrun.loss.squared_error import squared_error
from nnrun.preprocessing import FittedColumn, Preprocessing
from nnrun.types import Dataset, Examples, Loss, Plan

SPEC = """
name: mine
data: {name: iris, batch_size: 32}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 10 epochs}
"""
CLASSES = ("setosa", "versicolor", "virginica")


def dataset(train: int = 105, val: int = 15, classes: tuple[str, ...] = CLASSES, x: Any = None) -> Dataset:
    parts = [np.arange(count) % 3 for count in (train, val, 30)]
    examples = [Examples(np.zeros((len(y), 4)), y.astype(np.int32 if classes else np.float64)) for y in parts]
    if x is not None:
        examples[0] = Examples(x, examples[0].y[: len(x)])
    shape = examples[0].x.shape[1:]
    fitted = Preprocessing(classes, (), shape, "float64", np.zeros(()), np.ones(()), 0.0, 1.0, {})
    return Dataset(*examples, np.zeros(()), np.ones(()), np.zeros(()), {}, classes, fitted)


@pytest.fixture(scope="module")
def spec_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Spec]:
    path = tmp_path_factory.mktemp("plan") / "iris.yaml"
    path.write_text(SPEC)
    return lambda *overrides: catalog.bind(catalog.read(path, overrides))


@pytest.fixture(scope="module")
def planned(spec_of: Callable[..., Spec]) -> Callable[..., Plan]:
    def make(*overrides: str, loss: Loss | None = None, **parts: Any) -> Plan:
        return make_plan(spec_of(*overrides), dataset(**parts), loss or cross_entropy())

    return make


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([], {"steps": 40, "steps_per_epoch": 4, "batch_size": 32, "seeds": (0,), "judge": "val/accuracy"}),
        (["data.batch_size=full"], {"steps": 10, "steps_per_epoch": 1, "batch_size": 105}),
        (["data.batch_size=105"], {"steps": 10, "steps_per_epoch": 1}),
        (["data.batch_size=35"], {"steps": 30, "steps_per_epoch": 3}),
        (["train.duration=7 steps"], {"steps": 7}),
        (["train.duration=1000 examples"], {"steps": 31}),  # 31.25 batches
        (["train.duration=1 examples"], {"steps": 1}),
        (["train.duration=0.6 epochs"], {"steps": 2}),
        (["train.log_every=10%", "train.evaluate_every=2 epochs"], {"log_every": 4, "evaluate_every": 8}),
        (["train.log_every=0.1%"], {"log_every": 1}),
        (["checkpoint.every=25%"], {"checkpoint_every": 10, "checkpoint_seconds": None}),
        (["checkpoint.every=2 minutes"], {"checkpoint_every": 0, "checkpoint_seconds": 120}),
        (["checkpoint.keep=5"], {"keep": 5}),
        (["train.seed=7", "train.seeds=3"], {"seeds": (7, 8, 9)}),
        (["checkpoint.best=val/loss"], {"judge": "val/loss"}),
        (["average=[ema, ema]", "checkpoint.best=val/ema_2/loss"], {"judge": "val/ema_2/loss"}),
        (["train.accumulate=4"], {"accumulate": 4}),
        (["data.sampling=balanced"], {"sampling": "balanced"}),
        (["data.bootstrap=true"], {"sampling": "bootstrap"}),
        (["train.devices=8"], {"devices": 8}),
        (
            ["train.early_stopping={patience: 2 epochs, min_delta: 0.5}"],
            {"patience": 8, "patience_metric": "val/accuracy", "min_delta": 0.5},
        ),
        (
            ["train.early_stopping={patience: 10%, metric: val/loss}", "checkpoint.best=val/accuracy"],
            {"patience": 4, "patience_metric": "val/loss", "judge": "val/accuracy"},
        ),
        (
            ["train.early_stopping={patience: 1 epochs}", "checkpoint.best=val/loss"],
            {"patience_metric": "val/loss"},  # what judges
        ),
    ],
)
def test_durations_in_steps(overrides: list[str], expected: dict, planned: Callable[..., Plan]) -> None:
    """105 training examples in batches of 32 are four steps an epoch."""
    made = planned(*overrides)
    assert {name: getattr(made, name) for name in expected} == expected


def test_without_a_validation_part_nothing_judges(planned: Callable[..., Plan]) -> None:
    assert planned(val=0).judge is None
    assert planned(val=0).patience == 0 and planned(val=0).patience_metric is None


@pytest.mark.parametrize(
    ("overrides", "parts", "message"),
    [
        (["data.batch_size=106"], {}, "data.batch_size: got 106, but there are 105 training examples"),
        (["train.duration=2147483648 steps"], {}, "train.duration: 2147483648 steps"),
        (["train.evaluate_every=0"], {}, "train.evaluate_every: got 0 steps; write at least 1 step"),
        (["checkpoint.every=0"], {}, "checkpoint.every: got 0 steps; write at least 1 step"),
        (
            ["schedule={name: cosine, warmup: 41 steps}"],
            {},
            "schedule.warmup: 41 steps, longer than the run (40)",
        ),
        (
            ["checkpoint.best=val/accuraccy"],
            {},
            "checkpoint.best: there is no metric 'val/accuraccy'; did you mean",
        ),
        (["checkpoint.best=test/loss"], {}, "checkpoint.best: there is no metric 'test/loss'"),
        (["checkpoint.best=val/ema/loss"], {}, "there is no metric 'val/ema/loss'"),
        (["checkpoint.best=val/loss"], {"val": 0}, "checkpoint.best: val/loss needs a validation part"),
        (
            ["train.early_stopping={patience: 1 epochs}"],
            {"val": 0},
            "train.early_stopping: needs a validation part",
        ),
        (["train.early_stopping={patience: 0}"], {}, "train.early_stopping.patience: got 0 steps"),
        (["train.accumulate=33"], {}, "train.accumulate: got 33, but a batch has 32 examples"),
        (
            ["train.devices=3"],
            {},
            "train.devices: 3 devices cannot have equal parts of a batch of 32; write data.batch",
        ),
        (
            ["train.devices=2", "train.seeds=2"],
            {},
            "train.devices: 2, but several seeds are spread over the devices",
        ),
        (
            ["train.fsdp=true", "train.devices=1"],
            {},
            "train.fsdp: true divides the state over several devices",
        ),
        (
            ["data.sampling=balanced", "data.bootstrap=true"],
            {},
            "data.sampling: balanced and data.bootstrap both say",
        ),
        (
            ["data.sampling=balanced"],
            {"loss": squared_error(), "classes": ()},
            "data.sampling: balanced draws every class equally often",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    overrides: list[str], parts: dict, message: str, planned: Callable[..., Plan]
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        planned(*overrides, **parts)


def test_a_whole_run_may_be_a_warm_up(planned: Callable[..., Plan]) -> None:
    assert planned("schedule={name: cosine, warmup: 40 steps}").steps == 40


def test_averages_of_one_kind_are_numbered(spec_of: Callable[..., Spec]) -> None:
    assert average_names(spec_of("average=[ema, polyak, ema, {name: ema, decay: 0.5}]")) == [
        "ema",
        "polyak",
        "ema_2",
        "ema_3",
    ]


# Folds


def test_the_runs_of_a_cross_validation_have_seeds_of_their_own(spec_of: Callable[..., Spec]) -> None:
    spec = spec_of("train.folds=5", "train.repeats=2", "train.seed=3")
    assert folds_asked(spec) == 10
    seventh = of_fold(spec, 7)
    assert (seventh.train.fold, seventh.train.seed) == (7, 9)
    fold = fold_of(seventh)
    assert fold is not None and (fold.number, fold.folds, fold.repeat, fold.part) == (7, 5, 1, 1)
    assert folds_asked(seventh) == 0 and with_folds(seventh).data.common["validation"] == pytest.approx(0.2)
    assert folds_asked(spec_of()) == 0 and fold_of(spec_of()) is None
    first = fold_of(spec)
    assert first is not None and first.number == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.repeats=2"], "train.repeats: belongs to train.folds"),
        (["train.fold=1"], "train.fold: belongs to train.folds"),
        (["train.folds=5", "train.seeds=2"], "train.seeds: got 2 with train.folds"),
        (
            ["train.folds=5", "train.repeats=2", "train.fold=11"],
            "train.fold: got 11, but there are 10; write 1 to 10",
        ),
        (["train.folds=5", "data.bootstrap=true"], "data.bootstrap: with train.folds"),
        (["train.folds=5", "data.validation=0.1"], "data.validation: got 0.1, but train.folds decides"),
        (["train.folds=5", "train.seed=2147483644"], "train.seed: too large for one seed a fold"),
    ],
)
def test_what_contradicts_folds(overrides: list[str], message: str, spec_of: Callable[..., Spec]) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        with_folds(spec_of(*overrides))


@pytest.mark.parametrize(
    "overrides",
    [
        ["train.folds=5", "train.fold=5"], ["train.folds=5", "data.validation=0.2"],
        ["train.folds=3", "data.validation=0.333"], ["train.folds=5", "train.seed=2147483643"], [],
    ],
)  # fmt: skip
def test_what_goes_with_folds(overrides: list[str], spec_of: Callable[..., Spec]) -> None:
    with_folds(spec_of(*overrides))


# Metrics and their names


@pytest.mark.parametrize(
    ("metrics", "names"),
    [
        ("[accuracy, f1]", ["accuracy", "f1"]),
        ("[f1, {name: f1, average: micro}, {name: f1, label: setosa}]", ["f1", "f1_micro", "f1_setosa"]),
        ("[{name: top_k, k: 2}]", ["top_k_2"]),
        ("[{name: calibration_error, bins: 15}]", ["calibration_error"]),  # the default is not in the name
    ],
)
def test_metrics_are_named_by_what_is_not_their_default(
    metrics: str, names: list[str], spec_of: Callable[..., Spec]
) -> None:
    assert list(make_measures(spec_of(f"metrics={metrics}"), dataset(), cross_entropy())) == names


@pytest.mark.parametrize(
    ("metrics", "loss", "message"),
    [
        ("[f1, f1]", cross_entropy(), "metrics.1: f1 with these options comes twice"),
        ("[rmse]", cross_entropy(), "rmse judges numbers, and the targets of iris are classes"),
        ("[brier]", hinge(), "brier needs probabilities, and the outputs of cross_entropy are scores"),
        ("[{name: f1, label: rose}]", cross_entropy(), "f1: "),
    ],
)
def test_metrics_that_do_not_fit(
    metrics: str, loss: Loss, message: str, spec_of: Callable[..., Spec]
) -> None:
    with pytest.raises(SpecError, match=re.escape(message)):
        make_measures(spec_of(f"metrics={metrics}"), dataset(), loss)


def test_a_metric_takes_the_place_of_that_of_the_loss(spec_of: Callable[..., Spec]) -> None:
    loss = cross_entropy()
    assert "accuracy" in loss.rising
    measures = make_measures(spec_of("metrics=[f1, log_loss, accuracy]"), dataset(), loss)
    made = with_measures(loss, measures)
    assert sorted(made.rising) == ["accuracy", "f1"]  # once, and less of log_loss is better
    assert made.bounds["f1"] == (0.0, 1.0) and made.bounds["loss"] == loss.bounds["loss"]


# Inputs, patches, schedules, structures


@pytest.mark.parametrize(
    ("column", "refused"),
    [
        (np.linspace(-3, 3, 200), False),
        (np.arange(1900.0, 2026), True),  # years, of which 8 bits tell apart every eighth
        (np.r_[np.linspace(0, 1e-3, 99), 1000.0] + 1, True),
        (np.arange(200.0) % 2 + 2000, False),  # 2000 and 2001: two values, of which one is left
        (np.arange(100.0), False),
    ],
)
def test_columns_that_bfloat16_cannot_tell_apart(
    column: np.ndarray, refused: bool, spec_of: Callable[..., Spec]
) -> None:
    spec = spec_of("train.precision=bfloat16")
    data = dataset(x=np.c_[np.linspace(-1, 1, len(column)), column])
    names = data.fitted._replace(columns=(FittedColumn("a"), FittedColumn("year")))
    if refused:
        left = len(np.unique(column.astype(ml_dtypes.bfloat16)))
        before = len(np.unique(column.astype(np.float32)))
        with pytest.raises(
            SpecError, match=f"of the {before} different values of input year it leaves {left}"
        ):
            check_inputs(spec, data._replace(fitted=names))
        check_inputs(spec_of(), data)  # float32 can
    else:
        check_inputs(spec, data)


def test_second_moments_of_patches_against_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """As (row, column, channel) in a window; standardised, and a few images at a time."""
    x = np.random.default_rng(0).integers(0, 255, (7, 4, 5, 2)).astype(np.uint8)
    data = dataset(x=x)._replace(shift=np.array(100.0), scale=np.array(50.0))
    z = (x - 100.0) / 50
    patches = [z[n, i : i + 3, j : j + 3].reshape(-1) for n in range(7) for i in range(2) for j in range(3)]
    expected = np.mean([np.outer(p, p) for p in patches], axis=0)
    np.testing.assert_allclose(second_moments_of(data)(3), expected, atol=1e-12)
    monkeypatch.setattr("nnrun.build.patches._TOGETHER", 2)
    np.testing.assert_allclose(second_moments_of(data)(3), expected, atol=1e-12)
    monkeypatch.setattr("nnrun.build.patches._IMAGES", 4)  # then each second image
    patches = [
        z[n, i : i + 3, j : j + 3].reshape(-1) for n in (0, 2, 4, 6) for i in range(2) for j in range(3)
    ]
    np.testing.assert_allclose(
        second_moments_of(data)(3), np.mean([np.outer(p, p) for p in patches], axis=0), atol=1e-12
    )


def test_the_course_of_a_schedule_at_some_points_of_a_run(tmp_path: Path) -> None:
    """A line over the 80 steps behind a warm-up of 20: its first point is 1/21, its last 1/80."""
    made = factors("{name: linear, warmup: 20%}", tmp_path, Clock(10, 10, 100), 100)
    np.testing.assert_allclose(made[:20], np.arange(1, 21) / 21, rtol=1e-6)
    np.testing.assert_allclose(made[20:], 1 - np.arange(80) / 80, rtol=1e-5, atol=1e-6)
    made = factors("{name: step_decay, every: 2 epochs}", tmp_path, Clock(10, 10, 100), 3)
    np.testing.assert_allclose(made, [1, 0.25, 0.0625])  # at the steps 0, 50 (of 49.5, to even) and 99
    with pytest.raises(SpecError, match="reduce_on_plateau: its course depends on what evaluations find"):
        factors("reduce_on_plateau", tmp_path, Clock(10, 10, 100), 3)
    with pytest.raises(SpecError, match="every: got 0; write at least 1 step"):
        factors("{name: step_decay, every: 0}", tmp_path, Clock(10, 10, 100), 3)


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [
        (["optimizer.learning_rate=0.5"], ["optimizer.learning_rate=0.25"], True),
        (["train.seed=1"], ["train.seed=2"], True),
        (["name=a"], ["name=b"], True),
        (
            ["optimizer.learning_rate=0.5"],
            ["optimizer.learning_rate=0"],
            False,
        ),  # 0 is absent from the program
        (["train.duration=5 epochs"], ["train.duration=6 epochs"], False),
        (["model.hidden=[8]"], ["model.hidden=[9]"], False),
        (["data.batch_size=16"], ["data.batch_size=32"], False),
        (["optimizer={name: adam, b1: 0.8}"], ["optimizer={name: adam, b1: 0.9}"], True),
        (["optimizer=adam"], ["optimizer=sgd"], False),
        (["metrics=[{name: f1, label: setosa}]"], ["metrics=[f1]"], False),
        (["penalty={name: l2, strength: 0.1}"], ["penalty={name: l2, strength: 0.2}"], True),
    ],
)
def test_what_tells_programs_apart(
    first: list[str], second: list[str], alike: bool, spec_of: Callable[..., Spec]
) -> None:
    assert (structure_of(spec_of(*first)) == structure_of(spec_of(*second))) is alike
