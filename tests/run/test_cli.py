"""The commands as somebody uses them: what they print, write, and answer to mistakes."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16], dropout: 0.1}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 3 epochs, precision: float64, log_every: 7 steps}
checkpoint: {every: 1 epoch, best: val/loss}
"""
STOPPED = """
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam, learning_rate: 0.05}
train: {duration: 500 epochs, early_stopping: {patience: 20 epochs, metric: val/loss}}
checkpoint: {every: 10 epochs, best: val/loss}
"""
T_2 = 4.302652729911275  # 97.5% quantile of Student's t with 2 degrees of freedom, from a printed table


@pytest.fixture(scope="module")
def place(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, a group and a run that stopped early."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "stopped.yaml").write_text(STOPPED)
    for name, *command in (
        ("group", "spec.yaml", "train.seeds=3"),
        ("solo", "spec.yaml", "train.seed=1"),
        ("stopped", "stopped.yaml"),
    ):
        done = warm("train", *command, "--run-dir", f"runs/{name}", "--json", folder=folder)
        assert (done.code, done.err) == (0, "")
        (folder / f"{name}.json").write_text(done.out)
    return folder


@pytest.fixture
def command(warm: Callable[..., Any], place: Path) -> Callable[..., Any]:
    """command(*arguments): runs nnrun in `place`."""
    return lambda *arguments: warm(*arguments, folder=place)


def test_the_starter_spec_trains_as_the_message_says(warm: Callable[..., Any], tmp_path: Path) -> None:
    written = warm("init", folder=tmp_path)
    assert written.out == "wrote nnrun.yaml; `nnrun train nnrun.yaml` trains it\n"
    again = warm("init", folder=tmp_path)
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "nnrun.yaml: already exists" in again.err
    table = warm("init", "new.csv", folder=tmp_path)
    assert (table.code, table.err) == (
        2, "nnrun: new.csv: is no name of a spec; write one with .yaml: nnrun init my_spec.yaml\n"
    )  # fmt: skip
    done = warm("train", "nnrun.yaml", "train.duration=2 epochs", "-q", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    first, second, third = done.out.splitlines()
    assert first.startswith("done after 40 steps: test/accuracy ")
    (run,) = (tmp_path / "runs").iterdir()
    assert second == f"run folder: runs/{run.name}"
    assert third == f"look at it: nnrun show runs/{run.name}"
    for name in ("spec.yaml", "resolved.yaml", "run.json", "state.json", "metrics.jsonl", "timing.jsonl"):
        assert (run / name).is_file()
    assert (run / "spec.yaml").read_bytes() == (tmp_path / "nnrun.yaml").read_bytes()


def test_the_json_of_a_run(place: Path) -> None:
    found = json.loads((place / "solo.json").read_text())
    assert found["run_dir"] == "runs/solo"
    assert (found["status"], found["steps"], found["epochs"]) == ("done", 60, 3.0)
    names = {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "test/loss", "test/accuracy"}
    names |= {"learning_rate", "grad/norm", "update/norm", "update/ratio"}
    for state in ("last", "best"):
        assert set(found["metrics"][state]) == names
        assert all(math.isfinite(value) for value in found["metrics"][state].values())
    assert found["best"]["metric"] == "val/loss"
    assert found["best"]["value"] == found["metrics"]["best"]["val/loss"]
    assert found == {"run_dir": "runs/solo", **json.loads((place / "runs/solo/summary.json").read_text())}


def test_the_last_metrics_are_those_of_the_last_line(place: Path) -> None:
    last = json.loads((place / "runs/solo/metrics.jsonl").read_text().splitlines()[-1])
    found = json.loads((place / "solo.json").read_text())["metrics"]["last"]
    assert last.pop("step") == 60
    assert last.pop("epoch") == 3.0
    assert last == {name: found[name] for name in last}


def test_a_group_has_the_mean_and_the_interval_of_its_runs(place: Path) -> None:
    found = json.loads((place / "group.json").read_text())
    assert [run["run"] for run in found["runs"]] == ["seed_0", "seed_1", "seed_2"]
    for state in ("last", "best"):
        assert (
            set(found["mean"][state]) == set(found["ci95"][state]) == set(found["runs"][0]["metrics"][state])
        )
        for name, mean in found["mean"][state].items():
            values = [run["metrics"][state][name] for run in found["runs"]]
            assert mean == pytest.approx(sum(values) / 3, rel=1e-12)
            half = T_2 * statistics.stdev(values) / math.sqrt(3)
            share = name.endswith("accuracy")
            ends = [max(mean - half, 0), min(mean + half, 1)] if share else [mean - half, mean + half]
            assert found["ci95"][state][name] == pytest.approx(ends, rel=1e-9, abs=1e-15)


def test_a_member_is_the_solo_run_of_its_seed(place: Path) -> None:
    member = json.loads((place / "runs/group/seed_1/summary.json").read_text())
    solo = json.loads((place / "runs/solo/summary.json").read_text())
    assert member["steps"] == solo["steps"]
    assert member["best"]["step"] == solo["best"]["step"]
    for state in ("last", "best"):
        assert member["metrics"][state] == pytest.approx(solo["metrics"][state], rel=1e-6)
    other = json.loads((place / "runs/group/seed_2/summary.json").read_text())
    assert member["metrics"]["last"]["train/loss"] != pytest.approx(
        other["metrics"]["last"]["train/loss"], rel=1e-3
    )


def test_a_member_is_an_ordinary_run(command: Callable[..., Any], place: Path) -> None:
    summary = json.loads((place / "runs/group/seed_2/summary.json").read_text())
    shown = command("show", "runs/group/seed_2", "--json").json
    assert shown["metrics"] == summary["metrics"]
    evaluated = command("evaluate", "runs/group/seed_2", "--json").json
    assert evaluated["metrics"] == pytest.approx(on_test(summary, "best"), rel=1e-6)
    listed = json.loads(command("ls", "runs/group", "--json").out)
    assert [Path(row["run"]).name for row in listed] == ["group", "seed_0", "seed_1", "seed_2"]
    assert "seed: 2\n" in (place / "runs/group/seed_2/resolved.yaml").read_text()


def on_test(summary: dict[str, Any], state: str) -> dict[str, float]:
    return {name: value for name, value in summary["metrics"][state].items() if name.startswith("test/")}


def test_evaluating_a_group(command: Callable[..., Any], place: Path) -> None:
    summary = json.loads((place / "group.json").read_text())
    found = command("evaluate", "group", "--json").json
    assert [Path(run["run_dir"]).name for run in found["runs"]] == ["seed_0", "seed_1", "seed_2"]
    assert set(found["mean"]) == set(found["ci95"]) == {"test/loss", "test/accuracy"}
    for part in ("mean", "ci95"):
        for name, value in found[part].items():
            assert value == pytest.approx(summary[part]["best"][name], rel=1e-5)


def test_early_stopping_stops(place: Path) -> None:
    found = json.loads((place / "stopped.json").read_text())
    per_epoch = round(found["steps"] / found["epochs"])
    assert found["status"] == "done"
    assert found["steps"] == found["best"]["step"] + 20 * per_epoch < 500 * per_epoch


@pytest.mark.parametrize("state", ["best", "last"])
def test_evaluate_agrees_with_the_summary(state: str, command: Callable[..., Any], place: Path) -> None:
    summary = json.loads((place / "stopped.json").read_text())
    assert on_test(summary, "best") != on_test(summary, "last")
    found = command("evaluate", "stopped", "--checkpoint", state, "--json").json
    assert found["metrics"] == pytest.approx(on_test(summary, state), rel=1e-6)
    step = summary["best"]["step"] if state == "best" else summary["steps"]
    assert found["step"] == step
    by_number = command("evaluate", "stopped", "--checkpoint", step, "--split", "val", "--json").json
    expected = {name: value for name, value in summary["metrics"][state].items() if name.startswith("val/")}
    assert by_number["metrics"] == pytest.approx(expected, rel=1e-6)


def test_evaluate_without_such_a_checkpoint(command: Callable[..., Any], place: Path) -> None:
    kept = sorted(int(path.name[5:]) for path in (place / "runs/stopped/checkpoints").iterdir())
    done = command("evaluate", "stopped", "--checkpoint", "7")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert f"'7'; write last, best or a step: {', '.join(map(str, kept))}" in done.err


def state_of_disk(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["solo", "group"])
def test_resuming_a_done_run_touches_nothing(name: str, command: Callable[..., Any], place: Path) -> None:
    before = state_of_disk(place)
    done = command("resume", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"runs/{name} is done; nothing to do\n")
    assert command("resume", name, "--json").json == json.loads((place / f"{name}.json").read_text())
    assert state_of_disk(place) == before


def test_show_and_ls(command: Callable[..., Any], place: Path) -> None:
    found = json.loads((place / "stopped.json").read_text())
    shown = command("show", "stopped").out
    for part in (
        "runs/stopped  done",
        f"best     val/loss {found['best']['value']:.4g} at step {found['best']['step']}",
        "train/loss",
        "from     nnrun train stopped.yaml --run-dir runs/stopped --json",
    ):
        assert part in shown
    assert "█" in shown, "curves"
    listed = command("ls").out
    assert [line.split()[0] for line in listed.splitlines()] == [
        "run",
        "runs/group",
        "runs/solo",
        "runs/stopped",
    ]
    assert "done (3 seeds)" in listed
    assert f"{found['metrics']['best']['test/loss']:.4g}" in listed
    assert all(line == line.rstrip() for line in (shown + listed).splitlines())


def test_the_names_of_arrays(place: Path) -> None:
    folder = next((place / "runs/solo/checkpoints").iterdir())
    arrays = load_file(folder / "arrays.safetensors")
    shapes = {name: array.shape for name, array in arrays.items() if name.startswith("params/")}
    assert shapes == {
        "params/hidden_1/kernel": (64, 16),
        "params/hidden_1/bias": (16,),
        "params/output/kernel": (16, 10),
        "params/output/bias": (10,),
    }


def test_list_and_schema(command: Callable[..., Any]) -> None:
    optimizers = command("list", "optimizer", "--json").json["optimizer"]
    assert {"adam", "sgd", "momentum"} <= set(optimizers)
    assert all(optimizers.values())
    assert all(name in command("list").out for name in optimizers)
    schema = command("schema").json
    assert {"data", "model", "optimizer", "train"} <= set(schema["properties"])
