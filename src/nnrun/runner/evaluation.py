"""Metrics of a recorded run on a part of its data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NotRequired, final

import jax
from typing_extensions import TypedDict

from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.record import checkpoint, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.summary import Baseline, Division, Metrics
from nnrun.runner import group, session, summary
from nnrun.runner.held_out import nothing_held_out
from nnrun.statistics.metric import all_ends, reasons
from nnrun.training import evaluate, flat, programs, start
from nnrun.training.averages import compile_averages
from nnrun.training.feed import Feed, make_feed
from nnrun.training.sampled import is_noisy, sampled, without_noise
from nnrun.types import Experiment

__all__ = [
    "SPLITS",
    "Conditions",
    "EnsembleEvaluation",
    "EvaluationResult",
    "GroupEvaluation",
    "RunEvaluation",
    "RunResult",
    "check_split",
    "evaluate_run",
    "good_members",
    "load_checkpoint",
    "load_intact",
    "run_result",
]

SPLITS = ("train", "val", "test")
_MOST_SAMPLES = 10_000


class RunResult(TypedDict):
    """The metrics of one checkpoint."""

    run_dir: str
    step: int
    metrics: Metrics
    undefined: NotRequired[dict[str, str]]  # metric that has no value -> why
    temperature: NotRequired[float]  # of its probabilities


class Conditions(TypedDict):
    """What an evaluation is of, and what a constant prediction has."""

    split: str
    checkpoint: str
    baseline: Baseline
    samples: NotRequired[int]
    input: NotRequired[str]  # the file that was measured on, in place of a part; split is "file" then
    examples: NotRequired[int]  # in it
    bounds: NotRequired[dict[str, list[float | None]]]  # the least and the most that metrics can be
    parameters: NotRequired[str]  # the average of the run that predicts, in place of what it trained


@final
class RunEvaluation(RunResult, Conditions):
    """Of a run."""


class _OfSeveral(Conditions):
    run_dir: str
    runs: list[RunResult]
    mean: dict[str, float]
    ci95: dict[str, list[float] | None]  # the 95% interval of the mean


@final
class GroupEvaluation(_OfSeveral):
    """Of a group of seeds, or of the folds of a cross-validation."""

    folds: NotRequired[Division]


@final
class EnsembleEvaluation(_OfSeveral):
    """Of an ensemble, whose members are the runs."""

    average: str
    metrics: Metrics
    undefined: NotRequired[dict[str, str]]
    temperature: NotRequired[float]


EvaluationResult = RunEvaluation | GroupEvaluation | EnsembleEvaluation  # what `nnrun evaluate --json` prints


def check_split(split: str) -> None:
    """Raises SpecError unless this is a part of the data."""
    if split not in SPLITS:
        raise SpecError(f"--split: got {one_line(split, 40)!r}; write one of {', '.join(SPLITS)}")


def evaluate_run(
    folder: Path, split: str, which: str, warn: Warn, samples: int = 0
) -> RunEvaluation | GroupEvaluation:
    """Metrics of a run, or of every run of a group with mean and 95% interval.

    split  train, val or test
    which  last, best (by validation), or the number of a step that has a checkpoint
    samples  0: without noise; else metrics of the mean prediction over this many draws of the noise
    Runs of a group that diverged are left out, as in its summary.  Raises SpecError, RunError, DataError.
    """
    check_split(split)
    if not 0 <= samples <= _MOST_SAMPLES:
        raise SpecError(
            f"--samples: got {one_line(samples, 40)}; write 1 to {_MOST_SAMPLES}, or 0 for no noise"
        )
    members = good_members(folder, warn)
    checkpoints = {path: load_checkpoint(path, which, warn) for path in members or [folder]}
    parts = [split, "train"] if _remeasured(checkpoints.values()) else [split]
    experiment = session.rebuild(members[0] if members else folder, warn, parts).experiment
    with session.precision(experiment.plan.precision):
        if samples and not is_noisy(experiment, training=False):
            warn(f"--samples {samples}: {experiment.plan.model} has no noise, so all samples are equal")
        if samples and not experiment.loss(experiment.knobs).probabilities:
            raise SpecError(
                "--samples: averages probabilities, and the loss of this run gives scores; leave it out"
            )
        measured = _measure(experiment, list(checkpoints.values()), split, folder, samples)
        reference = summary.baseline_entry(experiment, [split])
    measured_at = zip(checkpoints.items(), measured, strict=True)
    results = [run_result(path, content.step, metrics) for (path, content), metrics in measured_at]
    conditions: Conditions = {"split": split, "checkpoint": which, "baseline": reference}
    conditions["bounds"] = all_ends(experiment.plan.bounds)
    if samples:
        conditions["samples"] = samples
    if not members:
        return {**results[0], **conditions}
    by_run = [{which: result["metrics"]} for result in results]
    averages = summary.average(by_run, experiment.plan.bounds, sections=(which,))
    mean, ends = averages["mean"].get(which, {}), averages["ci95"].get(which, {})
    return {"run_dir": str(folder), **conditions, "runs": results, "mean": mean, "ci95": ends}


def run_result(folder: Path, step: int, metrics: Mapping[str, float]) -> RunResult:
    """The metrics of a checkpoint as JSON can hold them."""
    result: RunResult = {"run_dir": str(folder), "step": step, "metrics": summary.as_json(metrics)}
    return {**result, "undefined": undefined} if (undefined := reasons(metrics)) else result


def _remeasured(checkpoints: Iterable[Checkpoint]) -> bool:
    """Whether there are averages whose batch-norm statistics are measured again on training data."""
    kinds = {name.split("/")[0] for content in checkpoints for name in content.arrays}
    return {"average", "stats"} <= kinds


def good_members(folder: Path, warn: Warn) -> list[Path]:
    """The members of a group that did not diverge; [] for a single run."""
    members = group.members(folder)
    diverged = [path for path in members if run.status(path) == "diverged"]
    if members and len(diverged) == len(members):
        raise RunError(f"{one_line(folder)}: all its runs diverged; train again with a smaller learning rate")
    if diverged:
        warn(f"left out because they diverged: {', '.join(map(str, diverged))}")
    return [path for path in members if path not in diverged]


def load_checkpoint(folder: Path, which: str, warn: Warn) -> Checkpoint:
    """The checkpoint `last`, `best` or of a step.  Raises RunError with the steps there are."""
    place = folder / "checkpoints"
    steps = checkpoint.steps(place) if place.is_dir() else []
    if not steps:
        raise RunError(f"{one_line(folder)}: has no checkpoint{_remedy(folder)}")
    if which in ("last", "best"):
        _check_ended(folder, steps)
    last = checkpoint.load_latest(place, warn)
    if last is None or which == "last":
        return last or _no_step(folder, which, steps)
    step = last.progress["best"]["step"] if which == "best" and last.progress["best"] else which
    if which == "best" and step == which:
        return last  # nothing was held out to judge by
    if not str(step).isdecimal() or int(step) not in steps:
        return _no_step(folder, which, steps)
    return last if int(step) == last.step else checkpoint.load(checkpoint.step_folder(place, int(step)))


def load_intact(folder: Path, which: str) -> Checkpoint:
    """A checkpoint of a run that is not damaged.

    which   last, best, or a step
    Raises RunError for a damaged one; the one before it would be another member.
    """

    def refuse(message: str) -> None:
        raise RunError(message.removesuffix("; skipped this checkpoint"))

    return load_checkpoint(folder, which, refuse)


def _check_ended(folder: Path, steps: list[int]) -> None:
    """Refuses a finished run whose last checkpoint was removed: another one would be called the last, or the best."""
    step = run.read_state(folder).get("step", steps[-1])
    if run.status(folder) == "done" and step not in steps:
        known = ", ".join(map(str, steps))
        raise RunError(
            f"{one_line(folder)}: its last checkpoint, of step {step}, is missing; put it back or write a step: {known}"
        )


def _remedy(folder: Path) -> str:
    remedies = {
        "diverged": ", it diverged before the first; train again with a smaller learning rate",
        "done": ", though it is done; restore its folder checkpoints/, or train again",
    }
    return remedies.get(run.status(folder), f" yet; `nnrun resume {one_line(folder)}` continues it")


def _no_step(folder: Path, which: str, steps: list[int]) -> Checkpoint:
    known, shown = ", ".join(map(str, steps)), one_line(which, 40)
    raise RunError(f"{one_line(folder)}: has no checkpoint {shown!r}; write last, best or a step: {known}")


def _measure(
    experiment: Experiment, checkpoints: list[Checkpoint], split: str, folder: Path, samples: int
) -> list[dict[str, float]]:
    """One run after the other: the program is compiled once, and memory does not grow with the group."""
    part = getattr(experiment.dataset, split)
    if not len(part.y):
        raise SpecError(nothing_held_out(split, folder, experiment.dataset))
    like = start.one_like(experiment)
    held = evaluate.make_held([part], evaluate.width_of(experiment))
    predict = sampled(experiment, samples) if samples else without_noise
    evaluator = evaluate.compile_evaluator(experiment, like, held, None, predict, (split,))
    feed = (
        make_feed(experiment.dataset.train)
        if like.average and jax.tree.leaves(like.stats)
        else Feed(part, None)
    )  # which nothing will fetch
    averages = compile_averages(experiment, like, feed, lanes=None)
    measured = []
    for content in checkpoints:
        arrays = content.state
        checkpoint.check_structure(arrays, flat.shapes(like), str(folder))
        state = flat.unflatten(arrays, like)
        sums = programs.measured(evaluator, averages, state, 0)
        measured += programs.to_metrics(experiment, evaluator, sums, 0, split)
    return measured
