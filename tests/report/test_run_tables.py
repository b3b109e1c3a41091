"""Run folders as tables and as plain data, with folders made by hand."""

from __future__ import annotations

import io
import json
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nnrun.report.described import describe
from nnrun.report.metric_table import metric_table
from nnrun.report.overview import overview, overview_table
from nnrun.report.summary import warnings
from nnrun.report.table import show_view

METRICS = [
    {"step": 10, "epoch": 1, "train/loss": 2.0, "val/accuracy": 0.5},
    {"step": 20, "epoch": 2, "train/loss": 1.0, "val/accuracy": 0.75},
]
ORIGIN = {
    "versions": {"nnrun": "0.1.0", "jax": "0.9"},
    "device": {"kind": "cpu"},
    "git": {"commit": "0123456789abcdef", "dirty": True},
    "argv": ["/usr/bin/nnrun", "train", "my spec.yaml", "train.seeds=2"],
    "started": "2026-01-01T00:00:00",
}


def run_in(
    folder: Path, status: str = "done", summary: Any = None, rows: Any = METRICS, origin: Any = ORIGIN
) -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"status": status, "step": 20}))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    if origin is not None:
        (folder / "run.json").write_text(json.dumps(origin))
    return folder


def summary_of(**changes: Any) -> dict[str, Any]:
    best = {"step": 20, "val/accuracy": 0.75, "test/accuracy": 0.7, "test/loss": 0.9}
    return {
        "status": "done",
        "steps": 20,
        "best": {"metric": "val/accuracy", "value": 0.75, "step": 20},
        "metrics": {"best": best, "last": best},
        **changes,
    }


def group_in(folder: Path) -> Path:
    for seed, status in enumerate(("done", "diverged", "done")):
        run_in(folder / f"seed_{seed}", status, summary_of(status=status))
    runs = [
        {"run": f"seed_{seed}", "status": status} for seed, status in enumerate(("done", "diverged", "done"))
    ]
    content = {
        "status": "done",
        "steps": 20,
        "runs": runs,
        "mean": {"best": {"val/accuracy": 0.75, "test/loss": 0.9}},
        "ci95": {"best": {"val/accuracy": [0.7377, 0.7623], "test/loss": None}},
    }
    (folder / "state.json").write_text('{"status": "done"}')
    (folder / "summary.json").write_text(json.dumps(content))
    (folder / "run.json").write_text(json.dumps(ORIGIN))
    return folder


