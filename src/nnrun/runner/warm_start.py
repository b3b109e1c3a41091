"""A run that begins with the weights of another one: `nnrun train SPEC --from RUN`.

Weights are parameters and batch-norm statistics.  What follows from them (running averages, what an optimizer
remembers) starts fresh, and the plan is that of the new spec, from step 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from nnrun.amounts import figure
from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.preprocessing import Preprocessing
from nnrun.record import checkpoint, metrics, pointer, provenance, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.record.names import METRICS
from nnrun.record.weights_from import Beginning, WeightsFrom, in_words, of_group
from nnrun.runner import group, session
from nnrun.runner.averaged import averaged, check_average
from nnrun.runner.evaluation import load_intact
from nnrun.runner.leaves import KEEP, WeightsRequest, as_stored, chosen
from nnrun.runner.other_settings import changed_settings
from nnrun.runner.session import Prepared
from nnrun.training import flat, start
from nnrun.training.step import state_with
from nnrun.types import Experiment, State

__all__ = ["FreshArrays", "begin_with", "seam", "warm_start"]

Arrays = Mapping[str, np.ndarray]
# the state of a fresh run, what it takes of another one -> the state that it begins with
FreshArrays = Callable[[Arrays, Arrays], dict[str, np.ndarray]]
_RATE = "learning_rate"


def warm_start(
    text: str, root: Path, prepared: Prepared, request: WeightsRequest, warn: Warn
) -> list[Beginning]:
    """What each seed of a spec begins with.

    text   RUN, behind it :STEP, :last or :best (which it is if nothing is written), and :AVERAGE; of a group of
           seeds each begins with its own
    root   the folder that run folders lie in
    Raises SpecError, RunError; nothing is created on disk.
    """
    experiment = prepared.experiment
    name, which, average = pointer.split(text, root)
    folder = run.resolve(name, root)
    if prepared.folds:
        raise SpecError(
            f"--from {one_line(folder)}: those weights may have been trained on examples that a fold validates with; "
            "leave out train.folds, or --from"
        )
    if average and request.optimizer_state == KEEP:
        raise SpecError(
            f"--optimizer-state keep: belongs to the trained parameters, not to {one_line(average, 40)}; write fresh"
        )
    beginnings: dict[Path, Beginning] = {}
    sources = _sources(folder, experiment.plan.seeds)
    with session.precision(experiment.plan.precision):
        forms = flat.shapes(start.one_like(experiment))
    paths = chosen(forms, request)
    for source in dict.fromkeys(sources):
        content = _content(source, which or "best", average, warn)
        place = one_line(f"{source}:{content.step}")
        arrays = as_stored(content.arrays, forms, paths, not request.only, place)
        _warn_of_rounding(content.arrays, arrays, place, warn)
        beginnings[source] = Beginning(_origin(source, content, average, request), arrays)
    kinds = ["model", "optimizer"] if request.optimizer_state == KEEP else ["model"]
    settings = changed_settings(sources[0], prepared, kinds, partly=bool(request.only))
    for change in _changes(session.recorded(sources[0]), experiment.dataset.fitted):
        warn(f"--from {one_line(folder)}: {change}")
    if settings:
        warn(f"--from {one_line(folder)}: since those weights were trained, {'; '.join(settings)}")
    return [beginnings[source] for source in sources]


def _sources(folder: Path, seeds: tuple[int, ...]) -> list[Path]:
    """The run that each seed begins with."""
    members = group.members(folder)
    if not members:
        return [folder] * len(seeds)
    if not all(path.name.startswith("seed_") for path in members):
        what = (
            "trains one model a fold" if group.folds_of(folder) else "averages the predictions of its members"
        )
        raise RunError(
            f"--from {one_line(folder)}: {what}, so it has no weights of its own; "
            f"name a member, such as {one_line(members[0])}"
        )
    sources = [folder / f"seed_{seed}" for seed in seeds]
    missing = [str(seed) for seed, path in zip(seeds, sources, strict=True) if path not in members]
    if missing:
        raise SpecError(
            f"--from {one_line(folder)}: each seed begins with its own of that group, which has no seed "
            f"{', '.join(missing)}; name one run for all, such as {one_line(members[0])}"
        )
    return sources


def _content(folder: Path, which: str, average: str | None, warn: Warn) -> Checkpoint:
    """A checkpoint of a run, with an average as its parameters if one is asked for."""
    content = load_intact(folder, which)
    if not average:
        return content
    check_average(content, average, one_line(folder))
    remeasured = any(name.startswith("stats/") for name in content.arrays)
    experiment = session.rebuild(folder, warn, ["train"] if remeasured else []).experiment
    with session.precision(experiment.plan.precision):
        like = start.one_like(experiment)
        return averaged(experiment, like)(content, average, one_line(folder))


def _origin(folder: Path, content: Checkpoint, average: str | None, request: WeightsRequest) -> WeightsFrom:
    origin: WeightsFrom = {
        "run": str(folder.absolute()),
        "step": content.step,
        "average": average,
        "sha256": checkpoint.sha256_of(checkpoint.arrays_file(folder, content.step)),
        "only": list(request.only),
        "optimizer_state": request.optimizer_state,
    }
    before = provenance.read(folder).get("weights_from")
    return {**origin, "before": before} if before else origin


def _warn_of_rounding(before: Arrays, after: Arrays, place: str, warn: Warn) -> None:
    rounded = [path for path, array in after.items() if not np.can_cast(before[path].dtype, array.dtype)]
    if rounded:
        first = rounded[0]
        warn(f"--from {place}: its weights are {before[first].dtype}, rounded to {after[first].dtype} here")


def _changes(before: Preprocessing, now: Preprocessing) -> list[str]:
    """What weights of the other run meet that they were not trained for."""
    changes = []
    if (before.classes, before.label_classes) != (now.classes, now.label_classes):
        old, new = (_answers_of(fitted) for fitted in (before, now))
        changes.append(f"was trained for {old}, this run is for {new}")
    if before.columns != now.columns:
        changes.append("was trained on other features than those of this run, or on them in another order")
    elif not _same_scale(before, now):
        changes.append(
            "was trained on inputs standardised by its own training part; here they are by this one"
        )
    if before.targets != now.targets:
        old, new = (one_line(", ".join(names) or "one", 60) for names in (before.targets, now.targets))
        changes.append(f"its targets were {old}, here they are {new}")
    elif before.targets:
        if before.label_classes == now.label_classes and not before.has_units_of(now):
            changes.append(
                "its targets were standardised by its own training part; here they are by this one"
            )
    elif not before.classes and not before.has_units_of(now):
        changes.append(
            f"its targets were (y − {figure(before.target_shift)}) / {figure(before.target_scale)}, here they are "
            f"(y − {figure(now.target_shift)}) / {figure(now.target_scale)}"
        )
    return changes


def _answers_of(fitted: Preprocessing) -> str:
    """The classes of the target, the pairs of several labels, or numbers."""
    pairs = dict.fromkeys(f"{no} or {yes}" for no, yes in fitted.label_classes)
    labels = f"labels {', '.join(pairs)}" if pairs else ""
    return one_line(labels or ", ".join(fitted.classes) or "numbers", 60)


def _same_scale(before: Preprocessing, now: Preprocessing) -> bool:
    pairs = (before.shift, now.shift), (before.scale, now.scale)
    return all(old.shape == new.shape and bool((old == new).all()) for old, new in pairs)


def seam(beginnings: list[Beginning], experiment: Experiment) -> str:
    """One line: what a run begins with, and the learning rate there and here."""
    first = beginnings[0].origin
    was, starts = _rate_of(Path(first["run"]), first["step"] or 0), _first_rate(experiment)
    rates = ""
    if was is not None and starts is not None:
        rates = f": the rate was {figure(was)}, it starts at {figure(starts)}"
    return f"weights from {in_words(of_group(beginnings))}{rates}"


def _rate_of(folder: Path, step: int) -> float | None:
    """The learning rate that a run had at a step, None where it has logged none."""
    records = metrics.read(folder / METRICS)
    rates = [record[_RATE] for record in records if _RATE in record and record["step"] <= step]
    return rates[-1] if rates else None


def _first_rate(experiment: Experiment) -> float | None:
    with session.precision(experiment.plan.precision):
        knobs = jax.tree.map(np.asarray, experiment.knobs)
        rate = experiment.rate(knobs, experiment.schedule(knobs).init(), jnp.int32(0))
        return None if rate is None else float(rate)


def begin_with(experiment: Experiment, like: State) -> FreshArrays:
    """A function (fresh state, taken) -> the state that a run begins with, as arrays by path.

    like   the state of one run as shapes
    """
    program = jax.jit(partial(_state_of, experiment))

    def begin(fresh: Arrays, taken: Arrays) -> dict[str, np.ndarray]:
        state = flat.unflatten({**fresh, **taken}, like)
        return {**flat.flatten(program(state)), **taken}

    return begin


def _state_of(experiment: Experiment, state: State) -> State:
    return state_with(experiment, state.params, state.stats, state.key, state.knobs)
