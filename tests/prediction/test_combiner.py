"""Ways to average predictions against SciPy and counts by hand; members that an ensemble lists, and their tasks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax

from nnrun.errors import RunError, SpecError
from nnrun.prediction.by_member import Tasks, store
from nnrun.prediction.combiner import Combiner, OutputKind, name_of
from nnrun.prediction.folder import is_ensemble, verified
from nnrun.record import checkpoint, run
from nnrun.record.checkpoint import arrays_file, sha256_of
from nnrun.record.pack import WINDOW

RANDOM = np.random.default_rng(3)
Z = RANDOM.normal(scale=3, size=(3, 5, 4))  # members, examples, classes
EQUAL, UNEQUAL = [1 / 3] * 3, [0.5, 0.25, 0.25]


def averaged(
    how: str, kind: OutputKind, outputs: np.ndarray, weights: list[float]
) -> tuple[Combiner, np.ndarray]:
    combiner = Combiner(how, len(outputs), kind)
    return combiner, combiner.mean(iter(outputs), weights)


@pytest.mark.parametrize("weights", [EQUAL, UNEQUAL])
@pytest.mark.parametrize("how", ["probabilities", "weighted", "logits"])
def test_probabilities_are_averaged_after_the_softmax_and_logits_before(
    how: str, weights: list[float]
) -> None:
    combiner, mean = averaged(how, "classes", Z, weights)
    p = softmax(np.average(Z, axis=0, weights=weights), -1) if how == "logits" else np.average(
        softmax(Z, -1), axis=0, weights=weights
    )  # fmt: skip
    np.testing.assert_allclose(combiner.probabilities(mean), p, rtol=1e-12)
    np.testing.assert_allclose(softmax(combiner.outputs(mean), -1), p, rtol=1e-12)
    assert mean.dtype == np.float64


def test_logits_keep_what_the_softmax_forgets() -> None:
    """A constant added to all logits of a member changes its logits, not its probabilities."""
    combiner, mean = averaged("logits", "classes", Z + 7, EQUAL)
    np.testing.assert_allclose(combiner.outputs(mean), Z.mean(0) + 7)
    combiner, mean = averaged("probabilities", "classes", Z + 7, EQUAL)
    np.testing.assert_allclose(combiner.outputs(mean), np.log(softmax(Z, -1).mean(0)))


@pytest.mark.parametrize("sure", [0.5, 8.0])
@pytest.mark.parametrize("members", [2, 3, 4])
def test_the_class_of_most_votes_wins_however_sure_the_others_are(members: int, sure: float) -> None:
    """The first member is as sure as `sure` says, the others barely prefer their class."""
    for votes in itertools.product(range(3), repeat=members):
        z = np.zeros((members, 1, 3))
        for member, vote in enumerate(votes):
            z[member, 0, vote] = sure if member == 0 else 0.01
        combiner, mean = averaged("vote", "classes", z, [1 / members] * members)
        p = combiner.probabilities(mean)[0]
        assert p.sum() == pytest.approx(1)
        counts = np.bincount(votes, minlength=3)
        sums = softmax(z[:, 0], -1).sum(0)
        winner = max(
            np.flatnonzero(counts == counts.max()), key=sums.__getitem__
        )  # of equal counts, p decides
        assert p.argmax() == winner, votes


def test_many_who_are_sure_do_not_outvote_one_more() -> None:
    """4 barely prefer a, 3 are sure of b: all probabilities together are less than a vote."""
    z = np.array([[[0.01, 0.0]]] * 4 + [[[0.0, 50.0]]] * 3)
    combiner, mean = averaged("vote", "classes", z, [1 / 7] * 7)
    assert combiner.probabilities(mean)[0].argmax() == 0


def test_a_vote_of_one_is_its_own_probabilities() -> None:
    combiner, mean = averaged("vote", "classes", Z[:1], [1.0])
    np.testing.assert_allclose(combiner.probabilities(mean), softmax(Z[0], -1))
    combiner, mean = averaged("vote", "classes", Z[:2], [0.5, 0.5])
    assert not np.allclose(combiner.probabilities(mean), softmax(Z[:2], -1).mean(0))


@pytest.mark.parametrize("how", ["probabilities", "logits", "vote"])
def test_labels_are_classifications_of_two(how: str) -> None:
    odds = RANDOM.normal(scale=2, size=(3, 5, 2))
    combiner, mean = averaged(how, "labels", odds, EQUAL)
    p = combiner.probabilities(mean)
    assert p.shape == (5, 2) and combiner.outputs(mean).shape == (5, 2)
    np.testing.assert_allclose(expit(combiner.outputs(mean)), p, rtol=1e-9)
    if how == "probabilities":
        np.testing.assert_allclose(p, expit(odds).mean(0), rtol=1e-12)
    elif how == "logits":
        np.testing.assert_allclose(p, expit(odds.mean(0)), rtol=1e-12)
    else:
        assert ((p > 0.5) == ((odds > 0).sum(0) > 1.5)).all()


def test_a_label_that_is_nearly_sure_keeps_its_log_odds() -> None:
    """1 − e⁻⁶⁰ is 1 in float64, so the odds come from both probabilities."""
    combiner, mean = averaged("probabilities", "labels", np.full((2, 1, 1), 60.0), [0.5, 0.5])
    np.testing.assert_allclose(combiner.outputs(mean), 60.0, rtol=1e-12)
    combiner, mean = averaged("probabilities", "classes", np.array([[[2000.0, 0.0]]]), [1.0])
    assert np.isfinite(combiner.outputs(mean)).all()  # of a probability of 0


@pytest.mark.parametrize("how", ["probabilities", "logits", "weighted"])
@pytest.mark.parametrize("kind", ["numbers", "scores"])
def test_numbers_and_scores_have_a_plain_mean(how: str, kind: OutputKind) -> None:
    combiner, mean = averaged(how, kind, Z.astype(np.float32), UNEQUAL)
    expected = np.average(Z.astype(np.float32).astype(np.float64), axis=0, weights=UNEQUAL)
    for found in (mean, combiner.probabilities(mean), combiner.outputs(mean)):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_there_is_no_average_of_nothing_or_of_too_few() -> None:
    with pytest.raises(ValueError, match="no members"):
        Combiner("logits", 0, "classes").mean([], [])
    with pytest.raises(ValueError, match="zip"):
        Combiner("logits", 3, "classes").mean(iter(Z[:2]), EQUAL)


@pytest.mark.parametrize(
    ("how", "kind", "name"),
    [("probabilities", "numbers", "mean"), ("logits", "numbers", "mean"), ("weighted", "numbers", "weighted"),
     ("probabilities", "classes", "probabilities"), ("logits", "scores", "logits"), ("greedy", "numbers", "greedy")],
)  # fmt: skip
def test_the_mean_of_numbers_is_called_so(how: str, kind: OutputKind, name: str) -> None:
    assert name_of(how, kind) == name


Ensemble = Callable[[], tuple[Path, list[Any]]]


@pytest.fixture
def ensemble(tmp_path: Path) -> Ensemble:
    """ensemble(): a folder with two members, and what its record lists."""

    def make() -> tuple[Path, list[Any]]:
        listed = []
        for number in (1, 2):
            folder = tmp_path / f"member_{number:02d}"
            (folder / "checkpoints").mkdir(parents=True)
            run.write_state(folder, "done", step=4 * number)
            progress: Any = {"best": None, "improved": None, "best_metrics": {}, "latest": {}, "regular": []}
            arrays = {"params/w": np.full(2, number, np.float32), WINDOW: np.zeros((0, 1))}
            checkpoint.save(folder / "checkpoints", 4 * number, arrays, {**progress, "complete": True}, 0)
            digest = sha256_of(arrays_file(folder, 4 * number))
            listed.append({"name": f"run {number}", "sha256": digest, "step": 4 * number})
        return tmp_path, listed

    return make


def test_members_are_those_that_the_record_lists(ensemble: Ensemble) -> None:
    folder, listed = ensemble()
    assert verified(folder, listed) == [folder / "member_01", folder / "member_02"]
    assert not is_ensemble(folder)
    (folder / "ensemble.json").write_text(json.dumps({"members": listed}))
    assert is_ensemble(folder)
    (folder / "checkpoints").mkdir()
    assert not is_ensemble(folder)  # an average of parameters is a run


def test_every_member_that_is_not_the_listed_one_has_a_line(ensemble: Ensemble) -> None:
    folder, listed = ensemble()
    arrays_file(folder / "member_01", 4).write_bytes(b"another")
    (folder / "member_02").rename(folder / "member_03")
    with pytest.raises(RunError) as raised:
        verified(folder, listed)
    lines = str(raised.value).split("\n")
    places = [line.partition(":")[0].rpartition("/")[2] for line in lines]
    assert places == ["member_01 (run 1)", "member_02 (run 2)", "member_03"]
    assert "not the member that ensemble.json lists; put that back" in lines[0]
    assert "this member is missing" in lines[1]
    assert "not a member that ensemble.json lists; move it out of the folder" in lines[2]


@pytest.mark.parametrize(
    "listed", [None, [], [{}], [{"sha256": "a"}], [{"sha256": "a", "step": "x"}], ["text"]]
)
def test_a_record_that_says_nothing_is_damaged(listed: Any, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"ensemble\.json: damaged; make the ensemble again"):
        verified(tmp_path, listed)


def test_an_average_of_parameters_without_its_checkpoint_says_so(ensemble: Ensemble) -> None:
    folder, listed = ensemble()
    with pytest.raises(RunError, match="its checkpoint is missing; restore it or make the average again"):
        verified(folder, listed, "parameters")


def model(kind: str, task: str = "iris, 3 classes") -> Any:
    return SimpleNamespace(kind=kind, task=task)


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [("vote", "numbers", "the members predict numbers; write --average probabilities"),
     ("probabilities", "scores", "give scores"), ("vote", "scores", "give scores"), ("weighted", "scores", "scores"),
     ("logits", "scores", ""), ("parameters", "scores", ""), ("weighted", "numbers", ""), ("vote", "labels", "")],
)  # fmt: skip
def test_an_average_that_means_nothing_is_refused(how: str, kind: str, words: str) -> None:
    if words:
        with pytest.raises(SpecError, match=words):
            Tasks(how).check("a", model(kind))
    else:
        Tasks(how).check("a", model(kind))


def test_members_have_the_task_of_the_first_one() -> None:
    tasks = Tasks("logits")
    tasks.check("a", model("classes"))
    tasks.check("b", model("classes"))
    with pytest.raises(
        RunError, match=r"^c: its task is digits, that of a is iris, 3 classes; members must have one"
    ):
        tasks.check("c", model("classes", "digits"))
    tasks.check("d", model("classes"))  # the first one stays the measure


def test_arrays_are_stored_as_numpy_reads_them(tmp_path: Path) -> None:
    array = np.asfortranarray(RANDOM.normal(size=(3, 4)).astype(np.float32))[:, ::2]
    store(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy", allow_pickle=False), array)
    with pytest.raises(ValueError, match="Object arrays"):
        store(tmp_path / "b.npy", np.array([{}], object))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_log_probabilities_are_those_of_scipy() -> None:
    combiner, mean = averaged("probabilities", "classes", Z[:1], [1.0])
    np.testing.assert_allclose(combiner.outputs(mean), log_softmax(Z[0], -1), rtol=1e-10)