def lines(*parts: Any, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(*parts)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_a_run_in_a_list(tmp_path):
    [row] = overview([run_in(tmp_path / "run", summary=summary_of())])
    assert row["run"] == str(tmp_path / "run")
    assert (row["status"], row["step"]) == ("done", 20)
    assert row["best"] == {"val/accuracy": 0.75}
    assert row["test"] == {"test/accuracy": 0.7, "test/loss": 0.9}
    assert row["changed"] == (tmp_path / "run" / "state.json").stat().st_mtime


def test_a_run_without_a_summary_has_its_newest_values(tmp_path):
    """Of each metric its own newest, and the step of the newest line."""
    rows = [*METRICS, {"step": 30, "train/loss": 0.5}]
    [row] = overview([run_in(tmp_path / "run", "interrupted", rows=rows)])
    assert (row["status"], row["step"]) == ("interrupted", 30)
    assert (row["best"], row["test"]) == ({"val/accuracy": 0.75}, {})


def test_a_log_of_five_megabytes(tmp_path):
    """The best value lies in its middle, where a list does not look: the summary has it."""
    filler = {f"train/metric_{i}": 0.125 for i in range(20)}
    rows = [
        {"step": i, "val/accuracy": 0.99 if i == 5000 else 0.5 + i / 1e6, **filler} for i in range(10_000)
    ]
    done = run_in(tmp_path / "done", summary=summary_of(), rows=rows)
    going = run_in(tmp_path / "going", "interrupted", rows=[{"step": 0, "val/f1": 0.25}, *rows])
    torn = run_in(tmp_path / "torn", "interrupted", rows=rows)
    for folder in (done, going, torn):
        assert (folder / "metrics.jsonl").stat().st_size > 5e6
    content = (torn / "metrics.jsonl").read_bytes().split(b"\n")
    content[5000] = content[5000][:40]
    (torn / "metrics.jsonl").write_bytes(b"\n".join(content))
    with (going / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 10000, "val/acc')  # torn by a kill: it counts as not written
    of_done, of_going, of_torn = overview([done, going, torn])
    assert (of_done["status"], of_done["step"], of_done["best"]) == ("done", 20, {"val/accuracy": 0.75})
    assert (of_going["status"], of_going["step"]) == ("interrupted", 9999)
    assert of_going["best"] == {"val/f1": 0.25, "val/accuracy": 0.5 + 9999 / 1e6}
    assert (of_torn["status"], of_torn["reason"]) == ("damaged", "metrics.jsonl")


def test_a_run_that_has_only_begun(tmp_path):
    [row] = overview([run_in(tmp_path / "run", "created", rows=[])])
    assert (row["status"], row["step"], row["best"], row["test"]) == ("created", 20, None, {})


def test_a_run_whose_process_is_gone_has_crashed(tmp_path):
    [row] = overview([run_in(tmp_path / "run", "running")])
    assert row["status"] == "crashed"


@pytest.mark.parametrize("content", ["", "{", '{"status": "asleep"}', "[]"])
def test_a_damaged_run_is_listed_as_damaged(content: str, tmp_path):
    folder = run_in(tmp_path / "run", summary=summary_of())
    (folder / "state.json").write_text(content)
    [row] = overview([folder])
    assert row == {
        "run": str(folder), "status": "damaged", "step": None, "best": None, "test": {}, "reason": "state.json",
    }  # fmt: skip


@pytest.mark.parametrize("file", ["summary.json", "tags.json"])
def test_a_run_with_a_damaged_result_is_listed_as_damaged(file: str, tmp_path):
    """Not as done with nothing measured."""
    folder = run_in(tmp_path / "run", summary=summary_of())
    (folder / file).write_text("{")
    [row] = overview([folder])
    assert (row["status"], row["best"], row["test"]) == ("damaged", None, {})
    assert row["reason"] == file


def test_what_is_damaged_in_a_group_is_named_by_its_place(tmp_path):
    """Of its seeds the curves, too; the summary that a run which is done has lost; not that of a seed that waits."""
    folder = group_in(tmp_path / "group")
    (folder / "seed_1" / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}, {"step": 3}\n{"step": 4}\n')
    [row] = overview([folder])
    assert (row["status"], row["reason"]) == ("damaged", "seed_1/metrics.jsonl")
    (folder / "seed_1" / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"st')  # torn: it was killed
    assert overview([folder])[0]["status"] == "done"
    (folder / "summary.json").unlink()
    alone = run_in(tmp_path / "alone")
    rows = overview([folder, folder / "seed_1", alone])
    assert [row.get("reason") for row in rows if row["status"] == "damaged"] == ["summary.json missing"] * 2
    assert any(line.startswith("lost     summary.json; nnrun resume ") for line in lines(show_view(alone)))
    kept = run_in(tmp_path / "kept", summary=summary_of())
    assert "lost     the checkpoint of the best step, 20; " in "\n".join(lines(show_view(kept)))


def test_a_group_has_means_and_counts_the_seeds_that_finished(tmp_path):
    [row] = overview([group_in(tmp_path / "group")])
    assert (row["seeds"], row["done"]) == (3, 2)
    assert row["best"] == {"val/accuracy": 0.75} and row["test"] == {"test/loss": 0.9}
    text = lines(overview_table([row]))
    assert "done (2 of 3 seeds)" in text[1]


@pytest.fixture
def now(monkeypatch) -> float:
    """A time at which the clock stands still."""
    moment = 1.8e9
    monkeypatch.setattr(time, "time", lambda: moment)
    return moment


def test_the_list_for_a_terminal(now):
    rows = [
        {
            "run": "runs/[red]a",
            "status": "done",
            "step": 20,
            "best": {"val/accuracy": 0.12345},
            "test": {"test/loss": 1.0},
        },
        {"run": "runs/b", "status": "damaged", "step": None, "best": None, "test": {}},
    ]
    for row, changed in zip(rows, (now - 3 * 86400 - 60, None), strict=True):
        row["changed"] = changed
    head, first, second = lines(overview_table(rows))
    assert head.split() == ["run", "status", "step", "val/accuracy", "test/loss", "changed"]
    assert first.split() == ["runs/[red]a", "done", "20", "0.1235", "1", "3", "d", "ago"]
    assert second.split() == ["runs/b", "damaged"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s ago"), (90, "2 min ago"), (7000, "2 h ago"), (200_000, "2 d ago"), (-100, "0 s ago")],
)
def test_how_long_ago(seconds: float, text: str, now):
    row = {
        "run": "r",
        "status": "done",
        "step": 1,
        "best": None,
        "test": {},
        "changed": now - seconds,
    }
    assert lines(overview_table([row]))[1].endswith(text)


def test_names_are_not_folded():
    """A name that is folded cannot be copied."""
    row = {"run": "runs/" + "x" * 60, "status": "done", "step": 1, "best": None, "test": {}}
    assert any("x" * 60 in line for line in lines(overview_table([row]), width=80))


def test_metrics_side_by_side_with_intervals():
    sections = {"best": {"val/loss": 0.5, "grad/norm": 2.0}, "last": {"val/loss": 0.25, "test/loss": "nan"}}
    head, *rows = lines(
        metric_table(sections, {"best": {"val/loss": [0.4877, 0.5123]}, "last": {"val/loss": None}})
    )
    assert head.split() == ["metric", "best", "last"]
    assert [row.split() for row in rows] == [
        ["test/loss", "nan"], ["val/loss", "0.5", "±", "0.012", "0.25"], ["grad/norm", "2"],
    ]  # fmt: skip


def test_a_description_has_all_that_is_known(tmp_path):
    folder = run_in(tmp_path / "run", "interrupted", summary_of(status="done"))
    (folder / "checkpoints" / "step_00000010").mkdir(parents=True)
    (folder / "checkpoints" / "step_00000020").mkdir()
    content = describe(folder)
    assert content["status"] == "interrupted"  # what the state says, not the summary of an earlier end
    assert content["checkpoints"] == [10, 20]
    assert content["provenance"]["device"] == {"kind": "cpu"}
    assert content["steps"] == 20 and content["step"] == 20
    json.dumps(content)


def test_a_description_without_provenance_or_checkpoints(tmp_path):
    content = describe(run_in(tmp_path / "run", origin=None))
    assert (content["provenance"], content["checkpoints"]) == ({}, [])
    group = describe(group_in(tmp_path / "group"))
    assert group["members"] == [str(tmp_path / "group" / f"seed_{seed}") for seed in range(3)]
    assert "checkpoints" not in group


def test_what_show_prints_of_a_run(tmp_path):
    folder = run_in(tmp_path / "run", summary=summary_of())
    (folder / "checkpoints" / "step_00000020").mkdir(parents=True)
    text = lines(show_view(folder))
    assert text[0] == f"{folder}  done"
    assert "best     val/accuracy 0.75 at step 20" in text
    assert "kept     checkpoints of steps 20" in text
    assert any(line.startswith("train/loss") and line.endswith("█▁ 1") for line in text)
    assert any(line.startswith("val/accuracy") and line.endswith("▁█ 0.75") for line in text)
    assert "from     nnrun train 'my spec.yaml' train.seeds=2" in text
    assert any("cpu, nnrun 0.1.0, jax 0.9, commit 0123456789 + changes" in line for line in text)
    assert not any("nnrun resume" in line for line in text)


def test_what_show_prints_of_a_group_looks_into_its_seeds(tmp_path):
    folder = group_in(tmp_path / "group")
    (folder / "seed_0" / "checkpoints" / "step_00000020").mkdir(parents=True)  # without a manifest
    (folder / "seed_1" / "summary.json").write_text("{")
    text = lines(show_view(folder))
    assert "damaged  seed_0: checkpoints of steps 20, cut short; restore them from a copy" in text
    assert "damaged  seed_1: summary.json" in text
    assert any(line.startswith("lost     seed_2: the checkpoint of the best step, 20") for line in text)


@pytest.mark.parametrize("status", ["interrupted", "failed", "running", "created"])
def test_what_can_be_resumed_has_the_command(status: str, tmp_path):
    """A state of `running` without a process is that of a crash."""
    folder = run_in(tmp_path / "my run", status)
    text = lines(show_view(folder))
    assert any(line.endswith(f"nnrun resume '{folder}'") for line in text)
    assert "reached   step 20, epoch 2" in text


def test_the_reason_of_a_failure(tmp_path):
    folder = run_in(tmp_path / "run", "failed")
    (folder / "state.json").write_text(json.dumps({"status": "failed", "reason": "disk [bold]full"}))
    assert "reason: disk [bold]full" in lines(show_view(folder))


def test_what_show_prints_of_a_group(tmp_path):
    text = lines(show_view(group_in(tmp_path / "group")))
    assert "mean ± 95% interval of 2 of 3 seeds" in text
    assert any("0.75 ± 0.012" in line for line in text)
    assert sum(line.startswith("member   ") for line in text) == 3


def test_a_gap_says_of_how_many_seeds_it_is():
    empty, full = {"undefined": {"val/mcc": "all examples are of one class"}}, {}
    group = {"runs": [empty, full, empty]}
    text = "val/mcc is undefined: all examples are of one class"
    assert warnings(group) == [f"warning: 2 of 3 seeds: {text}"]
    assert warnings(empty) == [f"warning: {text}"]


def test_a_narrow_terminal_cuts_no_name_of_a_metric():
    names = ["test/average_precision_of_rare", "test/average_precision_of_rarer"]
    console = Console(file=io.StringIO(), width=40)
    interval = dict.fromkeys(names, (0.4, 0.6))
    console.print(metric_table({"best": dict.fromkeys(names, 0.5)}, {"best": interval}, None))
    console.print(metric_table(dict.fromkeys(["best", "last", "third"], dict.fromkeys(names, 0.5))))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert text.count("0.5 ± 0.1") == 2
    assert all(text.splitlines().count(name) == 2 for name in names)  # in full below each table
