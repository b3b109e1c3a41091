"""The loss's terms of predictions, against NumPy."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sk

from nnrun.ensemble import scores
from nnrun.ensemble.scores import best_first, of_subsets, score, single
from nnrun.metric.auroc import auroc
from nnrun.metric.brier import brier
from nnrun.prediction.combiner import Combiner
from nnrun.statistics.gain import resamples
from nnrun.statistics.measure import Measure
from nnrun.statistics.metric import Metric
from nnrun.training.judge import make_judge

N, K, MEMBERS = 50, 3, 4


def outputs_of(seed: int, examples: int = N, width: int = K, members: int = MEMBERS) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (members, examples, width)).astype(np.float32)


def labels_of(seed: int, examples: int = N) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, K, examples).astype(np.int32)


def nll(p: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -np.log(p[..., np.arange(len(y)), y])


def test_terms_of_a_classifier_are_those_of_numpy(make_model):
    y, z = labels_of(0), outputs_of(1)[0]
    judge = make_judge(make_model({"test": y}).experiment)
    assert judge.names == ("accuracy", "loss")
    assert judge.width == K
    accuracy, loss = judge.terms(z, y)
    np.testing.assert_array_equal(accuracy, z.argmax(1) == y)
    np.testing.assert_allclose(loss, nll(special.softmax(z.astype(float), axis=1), y), rtol=1e-5, atol=1e-6)
    assert judge.metrics(np.array([0.75, 0.5])) == {"accuracy": 0.75, "loss": 0.5}
    assert [judge.metric(name).rising for name in ("accuracy", "loss")] == [True, False]


def test_terms_of_numbers_use_the_standardised_target(make_model):
    y = np.random.default_rng(2).normal(10, 4, N).astype(np.float32)
    model = make_model({"test": y}, classes=(), target_scale=4.0, target_shift=10.0)
    z = outputs_of(3, width=1)[0]
    judge, targets = make_judge(model.experiment), model.targets("test")
    np.testing.assert_allclose(targets, y)
    np.testing.assert_allclose(model.standardised("test"), (y - 10) / 4, rtol=1e-6)
    metrics = judge.measured(z, targets)
    error = 4.0 * (z[:, 0].astype(float) - (y - 10) / 4)  # in units of the target
    assert metrics["rmse"] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(error)), rel=1e-5)
    assert metrics["r2"] == pytest.approx(1 - np.sum(error**2) / np.sum((y - y.mean()) ** 2), rel=1e-4)


@pytest.mark.parametrize("examples", [1, 4095, 4096, 4097, 9000])
def test_the_padding_of_a_block_leaves_no_trace(examples: int, make_model):
    """Predictions are judged 4096 at a time; the last block is filled up."""
    y, z = labels_of(4, examples), outputs_of(5, examples, members=1)[0]
    judge = make_judge(make_model({"test": y}).experiment)
    terms = judge.terms(z, y)
    assert terms.shape == (2, examples)
    np.testing.assert_array_equal(terms[0], z.argmax(1) == y)
    alone = judge.terms(z[-1:], y[-1:])
    np.testing.assert_array_equal(terms[:, -1:], alone)


def test_a_table_has_the_metrics_of_every_row(make_model):
    judge = make_judge(make_model({"test": labels_of(0)}).experiment)
    means = np.arange(12.0).reshape(2, 3, 2)
    table = judge.table(means)
    np.testing.assert_array_equal(table["accuracy"], means[..., 0])
    np.testing.assert_array_equal(table["loss"], means[..., 1])


@pytest.mark.parametrize("how", ["probabilities", "logits", "vote"])
def test_subsets_are_judged_like_ensembles_of_their_own(how: str, make_model):
    y, z = labels_of(6), outputs_of(7)
    judge = make_judge(make_model({"test": y}).experiment)
    chosen = [pair for size in (1, 2, 4) for pair in itertools.combinations(range(MEMBERS), size)]
    combiner, ticks = Combiner(how, MEMBERS, "classes"), []
    weights = [1 / MEMBERS] * MEMBERS
    means = of_subsets(judge, combiner, list(z), weights, chosen, y, lambda: ticks.append(1))
    assert means.shape == (len(chosen), 2)
    assert len(ticks) == 1
    for subset, mean in zip(chosen, means, strict=True):
        blended = combiner.mean(list(z[list(subset)]), [1 / len(subset)] * len(subset))
        np.testing.assert_allclose(mean, judge.terms(combiner.outputs(blended), y).mean(1), rtol=1e-5)


def test_subsets_share_fitted_weights_scaled_to_one(make_model):
    y, z = labels_of(8), outputs_of(9, members=3)
    judge = make_judge(make_model({"test": y}).experiment)
    combiner, weights = Combiner("weighted", 3, "classes"), [0.6, 0.3, 0.1]
    chosen = [(0, 2), (1, 2)]
    means = of_subsets(judge, combiner, list(z), weights, chosen, y, lambda: None)
    p = special.softmax(z.astype(float), axis=2)
    by_hand = [(6 * p[0] + p[2]) / 7, (3 * p[1] + p[2]) / 4]
    np.testing.assert_allclose(means[:, 1], [nll(mixed, y).mean() for mixed in by_hand], rtol=1e-5)


def test_members_without_weight_count_alike_among_themselves(make_model):
    """A subset of members that all got no weight is still an ensemble."""
    y, z = labels_of(8), outputs_of(9, members=3)
    judge = make_judge(make_model({"test": y}).experiment)
    means = of_subsets(
        judge, Combiner("weighted", 3, "classes"), list(z), [1.0, 0.0, 0.0], [(1, 2)], y, lambda: None
    )
    p = special.softmax(z.astype(float), axis=2)
    assert means[0, 1] == pytest.approx(nll((p[1] + p[2]) / 2, y).mean(), rel=1e-5)


def test_few_examples_at_a_time_give_the_same_means(make_model, monkeypatch):
    y, z = labels_of(10, 101), outputs_of(11, 101)
    judge = make_judge(make_model({"test": y}).experiment)
    arguments = (
        Combiner("probabilities", MEMBERS, "classes"),
        list(z),
        [0.25] * 4,
        [(0, 1), (2, 3), (0, 3)],
        y,
    )
    at_once = of_subsets(judge, *arguments, lambda: None)
    monkeypatch.setattr(scores, "_NUMBERS", 4 * K * 10)  # ten examples
    ticks: list[int] = []
    in_parts = of_subsets(judge, *arguments, lambda: ticks.append(1))
    assert len(ticks) == 11
    np.testing.assert_allclose(in_parts, at_once, rtol=1e-9)


def test_the_best_member_comes_first_and_the_loss_decides_between_equals():
    metrics = [
        {"accuracy": 0.9, "loss": 0.4},
        {"accuracy": 0.95, "loss": 0.9},
        {"accuracy": 0.9, "loss": 0.3},
        {"accuracy": 0.9, "loss": 0.3},
    ]
    assert best_first(metrics, Metric("accuracy", True)) == [1, 2, 3, 0]
    assert best_first(metrics, Metric("loss", False)) == [2, 3, 0, 1]


def test_every_member_is_scored_on_every_part(make_predicted):
    z = {"val": outputs_of(1, 30), "test": outputs_of(2)}
    y = {"val": labels_of(3, 30), "test": labels_of(4)}
    scored = score(make_predicted(z, y), "probabilities")
    assert {part: terms.shape for part, terms in scored.terms.items()} == {
        "val": (MEMBERS, 2, 30),
        "test": (MEMBERS, 2, N),
    }
    for part in z:
        p = special.softmax(z[part].astype(float), axis=2)
        accuracies = (p.argmax(2) == y[part]).mean(1)
        np.testing.assert_allclose([m["accuracy"] for m in scored.metrics[part]], accuracies, rtol=1e-9)
        np.testing.assert_allclose(
            [m["loss"] for m in scored.metrics[part]], nll(p, y[part]).mean(1), rtol=1e-5
        )
    assert scored.by == "accuracy"  # the loss's own, since the run names none
    accuracy = [m["accuracy"] for m in scored.metrics["val"]]
    assert [accuracy[i] for i in scored.order] == sorted(accuracy, reverse=True)


@pytest.mark.parametrize(
    ("judge", "by"), [("val/loss", "loss"), ("val/ema/accuracy", "accuracy"), (None, "accuracy")]
)
def test_the_metric_of_the_run_chooses_the_best(judge: str | None, by: str, make_predicted):
    """val/ema/accuracy is a metric of an average, which the members are not."""
    y = {"val": labels_of(3), "test": labels_of(4)}
    scored = score(make_predicted({"val": outputs_of(1), "test": outputs_of(2)}, y, judge=judge), "vote")
    assert scored.by == by


def test_without_validation_data_no_member_is_the_best(make_predicted):
    scored = score(make_predicted({"test": outputs_of(2)}, {"test": labels_of(4)}), "logits")
    assert scored.order is None
    assert set(scored.metrics) == {"test"}


@pytest.mark.parametrize(
    ("how", "alone"), [("logits", "logits"), ("vote", "probabilities"), ("greedy", "probabilities")]
)
def test_one_member_is_judged_by_the_arithmetic_of_the_average(how: str, alone: str):
    assert single(how, "classes").how == alone
    z = outputs_of(1)[0]
    combiner = single(how, "classes")
    p = combiner.probabilities(combiner.mean([z], [1.0]))
    np.testing.assert_allclose(p, special.softmax(z.astype(float), axis=1), rtol=1e-12)


def test_metrics_of_all_predictions_at_once_in_resamples(make_model):
    """The area under the curve of each bootstrap sample is scikit-learn's of its rows; too much work is not done."""
    y = labels_of(0) % 2
    z = [outputs_of(seed)[0][:, :2] for seed in (1, 2)]
    judge = make_judge(make_model({"test": y}, classes=("a", "b")).experiment)
    judge = judge._replace(loss=judge.loss._replace(measures={"auroc": auroc(), "brier": brier()}))
    drawn = judge.resampled(z, y, 20, 20, 1e9)
    assert [*drawn] == ["auroc"] and drawn["auroc"].shape == (20, 2)
    counts = np.concatenate([*resamples(len(y), 20)])
    for sample, weights in zip(drawn["auroc"], counts, strict=True):
        for value, outputs in zip(sample, z, strict=True):
            p = special.softmax(outputs.astype(float), axis=1)[:, 1]
            assert value == pytest.approx(sk.roc_auc_score(y, p, sample_weight=weights), rel=1e-9)
    work = len(z) * (len(y) + 700) * 2
    assert len(judge.resampled(z, y, 20, 10, 15 * work)["auroc"]) == 15
    assert judge.resampled(z, y, 20, 16, 15 * work) == {}

    def first_twice(predictions, labels):  # a metric of the user's own that fails for some samples
        del labels
        if (predictions[0] != predictions[1]).any():
            raise ValueError("the first example once")
        return 1.0

    judge = judge._replace(loss=judge.loss._replace(measures={"own": Measure(first_twice, True, True)}))
    drawn = judge.resampled(z, y, 20, 20, 1e9)["own"]
    assert np.isnan(drawn).any() and (drawn[~np.isnan(drawn)] == 1).all()
