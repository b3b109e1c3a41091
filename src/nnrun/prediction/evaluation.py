"""Metrics on new examples with known values, or of calibrated probabilities, or with metrics that the spec lacks."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing, nullcontext
from pathlib import Path

import numpy as np

from nnrun import signals
from nnrun.data._counts import refuse_negative
from nnrun.data._files import STDIN
from nnrun.data._piece import Extras
from nnrun.errors import SpecError, Warn, one_line
from nnrun.prediction.adjustment import Temperature, temperature_of
from nnrun.prediction.by_member import Counting
from nnrun.prediction.combiner import name_of
from nnrun.prediction.folder import is_ensemble
from nnrun.prediction.folds import check_part
from nnrun.prediction.folds_evaluation import EvaluateResult, evaluate_folds
from nnrun.prediction.inputs import each_once, pieces_for
from nnrun.prediction.models import held_out
from nnrun.prediction.own_data import warn_of_own_data
from nnrun.prediction.per_class import no_classes
from nnrun.prediction.piecewise import PiecewiseMetrics
from nnrun.prediction.predict import batches_in
from nnrun.prediction.predictor import LoadedRun, Predictor, load_ensemble
from nnrun.prediction.reading import WeightedMembers, as_ensemble, evaluate_ensemble
from nnrun.prediction.request import EvaluationRequest, check
from nnrun.runner import session, summary
from nnrun.runner.evaluation import (
    Conditions,
    EnsembleEvaluation,
    EvaluationResult,
    GroupEvaluation,
    RunResult,
    check_split,
    evaluate_run,
    good_members,
    run_result,
)
from nnrun.runner.group import folds_of, is_fold
from nnrun.statistics.metric import all_ends, reasons
from nnrun.training.baseline import baseline_of, constant
from nnrun.training.judge import Judge, make_judge
from nnrun.training.outputs import BATCH

__all__ = ["FILE", "evaluate"]

FILE = "file"  # in the names of metrics, where those of a part have train, val or test


def evaluate(folder: Path, request: EvaluationRequest, warn: Warn, counting: Counting) -> EvaluateResult:
    """Metrics of a run, a group of seeds or folds, or an ensemble and its members.

    Raises SpecError, RunError, DataError with a line for each column that is at fault, MachineError, Interrupted.
    """
    check(request)
    check_split(request.part)
    if request.source is not None:
        warn_of_own_data(folder, request.source, warn)
    if folds_of(folder):
        once = each_once(warn)
        return evaluate_folds(folder, request, once, lambda fold: evaluate(fold, request, once, counting))
    if request.on_host:
        return _on_host(folder, request, warn, counting)
    if not is_ensemble(folder):
        return EvaluateResult(evaluate_run(folder, request.part, request.which, warn, request.samples), {})
    if request.samples:
        raise SpecError("--samples: an ensemble averages its members, without noise; evaluate a member of it")
    return EvaluateResult(evaluate_ensemble(folder, request.part, request.which, warn, counting), {})


def _on_host(folder: Path, request: EvaluationRequest, warn: Warn, counting: Counting) -> EvaluateResult:
    """Examples are gone through in pieces; their targets are kept, and their outputs where a metric needs them all."""
    group = [] if is_ensemble(folder) else good_members(folder, warn)
    if group:  # each for itself
        weights = [1 / len(group)] * len(group)
        ensemble = WeightedMembers(folder, "probabilities", group, weights, request.average)
    else:
        ensemble = as_ensemble(folder, request.average)
    if request.per_class:
        fitted = session.recorded(ensemble.members[0])
        if not fitted.classes and not fitted.label_classes:
            raise SpecError(no_classes(folder))
    temperatures = _temperatures(ensemble, bool(group), request, warn, counting)
    if request.source is None:
        check_part(ensemble.members, request.part)
    parts = [] if request.source else [request.part]
    predictor = load_ensemble(ensemble, request.which, warn, parts, request.metrics, resident=False)
    judges = [_judge(member) for member in predictor.members]
    average = PiecewiseMetrics(judges[0], folder, temperatures[0]) if is_ensemble(folder) else None
    tallies = [
        PiecewiseMetrics(judge, member.folder, None if average else temperature)
        for judge, member, temperature in zip(judges, predictor.members, temperatures, strict=True)
    ]
    targets: list[np.ndarray] = []
    with closing(_pieces(predictor, request, warn, counting)) as pieces:
        for outputs, true in pieces:
            if request.source and judges[0].loss.positive:
                refuse_negative(true, one_line(request.source), sum(map(len, targets)))
            targets.append(true)
            for tally, member, values in zip(tallies, predictor.members, outputs, strict=True):
                with session.precision(member.model.precision):
                    tally.add(values, true)
            if average:
                mean = predictor.mean(outputs)
                with session.precision(predictor.precision):
                    average.add(predictor.combiner.outputs(mean), true)
    result = _result(predictor, request, tallies, average, np.concatenate(targets))
    shown = [average] if average else tallies
    named = predictor.classes or predictor.label_classes
    return EvaluateResult(result, {str(tally.folder): tally.classes() for tally in shown if named})


def _judge(member: LoadedRun) -> Judge:
    with session.precision(member.model.precision):
        return make_judge(member.model.experiment)


def _temperatures(
    ensemble: WeightedMembers, is_group: bool, request: EvaluationRequest, warn: Warn, counting: Counting
) -> list[Temperature | None]:
    """Of each run of a group; else of the run or of the average."""
    if not request.calibrated:
        return [None] * len(ensemble.members)
    if request.source is None and request.part == "val":
        warn("--calibrated: the temperature is fitted to the validation part, which it is measured on")
    if not is_group:
        return [temperature_of(ensemble, request.which, warn, counting)] * len(ensemble.members)
    runs = [as_ensemble(member, request.average) for member in ensemble.members]
    return [temperature_of(single, request.which, warn, counting) for single in runs]


def _pieces(
    predictor: Predictor, request: EvaluationRequest, warn: Warn, counting: Counting
) -> Generator[tuple[list[np.ndarray], np.ndarray]]:
    """The outputs of each member and the targets (n,), piece by piece."""
    model, source, before = predictor.members[0].model, request.source, 0
    if source is None:
        examples = held_out(model, request.part, predictor.run_dir)
        total = len(predictor.members) * -(-len(examples.y) // BATCH)
        with signals.deferred(), counting("predicting", total) as tick:
            outputs = predictor.outputs_of_part(request.part, tick)
        yield outputs, model.targets(request.part)
        return
    extras = Extras(targets=True, target=request.target)
    heard = nullcontext() if source == STDIN else signals.deferred()
    with heard, counting("predicting", batches_in(source, len(predictor.members))) as tick:
        models = [member.model for member in predictor.members]
        for inputs, stored in pieces_for(models, source, warn, extras):
            assert inputs.targets is not None
            yield predictor.outputs(stored, tick, before), inputs.targets
            before += len(inputs.x)


def _result(
    predictor: Predictor,
    request: EvaluationRequest,
    tallies: list[PiecewiseMetrics],
    average: PiecewiseMetrics | None,
    targets: np.ndarray,
) -> EvaluationResult:
    """What `nnrun evaluate --json` prints."""
    part = FILE if request.source else request.part
    model = predictor.members[0].model

    def named(metrics: dict[str, float]) -> dict[str, float]:
        return {f"{part}/{name}": value for name, value in metrics.items()}

    with session.precision(model.precision):
        constants = named(baseline_of(model.experiment, targets, tallies[0].judge.standardised(targets)))
    conditions: Conditions = {
        "split": part,
        "checkpoint": request.which,
        "baseline": {"prediction": constant(model.experiment), "metrics": constants},
        "examples": len(targets),
        "bounds": all_ends(
            {name: ends for tally in tallies for name, ends in tally.judge.loss.bounds.items()}
        ),
    }
    if request.source:
        conditions["input"] = str(request.source)
    if request.average:
        conditions["parameters"] = request.average
    runs = [
        _with_temperature(run_result(member.folder, member.step, named(tally.metrics())), tally)
        for member, tally in zip(predictor.members, tallies, strict=True)
    ]
    if average is None and str(predictor.run_dir) == runs[0]["run_dir"]:
        return {**runs[0], **conditions}
    bounds = {name: ends for tally in tallies for name, ends in tally.judge.loss.bounds.items()}
    by_run = [{request.which: entry["metrics"]} for entry in runs]
    independent = not any(is_fold(member.folder) for member in predictor.members)
    averages = summary.average(by_run, bounds, sections=(request.which,), independent=independent)
    several: GroupEvaluation = {
        "run_dir": str(predictor.run_dir),
        **conditions,
        "runs": runs,
        "mean": averages["mean"].get(request.which, {}),
        "ci95": averages["ci95"].get(request.which, {}),
    }
    if average is None:
        return several
    metrics = named(average.metrics())
    how = name_of(predictor.combiner.how, model.kind)
    result: EnsembleEvaluation = {**several, "average": how, "metrics": summary.as_json(metrics)}
    if undefined := reasons(metrics):
        result["undefined"] = undefined
    if average.temperature:
        result["temperature"] = average.temperature.value
    return result


def _with_temperature(entry: RunResult, tally: PiecewiseMetrics) -> RunResult:
    return {**entry, "temperature": tally.temperature.value} if tally.temperature else entry
