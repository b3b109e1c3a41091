"""A loss of scores through the command line: nothing shows their softmax as probabilities."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SPEC = """
data: {name: iris, batch_size: 16}
model: {name: linear}
loss: hinge
optimizer: {name: sgd, learning_rate: 0.05}
train: {duration: 10 epochs, seeds: 2}
"""


@pytest.fixture(scope="module")
def place(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs/pair, two runs with hinge, and their ensemble runs/both."""
    folder = tmp_path_factory.mktemp("scores")
    (folder / "spec.yaml").write_text(SPEC)
    for arguments in (
        ("train", "spec.yaml", "-q", "--run-dir", "runs/pair"),
        ("ensemble", "pair", "--average", "logits", "-o", "runs/both"),
    ):
        done = warm(*arguments, folder=folder)
        assert done.code == 0, done.err
    return folder


def scores(place: Path, name: str) -> tuple[np.ndarray, list[str], list[str]]:
    with (place / name).open(newline="") as text:
        rows = list(csv.DictReader(text))
    columns = [column for column in rows[0] if column.startswith("score(")]
    assert [*rows[0]] == ["row", "label", *columns, "target"]
    z = np.array([[float(row[column]) for column in columns] for row in rows])
    names = [column.removeprefix("score(").removesuffix(")") for column in columns]
    assert [row["label"] for row in rows] == [names[i] for i in z.argmax(1)]
    return z, [row["target"] for row in rows], names


def test_predictions_are_scores_whose_hinge_is_the_loss(warm: Callable[..., Any], place: Path) -> None:
    parts = []
    for run in ("pair/seed_0", "pair/seed_1", "both"):
        done = warm("predict", run, "--split", "test", "-o", "scores.csv", "--force", folder=place)
        assert (done.code, done.err) == (0, "")
        z, targets, names = scores(place, "scores.csv")
        y = np.array([names.index(target) for target in targets])
        right = z[np.arange(len(y)), y][:, None]
        losses = np.maximum(0, z - right + 1).sum(1) - 1  # the right class itself has 1
        found = warm("evaluate", run, "--json", folder=place).json["metrics"]
        assert found["test/loss"] == pytest.approx(losses.mean(), rel=1e-5)
        assert found["test/accuracy"] == pytest.approx((z.argmax(1) == y).mean(), rel=1e-6)
        parts.append(z)
    np.testing.assert_allclose(parts[2], (parts[0] + parts[1]) / 2, rtol=1e-6, atol=1e-6)


def test_an_npz_has_scores(warm: Callable[..., Any], place: Path) -> None:
    assert warm("predict", "both", "--split", "test", "-o", "p.npz", folder=place).code == 0
    with np.load(place / "p.npz", allow_pickle=False) as arrays:
        assert sorted(arrays) == ["classes", "kept/row", "labels", "scores", "targets"]
        np.testing.assert_array_equal(arrays["labels"], arrays["scores"].argmax(1))


def test_an_account_has_no_calibration(warm: Callable[..., Any], place: Path) -> None:
    account = (place / "runs/both/account.json").read_text()
    assert "calibration" not in account
    assert "accuracy" in account


@pytest.mark.parametrize("how", ["probabilities", "vote", "weighted"])
def test_what_needs_probabilities_is_refused(warm: Callable[..., Any], place: Path, how: str) -> None:
    done = warm("ensemble", "pair", "--average", how, "-o", "runs/refused", folder=place)
    assert done.code == 2
    assert f"--average {how}: the members give scores" in done.err
    assert "write --average logits" in done.err
    assert not (place / "runs/refused").exists()


REFUSED = {
    "optimizer=gauss_newton": "gauss_newton needs a curved loss, and hinge is straight between its kinks; write loss: "
    "squared_hinge or cross_entropy, or another optimizer",
    "loss={name: hinge, margin: 0}": "loss.margin: got 0; write a value > 0",
    "loss={name: quantile, q: 1}": "loss.q: got 1; write a value in (0, 1)",
    "loss=huber": "loss: huber does not fit: the targets of iris are labels",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_does_not_fit_is_refused(warm: Callable[..., Any], place: Path, argument: str) -> None:
    done = warm("train", "spec.yaml", argument, "--run-dir", "runs/refused", folder=place)
    assert done.code == 2
    assert REFUSED[argument] in done.err
    assert not (place / "runs/refused").exists()


def test_samples_and_draws_are_refused(warm: Callable[..., Any], place: Path) -> None:
    done = warm("evaluate", "pair", "--samples", "3", folder=place)
    assert done.code == 2
    assert "--samples: averages probabilities, and the loss of this run gives scores" in done.err
    drawn = "{name: fmp_net, filters: 2, pooling: {ratio: 1.26, test_poolings: 3}}"
    done = warm(
        "train", "spec.yaml", "data=digits", f"model={drawn}", "--run-dir", "runs/refused", folder=place
    )
    assert done.code == 2
    assert "model.pooling: 3 draws are averaged as probabilities, and hinge gives scores" in done.err
