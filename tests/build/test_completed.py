"""The spec as a run folder has it: read again it says the same; what tells programs and data apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from nnrun import build, catalog
from nnrun.build.completed import resolved, structure_of
from nnrun.build.experiment import data_of, knobs_of
from nnrun.build.folds import of_fold, with_folds
from nnrun.build.targets import wants_counts, wants_labels, wants_several_labels
from nnrun.catalog import Spec
from nnrun.errors import SpecError
from nnrun.spec import yaml12
from nnrun.types import Experiment

Iris = Callable[..., Spec]


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["schedule={name: cosine, warmup: 5%}", "average=[ema]", "metrics=[f1, {name: f1, label: setosa}]"],
        [
            "train.early_stopping={patience: 2 epochs}",
            "optimizer={name: adam, learning_rate: 0.1, weight_decay: 0.1}",
        ],
    ],
)
def test_a_resolved_spec_read_again_is_the_same(
    overrides: list[str], iris: Iris, plain: Experiment, tmp_path: Path
) -> None:
    spec = iris(*overrides)
    first = resolved(spec, plain)
    file = tmp_path / "resolved.yaml"
    file.write_text(yaml12.dump(first))
    again = catalog.bind(catalog.read(file))
    assert resolved(again, plain) == first
    structures = [structure_of(asked) for asked in (spec, again)]
    for key in ("data", "model", "loss", "optimizer", "schedule", "metrics", "average"):
        assert structures[0][key] == structures[1][key], key


def test_what_follows_from_the_loss_is_written_down(iris: Iris, plain: Experiment) -> None:
    experiment = plain._replace(plan=plain.plan._replace(judge="val/f1", patience_metric="val/loss"))
    full = resolved(iris("train.early_stopping={patience: 2 epochs}"), experiment)
    assert full["checkpoint"]["best"] == "val/f1"
    assert full["train"]["early_stopping"]["metric"] == "val/loss"
    assert (
        full["train"]["early_stopping"]["patience"] == "2 epochs" and full["train"]["duration"] == "10 epochs"
    )
    assert resolved(iris(), plain)["train"]["early_stopping"] is None


def test_balanced_weights_are_the_numbers_of_scikit_learn(iris: Iris, plain: Experiment) -> None:
    labels = np.array([0] * 10 + [1] * 30 + [2] * 65, np.int32)
    train = plain.dataset.train._replace(y=labels)
    experiment = plain._replace(dataset=plain.dataset._replace(train=train))
    spec = iris("loss={name: cross_entropy, class_weight: balanced}")
    found = resolved(spec, experiment)["loss"]["class_weight"]
    expected = compute_class_weight("balanced", classes=np.arange(3), y=labels)
    assert list(found) == ["setosa", "versicolor", "virginica"]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-6)
    folds = iris("loss={name: cross_entropy, class_weight: balanced}", "train.folds=5")
    assert resolved(folds, experiment)["loss"]["class_weight"] == "balanced"  # each fold has its own


@pytest.mark.parametrize(
    ("overrides", "program", "data"),
    [
        (["optimizer.learning_rate=0.5"], True, True), (["train.seed=3"], True, True), (["train.seeds=2"], True, True),
        (["name=other"], True, True), (["loss={name: cross_entropy, label_smoothing: 0.1}"], False, False),
        (["model.hidden=[9]"], False, True), (["data.batch_size=16"], False, True), (["metrics=[f1]"], False, True),
        (["data.validation=0.2"], False, False), (["data.split_seed=1"], False, False),
        (["train.precision=float64"], False, False), (["train.duration=11 epochs"], False, True),
        (["checkpoint.every=10%"], False, True), (["train.folds=5"], False, False),
    ],
)  # fmt: skip
def test_runs_of_one_structure_share_a_program_and_those_of_one_source_their_data(
    overrides: list[str], program: bool, data: bool, iris: Iris
) -> None:
    plain, changed = iris(), iris(*overrides)
    assert (structure_of(changed) == structure_of(plain)) is program
    assert (data_of(changed) == data_of(plain)) is data


def test_a_smoothing_of_another_size_is_a_knob(iris: Iris) -> None:
    pair = [iris(f"loss={{name: cross_entropy, label_smoothing: {size}}}") for size in (0.1, 0.2)]
    assert structure_of(pair[0]) == structure_of(pair[1])
    knobs = [knobs_of(spec)["loss"]["label_smoothing"] for spec in pair]
    assert [float(knob) for knob in knobs] == pytest.approx([0.1, 0.2])
    assert "metrics" not in knobs_of(pair[0])  # they are no part of the program


@pytest.mark.parametrize(
    ("block", "values", "share"),
    [
        ("average=[{name: ema, decay: %s}]", (0.9, 0.99), True),
        ("penalty=[{name: l2, strength: %s}]", (0.1, 0.2), True),
        ("metrics=[{name: pinball, q: %s}]", (0.1, 0.9), False), ("model.dropout=%s", (0.1, 0.2), True),
    ],
)  # fmt: skip
def test_numbers_of_blocks_in_lists_are_knobs_but_those_of_metrics(
    block: str, values: tuple[float, float], share: bool, iris: Iris
) -> None:
    first, second = (structure_of(iris(block % value)) for value in values)
    assert (first == second) is share


@pytest.mark.parametrize(
    ("loss", "labels", "counts", "several"),
    [("cross_entropy", True, False, False), ("squared_error", False, False, False), ("poisson", False, True, False),
     ("binary_cross_entropy", False, False, True), ("hinge", True, False, False)],
)  # fmt: skip
def test_a_loss_that_is_named_says_what_targets_are(
    loss: str, labels: bool, counts: bool, several: bool, iris: Iris
) -> None:
    spec = iris(f"loss={loss}")
    assert (wants_labels(spec), wants_counts(spec), wants_several_labels(spec)) == (labels, counts, several)


def test_without_a_named_loss_the_data_decide(iris: Iris) -> None:
    assert (wants_labels(iris()), wants_counts(iris()), wants_several_labels(iris())) == (None, False, False)


@pytest.mark.parametrize(
    ("overrides", "place", "words"),
    [
        (["train.repeats=2"], "train.repeats", "belongs to train.folds; write train.folds=5, or leave repeats out"),
        (["train.fold=2"], "train.fold", "belongs to train.folds"),
        (["train.folds=5", "train.seeds=2"], "train.seeds", "got 2 with train.folds: every fold is trained once"),
        (["train.folds=5", "train.repeats=2", "train.fold=11"], "train.fold",
         "got 11, but there are 10; write 1 to 10"),
        (["train.folds=5", "train.seed=2147483644"], "train.seed", "too large for one seed a fold"),
        (["train.folds=5", "data.validation=0.25"], "data.validation",
         "1/5 of the examples; leave it out, or write 0.2"),
        (["train.folds=5", "data.bootstrap=true"], "data.bootstrap", "would be left out twice"),
    ],
)  # fmt: skip
def test_keys_that_contradict_folds(overrides: list[str], place: str, words: str, iris: Iris) -> None:
    with pytest.raises(SpecError) as raised:
        with_folds(iris(*overrides))
    assert f": {place}: " in str(raised.value) and words in str(raised.value)


def test_folds_decide_what_validates(iris: Iris) -> None:
    spec = with_folds(iris("train.folds=3", "train.repeats=2", "data.validation=0.333", "train.seed=10"))
    assert spec.data.common["validation"] == 1 / 3
    folds = [of_fold(spec, number) for number in (1, 6)]
    assert [(fold.train.fold, fold.train.seed) for fold in folds] == [(1, 10), (6, 15)]
    assert build.folds_asked(spec) == 6 and build.folds_asked(folds[0]) == 0
    assert (
        with_folds(iris("train.folds=5", "train.repeats=2", "train.fold=10")).train.fold == 10
    )  # of the second repeat
    edge: Any = with_folds(iris("train.folds=5", "train.seed=2147483643"))
    assert of_fold(edge, 5).train.seed == 2**31 - 1
    assert with_folds(iris()).data.common["validation"] != 1 / 5
