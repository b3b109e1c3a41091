"""Batches as an array of SLURM jobs.  submitit sends them and asks how they are.

A job that is near its time limit, or has to make room for another, saves a checkpoint, is put back into the queue,
and continues.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun.errors import MachineError, SpecError, one_line
from nnrun.sweep.batches import Event
from nnrun.sweep.engine import Engine, RunBatch
from nnrun.sweep.remote import begin, ended, followed, job_of, result_of

__all__ = ["OnSlurm", "SlurmTask"]

_AGAIN = 20  # times that a job is put back into the queue
_POLL_SECONDS = 1.0
_SAVES = 60.0  # seconds that a batch has to save, of the 90 before the end of a job
_FOLDER = "slurm"  # in the folder of the sweep: what submitit sends, and what jobs print


class OnSlurm:
    """Trains batches as jobs of SLURM.

    parameters   of the jobs, as sbatch calls them
    """

    def __init__(self, parameters: Mapping[str, int | str], engine: Engine) -> None:
        try:
            self.submitit: Any = importlib.import_module("submitit")  # an extra
        except ModuleNotFoundError:
            raise SpecError(
                '--on slurm needs submitit; pip install "nnrun[slurm]", or write --jobs'
            ) from None
        if self.submitit.SlurmExecutor.affinity() < 0:
            raise MachineError(
                "--on slurm: there is no srun here; go to a node of the cluster, or write --jobs"
            )
        self.parameters, self.engine = parameters, engine

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        """The news of each batch when it has ended.  Raises Interrupted; what runs or waits is cancelled then."""
        expected = self.engine.moment.expected()
        gpu = bool(self.parameters.keys() & {"gpus_per_node", "gres"})
        jobs = [job_of(root, batch, expected, gpu) for batch in batches]
        running = dict(zip(self._submitted(root, jobs), batches, strict=True))
        yield from followed(running, _finished, self._ended, lambda job: job.cancel(check=False))

    def _submitted(self, root: Path, jobs: Sequence[str]) -> list[Any]:
        try:
            executor = self.submitit.SlurmExecutor(folder=root.absolute() / _FOLDER, max_num_timeout=_AGAIN)
            executor.update_parameters(job_name=f"nnrun-{root.name}", **self.parameters)
            return executor.map_array(SlurmTask(), jobs)
        except (
            RuntimeError,
            OSError,
            subprocess.SubprocessError,
            self.submitit.core.utils.FailedJobError,
        ) as error:
            raise MachineError(
                f"--on slurm: SLURM does not take the jobs ({one_line(error, 200)}); is this a node from which sbatch "
                "works?"
            ) from None

    def _ended(self, job: Any, batch: RunBatch) -> Event:
        try:
            code, reason = job.result()
        except Exception as error:  # what submitit raises where a job is gone, or what the job raised
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return ended(batch, -9, f"SLURM job {job.job_id}: {one_line(lines[0], 160)}")
        return ended(batch, code, reason)


def _finished(jobs: Sequence[Any]) -> list[Any]:
    """Those that have ended, after a second at most."""
    done = [job for job in jobs if job.done()]
    if not done:
        time.sleep(_POLL_SECONDS)
    return done


class SlurmTask:
    """What a job does: trains a batch in a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, job: str) -> tuple[int, str]:
        """The exit code and the error of the process."""
        self._process = begin(job)
        return result_of(self._process)

    def checkpoint(self, job: str) -> Any:
        """Called by submitit before SLURM ends the job: the batch saves, and the job goes back into the queue."""
        from submitit.helpers import DelayedSubmission  # type: ignore[import-not-found]

        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_SAVES)
        return DelayedSubmission(SlurmTask(), job)
