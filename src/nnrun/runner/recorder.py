"""One run being recorded: its metrics, its best step so far, its checkpoints, its end.

A lane knows nothing of devices or programs: it is given rows of logged numbers and states as arrays.  A run
alone is one lane, a population is several in step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from nnrun.record import checkpoint, metrics
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.names import METRICS
from nnrun.record.pack import WINDOW, Progress, is_finite
from nnrun.record.run import RunState
from nnrun.record.timing import Timing
from nnrun.runner.mark import Mark, is_better, restored, stored
from nnrun.statistics.metric import metric_of
from nnrun.storage import fsio
from nnrun.storage.append_file import AppendFile
from nnrun.types import Plan

__all__ = ["Recorder"]

Arrays = dict[str, np.ndarray]
_TRAIN = "train/"


class Recorder:
    """A run folder open for writing.

    folder     of the run; its lock is held by the caller
    columns    names of the logged numbers of a step
    to_metrics averages of a loss's terms -> metrics, as Loss.metrics
    start_checkpoint   where the run continues, None at its beginning
    ended      its state.json, if the run ended before the others of its population did
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        columns: tuple[str, ...],
        to_metrics: Callable[[Mapping[str, float]], dict[str, float]],
        start_checkpoint: Checkpoint | None = None,
        ended: RunState | None = None,
    ) -> None:
        self.folder, self.plan, self.columns, self.to_metrics = folder, plan, columns, to_metrics
        self.status = ended["status"] if ended else "running"
        self.ended = ended is not None  # its files are complete
        self.step = ended.get("step", 0) if ended else start_checkpoint.step if start_checkpoint else 0
        self.start: Arrays | None = None  # the state to continue from, None: from the beginning
        self.final: Arrays | None = None  # the last state, once the run is done
        self.saved: Arrays | None = None  # the last state that was saved
        self.latest: dict[str, float] = {}
        self.best: Mark | None = None  # by the metric that the spec judges by
        self.best_metrics: dict[str, float] = {}
        self.improved: Mark | None = None  # by the metric of early stopping, with min_delta
        self.window = np.zeros((0, len(columns)))
        self._candidate: Mark | None = None  # the step that may become the best, once its state is held
        self._regular: list[int] = []  # the newest steps that were saved because it was time
        if start_checkpoint:
            self._restore(start_checkpoint)
        self._unsaved: Checkpoint | None = None  # the best state, where it is not on disk yet
        kept = None if ended else start_checkpoint.metrics_offset if start_checkpoint else 0
        with fsio.one_commit(folder):
            self._metrics = AppendFile(folder / METRICS, keep=kept)
            self._timing = Timing(folder)

    def _restore(self, content: Checkpoint) -> None:
        progress = content.progress
        self.best = Mark(**progress["best"]) if progress["best"] else None
        self.improved = Mark(**progress["improved"]) if progress["improved"] else None
        self.latest, self.best_metrics = restored(progress["latest"]), restored(progress["best_metrics"])
        self.window = content.arrays[WINDOW]
        if progress["complete"]:
            self.status, self.ended = "done", True
        self._regular = list(progress["regular"])
        self.start = content.state
        self.saved = self.start
        if self.status == "done":
            self.final = self.start

    @property
    def live(self) -> bool:
        """Whether the run is still training."""
        return self.status == "running"

    def advance(self, rows: np.ndarray, evaluation: Mapping[str, float] | None) -> bool:
        """Takes the logged rows of the steps since the last call, and the metrics at the end of them if any.

        Writes one line at every multiple of log_every and at every evaluation; afterwards `status` tells
        whether the run diverged or stopped.  Returns whether this is the best step so far.

        rows        (steps, columns)
        evaluation  {val/name: value} at the last of the steps
        """
        bad = np.flatnonzero(~np.isfinite(rows[:, self.columns.index("train/loss")]))
        if len(bad):
            rows, evaluation, self.status = rows[: bad[0] + 1], None, "diverged"
        last = self.step + len(rows)
        every = self.plan.log_every
        edges = list(range(self.step - self.step % every + every, last + 1, every))
        if (evaluation is not None or len(bad)) and last not in edges:
            edges.append(last)
        lines = b""
        for edge in edges:
            done, rows = np.split(rows, [edge - self.step])
            lines += metrics.line(self._line(done, edge, evaluation if edge == last else None))
            self.step, self.window = edge, self.window[:0]
        self.window = np.concatenate([self.window, rows])
        self.step = last
        if lines:
            self._metrics.write(lines)
        return evaluation is not None and self._judge(evaluation)

    def _line(self, rows: np.ndarray, step: int, evaluation: Mapping[str, float] | None) -> dict[str, float]:
        """The record of a line: metrics averaged over the steps since the line before, the rest at its end."""
        window = np.concatenate([self.window, rows])
        mean = dict(zip(self.columns, window.mean(0).tolist(), strict=True))
        terms = {name.removeprefix(_TRAIN): mean[name] for name in self.columns if name.startswith(_TRAIN)}
        values = {_TRAIN + name: value for name, value in self.to_metrics(terms).items()}
        if self.status != "diverged":  # at a step where no line was to end, the norms are not known
            values |= {
                n: float(window[-1, i]) for i, n in enumerate(self.columns) if not n.startswith(_TRAIN)
            }
        values |= evaluation or {}
        self.latest = {**self.latest, **values}
        if evaluation is not None:
            self._timing.note(step)
        return {"step": step, "epoch": step / self.plan.steps_per_epoch, **values}

    def _judge(self, evaluation: Mapping[str, float]) -> bool:
        """Updates the best step and the patience; returns whether this is the best step so far."""
        plan = self.plan
        self._candidate = self._mark(plan.judge, evaluation, self.best) if plan.judge else None
        if plan.patience_metric:
            improved = self._mark(plan.patience_metric, evaluation, self.improved, plan.min_delta)
            self.improved = improved or self.improved
            if self.improved and self.step - self.improved.step >= plan.patience:
                self.status = "done"
        return self._candidate is not None

    def _mark(
        self, name: str, evaluation: Mapping[str, float], than: Mark | None, margin: float | None = None
    ) -> Mark | None:
        """The mark of this step if it is better than an earlier one."""
        loss = evaluation["val/loss"]
        mark = Mark(self.step, evaluation[name], loss if np.isfinite(loss) else None)
        return mark if is_better(mark, than, metric_of(name, self.plan.rising), margin) else None

    def _checkpoint(self, arrays: Arrays) -> Checkpoint:
        progress: Progress = {
            "best": self.best and self.best.entry(),
            "improved": self.improved and self.improved.entry(),
            "latest": stored(self.latest),
            "best_metrics": stored(self.best_metrics),
            "regular": self._regular,
            "complete": self.status == "done",  # the run ends here: at its last step, or stopped early
        }
        if self.plan.kept:
            progress["kept"] = self.plan.kept  # for who wants the ends of the cycles
        return Checkpoint(self.step, {**arrays, WINDOW: self.window}, progress, self._metrics.offset)

    def keep(self, arrays: Arrays, improved: bool, due: bool) -> bool:
        """After a chunk: holds the best state, saves where it is due, ends the run where it is over.

        Returns whether a checkpoint was written.
        """
        if (improved or (self.live and due)) and not is_finite(arrays):
            self.status = "diverged"  # in the optimizer's state, while the loss is still finite
        elif improved:
            self.hold_best(arrays)
        if self.live and self.step == self.plan.steps:
            self.status = "done"
        if self.live and due:
            self.save(arrays)
            return True
        if self.live or self.ended:
            return False
        self.end(arrays)
        return True

    def end_here(self) -> bool:
        """Ends a live run at its last saved state, as if that had been its length; returns whether it did."""
        if not self.live or self.saved is None:
            return False
        self.status = "done"
        self.end(self.saved)
        self.prune()
        return True

    def hold_best(self, arrays: Arrays) -> None:
        """Keeps the best state so far in memory; it goes to disk with the next `save`."""
        self.best, self.best_metrics = self._candidate, self.latest
        self._unsaved = self._checkpoint(arrays)

    def save(self, arrays: Arrays) -> None:
        """Writes the state, which must be finite, as a checkpoint, and the best one if it is not on disk."""
        self._metrics.sync()
        self._regular = [*self._regular, self.step][-self.plan.keep :]
        if self._unsaved is not None and self._unsaved.step != self.step:
            self._write(self._unsaved)
        self._write(self._checkpoint(arrays))
        self._unsaved, self.saved = None, arrays

    def prune(self) -> None:
        """Removes old checkpoints.

        A population does so when all its lanes have saved: until then they may need an older common step.
        """
        folder = self.folder / "checkpoints"
        if folder.exists():
            # Best steps, old ones too, must not displace the regular ones, which a population has in common.
            protected = {*self._regular, *self.plan.kept, *([self.best.step] if self.best else [])}
            checkpoint.prune(folder, self.plan.keep, protected)

    def _write(self, content: Checkpoint) -> None:
        folder = self.folder / "checkpoints"
        if not folder.exists():
            fsio.make_folder(folder)
        checkpoint.save(folder, *content)

    def end(self, arrays: Arrays) -> None:
        """Writes what must outlast the run: its last state, or after a divergence the best one before it."""
        if self.status == "diverged":
            self._metrics.sync()
            if self._unsaved is not None:
                self._write(self._unsaved)
        else:
            self.save(arrays)
            self.final = arrays
        self.ended = True

    def best_arrays(self) -> Arrays | None:
        """The arrays of the best step; the last ones where nothing is judged or the last step is the best."""
        if self.best is None or (self.best.step == self.step and self.status == "done"):
            return self.final
        content = checkpoint.load(checkpoint.step_folder(self.folder / "checkpoints", self.best.step))
        return content.state

    def close(self) -> None:
        """Syncs and closes the files; a second call does nothing."""
        self._metrics.close()
        self._timing.close()
