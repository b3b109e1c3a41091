"""What a finished run or population says about itself: summary.json, and the mean over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnrun.record import metrics, run
from nnrun.record.early_stop import EarlyStop
from nnrun.record.names import METRICS, SUMMARY
from nnrun.record.summary import (
    AboutData,
    Averages,
    Baseline,
    BestStep,
    Gaps,
    GroupSummary,
    Metrics,
    Rising,
    RunSummary,
)
from nnrun.record.weights_from import begins_with_weights
from nnrun.runner.recorder import Recorder
from nnrun.statistics.metric import Bounds, all_ends, metric_of, reasons
from nnrun.training.baseline import baseline, constant, few_examples
from nnrun.types import Experiment

__all__ = [
    "about_data",
    "as_json",
    "average",
    "baseline_entry",
    "divergence",
    "early_stop",
    "group_summary",
    "run_summary",
]

_SECTIONS = ("last", "best")


def early_stop(recorder: Recorder) -> EarlyStop | None:
    """Why and when a run stopped before its last step; None where it did not, or continues."""
    plan, improved = recorder.plan, recorder.improved
    if recorder.status != "done" or recorder.step >= plan.steps or not (plan.patience_metric and improved):
        return None
    return EarlyStop(recorder.step, plan.patience_metric, improved.step, plan.patience, plan.min_delta)


def baseline_entry(experiment: Experiment, parts: Sequence[str] = ("val", "test")) -> Baseline:
    """The metrics of a constant prediction for parts of the data, by part/name."""
    metrics = {
        f"{part}/{name}": value for part in parts for name, value in baseline(experiment, part).items()
    }
    return {"prediction": constant(experiment), "metrics": metrics}


def about_data(experiment: Experiment) -> AboutData:
    """The metrics of a constant prediction; where there are any, several targets and classes with few examples."""
    result: AboutData = {"baseline": baseline_entry(experiment)}
    if targets := experiment.dataset.fitted.targets:
        result["targets"] = list(targets)
    if few := few_examples(experiment.dataset):
        result["few"] = few
    return result


def run_summary(
    recorder: Recorder,
    last: Mapping[str, float],
    best: Mapping[str, float],
    data: AboutData,
    constant: float = math.nan,
) -> RunSummary:
    """The content of a run's summary.json.

    last, best   test metrics of the last state and of the best by validation; {} where there is none
    data         what the summary says of the data
    constant     the training loss of outputs of 0
    """
    judged: BestStep | None = None
    if recorder.best is not None:
        judged = {"metric": recorder.plan.judge, "value": recorder.best.value, "step": recorder.best.step}
    stop = early_stop(recorder)
    # Where nothing is held out, nothing is judged, and the best is the last.
    of_best = {**(recorder.best_metrics if judged else recorder.latest), **best}
    of_last = {**recorder.latest, **last}
    return {
        **_rise(recorder, constant),
        **_gaps(recorder, of_last, of_best),
        **data,
        "status": recorder.status,
        "steps": recorder.step,
        "epochs": recorder.step / recorder.plan.steps_per_epoch,
        "stopped_early": stop and stop.entry(),
        "best": judged,
        "rising": list(recorder.plan.rising),  # metrics of which more is better
        "bounds": all_ends(recorder.plan.bounds),
        "metrics": {"last": as_json(of_last), "best": as_json(of_best)},
    }


def _rise(recorder: Recorder, constant: float) -> Rising:
    """{"rise": ...} of a run that has not learned.

    It ended with more than twice the training loss of its first line, as noise does not double a loss.  Where the loss
    can be negative, it has risen by more than its first size.  Or, since a run may be lost before that line, with more
    than twice the loss of outputs of 0, on the validation part too.
    """
    first = next(iter(metrics.read(recorder.folder / METRICS)), {}).get("train/loss")
    last = recorder.latest.get("train/loss")
    if first is None or last is None or not math.isfinite(last):
        return {}
    with_weights = begins_with_weights(recorder.folder)  # their loss is small, and noise may double that
    if last - first > abs(first) and not with_weights:
        return {"rise": {"first": first, "last": last}}
    if min(last, recorder.latest.get("val/loss", last)) > 2 * constant > 0:
        return {"rise": {"first": first, "last": last, "constant": constant}}
    return {}


def _gaps(recorder: Recorder, *sections: Mapping[str, float]) -> Gaps:
    """{"undefined": ...} where metrics have no value, those that judge the run among them."""
    undefined = {name: reason for metrics in sections for name, reason in reasons(metrics).items()}
    plan = recorder.plan
    if recorder.status == "done":
        for name, missing, effect in (
            (plan.judge, recorder.best is None, "no step is the best, and the last one stands for it"),
            (plan.patience_metric, recorder.improved is None, "early stopping had nothing to go by"),
        ):
            if name and missing:
                undefined[name] = f"{undefined.get(name, 'it was never a finite number')}; so {effect}"
    return {"undefined": undefined} if undefined else {}


def as_json(values: Mapping[str, float]) -> Metrics:
    """Metrics as JSON can hold them: NaN and the infinities, which it lacks, as text."""
    return {name: value if math.isfinite(value) else str(value) for name, value in values.items()}


def group_summary(folder: Path, recorders: Sequence[Recorder]) -> GroupSummary:
    """The content of a population's summary.json: its runs, and mean and 95% interval over those that finished."""
    summaries: list[RunSummary] = [run.read_json(recorder.folder / SUMMARY) for recorder in recorders]
    content: GroupSummary = {
        "status": "done" if any(recorder.status == "done" for recorder in recorders) else "diverged",
        "steps": max(recorder.step for recorder in recorders),
        "runs": [
            {"run": recorder.folder.relative_to(folder).as_posix(), **summary}
            for recorder, summary in zip(recorders, summaries, strict=True)
        ],
        **average(
            [
                {"last": summary["metrics"]["last"], "best": summary["metrics"]["best"]}
                for summary in summaries
                if summary["status"] == "done"
            ],
            recorders[0].plan.bounds,
        ),
    }
    if "baseline" in summaries[0]:  # the same for all: it is about the data
        content["baseline"] = summaries[0]["baseline"]
    if "few" in summaries[0]:
        content["few"] = summaries[0]["few"]
    if "targets" in summaries[0]:
        content["targets"] = summaries[0]["targets"]
    return content


