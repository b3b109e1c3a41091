"""Which runs are meant, which report a folder has, where a run came from, and when code and data are the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.errors import RunError, SpecError
from nnrun.report import reports
from nnrun.report.entry import entry_of, flat
from nnrun.report.gather import gather
from nnrun.report.listed import ListOptions, listed
from nnrun.report.named_runs import compare_runs, short_names
from nnrun.report.provenance import origin_lines
from nnrun.report.side_by_side import side_by_side

HOME = "/home/a/nnrun"


def run_in(
    folder: Path, rate: float = 0.1, value: float = 0.5, seed: int = 0, status: str = "done", **origin: Any
) -> Path:
    folder.mkdir(parents=True)
    spec = f"name: {folder.name}\ndata: {{name: digits}}\noptimizer: {{name: sgd, learning_rate: {rate}}}\n"
    (folder / "resolved.yaml").write_text(f"{spec}train: {{seed: {seed}}}\n")
    (folder / "spec.yaml").write_text(spec)
    (folder / "state.json").write_text(json.dumps({"status": status, "step": 10}))
    (folder / "metrics.jsonl").write_text('{"step": 10, "val/accuracy": 0.5, "train/loss": 1.0}\n')
    best = {"test/accuracy": value, "test/ema/accuracy": value}
    summary = {
        "status": status, "steps": 10, "best": {"metric": "val/accuracy", "value": 0.5, "step": 10},
        "rising": ["accuracy"], "bounds": {"accuracy": [0, 1]}, "metrics": {"best": best},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "run.json").write_text(json.dumps({"data_digest": "d", "versions": {"nnrun": "1"}, **origin}))
    return folder


def test_names_are_the_shortest_ends_that_differ() -> None:
    paths = [Path("/x/a/run"), Path("/x/b/run"), Path("/x/b/other")]
    assert [name for name, _ in short_names(paths)] == ["a/run", "b/run", "b/other"]
    assert [name for name, _ in short_names(paths[1:])] == ["run", "other"]
    assert short_names([]) == []


def test_settings_that_are_named(tmp_path: Path) -> None:
    for seed in range(2):
        run_in(tmp_path / f"slow-{seed}", 0.1, 0.5, seed)
    run_in(tmp_path / "fast", 0.2, 0.75)
    comparison = compare_runs(["slow-0", "slow-1", "fast"], tmp_path)
    assert [(entry.name, entry.seeds) for entry in comparison.entries] == [("slow", (0, 1)), ("fast", (0,))]
    assert comparison.keys == ["optimizer.learning_rate"]
    assert comparison.sentences[-1] == "slow: 2 runs that differ in nothing but the seed: slow-0, slow-1"


@pytest.mark.parametrize(
    ("names", "error", "message"),
    [
        ([], SpecError, "got no run; name at least two, or a sweep"),
        (["a"], SpecError, "got one run; name at least two, or a sweep"),
        (["a", "a"], RunError, "named twice, as .*a too; name each run once"),
        (["group", "group/seed_0"], RunError, "named with .*group, which has the same runs"),
        (["group/seed_0", "group"], RunError, "named with .*seed_0, which has the same runs"),
    ],
)
def test_what_cannot_be_compared(
    names: list[str], error: type[Exception], message: str, tmp_path: Path
) -> None:
    run_in(tmp_path / "a")
    run_in(tmp_path / "group")
    run_in(tmp_path / "group/seed_0")
    with pytest.raises(error, match=message):
        compare_runs(names, tmp_path)


def test_a_sweep_stands_for_its_runs_on_fresh_seeds(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=6, final=4, truth={"sgd": 0.93, "adam": 0.968})
    comparison = compare_runs([str(folder)], folder.parent)
    assert [entry.name for entry in comparison.entries] == ["sgd", "adam"]
    assert [len(entry.seeds) for entry in comparison.entries] == [4, 4]
    assert comparison.sentences[-1].startswith("this is the answer of the sweep; `nnrun show ")
    alone = compare_runs([str(folder / "final/sgd"), str(folder / "final/adam")], folder.parent)
    assert alone.sentences == comparison.sentences  # all settings that the sweep chose


def test_a_sweep_without_ended_trials_is_refused(make_sweep: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_sweep(trials=2, final=0)
    with pytest.raises(RunError, match="a sweep of which no trial has ended"):
        compare_runs([str(folder)], tmp_path)


def test_a_run_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    folder = run_in(tmp_path / "a")
    (folder / "resolved.yaml").write_text("- a list\n")
    with pytest.raises(RunError, match=r"resolved\.yaml: damaged; restore it or start a new run"):
        entry_of("a", folder)
    (folder / "resolved.yaml").unlink()
    with pytest.raises(RunError, match=r"resolved\.yaml: missing; restore it or start a new run"):
        entry_of("a", folder)


def test_a_spec_as_keys_and_lists_as_values() -> None:
    assert flat({"a": {"b": {"c": 1}, "d": []}, "e": [{"f": 2}]}) == {"a.b.c": 1, "a.d": [], "e": [{"f": 2}]}


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    """Either of them may be the one that has changed."""
    parts = {"/x/models/parts.py": "1", "/x/losses/parts.py": "2"}
    first = run_in(tmp_path / "a", seed=0, code=parts)
    same = run_in(tmp_path / "b", seed=1, code={"/moved/losses/parts.py": "2", "/moved/models/parts.py": "1"})
    for place, name in ((0, "c"), (1, "d")):
        changed = dict(zip(parts, ["3", "2"] if place == 0 else ["1", "3"], strict=True))
        other = run_in(tmp_path / name, seed=2, code=changed)
        entries = [entry_of(path.name, path) for path in (first, same, other)]
        settings, notes = gather(entries)
        assert [len(entry.runs) for entry in settings] == [2, 1], "a and b are seeds of one setting"
        assert any(
            "have the same settings, but parts.py differs: they are not gathered" in note for note in notes
        )


def test_two_things_that_differ_are_named(tmp_path: Path) -> None:
    first = run_in(tmp_path / "a", seed=0, code={"/x/b.py": "1"})
    second = run_in(tmp_path / "b", seed=1, code={"/x/b.py": "2"}, versions={"nnrun": "2"})
    _, notes = gather([entry_of(path.name, path) for path in (first, second)])
    assert notes == ["a and b have the same settings, but b.py, nnrun differ: they are not gathered"]


def test_weights_of_another_run_are_a_setting(tmp_path: Path) -> None:
    weights = {
        "run": "/runs/old",
        "step": 840,
        "average": "ema",
        "sha256": "s",
        "only": ["hidden_*"],
        "optimizer_state": "keep",
    }
    first, second = run_in(tmp_path / "a"), run_in(tmp_path / "b", weights_from=weights)
    assert side_by_side([entry_of(path.name, path) for path in (first, second)]).keys == ["weights_from"]


def test_a_list_has_the_best_of_an_average_first(tmp_path: Path) -> None:
    """test/ema/accuracy rises as test/accuracy does."""
    folders = [run_in(tmp_path / name, value=value) for name, value in (("a", 0.5), ("b", 0.75), ("c", 0.25))]
    for by in ("test/accuracy", "test/ema/accuracy"):
        rows, _ = listed(folders, ListOptions(by=by))
        assert [Path(row["run"]).name for row in rows] == ["b", "a", "c"], by


ORIGIN: Any = {
    "versions": {"nnrun": "0.1.0", "jax": "0.9", "numpy": "2"}, "device": {"kind": "cpu"}, "started": "2026-01-01",
    "git": {"commit": "0123456789abcdef", "dirty": False},
}  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["/usr/bin/nnrun", "train", "my spec.yaml"], "nnrun train 'my spec.yaml'"),
        (["/x/site-packages/nnrun/__main__.py", "train", "a.yaml"], "nnrun train a.yaml"),
        (["script.py", "a=1"], "script.py a=1"),
    ],
)
def test_the_command_can_be_typed_again(argv: list[str], command: str) -> None:
    first, last = origin_lines({**ORIGIN, "argv": argv})
    assert first == f"from     {command}"
    assert last == "on       cpu, nnrun 0.1.0, jax 0.9, commit 0123456789, begun 2026-01-01"


def test_weights_with_all_that_they_come_from() -> None:
    before = {
        "run": "first",
        "step": None,
        "average": None,
        "sha256": None,
        "only": [],
        "optimizer_state": "fresh",
    }
    weights = {
        "run": "second", "step": 840, "average": "ema", "sha256": "s", "only": ["hidden_*"], "optimizer_state": "keep",
        "before": before,
    }  # fmt: skip
    lines = origin_lines(
        {
            **ORIGIN,
            "argv": ["nnrun"],
            "weights_from": weights,
            "git": {"commit": "0123456789abc", "dirty": True},
        }
    )
    assert lines[1:3] == [
        "weights  second step 840 (ema), only hidden_*, with the optimizer's state",
        "weights  first each seed from its own",
    ]
    assert lines[3].endswith("commit 0123456789 + changes, begun 2026-01-01")
    assert origin_lines({}) == []


def test_which_report_a_folder_has(make_sweep: Callable[..., Path], tmp_path: Path) -> None:
    run, sweep, ensemble = run_in(tmp_path / "a"), make_sweep(trials=2, final=0), run_in(tmp_path / "e")
    (ensemble / "account.json").write_text("{}")
    kinds = [reports.kind_of([path]) for path in (run, sweep, ensemble)]
    assert kinds == ["runs", "sweep", "ensemble"] and reports.kind_of([run, run]) == "runs"
    with pytest.raises(SpecError, match="optimizers: has a report of its own; name it alone"):
        reports.kind_of([run, sweep])
    assert reports.remarks_of([ensemble]) == {} == reports.remarks_of([sweep])


def test_remarks_are_by_label(tmp_path: Path) -> None:
    folders = [run_in(tmp_path / name / "run", status="diverged") for name in ("a", "b")]
    remarks = reports.remarks_of(folders)
    assert list(remarks) == ["a/run", "b/run"]
    assert remarks["a/run"] == [
        {"about": "end", "sentence": "it diverged: its loss became NaN or infinite", "fine": False}
    ]


def test_the_examples_of_a_group_are_those_of_its_first_sound_seed(tmp_path: Path) -> None:
    group = tmp_path / "group"
    run_in(group)
    for seed, status in enumerate(("diverged", "done", "done")):
        run_in(group / f"seed_{seed}", seed=seed, status=status)
    assert reports.example_run(group, "test") == (group / "seed_1", "test")
    assert reports.example_run(group, None) == (group / "seed_1", "val")  # nothing says that there is none
    (group / "seed_1/state.json").write_text('{"status": "diverged"}')
    (group / "seed_2/state.json").write_text('{"status": "diverged"}')
    with pytest.raises(RunError, match="group: all its runs diverged"):
        reports.example_run(group, None)


def test_the_examples_of_an_ensemble_are_its_own(tmp_path: Path) -> None:
    ensemble = run_in(tmp_path / "e", status="diverged")
    (ensemble / "account.json").write_text("{}")
    assert reports.example_run(ensemble, "test") == (ensemble, "test")


def test_the_best_runs_of_a_sweep_are_on_fresh_seeds(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=6, final=3, bases=("digits", "wine"), truth={"sgd": 0.9, "adam": 0.97})
    assert [name for name, _ in reports.best_runs(folder)] == [
        "final/digits/adam/seed_10000", "final/wine/adam/seed_10000",
    ]  # fmt: skip
    (folder / "final/digits/adam/seed_10000/state.json").write_text('{"status": "diverged"}')
    assert reports.best_runs(folder)[0] == (
        "final/digits/adam/seed_10001",
        folder / "final/digits/adam/seed_10001",
    )


@pytest.mark.parametrize(
    ("wanted", "reason"), [(10, "no setting has finished on fresh seeds yet"), (0, "it has no fresh seeds")]
)
def test_a_sweep_without_fresh_seeds_has_no_best_run(
    wanted: int, reason: str, make_sweep: Callable[..., Path]
) -> None:
    folder = make_sweep(trials=2, final=0, final_wanted=wanted)
    with pytest.raises(RunError, match=f"{reason}; `nnrun report` of a run below trials/"):
        reports.best_runs(folder)


def test_a_picture_is_of_what_was_logged(tmp_path: Path) -> None:
    subjects = reports.subjects_of([run_in(tmp_path / "a")])
    with pytest.raises(SpecError, match=r"--metric val/acuracy: was not logged; did you mean val/accuracy\?"):
        reports.write_picture(tmp_path / "a.png", subjects, ["val/acuracy"])
    with pytest.raises(
        SpecError, match="--metric zzz: was not logged; write one of train/loss, val/accuracy"
    ):
        reports.write_picture(tmp_path / "a.png", subjects, ["zzz"])
    with pytest.raises(SpecError, match=r"write a name that ends in \.png, \.svg or \.pdf"):
        reports.write_picture(tmp_path / "a.gif", subjects, [])
    (tmp_path / "a/metrics.jsonl").write_text("")
    with pytest.raises(RunError, match="a: has logged nothing yet; wait until it trains"):
        reports.write_picture(tmp_path / "a.png", reports.subjects_of([tmp_path / "a"]), [])
    assert not list(tmp_path.glob("a.*"))


def test_the_picture_of_an_svg_has_the_named_metric_alone(tmp_path: Path) -> None:
    subjects = reports.subjects_of([run_in(tmp_path / "a")])
    reports.write_picture(tmp_path / "a.svg", subjects, ["train/loss"])
    text = (tmp_path / "a.svg").read_text()
    assert ">loss<" in text and "accuracy" not in text and "<dc:date>" not in text
