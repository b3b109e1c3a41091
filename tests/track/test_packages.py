"""The real packages, read by their own readers; skipped where an extra is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 4 epochs, seeds: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    (folder / "spec.yaml").write_text(SPEC)
    assert warm("train", "spec.yaml", "--run-dir", "group", "-q", folder=folder).code == 0
    return folder


def losses(folder: Path) -> list[tuple[int, float]]:
    records = [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(record["step"], record["val/loss"]) for record in records if "val/loss" in record]


def test_event_files_have_the_curves(place: Path, nnrun: Callable[..., Any]) -> None:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    done = nnrun("track", "group", "tensorboard", folder=place)
    assert done.code == 0, done.err
    for seed in range(2):
        events = reader.EventAccumulator(str(place / f"tensorboard/group/group-seed_{seed}"))
        events.Reload()
        values = [(event.step, event.value) for event in events.Scalars("val/loss")]
        assert [step for step, _ in values] == [step for step, _ in losses(place / f"group/seed_{seed}")]
        assert [value for _, value in values] == pytest.approx(
            [value for _, value in losses(place / f"group/seed_{seed}")], rel=1e-6
        )
        assert events.Tags()["images"] == ["curves.png"]


@pytest.mark.filterwarnings("ignore")  # of libraries that MLflow uses
def test_a_store_has_the_runs(place: Path, nnrun: Callable[..., Any]) -> None:
    package = pytest.importorskip("mlflow.tracking")
    done = nnrun("track", "group", "mlflow", folder=place, PYTHONWARNINGS="default")
    assert done.code == 0, done.err
    client = package.MlflowClient(f"sqlite:///{place / 'mlruns.db'}")
    experiment = client.get_experiment_by_name("nnrun")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"group-seed_0", "group-seed_1"}
    run = runs["group-seed_1"]
    history = client.get_metric_history(run.info.run_id, "val/loss")
    assert [(entry.step, entry.value) for entry in history] == losses(place / "group/seed_1")
    assert run.data.params["optimizer.learning_rate"] == "0.001" and run.info.status == "FINISHED"
    assert run.data.tags["nnrun.group"] == "group"
    assert {"report.html", "model"} <= {file.path for file in client.list_artifacts(run.info.run_id)}


def test_offline_files_are_there(place: Path, nnrun: Callable[..., Any]) -> None:
    pytest.importorskip("wandb")
    done = nnrun("track", "group", "{name: wandb, mode: offline}", folder=place)
    assert done.code == 0, done.err
    assert len(list((place / "wandb").glob("offline-run-*/*.wandb"))) == 2


def test_a_local_file_has_the_runs(place: Path, nnrun: Callable[..., Any]) -> None:
    pytest.importorskip("trackio")
    done = nnrun("track", "group", "trackio", folder=place, TRACKIO_DIR=str(place / "tio"))
    assert (done.code, done.err) == (0, "")
    code = (
        "import json; from trackio.sqlite_storage import SQLiteStorage as S\n"
        "print(json.dumps({r: [S.get_logs('nnrun', r), S.get_run_config('nnrun', r)] for r in S.get_runs('nnrun')}))"
    )
    read = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TRACKIO_DIR": str(place / "tio")}, capture_output=True,
        check=True,
    )  # fmt: skip
    runs = {name.rpartition("-")[0]: content for name, content in json.loads(read.stdout).items()}
    assert set(runs) == {"group-seed_0", "group-seed_1"}
    rows, config = runs["group-seed_1"]
    assert [(row["step"], row["val/loss"]) for row in rows if "val/loss" in row] == losses(
        place / "group/seed_1"
    )
    assert config["optimizer.learning_rate"] == 0.001
    assert rows[-1]["status"] == "done" and any("curves.png" in row for row in rows)


def test_a_folder_has_the_runs(place: Path, nnrun: Callable[..., Any]) -> None:
    pytest.importorskip("aim")
    done = nnrun("track", "group", "aim", folder=place, PYTHONWARNINGS="default")
    assert done.code == 0, done.err
    code = (
        "import json; from aim import Run; from aim.sdk.repo import Repo\n"
        "repo, found = Repo.from_path('.'), {}\n"
        "for number in repo.list_all_runs():\n"
        "    run = Run(number, repo=repo, system_tracking_interval=None, capture_terminal_logs=False)\n"
        "    curves = {m.name: [m.data.numpy()[0].tolist(), m.data.numpy()[1][0].tolist()] for m in run.metrics()}\n"
        "    pictures = [image['name'] for image in run.collect_sequence_info(('images',))['images']]\n"
        "    found[run.name] = [curves, run['optimizer', 'learning_rate'], run['group'], run['status'], pictures]\n"
        "print(json.dumps(found))"
    )
    read = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, check=True)
    runs = json.loads(read.stdout)
    assert set(runs) == {"group-seed_0", "group-seed_1"}
    curves, rate, group, status, pictures = runs["group-seed_1"]
    assert list(zip(*curves["val/loss"], strict=True)) == losses(place / "group/seed_1")
    assert (rate, group, status, pictures) == (0.001, "group", "done", ["curves.png"])


def test_a_server_that_is_not_there_costs_one_warning(place: Path, nnrun: Callable[..., Any]) -> None:
    pytest.importorskip("mlflow")
    done = nnrun(
        "train", "spec.yaml", "train.seeds=1", "--track", "{name: mlflow, uri: 'http://localhost:9'}",
        "--run-dir", "alone", "-q", folder=place,
    )  # fmt: skip
    assert done.code == 0
    assert len(done.err.splitlines()) == 1 and "the run is not affected" in done.err