def average(
    metrics: Sequence[Mapping[str, Metrics]],
    bounds: Mapping[str, Bounds],
    sections: Sequence[str] = _SECTIONS,
    independent: bool = True,
    ratio: float | None = None,
) -> Averages:
    """{"mean": ..., "ci95": ...} over runs, each {"last": {name: value}, "best": {name: value}}.

    bounds        the least and the most that metrics can be, by name, without the part of the data
    independent   whether runs share no examples by chance; folds do, and have an interval for the validation part only
    ratio         of folds: examples that validate to those that train; None: nothing has an interval
    """
    result: Averages = {"mean": {}, "ci95": {}}
    for section in sections:
        of_runs = [sections_of_run[section] for sections_of_run in metrics]
        shared = [
            name for name in (of_runs[0] if of_runs else ()) if all(name in of_run for of_run in of_runs)
        ]
        for name in shared:
            values = [of_run[name] for of_run in of_runs]
            numbers = [value for value in values if isinstance(value, (int, float))]
            if len(numbers) == len(values):
                mean, ends = metric_of(name, (), bounds).mean(numbers, ratio or 0.0)
                if not independent and (ratio is None or not name.startswith("val/")):
                    ends = None
                result["mean"].setdefault(section, {})[name] = mean
                result["ci95"].setdefault(section, {})[name] = [*ends] if ends else None
    return result


def divergence(recorders: Sequence[Recorder]) -> str:
    """Where it happened and what to try."""
    step = min(recorder.step for recorder in recorders)
    saved = [recorder.best.step for recorder in recorders if recorder.best]
    kept = f"; the best state before, of step {max(saved)}, is kept" if saved else ""
    losses = [recorder.latest.get("train/loss", 0.0) for recorder in recorders]
    what = "the parameters or moments" if all(map(math.isfinite, losses)) else "the loss"
    remedy = "try a smaller optimizer.learning_rate, schedule.warmup=5% or optimizer.clip_norm=1"
    if "learning_rate" not in recorders[0].columns:
        remedy = "it has no learning rate to make smaller; try another one, such as lbfgs"
    return f"{what} became infinite or NaN at step {step}{kept}; {remedy}"
