"""Several real processes that train one run: the bytes of one process with as many devices, also after signals."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: digits, batch_size: 48, examples: 400}
model: {name: mlp, hidden: [16], dropout: 0.2}
optimizer: {name: momentum, learning_rate: 0.05}
train: {duration: 16 epochs, precision: float64}
checkpoint: {every: 10 steps, keep: 2}
"""
NET = """
data: {name: digits, batch_size: 48, examples: 400, stream: true}
model: {name: resnet, depth: 8, width: 4, survival: 0.8}
optimizer: {name: adam, learning_rate: 0.01}
schedule: {name: reduce_on_plateau, patience: 0}
average: {name: ema, decay: 0.9}
metrics: [f1]
train: {duration: 5 epochs, precision: float64, early_stopping: {patience: 2 epochs, min_delta: 0.2}}
checkpoint: {every: 10 steps, keep: 2}
"""

LBFGS = """
data: {name: digits, batch_size: full, examples: 400}
model: {name: mlp, hidden: [8]}
optimizer: lbfgs
train: {duration: 12 steps, log_every: 1 steps, evaluate_every: 4 steps, precision: float64}
"""


class Together:
    """The processes of one command."""

    def __init__(self, begun: Callable[..., Any], count: int, *arguments: object, folder: Path):
        with socket.create_server(("127.0.0.1", 0)) as server:
            place = f"127.0.0.1:{server.getsockname()[1]}"
        self.processes = [
            begun(*arguments, "--quiet", "--coordinator", place, "--process", f"{i}/{count}", folder=folder)
            for i in range(count)
        ]

    def signal_after(self, checkpoints: int, run: Path, index: int, number: int, wait: float = 0.0) -> None:
        """Sends a signal to one of them once so many checkpoints, of ten steps each, were made."""
        begin = newest(run)
        while self.processes[0].poll() is None and newest(run) < begin + 10 * checkpoints:
            time.sleep(0.005)
        time.sleep(wait)
        self.processes[index].send_signal(number)

    @property
    def codes(self) -> list[int]:
        return [process.wait() for process in self.processes]

    @property
    def errors(self) -> list[list[str]]:
        return [process.err.splitlines() for process in self.processes]


def newest(run: Path) -> int:
    """The step of the newest checkpoint, 0 if there is none."""
    return max((int(path.name[5:]) for path in (run / "checkpoints").glob("step_*")), default=0)


