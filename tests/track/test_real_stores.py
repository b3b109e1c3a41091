"""Real stores in trouble: two runs at once, a server and a run that are killed; skipped where an extra is missing.

CONTRIBUTING.md has the command that runs these tests with the packages.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of libraries that the packages use

SPEC = """
data: {name: digits, batch_size: 64, examples: 640}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 40 epochs, log_every: 5 steps}
"""
PATIENCE = 120.0


def wait_for(what: Callable[[], Any]) -> Any:
    """What a function returns once that is true."""
    until = time.monotonic() + PATIENCE
    while not (result := what()):
        assert time.monotonic() < until, "it takes too long"
        time.sleep(0.1)
    return result


def lines_of(folder: Path) -> list[tuple[int, float]]:
    """Step and training loss of each line that a run has logged."""
    records = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [(record["step"], record["train/loss"]) for record in records if "train/loss" in record]


def sent(folder: Path) -> dict[str, Any]:
    """What the only tracker of a run has; {} before it has anything."""
    file = folder / "tracking.json"
    return next(iter(json.loads(file.read_text())["trackers"].values())) if file.is_file() else {}


@pytest.fixture
def begin(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """begin(*arguments): a command in the test's folder that is not waited for; killed when the test ends."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nnrun", *arguments],
            cwd=tmp_path,
            env={**environment, "PYTHONWARNINGS": "ignore"},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


class Server:
    """An MLflow server with a SQLite store, as a user starts one."""

    def __init__(self, place: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port: int = found.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self._place / 'store.db'}"]
        command += ["--artifacts-destination", str(self._place / "files")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command],
            cwd=self._place,
            env={**os.environ, "PYTHONWARNINGS": "default"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{self.uri}/health", timeout=5).status == 200
        return False

    def kill(self) -> None:
        """With all processes that it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("mlflow.server", reason="mlflow-skinny has no server")
    place = tmp_path / "server"
    place.mkdir()
    running = Server(place)
    running.start()
    yield running
    running.kill()


def histories(uri: str) -> dict[str, tuple[str, list[tuple[int, float]]]]:
    """Name of each run in the store -> its status, and step and value of each training loss, as MLflow reads them."""
    client = pytest.importorskip("mlflow.tracking").MlflowClient(uri)
    experiment = client.get_experiment_by_name("nnrun")
    runs = client.search_runs([experiment.experiment_id])
    entries = {run.info.run_name: client.get_metric_history(run.info.run_id, "train/loss") for run in runs}
    assert len(entries) == len(runs), "a run has two records"
    status = {run.info.run_name: run.info.status for run in runs}
    return {
        name: (status[name], sorted((entry.step, entry.value) for entry in values))
        for name, values in entries.items()
    }


def test_two_runs_at_once_into_one_store(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Neither of them makes the store for both, and each has its lines once."""
    pytest.importorskip("mlflow")
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    text = f"{{name: mlflow, uri: '{uri}'}}"
    runs = [
        begin("train", "spec.yaml", f"train.seed={i}", "--track", text, "--run-dir", f"run_{i}", "-q")
        for i in range(2)
    ]
    for process in runs:
        _, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")
    for i in range(2):
        wait_for(lambda i=i: sent(tmp_path / f"run_{i}").get("ended"))
    known = histories(uri)
    assert known == {f"run_{i}": ("FINISHED", lines_of(tmp_path / f"run_{i}")) for i in range(2)}


def test_a_server_that_is_killed(
    begin: Callable[..., subprocess.Popen[str]], server: Server, tmp_path: Path
) -> None:
    """The run ends as if nothing had happened, with one warning; what the server lacks is sent later, once."""
    text = f"{{name: mlflow, uri: '{server.uri}'}}"
    options = ("train.duration=4000 epochs", "--track", text, "--run-dir", "run", "-q")
    process = begin("train", "spec.yaml", *options)
    folder = tmp_path / "run"
    wait_for(lambda: sent(folder).get("step", 0) > 0)
    assert process.poll() is None, "the run is over before the server was killed; make it longer"
    server.kill()
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert len(err.splitlines()) == 1 and "the run is not affected" in err
    before = wait_for(lambda: sent(folder) if sent(folder)["problem"] else None)
    assert 0 < before["step"] < lines_of(folder)[-1][0] and not before["ended"]
    server.start()
    again = begin("track", "run", text)
    _, err = again.communicate(timeout=PATIENCE)
    assert (again.returncode, err) == (0, "")
    assert histories(server.uri) == {"run": ("FINISHED", lines_of(folder))}


@pytest.mark.parametrize("tracker", ["mlflow", "tensorboard"])
def test_a_run_that_is_killed_and_resumed(
    tracker: str, begin: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """It goes on in the same record, where each line is once."""
    pytest.importorskip(tracker)
    uri = f"sqlite:///{tmp_path / 'store.db'}"
    text = f"{{name: mlflow, uri: '{uri}'}}" if tracker == "mlflow" else tracker
    options = ("train.duration=4000 epochs", "checkpoint.every=500 steps", "--track", text)
    process = begin("train", "spec.yaml", *options, "--run-dir", "run", "-q")
    folder = tmp_path / "run"
    wait_for(lambda: sent(folder).get("step", 0) > 0 and any(folder.glob("checkpoints/step_*")))
    process.kill()
    process.wait()
    first = sent(folder)["id"]
    resumed = begin("resume", "run", "-q")
    _, err = resumed.communicate(timeout=PATIENCE)
    assert resumed.returncode == 0, err
    wait_for(lambda: sent(folder).get("ended"))
    assert sent(folder)["id"] == first
    if tracker == "mlflow":
        assert histories(uri) == {"run": ("FINISHED", lines_of(folder))}
        return
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reader.EventAccumulator(first, size_guidance={"scalars": 0})
    events.Reload()
    values = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert Counter(step for step, _ in values) == Counter(step for step, _ in lines_of(folder))
    assert [value for _, value in values] == pytest.approx([value for _, value in lines_of(folder)], rel=1e-6)


BLOCK, HEAD = 32768, 7  # bytes of a block of W&B's log, and of what stands before a part of a record


def records_of(file: Path) -> Iterator[bytes]:
    """The records of a log as W&B writes it: that of LevelDB behind seven bytes of its own."""
    content, place, parts = file.read_bytes(), HEAD, b""
    assert content.startswith(b":W&B")
    while place + HEAD <= len(content):
        if BLOCK - place % BLOCK < HEAD:
            place += BLOCK - place % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + HEAD : place + HEAD + length]
        place += HEAD + length
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


def test_offline_files_have_the_curves(begin: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    """Read with the package's own messages."""
    messages = pytest.importorskip("wandb.proto.wandb_internal_pb2")
    process = begin("train", "spec.yaml", "--track", "{name: wandb, mode: offline}", "--run-dir", "run", "-q")
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    wait_for(lambda: sent(tmp_path / "run").get("ended"))
    [file] = tmp_path.glob("wandb/offline-run-*/*.wandb")
    rows: list[dict[str, Any]] = []
    names, config = set(), {}
    for content in records_of(file):
        record = messages.Record()
        record.ParseFromString(content)
        if record.HasField("run"):
            names.add(record.run.display_name)
            config |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
        if record.HasField("history"):
            items = record.history.item
            rows.append(
                {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            )
    losses = [(row["_step"], row["train/loss"]) for row in rows if "train/loss" in row]
    assert losses == lines_of(tmp_path / "run")
    assert names == {"run"} and config["optimizer.learning_rate"] == 1e-3
