"""Metrics on new examples with known values, or of calibrated probabilities, or with metrics that the spec lacks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun import signals
from nnrun.data._files import STDIN
from nnrun.data._pieces import Asked as AskedFor
from nnrun.data._pieces import input_pieces
from nnrun.ensemble.adjustment import Temperature, temperature_of
from nnrun.ensemble.average import name_of
from nnrun.ensemble.members import is_ensemble
from nnrun.ensemble.models import held_out
from nnrun.ensemble.predict import Counting
from nnrun.ensemble.prediction import batches_in
from nnrun.ensemble.predictor import LoadedRun, Predictor, load_ensemble
from nnrun.ensemble.reading import Ensemble, as_ensemble, check_finite
from nnrun.errors import Warn
from nnrun.report.per_class import PerClass, per_class_of
from nnrun.runner import session, summary
from nnrun.runner.evaluation import (
    Asked,
    EnsembleEvaluation,
    EvaluationResult,
    GroupEvaluation,
    RunResult,
    check_split,
    good_members,
    run_result,
)
from nnrun.statistics.measure import reasons
from nnrun.training.baseline import baseline_of, constant
from nnrun.training.judge import Judge, make_judge
from nnrun.training.outputs import BATCH

__all__ = ["FILE", "Evaluated", "Request", "evaluate"]

FILE = "file"  # in the names of metrics, where those of a part have train, val or test


class Request(NamedTuple):
    """What is measured.

    source      a file or folder of examples, or - for standard input; None: a part of the run's data
    split       that part: train, val or test
    which       last, best, or a step
    target      the column or array of the true values; None: that of the run
    calibrated  whether probabilities have the temperature that fits the validation part
    metrics     of the catalogue, beside those of the spec
    """

    source: Path | None
    split: str
    which: str
    target: str | None = None
    calibrated: bool = False
    metrics: Sequence[str] = ()


class Evaluated(NamedTuple):
    """Metrics, and how each class is predicted by run folder; {} for numbers."""

    result: EvaluationResult
    classes: dict[str, PerClass]


class _Tally:
    """Metrics of one model, or of an average, over examples that come in pieces."""

    def __init__(self, judge: Judge, folder: Path, temperature: Temperature | None) -> None:
        self.judge, self.folder, self.temperature = judge, folder, temperature
        classes = judge.dataset.classes
        self._sums, self._count = np.zeros(judge.rows), 0
        self._confusion = np.zeros((len(classes), len(classes)), np.int64)
        self._collects = any(measure.terms is None for measure in judge.loss.measures.values())
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, outputs: np.ndarray, targets: np.ndarray) -> None:
        """Takes in outputs (n, width), or what stands for them, and targets (n,)."""
        check_finite(outputs, self.folder, self._count)
        if self.temperature is not None:
            outputs = np.asarray(outputs, np.float64) / self.temperature.value
        self._sums += self.judge.terms(outputs, targets).sum(1)
        self._count += len(targets)
        if len(self._confusion):
            np.add.at(self._confusion, (targets, outputs.argmax(1)), 1)
        if self._collects:
            self._kept.append((outputs, targets))

    def metrics(self) -> dict[str, float]:
        """The metrics of all that was taken in."""
        collected: dict[str, float] = {}
        if self._collects:
            outputs, targets = (np.concatenate(arrays) for arrays in zip(*self._kept, strict=True))
            collected = self.judge.collected(outputs, targets)
        return self.judge.metrics(self._sums / self._count) | collected

    def classes(self) -> PerClass:
        """How each class is predicted."""
        return per_class_of(self.judge.dataset.classes, self._confusion.tolist())


def evaluate(folder: Path, request: Request, warn: Warn, counting: Counting) -> Evaluated:
    """Metrics of a run, a group of seeds, or an ensemble and its members, without noise.

    Examples are gone through in pieces; their targets are kept, and their outputs where a metric needs them all.
    Raises SpecError, RunError, DataError with a line for each column that is at fault, MachineError, Interrupted.
    """
    check_split(request.split)
    group = [] if is_ensemble(folder) else good_members(folder, warn)
    if group:  # each for itself
        ensemble = Ensemble(folder, "probabilities", group, [1 / len(group)] * len(group))
    else:
        ensemble = as_ensemble(folder, None)
    temperatures = _temperatures(ensemble, bool(group), request, warn, counting)
    parts = [] if request.source else [request.split]
    predictor = load_ensemble(ensemble, request.which, warn, parts, request.metrics)
    judges = [_judge(member) for member in predictor.members]
    average = _Tally(judges[0], folder, temperatures[0]) if is_ensemble(folder) else None
    tallies = [
        _Tally(judge, member.folder, None if average else temperature)
        for judge, member, temperature in zip(judges, predictor.members, temperatures, strict=True)
    ]
    targets: list[np.ndarray] = []
    for outputs, true in _pieces(predictor, request, warn, counting):
        targets.append(true)
        for tally, member, values in zip(tallies, predictor.members, outputs, strict=True):
            with session.precision(member.model.precision):
                tally.add(values, true)
        if average:
            mean = predictor.combiner.mean(outputs, predictor.weights)
            with session.precision(predictor.precision):
                average.add(predictor.combiner.outputs(mean), true)
    result = _result(predictor, request, tallies, average, np.concatenate(targets))
    shown = [average] if average else tallies
    return Evaluated(result, {str(tally.folder): tally.classes() for tally in shown if predictor.classes})


def _judge(member: LoadedRun) -> Judge:
    with session.precision(member.model.precision):
        return make_judge(member.model.experiment)


def _temperatures(
    ensemble: Ensemble, is_group: bool, request: Request, warn: Warn, counting: Counting
) -> list[Temperature | None]:
    """Of each run of a group; else of the run or of the average."""
    if not request.calibrated:
        return [None] * len(ensemble.members)
    if request.source is None and request.split == "val":
        warn("--calibrated: the temperature is fitted to the validation part, which it is measured on")
    if not is_group:
        return [temperature_of(ensemble, request.which, warn, counting)] * len(ensemble.members)
    runs = [as_ensemble(member, None) for member in ensemble.members]
    return [temperature_of(single, request.which, warn, counting) for single in runs]


def _pieces(
    predictor: Predictor, request: Request, warn: Warn, counting: Counting
) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
    """The outputs of each member and the targets (n,), piece by piece."""
    model, source, before = predictor.members[0].model, request.source, 0
    if source is None:
        examples = held_out(model, request.split, predictor.run_dir)
        total = len(predictor.members) * -(-len(examples.y) // BATCH)
        with signals.deferred(), counting("predicting", total) as tick:
            outputs = predictor.outputs_of_part(request.split, tick)
        yield outputs, model.targets(request.split)
        return
    asked = AskedFor(targets=True, target=request.target)
    heard = nullcontext() if source == STDIN else signals.deferred()
    with heard, counting("predicting", batches_in(source, len(predictor.members))) as tick:
        for inputs in input_pieces(source, model.block, predictor.fitted, warn, asked):
            assert inputs.targets is not None
            yield predictor.outputs(inputs.x, tick, before), inputs.targets
            before += len(inputs.x)


def _result(
    predictor: Predictor, request: Request, tallies: list[_Tally], average: _Tally | None, targets: np.ndarray
) -> EvaluationResult:
    """What `nnrun evaluate --json` prints."""
    part = FILE if request.source else request.split
    model = predictor.members[0].model

    def named(metrics: dict[str, float]) -> dict[str, float]:
        return {f"{part}/{name}": value for name, value in metrics.items()}

    with session.precision(model.precision):
        constants = named(baseline_of(model.experiment, targets, tallies[0].judge.standardised(targets)))
    asked: Asked = {
        "split": part,
        "checkpoint": request.which,
        "baseline": {"prediction": constant(model.experiment), "metrics": constants},
        "examples": len(targets),
    }
    if request.source:
        asked["input"] = str(request.source)
    runs = [
        _with_temperature(run_result(member.folder, member.step, named(tally.metrics())), tally)
        for member, tally in zip(predictor.members, tallies, strict=True)
    ]
    if average is None and str(predictor.run_dir) == runs[0]["run_dir"]:
        return {**runs[0], **asked}
    bounds = {name: ends for tally in tallies for name, ends in tally.judge.loss.bounds.items()}
    by_run = [{request.which: entry["metrics"]} for entry in runs]
    averages = summary.average(by_run, bounds, sections=(request.which,))
    several: GroupEvaluation = {
        "run_dir": str(predictor.run_dir),
        **asked,
        "runs": runs,
        "mean": averages["mean"].get(request.which, {}),
        "ci95": averages["ci95"].get(request.which, {}),
    }
    if average is None:
        return several
    metrics = named(average.metrics())
    how = name_of(predictor.combiner.how, model.classifies)
    result: EnsembleEvaluation = {**several, "average": how, "metrics": summary.as_json(metrics)}
    if undefined := reasons(metrics):
        result["undefined"] = undefined
    if average.temperature:
        result["temperature"] = average.temperature.value
    return result


def _with_temperature(entry: RunResult, tally: _Tally) -> RunResult:
    return {**entry, "temperature": tally.temperature.value} if tally.temperature else entry