def logged(run: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def devices(count: int) -> dict[str, str]:
    """The environment of one process with so many simulated devices."""
    return {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"}


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


@pytest.mark.quick("parts")
@pytest.mark.parametrize("held", ["whole", "parts"])
def test_two_processes_end_together_and_continue(
    held: str, spec: Path, begun: Any, warm: Any, same: Any
) -> None:
    """A signal to the second one is answered by both, with a checkpoint; continued, the run has the bytes of one
    process with two devices."""
    place = spec.parent
    if held == "parts":
        spec.write_text(SPEC.replace("precision: float64", "precision: float64, fsdp: true"))
    pair = Together(begun, 2, "train", "spec.yaml", "--run-dir", "pair", folder=place)
    pair.signal_after(1, place / "pair", 1, signal.SIGTERM)
    assert pair.codes == [143, 143], pair.errors
    state = json.loads((place / "pair" / "state.json").read_text())
    assert (
        state["status"] == "interrupted" and (place / f"pair/checkpoints/step_{state['step']:08d}").is_dir()
    )
    assert pair.errors == [[f"nnrun: interrupted at step {state['step']}; `nnrun resume pair` continues"], []]

    continued = Together(begun, 2, "resume", "pair", folder=place)
    assert continued.codes == [0, 0], continued.errors
    alone = warm(
        "train", "spec.yaml", "train.devices=all", "--run-dir", "alone", "-q", folder=place, **devices(2)
    )
    assert alone.code == 0, alone.err
    same(place / "pair", place / "alone")
    about = [json.loads((place / name / "run.json").read_text()) for name in ("pair", "alone")]
    assert [(entry.get("devices"), entry.get("processes")) for entry in about] == [(2, 2), (2, None)]


@pytest.mark.slow
def test_who_loses_another_process_ends(spec: Path, begun: Any, warm: Any, same: Any) -> None:
    """Killed at random instants, the first or the second process; who is left ends with 6 and one line."""
    chance, place = random.Random(1), spec.parent
    alone = warm(
        "train", "spec.yaml", "train.devices=all", "--run-dir", "alone", "-q", folder=place, **devices(2)
    )
    assert alone.code == 0
    run, command = place / "pair", ("train", "spec.yaml", "--run-dir", "pair")
    for checkpoints, victim in ((1, 1), (2, 0), (3, 1), (1, 0)):
        pair = Together(begun, 2, *command, folder=place)
        pair.signal_after(checkpoints, run, victim, signal.SIGKILL, chance.uniform(0.0, 0.2))
        codes = pair.codes
        if codes == [0, 0]:
            break
        assert codes[victim] == -signal.SIGKILL and codes[1 - victim] == 6, pair.errors
        assert pair.errors[1 - victim] == [
            f"nnrun: process {victim} of 2 was lost; `nnrun resume` continues the run"
        ]
        command = ("resume", "pair")
    else:
        assert Together(begun, 2, "resume", "pair", folder=place).codes == [0, 0]
    same(place / "alone", run)


@pytest.mark.slow
def test_two_processes_search_along_one_line(tmp_path: Path, begun: Any, warm: Any, same: Any) -> None:
    """L-BFGS on all examples: the inner products of its vectors, and how far its line search goes, are those of one
    process, with two devices to the last byte, with one but for the order of sums."""
    (tmp_path / "spec.yaml").write_text(LBFGS)
    pair = Together(begun, 2, "train", "spec.yaml", "--run-dir", "pair", folder=tmp_path)
    assert pair.codes == [0, 0], pair.errors
    for count, run in ((2, "two"), (1, "alone")):
        command = ["train", "spec.yaml", f"train.devices={count}", "--run-dir", run, "-q"]
        done = warm(*command, folder=tmp_path, **devices(count))
        assert done.code == 0, done.err
    same(tmp_path / "pair", tmp_path / "two")
    lines = logged(tmp_path / "alone")
    assert lines[-1]["train/loss"] < 0.5 * lines[0]["train/loss"]
    for line, expected in zip(logged(tmp_path / "pair"), lines, strict=True):
        assert line == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_who_loses_one_of_four_ends(spec: Path, begun: Any, same: Any) -> None:
    """Any of them is killed at a random instant: all others end with 6, process 0 says in one line whom it lost, and
    where process 0 is gone each says that."""
    chance, place = random.Random(2), spec.parent
    spec.write_text(SPEC.replace("16 epochs", "60 epochs"))  # so that no kill comes too late
    undisturbed = Together(begun, 4, "train", "spec.yaml", "--run-dir", "undisturbed", folder=place)
    assert undisturbed.codes == [0] * 4, undisturbed.errors
    run, command = place / "four", ("train", "spec.yaml", "--run-dir", "four")
    for victim in (chance.randrange(1, 4), 0, chance.randrange(1, 4)):
        four = Together(begun, 4, *command, folder=place)
        four.signal_after(1, run, victim, signal.SIGKILL, chance.uniform(0.0, 0.2))
        expected = [6] * 4
        expected[victim] = -signal.SIGKILL
        assert four.codes == expected, four.errors
        line = f"nnrun: process {victim} of 4 was lost; `nnrun resume` continues the run"
        speaks = (1, 2, 3) if victim == 0 else (0,)
        assert four.errors == [[line] if index in speaks else [] for index in range(4)]
        command = ("resume", "four")
    four = Together(begun, 4, *command, folder=place)
    assert four.codes == [0] * 4, four.errors
    same(place / "undisturbed", run)


@pytest.mark.slow
@pytest.mark.parametrize("held", ["whole", "parts"])
def test_four_processes_are_one_with_four_devices(held: str, tmp_path: Path, begun: Any, warm: Any) -> None:
    """Streamed data, batch norm, an average, a schedule that reacts, early stopping; then three go on, then one."""
    net = NET if held == "whole" else NET.replace("precision: float64", "precision: float64, fsdp: true")
    (tmp_path / "spec.yaml").write_text(net)
    four = Together(begun, 4, "train", "spec.yaml", "--run-dir", "four", folder=tmp_path)
    assert four.codes == [0, 0, 0, 0], four.errors
    alone = warm(
        "train", "spec.yaml", "train.devices=4", "--run-dir", "alone", "-q", folder=tmp_path, **devices(4)
    )
    assert alone.code == 0, alone.err
    for line, expected in zip(*(logged(tmp_path / name) for name in ("four", "alone")), strict=True):
        assert line == pytest.approx(expected, rel=1e-12)

    begins = Together(begun, 4, "train", "spec.yaml", "--run-dir", "moved", folder=tmp_path)
    begins.signal_after(1, tmp_path / "moved", 3, signal.SIGINT)
    assert begins.codes == [130] * 4
    continues = Together(begun, 3, "resume", "moved", folder=tmp_path)
    continues.signal_after(2, tmp_path / "moved", 0, signal.SIGTERM, 0.5)
    assert set(continues.codes) in ({143}, {0})
    assert "devices: was 4, is 3; the result may differ" in "\n".join(continues.errors[0])
    assert warm("resume", "moved", "-q", folder=tmp_path).code == 0
    assert logged(tmp_path / "moved")[-1] == pytest.approx(logged(tmp_path / "alone")[-1], rel=1e-9)


def test_processes_that_mean_different_runs_are_refused(spec: Path, begun: Any) -> None:
    """What differs is said once, by the first; nothing is created."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
    pair = [
        begun(
            "train", "spec.yaml", *changes, "--run-dir", "run", "--coordinator", place, "--process", f"{i}/2",
            folder=spec.parent,
        )
        for i, changes in enumerate([[], ["optimizer.learning_rate=0.1"]])
    ]  # fmt: skip
    assert [process.wait() for process in pair] == [2, 2]
    message = "process 1 of 2 has another spec: optimizer.learning_rate is 0.1, on process 0 0.05"
    assert [process.err.splitlines() for process in pair] == [[f"nnrun: {message}"], []]
    assert not (spec.parent / "run").exists()


def test_what_several_processes_do_not_train_is_refused(spec: Path, warm: Any) -> None:
    """A cluster that is none, and a look at the data; neither waits for anybody."""
    for options, message in (
        (
            ["--hosts", "auto"],
            "--hosts auto: this is no cluster that jax knows (SLURM, Open MPI, Kubernetes, a TPU pod)",
        ),
        (
            ["--coordinator", "127.0.0.1:9", "--process", "0/2", "--dry-run"],
            "--dry-run looks at the spec and the data",
        ),
        (["--process", "0/2"], "--process needs --coordinator HOST:PORT beside it"),
    ):
        done = warm("train", "spec.yaml", *options, folder=spec.parent)
        assert done.code == 2 and message in done.err and len(done.err.splitlines()) == 1, done.err
