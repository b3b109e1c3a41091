"""Batches as SLURM jobs, with submitit made by hand: what is asked for, what answers mean, and what is cancelled."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nnrun import signals
from nnrun.errors import DataError, Interrupted, MachineError, SpecError
from nnrun.sweep import on_slurm
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.on_slurm import OnSlurm, SlurmTask

BATCHES = [RunBatch("r0-00", ["trials/a"], 1), RunBatch("r0-01", ["trials/b", "trials/c"], 2, 50)]


class FailedJobError(Exception):
    """As submitit raises it where a job has no result."""


class Job:
    """A job of the array, which ends after some looks."""

    def __init__(self, number: int, answer: Any, looks: int) -> None:
        self.job_id, self.answer, self.looks, self.cancelled = f"7_{number}", answer, looks, False

    def done(self) -> bool:
        self.looks -= 1
        return self.looks < 0

    def result(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def cancel(self, check: bool) -> None:
        self.cancelled = not check


class Submitit:
    """The package, with the answer of each job and the looks that it takes."""

    core = SimpleNamespace(utils=SimpleNamespace(FailedJobError=FailedJobError))

    def __init__(self, *answers: tuple[Any, int]) -> None:
        self.answers, self.jobs, self.sent = answers, [], []
        self.refused: Exception | None = None
        self.affinity = 2

    @property
    def SlurmExecutor(self) -> Any:
        def executor(folder: Path, max_num_timeout: int) -> Submitit:
            self.folder, self.again = folder, max_num_timeout
            return self

        executor.affinity = lambda: self.affinity  # type: ignore[attr-defined]
        return executor

    def update_parameters(self, **parameters: Any) -> None:
        self.parameters = parameters

    def map_array(self, task: Any, jobs: list[str]) -> list[Job]:
        if self.refused:
            raise self.refused
        self.task, self.sent = task, [json.loads(job) for job in jobs]
        self.jobs = [Job(i, *answer) for i, answer in enumerate(self.answers)]
        return self.jobs


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., OnSlurm]:
    engine: Any = SimpleNamespace(moment=SimpleNamespace(expected=lambda: {"package": "digest", "files": {}}))
    monkeypatch.setattr(on_slurm, "_POLL_SECONDS", 0.0)

    def make(submitit: Submitit, **parameters: int | str) -> OnSlurm:
        monkeypatch.setattr(on_slurm.importlib, "import_module", lambda name: submitit)
        return OnSlurm(parameters, engine)

    return make


def test_all_batches_are_one_array(trainer: Callable[..., OnSlurm], tmp_path: Path) -> None:
    submitit = Submitit(((0, ""), 3), ((3, "data.csv: line 7 is short"), 1))
    events = list(trainer(submitit, time=60, partition="long").train(tmp_path, BATCHES))
    assert [(event.batch.name, event.phase) for event in events] == [
        ("r0-00", "compiling"), ("r0-01", "compiling"), ("r0-01", "failed"), ("r0-00", "done"),
    ]  # fmt: skip
    assert isinstance(events[2].error, DataError) and str(events[2].error) == "data.csv: line 7 is short"
    name = f"nnrun-{tmp_path.name}"
    assert submitit.parameters == {"job_name": name, "time": 60, "partition": "long"}
    assert (submitit.folder, submitit.again) == (tmp_path / "slurm", 20)
    assert [job["batch"] for job in submitit.sent] == [batch._asdict() for batch in BATCHES]
    assert {(job["device"], job["root"]) for job in submitit.sent} == {("cpu", str(tmp_path))}
    assert not any(job.cancelled for job in submitit.jobs)


@pytest.mark.parametrize("option", [{"gpus_per_node": 1}, {"gres": "gpu:1"}])
def test_who_asks_for_a_gpu_computes_on_it(
    option: dict[str, Any], trainer: Callable[..., OnSlurm], tmp_path: Path
) -> None:
    submitit = Submitit(((0, ""), 0))
    list(trainer(submitit, time=5, **option).train(tmp_path, BATCHES[:1]))
    assert submitit.sent[0]["device"] == "gpu"


def test_a_job_that_is_gone_fails_its_batch(trainer: Callable[..., OnSlurm], tmp_path: Path) -> None:
    submitit = Submitit((FailedJobError("Job 7_0 was out of memory\nand more"), 0))
    event = list(trainer(submitit, time=5).train(tmp_path, BATCHES[:1]))[-1]
    words = "its worker was killed (SLURM job 7_0: Job 7_0 was out of memory"
    assert event.phase == "failed" and str(event.error).startswith(words)


def test_a_signal_cancels_what_runs_and_waits(
    trainer: Callable[..., OnSlurm], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitit = Submitit(((0, ""), 99), ((0, ""), 0))
    news = trainer(submitit, time=5).train(tmp_path, BATCHES)
    assert [next(news).phase, next(news).phase, next(news).batch.name] == ["compiling", "compiling", "r0-01"]
    monkeypatch.setattr(signals, "pending", lambda: 15)
    with pytest.raises(Interrupted):
        next(news)
    assert [job.cancelled for job in submitit.jobs] == [True, False]


@pytest.mark.parametrize(
    "error", [RuntimeError('Could not detect "srun"'), FailedJobError("sbatch: error: invalid partition\nx")]
)
def test_jobs_that_slurm_does_not_take(
    error: Exception, trainer: Callable[..., OnSlurm], tmp_path: Path
) -> None:
    submitit = Submitit()
    submitit.refused = error
    with pytest.raises(MachineError, match=r"--on slurm: SLURM does not take the jobs \(.*(srun|partition)"):
        list(trainer(submitit, time=5).train(tmp_path, BATCHES))


def test_without_slurm_nothing_is_begun(trainer: Callable[..., OnSlurm]) -> None:
    submitit = Submitit()
    submitit.affinity = -1
    with pytest.raises(MachineError, match=r"--on slurm: there is no srun here; .* or write --jobs"):
        trainer(submitit, time=5)


def test_who_stops_listening_cancels_what_was_sent(trainer: Callable[..., OnSlurm], tmp_path: Path) -> None:
    """Also before the first batch has ended, as where the display of the sweep fails."""
    submitit = Submitit(((0, ""), 0), ((0, ""), 0))
    news = trainer(submitit, time=5).train(tmp_path, BATCHES)
    assert next(news).phase == "compiling"
    news.close()  # type: ignore[attr-defined]
    assert [job.cancelled for job in submitit.jobs] == [True, True]


def test_without_submitit_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(on_slurm.importlib, "import_module", missing)
    with pytest.raises(SpecError, match=r'pip install "nnrun\[slurm\]", or write --jobs'):
        OnSlurm({}, None)  # type: ignore[arg-type]


def test_before_a_job_ends_its_batch_saves_and_it_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    helpers: Any = ModuleType("submitit.helpers")
    helpers.DelayedSubmission = lambda *call: call
    monkeypatch.setitem(sys.modules, "submitit", ModuleType("submitit"))
    monkeypatch.setitem(sys.modules, "submitit.helpers", helpers)
    calls: list[Any] = []
    task = SlurmTask()
    task._process = SimpleNamespace(send_signal=calls.append, wait=calls.append)  # type: ignore[assignment]
    again, job = task.checkpoint("the job")
    assert calls == [signal.SIGTERM, 60.0] and job == "the job"
    assert isinstance(again, SlurmTask) and again._process is None  # it can be pickled
