"""The run folder of an ensemble: built aside, complete or not there, its members ordinary runs."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import numpy as np
import pytest

from nnrun.ensemble import write
from nnrun.ensemble.ended import finite
from nnrun.ensemble.write import building, publish, write_average, write_member, write_run
from nnrun.errors import RunError
from nnrun.prediction.member import make_member
from nnrun.record import checkpoint, run
from nnrun.report.provenance import page_lines
from nnrun.runner.evaluation import load_checkpoint, load_intact

METRICS = {"accuracy": 0.5, "loss": 1.5, "calibration_error": 0.1}


def account_of(**changes: Any) -> Any:
    """An account of two members."""
    members = [
        {
            "name": f"run:{step}", "run": "/runs/run", "step": step, "parameters": "trained", "sha256": "f" * 64,
            "weight": 0.5, "epochs": step / 10, "metrics": METRICS, "validation": None,
        }
        for step in (10, 20)
    ]  # fmt: skip
    return {
        "average": "probabilities",
        "split": "test",
        "judge": "accuracy",
        "rising": ["accuracy"],
        "bounds": {"accuracy": [0, 1]},
        "members": members,
        "mean": METRICS,
        "best": None,
        "ensemble": METRICS,
        "examples": 4,
        "gain": {"over_mean": {}, "over_best": None},
        "curve": [],
        "diversity": None,
        **changes,
    }


def test_a_folder_is_built_aside_and_gone_if_it_was_not_published(tmp_path):
    with building(tmp_path / "runs") as folder:
        assert folder.parent == tmp_path / "runs" and folder.name.startswith(".tmp_")
        assert run.is_locked(folder)
        (folder / "half").write_text("written")
    assert list((tmp_path / "runs").iterdir()) == []
    with pytest.raises(RuntimeError, match="on the way"), building(tmp_path / "runs"):
        raise RuntimeError("on the way")
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_dead_processes_left_is_cleared_and_what_lives_stays(tmp_path):
    names = {"dead": 2**22 + 5, "alive": os.getppid(), "nonsense": "x", "huge": 10**30}
    for process in names.values():
        (tmp_path / f".tmp_ensemble-{process}").mkdir()
    (tmp_path / ".tmp_ensemble-file").write_text("")
    with building(tmp_path):
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {f".tmp_ensemble-{os.getppid()}", f".tmp_ensemble-{os.getpid()}", ".tmp_ensemble-file"}


def test_a_process_of_somebody_else_counts_as_alive(tmp_path, monkeypatch):
    def kill(process: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(write.os, "kill", kill)
    (tmp_path / ".tmp_ensemble-123").mkdir()
    with building(tmp_path):
        pass
    assert (tmp_path / ".tmp_ensemble-123").is_dir()


def test_publishing_names_the_folder(tmp_path):
    with building(tmp_path) as folder:
        (folder / "content").write_text("x")
        path = publish(folder, tmp_path / "named", tmp_path)
    assert path == tmp_path / "named" and (path / "content").read_text() == "x"
    with building(tmp_path) as folder:
        (folder / "content").write_text("y")
        with pytest.raises(RunError, match="named: already exists; choose another folder"):
            publish(folder, tmp_path / "named", tmp_path)
        path = publish(folder, None, tmp_path / "runs")
    assert path.parent == tmp_path / "runs" and path.name.startswith("ensemble-")
    assert (tmp_path / "named" / "content").read_text() == "x"


def test_a_member_is_copied_as_a_run_with_one_checkpoint(make_run, tmp_path):
    folder = make_run("run", steps=(10, 20, 30), best=20, kept=(10, 20))
    member = make_member(folder, load_intact(folder, "best"), None)
    copy, directions = tmp_path / "member_01", {"rising": ["accuracy"], "bounds": {"accuracy": [0, 1]}}
    (folder / "summary.json").write_text(json.dumps({"status": "done", "steps": 30, **directions}))
    write_member(copy, member, 2.0, {"test/accuracy": 0.75, "test/loss": math.inf})
    assert checkpoint.steps(copy / "checkpoints") == [20]
    for which in ("last", "best", "20"):
        content = load_checkpoint(copy, which, pytest.fail)
        assert content.step == 20
        assert {name: array.tobytes() for name, array in content.arrays.items()} == {
            name: array.tobytes() for name, array in member.load().arrays.items()
        }
    assert content.progress["complete"] and "kept" not in content.progress
    summary = json.loads((copy / "summary.json").read_text())
    assert (summary["status"], summary["steps"], summary["epochs"]) == ("done", 20, 2.0)
    assert summary["metrics"]["best"] == {"test/accuracy": 0.75, "test/loss": "inf"}
    assert {name: summary[name] for name in directions} == directions, (
        "without it the least accuracy is the best"
    )
    assert run.status(copy) == "done"
    for name in ("spec.yaml", "resolved.yaml", "run.json"):
        assert (copy / name).read_bytes() == (folder / name).read_bytes()


def test_the_arrays_of_a_copy_have_the_sha256_of_the_original(make_run, tmp_path):
    folder = make_run("run")
    member = make_member(folder, load_intact(folder, "last"), None)
    write_member(tmp_path / "copy", member, 1.0, {})
    again = make_member(tmp_path / "copy", load_intact(tmp_path / "copy", "last"), None)
    assert (again.sha256, again.content, again.data, again.origin) == (
        member.sha256, member.content, member.data, member.origin,
    )  # fmt: skip


@pytest.mark.parametrize("offset", [0, 28])
def test_metrics_are_copied_up_to_the_checkpoint(offset: int, make_run, tmp_path):
    folder = make_run("run", steps=(10,))
    content = load_intact(folder, "last")
    checkpoint.save(folder / "checkpoints", 10, content.arrays, content.progress, offset)
    member = make_member(folder, load_intact(folder, "last"), None)
    write_member(tmp_path / "copy", member, 1.0, {})
    log = (folder / "metrics.jsonl").read_bytes()
    assert (tmp_path / "copy" / "metrics.jsonl").read_bytes() == log[:offset]
    assert load_intact(tmp_path / "copy", "last").metrics_offset == offset


def test_an_average_of_parameters_is_a_checkpoint_at_the_last_step_of_any_member(make_run, tmp_path):
    folder = make_run("run", steps=(10, 20))
    members = [make_member(folder, load_intact(folder, step), None) for step in ("10", "20")]
    arrays = {**members[0].load().arrays, "params/kernel": np.full((2, 3), 2.0, np.float32)}
    place = tmp_path / "average"
    place.mkdir()
    write_average(place, members, arrays)
    (place / "state.json").write_text('{"status": "done"}')
    content = load_checkpoint(place, "best", pytest.fail)
    assert content.step == 20 == int(content.arrays["step"])
    assert content.arrays["step"].dtype == np.int32
    assert content.arrays["params/kernel"].tolist() == [[2.0] * 3] * 2
    assert content.progress["latest"] == {} and content.progress["complete"]
    assert (place / "metrics.jsonl").read_bytes() == b""


def test_the_folder_is_a_run(make_run, tmp_path):
    folder = make_run("run", steps=(10, 20))
    members = [make_member(folder, load_intact(folder, step), None) for step in ("10", "20")]
    place = tmp_path / "whole"
    place.mkdir()
    calibration = {
        "before": {"error": 0.1, "counts": [4], "confidence": [0.6], "accuracy": [0.5]},
        "temperature": 1.25,
    }
    given = account_of(calibration=calibration, undefined={"auroc": "there is no example of q"})
    write_run(place, members, "weighted", given)
    record = json.loads((place / "ensemble.json").read_text())
    assert (record["format"], record["kind"], record["average"]) == (1, "predictions", "weighted")
    assert record["temperature"] == 1.25
    assert record["members"][1] == {
        "name": "run:20", "run": "/runs/run", "step": 20, "parameters": "trained", "sha256": "f" * 64, "weight": 0.5,
    }  # fmt: skip
    summary = json.loads((place / "summary.json").read_text())
    assert summary["metrics"]["last"] == {f"test/{name}": value for name, value in METRICS.items()}
    assert (summary["steps"], summary["epochs"]) == (20, 2.0)
    assert summary["undefined"] == {"test/auroc": "there is no example of q"}
    assert summary["bounds"]["calibration_error"] == [0, 1]  # in percent, as what its runs say of theirs
    origin = json.loads((place / "run.json").read_text())
    assert (origin["data_digest"], origin["spec_hash"]) == ("d" * 64, "s")
    assert origin["cpu"] != "x"  # that is of this machine, not of the member's
    assert run.read_state(place) == {"status": "done", "step": 20}
    written = json.loads((place / "account.json").read_text())
    assert [member.pop("data_digest") for member in written["members"]] == ["d" * 64] * 2
    assert written == account_of(calibration=calibration, undefined={"auroc": "there is no example of q"})
    assert sorted(path.name for path in (place / "plots").iterdir()) == ["members.png", "reliability.png"]
    assert "<h1>Ensemble of 2: probabilities</h1>" in (place / "report.html").read_text()


def test_what_members_do_not_share_is_not_said_of_all(make_run, tmp_path):
    """Two folds: each has data of its own, and one of two files of code has changed between them."""
    members, place = [], tmp_path / "whole"
    place.mkdir()
    for name, digest, sha256 in (("one", "a", "x"), ("two", "b", "y")):
        folder = make_run(name, steps=(10,), seed=ord(digest), data=digest * 64)
        origin = json.loads((folder / "run.json").read_text()) | {
            "code": {"/m/same.py": "s", "/m/net.py": sha256}
        }
        (folder / "run.json").write_text(json.dumps(origin))
        members.append(make_member(folder, load_intact(folder, "10"), None))
        write_member(place / f"member_0{len(members)}", members[-1], 1.0, METRICS)
    write_run(place, members, "probabilities", account_of())
    origin = json.loads((place / "run.json").read_text())
    assert "data_digest" not in origin and origin["code"] == {"/m/same.py": "s"}
    data, code, *_ = page_lines(place, origin)
    assert data.startswith("data     of each member its own: ") and data.endswith(
        "; digests aaaaaaaaaa, bbbbbbbbbb"
    )
    assert code == "code     not the same for all members: net.py"
    page = (place / "report.html").read_text().partition("<h2>The ensemble</h2>")[2]
    assert all(f'<td class="">{letter * 10}</td>' in page for letter in "ab")


@pytest.mark.parametrize(("how", "kind"), [("parameters", "parameters"), ("vote", "predictions")])
def test_the_record_says_what_was_averaged(how: str, kind: str, make_run, tmp_path):
    folder = make_run("run", steps=(10, 20))
    members = [make_member(folder, load_intact(folder, step), None) for step in ("10", "20")]
    (tmp_path / "whole").mkdir()
    write_run(tmp_path / "whole", members, how, account_of())
    record = json.loads((tmp_path / "whole" / "ensemble.json").read_text())
    assert (record["kind"], record["temperature"]) == (kind, None)


def test_numbers_that_json_lacks_become_texts():
    content = {"a": [1.0, math.nan, (math.inf, -math.inf)], 3: {"b": None}, "c": "text", "d": True}
    assert finite(content) == {"a": [1.0, "nan", ["inf", "-inf"]], "3": {"b": None}, "c": "text", "d": True}
    assert json.loads(json.dumps(finite(content), allow_nan=False)) == finite(content)
