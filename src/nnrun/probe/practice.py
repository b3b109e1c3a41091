"""What a run needs of the machine, and what it does there: one step, one checkpoint, memory, disk and time."""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from pathlib import Path

from nnrun.amounts import figure, time_text
from nnrun.build.checks import check_memory as refuse_too_large
from nnrun.errors import DivergedError, MachineError, NnrunError, one_line, size_text
from nnrun.probe.finding import Finding
from nnrun.record import checkpoint
from nnrun.record.checkpoint import Progress
from nnrun.record.pack import is_finite
from nnrun.sweep.cost import Measured, memory_of, state_bytes
from nnrun.training.memory import free_memory
from nnrun.training.start import one_like
from nnrun.types import Experiment

__all__ = ["check_batches", "check_checkpoint", "check_disk", "check_memory", "check_time"]

_FULL = 0.8  # of what is free
_EMPTY: Progress = {
    "best": None, "improved": None, "best_metrics": {}, "latest": {}, "regular": [], "complete": False,
}  # fmt: skip
_LOG = 400  # bytes of a line of metrics, about


def check_batches(measured: Measured) -> Finding:
    """One step on a whole batch and one on the last batch of an epoch, which may be short."""
    compiled = measured.compiled
    plan, examples = compiled.experiment.plan, len(compiled.experiment.dataset.train.y)
    last = plan.steps_per_epoch - 1
    short = examples - last * plan.batch_size
    names, losses, bad = compiled.names, [], []
    for step, size in dict.fromkeys([(0, plan.batch_size), (last, short)]):
        if step >= plan.steps:
            continue
        state, log = compiled.advance(measured.state, step, 1)
        row = compiled.rows(log, 1)[0, 0]
        loss = float(row[names.index("train/loss")])
        finite = all(is_finite(lane) for lane in compiled.unpack(state))
        losses.append(f"{figure(loss)} on {size} examples")
        bad += [] if finite and math.isfinite(loss) else [size]
    numbers = {"batch": plan.batch_size, "last_batch": short}
    evidence = f"a step each: loss {', '.join(losses)}"
    if bad:
        remedy = (
            "choose data.batch_size so that no batch is that short"
            if bad == [short] and short < plan.batch_size
            else "see the checks above"
        )
        evidence += f"; after the step on {bad[0]} examples parameters are not finite"
        return Finding("batches", "fail", evidence, remedy, numbers)
    return Finding("batches", "pass", evidence, numbers=numbers)


def check_checkpoint(measured: Measured, root: Path) -> Finding:
    """A checkpoint of the state before the first step, written where runs are, read back, compared and removed."""
    arrays = measured.compiled.unpack(measured.state)[0]
    began = time.monotonic()
    try:
        if root.exists() and not root.is_dir():
            raise NotADirectoryError(f"{root} is no folder")
        with tempfile.TemporaryDirectory(dir=_existing(root), prefix=".nnrun-check-") as place:
            path = checkpoint.save(Path(place), 0, arrays, _EMPTY, 0)
            again = checkpoint.load(path).arrays
            size = sum(file.stat().st_size for file in path.iterdir())
    except DivergedError as error:
        return Finding("checkpoint", "fail", one_line(error), "see the checks above")
    except (NnrunError, OSError) as error:
        remedy = "write to another place: --run-dir or --runs-root of nnrun train"
        return Finding("checkpoint", "fail", f"{one_line(root)}: {one_line(error)}", remedy)
    seconds = time.monotonic() - began
    same = arrays.keys() == again.keys() and all(
        array.tobytes() == again[name].tobytes() for name, array in arrays.items()
    )
    numbers = {"bytes": size, "seconds": seconds}
    evidence = f"{size_text(size)} written and read back in {seconds:.2f} s"
    if not same:
        return Finding("checkpoint", "fail", f"{evidence}, not the same", "look at the disk", numbers)
    return Finding("checkpoint", "pass", evidence, numbers=numbers)


def check_memory(experiment: Experiment) -> Finding:
    """The data and the states of all seeds beside what is free; what is computed with needs some besides."""
    needed, free = memory_of(experiment, len(experiment.plan.seeds)), free_memory()
    numbers = {"bytes": needed, "free": free}
    evidence = f"about {size_text(needed)} for data, parameters and optimizer"
    remedy = "fewer train.seeds, a smaller model or optimizer, or data.stream: true"
    try:
        refuse_too_large(experiment, one_like(experiment))
    except MachineError as error:
        return Finding("memory", "fail", "nnrun train refuses it", one_line(error), numbers)
    if free is None:
        return Finding("memory", "pass", evidence, numbers=numbers)
    evidence += f", {size_text(free)} free"
    if needed > _FULL * free:
        return Finding("memory", "warn", evidence, remedy, numbers)
    return Finding("memory", "pass", evidence, numbers=numbers)


def check_disk(experiment: Experiment, root: Path, runs: int = 1) -> Finding:
    """The checkpoints that are there at the end, one that is being written, and the metrics, beside what is free.

    runs   of a cross-validation, each with checkpoints of its own
    """
    plan = experiment.plan
    kept = plan.keep + 2 + len(plan.kept)  # the best one, and one that is being written
    lines = plan.steps // plan.log_every + plan.steps // plan.evaluate_every
    needed = runs * len(plan.seeds) * (kept * state_bytes(experiment) + _LOG * lines)
    free = shutil.disk_usage(_existing(root)).free
    numbers = {"bytes": needed, "free": free}
    what = f"{kept} checkpoints and {lines:,} lines of metrics"
    evidence = f"up to {size_text(needed)} for {what}, {size_text(free)} free"
    if runs * len(plan.seeds) > 1:
        evidence = f"{evidence} ({runs} folds)" if runs > 1 else f"{evidence} ({len(plan.seeds)} seeds)"
    if needed > free:
        remedy = "a lower checkpoint.keep, or --runs-root on another disk"
        return Finding("disk", "fail", evidence, remedy, numbers)
    if needed > _FULL * free:
        return Finding("disk", "warn", evidence, "make room before a long run", numbers)
    return Finding("disk", "pass", evidence, numbers=numbers)


def check_time(measured: Measured, runs: int) -> Finding:
    """How long the run takes, from its first steps.  runs: of a cross-validation, one after another."""
    plan = measured.compiled.experiment.plan
    seconds = runs * (measured.compile_seconds + plan.steps * measured.step_seconds)
    numbers = {
        "seconds": seconds,
        "compile_seconds": measured.compile_seconds,
        "step_seconds": measured.step_seconds,
    }
    each = f"{plan.steps:,} steps of {time_text(measured.step_seconds)}"
    times = f", {runs} times" if runs > 1 else ""
    evidence = f"about {_time(seconds)}: {each}, {measured.compile_seconds:.1f} s to compile{times}"
    return Finding("time", "pass", evidence, numbers=numbers)


def _existing(root: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (root, *root.absolute().parents) if path.is_dir())


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
