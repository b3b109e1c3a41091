"""Batches on a Ray cluster.  A batch whose node dies is sent again by Ray, to another one, where it continues."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nnrun.errors import MachineError, SpecError, one_line
from nnrun.sweep.batches import Event
from nnrun.sweep.engine import Engine, RunBatch
from nnrun.sweep.remote import begin, ended, followed, job_of, result_of

__all__ = ["OnRay"]

_RETRIES = 3  # of a batch whose node or worker died
_POLL_SECONDS = 0.5


class OnRay:
    """Trains batches as tasks of a Ray cluster, one processor or GPU each."""

    def __init__(self, address: str | None, engine: Engine) -> None:
        try:
            ray = importlib.import_module("ray")  # an extra; checkers of types need not find it
        except ModuleNotFoundError:
            raise SpecError('--on ray needs Ray; pip install "nnrun[ray]", or write --jobs') from None
        self.ray: Any = ray
        self.engine = engine
        try:
            if not ray.is_initialized():
                ray.init(address=address, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = one_line(error, 160)
            raise MachineError(
                f"--on {address or 'ray'}: no cluster answers ({reason}); check the address"
            ) from None

    def train(self, root: Path, batches: Sequence[RunBatch]) -> Iterator[Event]:
        """The news of each batch when it has ended.  Raises Interrupted; what runs is cancelled then."""
        gpus = 1 if self.ray.cluster_resources().get("GPU") else 0
        task = self.ray.remote(num_cpus=0 if gpus else 1, num_gpus=gpus, max_retries=_RETRIES)(_work)
        running = {
            task.remote(job_of(root, batch, self.engine.moment.expected(), bool(gpus))): batch
            for batch in batches
        }
        cancel = partial(self.ray.cancel, force=True)
        yield from followed(running, self._finished, self._ended, cancel)

    def _finished(self, tasks: Sequence[Any]) -> Sequence[Any]:
        """Those that have ended, after half a second at most."""
        return self.ray.wait(list(tasks), num_returns=1, timeout=_POLL_SECONDS)[0]

    def _ended(self, task: Any, batch: RunBatch) -> Event:
        try:
            code, reason = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            return ended(batch, -9, one_line(error, 160))
        return ended(batch, code, reason)


def _work(job: str) -> tuple[int, str]:
    """On a node: trains a batch in a process of its own; its exit code and error."""
    return result_of(begin(job))
