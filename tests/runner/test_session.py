"""From a spec to its folder and back: seeds and folds in it, nothing left of a failure, what has changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.errors import Interrupted, MachineError, RunError, SpecError
from nnrun.record import preprocessing, run
from nnrun.record.provenance import Provenance
from nnrun.runner import session
from nnrun.runner.folds import _finish
from nnrun.runner.session import Prepared
from nnrun.spec import yaml12
from nnrun.storage import fsio

SPEC = """\
name: mine  # a comment that stays
data: {name: iris, batch_size: 32}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, learning_rate: 0.25}
metrics: [accuracy, {name: f1, label: setosa}]
train: {duration: 10 epochs}
"""
BEGUN: Any = {"versions": {"jax": "0.7"}, "device": {"platform": "cpu"}}
Preparing = Callable[..., Prepared]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Preparing:
    """prepared("train.seeds=2", ...): that spec with overrides, made once."""
    path, known = tmp_path_factory.mktemp("session") / "mine.yaml", dict[tuple[str, ...], Prepared]()
    path.write_text(SPEC)

    def make(*overrides: str) -> Prepared:
        if overrides not in known:
            known[overrides] = session.prepare(path, overrides)
        return known[overrides]

    return make


def created(prepared: Prepared, folder: Path, **options: Any) -> Path:
    return session.create(prepared, folder, folder.parent, BEGUN, **options)


def settings(folder: Path) -> dict[str, Any]:
    content: Any = yaml12.parse((folder / "resolved.yaml").read_bytes(), "resolved").value
    return content


def about(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "run.json").read_text())


def test_a_run_folder_says_where_it_came_from(prepared: Preparing, tmp_path: Path) -> None:
    folder = created(prepared(), tmp_path / "r")
    assert (folder / "spec.yaml").read_text() == SPEC
    assert run.read_state(folder) == {"status": "created", "step": 0}
    said = about(folder)
    assert said["spec_hash"] == hashlib.sha256((folder / "resolved.yaml").read_bytes()).hexdigest()
    assert said["data_digest"] == preprocessing.read(folder).digest and said["versions"] == {"jax": "0.7"}
    assert "devices" not in said and "weights_from" not in said and said["code"] == {}
    assert settings(folder)["train"]["seeds"] == 1
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["spec.yaml", "resolved.yaml", "preprocessing.json", "run.json", "state.json"]
        + ["columns.json"] * (folder / "columns.json").is_file()
    )


def test_seeds_are_runs_of_one_seed_in_a_group(prepared: Preparing, tmp_path: Path) -> None:
    folder = created(prepared("train.seeds=2", "train.seed=5"), tmp_path / "g")
    assert [path.name for path in run.members(folder)] == ["seed_5", "seed_6"]
    group, *members = (settings(path)["train"] for path in [folder, *run.members(folder)])
    assert [(part["seed"], part["seeds"]) for part in (group, *members)] == [(5, 2), (5, 1), (6, 1)]
    digests = {preprocessing.read(path).digest for path in [folder, *run.members(folder)]}
    assert len(digests) == 1  # they have the same data
    assert len({about(path)["spec_hash"] for path in [folder, *run.members(folder)]}) == 3


def test_folds_divide_the_examples_between_them(prepared: Preparing, tmp_path: Path) -> None:
    asked = prepared("train.folds=2")
    folder = created(asked, tmp_path / "cv")
    folds = run.members(folder)
    assert asked.folds == 2 and [path.name for path in folds] == ["fold_1", "fold_2"]
    assert [settings(fold)["train"]["fold"] for fold in folds] == [1, 2]
    parts = [preprocessing.read(fold).parts for fold in folds]
    assert parts[0]["val"].examples + parts[1]["val"].examples == 120  # all but the test part of 30
    assert parts[0]["train"].examples == parts[1]["val"].examples
    assert parts[0]["test"] == parts[1]["test"] and parts[0]["val"].chosen != parts[1]["val"].chosen
    assert not (folder / "preprocessing.json").exists()  # nothing is fitted for the group
    both = "".join(preprocessing.read(fold).digest for fold in folds)
    assert about(folder)["data_digest"] == hashlib.sha256(both.encode()).hexdigest()


def test_a_failure_on_the_way_leaves_nothing(
    prepared: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> None:
        raise MachineError("disk full")

    monkeypatch.setattr(session, "describe", full)
    for overrides in ((), ("train.seeds=2", "train.seed=5")):
        with pytest.raises(MachineError, match="disk full"):
            created(prepared(*overrides), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_a_signal_before_the_first_fold_leaves_nothing(
    prepared: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.signals, "pending", lambda: 2)
    with pytest.raises(Interrupted, match="before the first step; nothing was written"):
        created(prepared("train.folds=2"), tmp_path / "cv")
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused_and_kept(prepared: Preparing, tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "notes.txt").write_text("mine")
    with pytest.raises(RunError, match="r: already exists; choose another folder"):
        created(prepared(), tmp_path / "r")
    assert (tmp_path / "r" / "notes.txt").read_text() == "mine"
    first, second = (session.create(prepared(), None, tmp_path / "runs", BEGUN) for _ in range(2))
    assert first != second and first.parent == second.parent and first.name.startswith("mine-")


def test_what_a_folder_records_of_its_data_belongs_together(prepared: Preparing, tmp_path: Path) -> None:
    folder = created(prepared(), tmp_path / "r")
    fitted = session.recorded(folder)
    np.testing.assert_array_equal(fitted.shift, prepared().experiment.dataset.fitted.shift)
    fsio.write_json(folder / "run.json", {**about(folder), "data_digest": "of other data"})
    with pytest.raises(
        RunError, match=r"preprocessing\.json: of other data than run\.json says; restore both"
    ):
        session.recorded(folder)


@pytest.mark.parametrize(
    ("asked", "added"),
    [
        ([], []), (["accuracy"], []), (["f1"], ["f1"]), (["f1", "accuracy", "mcc"], ["f1", "mcc"]),
        (["acuracy"], ["acuracy"]),  # which is told apart where the spec is read
    ],
)  # fmt: skip
def test_a_metric_that_is_asked_for_is_left_out_only_where_it_is_there_in_this_form(
    asked: list[str], added: list[str], prepared: Preparing, tmp_path: Path
) -> None:
    """The run has the f1 of one class; that of all is another metric."""
    folder = created(prepared(), tmp_path / "r")
    overrides = session._with_metrics(folder / "resolved.yaml", asked)
    known = settings(folder)["metrics"]
    assert [block["name"] for block in known] == ["accuracy", "f1"]
    expected = [f"metrics={json.dumps([*known, *added])}"] if added else []
    assert overrides == expected


def test_metrics_beside_those_of_the_spec_are_measured_too(prepared: Preparing, tmp_path: Path) -> None:
    folder, warnings = created(prepared(), tmp_path / "r"), list[str]()
    again = session.rebuild(folder, warnings.append, metrics=["f1"])
    assert list(again.experiment.loss(again.experiment.knobs).measures) == ["accuracy", "f1_setosa", "f1"]
    with pytest.raises(SpecError, match=r'^--metric: metrics\.2\.name: there is no metric "acuracy"'):
        session.rebuild(folder, warnings.append, metrics=["acuracy"])


def test_other_versions_are_warned_about_or_refused(
    prepared: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now: Provenance = {**BEGUN, "versions": {"jax": "0.8"}}
    folder, warnings = created(prepared(), tmp_path / "r"), list[str]()
    monkeypatch.setattr(session, "origin", lambda: BEGUN)
    session.rebuild(folder, warnings.append)
    assert warnings == []
    monkeypatch.setattr(session, "origin", lambda: now)
    session.rebuild(folder, warnings.append)
    assert len(warnings) == 1 and warnings[0].startswith("r: since the run began, ") and "0.7" in warnings[0]
    with pytest.raises(RunError, match=r"jax.*; resume where that is as it was, or without --exact"):
        session.rebuild(folder, warnings.append, exact=True)


def test_seeds_continue_with_their_group_and_a_fresh_run_from_its_beginning(
    prepared: Preparing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "rebuild", lambda folder, warn, parts, exact: (folder.name, parts, exact))
    folder, warnings = created(prepared("train.seeds=2", "train.seed=5"), tmp_path / "g"), list[str]()
    with pytest.raises(
        RunError, match=r"one of the seeds of .*/g, which train together; write nnrun resume .*/g"
    ):
        session.reopen(folder / "seed_5", warnings.append)
    found: Any = session.reopen(folder, warnings.append, exact=True)
    assert found == ("g", session.PARTS, True)
    assert warnings == [f"{folder}: has no checkpoint yet; it begins again at step 0"]
    (folder / "seed_6" / "checkpoints").mkdir()
    session.reopen(folder, warnings.append)
    assert len(warnings) == 1


def test_a_cross_validation_ends_with_the_state_of_its_folds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nnrun.runner import folds

    for status in ("done", "diverged"):
        monkeypatch.setattr(folds, "folds_summary", lambda folder, folds, s=status: {"status": s})
        if status == "done":
            _finish(tmp_path, [tmp_path] * 3)
        else:
            with pytest.raises(
                Exception, match=r"all 3 folds diverged; try a smaller optimizer\.learning_rate"
            ):
                _finish(tmp_path, [tmp_path] * 3)
        assert run.read_state(tmp_path)["status"] == status
        assert json.loads((tmp_path / "summary.json").read_text()) == {"status": status}
