"""From a spec to a run folder that is ready to train, and from a run folder back to its spec."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import jax

from nnrun import build, catalog, device, signals, spec
from nnrun.catalog import Spec, bound
from nnrun.errors import Interrupted, NnrunError, RunError, SpecError, Warn, one_line
from nnrun.preprocessing import PARTS, Preprocessing, Wanted
from nnrun.record import names, preprocessing, provenance, run
from nnrun.record.provenance import Provenance
from nnrun.record.weights_from import Beginning
from nnrun.runner.describe import describe, origin_of
from nnrun.runner.group import fold_folders
from nnrun.runner.status import is_over
from nnrun.spec import yaml12
from nnrun.storage import fsio
from nnrun.training.mesh import check_devices, devices_used, shared_in_words
from nnrun.types import Experiment

__all__ = [
    "Prepared",
    "changes",
    "create",
    "origin",
    "precision",
    "prepare",
    "rebuild",
    "recorded",
    "reopen",
    "sharing",
]


class Prepared(NamedTuple):
    """A spec and what it means."""

    spec: Spec
    experiment: Experiment  # of a cross-validation: of its first fold

    @property
    def folds(self) -> int:
        """How many runs a cross-validation has; 0 of another run."""
        return build.folds_asked(self.spec)


@contextlib.contextmanager
def precision(name: str) -> Iterator[None]:
    """A context in which arrays and products have the precision `train.precision` of a run, and seeds their draws.

    On a GPU, jax takes float32 products at TF32's 10 bits unless asked otherwise: relative errors of 3e-4 in place
    of 2e-7, enough to lead Newton-CG elsewhere.  float32 means float32 here.  Raises MachineError, see usual_draws.
    """
    products = None if jax.default_backend() == "cpu" else "default" if name == "tf32" else "highest"
    with device.usual_draws(), jax.enable_x64(name == "float64"), jax.default_matmul_precision(products):
        yield


def prepare(path: Path, overrides: Sequence[str] = (), in_memory: bool = True) -> Prepared:
    """Reads and checks a spec and its data; nothing is created on disk.

    in_memory  whether what the memory cannot hold is refused, as `build.build` has it
    Raises SpecError, DataError, MachineError.
    """
    return _prepare(catalog.read(path, overrides), None, in_memory)


def _prepare(document: spec.Document, need: Wanted | None, in_memory: bool = True) -> Prepared:
    checked = build.with_folds(catalog.bind(document, with_data=need is None or bool(need.parts)))
    if checked.train.deterministic:
        device.demand_determinism()
    with precision(checked.train.precision):
        return Prepared(checked, build.build(checked, need=need, in_memory=in_memory))


def sharing(prepared: Prepared) -> str:
    """That several devices share each batch of the run, "" where they do not and need not."""
    plan = prepared.experiment.plan
    return shared_in_words(plan) if plan.fsdp or devices_used(plan) > 1 else ""


def origin() -> Provenance:
    """What is the same for all runs that this process begins now: versions, machine, commit, command line."""
    device = jax.devices()[0]
    return provenance.collect({"platform": device.platform, "kind": device.device_kind}, {})


def create(
    prepared: Prepared,
    run_dir: Path | None,
    root: Path,
    begun: Provenance | None = None,
    beginnings: Sequence[Beginning] = (),
) -> Path:
    """Creates the run folder (for several seeds or folds one inside it for each) and returns it.

    begun       the origin of the run, where many are created at once; finding it out takes a moment
    beginnings  what each seed takes of another run; (): nothing

    Raises RunError if `run_dir` is taken, MachineError; also where a batch is to be shared by more devices than
    there are.
    """
    checked, experiment = prepared
    check_devices(experiment.plan)
    seeds = experiment.plan.seeds
    full = build.resolved(checked, experiment)
    begun = begun or origin()
    with signals.deferred():  # all of it, or nothing
        path = run.claim_at(run_dir) if run_dir else run.claim(root, checked.name, datetime.now())
        try:
            if prepared.folds:
                _create_folds(prepared, path, full, begun)
                return path
            for i, seed in enumerate(seeds if len(seeds) > 1 else ()):
                folder = path / f"seed_{seed}"
                fsio.make_folder(folder)
                alone = {**full, "train": {**full["train"], "seed": seed, "seeds": 1}}
                describe(checked, experiment, folder, alone, begun, beginnings[i : i + 1])
            describe(checked, experiment, path, full, begun, beginnings)
        except NnrunError:
            with contextlib.suppress(NnrunError):
                fsio.remove_folder(path)
            raise
    return path


def _create_folds(prepared: Prepared, path: Path, full: Mapping[str, object], begun: Provenance) -> None:
    """The run folder of each fold, with what is fitted to its training part, then that of the group.

    The data are read once, so that all folds have the same; those of one fold are in memory at a time.  Nothing is
    fitted for the group; its digest is that of all folds.
    """
    digests, source = [], build.source_of(prepared.spec)
    for number, folder in enumerate(fold_folders(path, prepared.folds), start=1):
        if signals.pending():
            raise Interrupted(signals.pending(), "interrupted before the first step; nothing was written")
        checked = build.of_fold(prepared.spec, number)
        with precision(checked.train.precision):
            dataset = build.dataset_of(checked, source)
            if number == 1 and dataset.fitted.digest != prepared.experiment.dataset.fitted.digest:
                raise RunError("the data have changed since they were read; begin again")
            experiment = prepared.experiment if number == 1 else build.build(checked, dataset)
        fsio.make_folder(folder)
        describe(checked, experiment, folder, build.resolved(checked, experiment), begun, ())
        digests.append(experiment.dataset.fitted.digest)
    digest = hashlib.sha256("".join(digests).encode()).hexdigest()
    describe(*prepared, path, full, begun, (), digest)


def reopen(folder: Path, warn: Warn, exact: bool = False) -> Prepared:
    """The spec of a run folder that is to continue, built again.

    What differs from when the run began is warned about; with `exact` it is refused with RunError, as other data
    always are.
    """
    if folder.name.startswith("seed_") and run.is_run(folder.parent):
        group = folder.parent
        raise RunError(
            f"{folder}: one of the seeds of {group}, which train together; write nnrun resume {group}"
        )
    has_ended = bool(members := run.members(folder)) and is_over(folder)  # a single run would be trained
    if not has_ended and not any((path / "checkpoints").is_dir() for path in [folder, *members]):
        warn(f"{one_line(folder)}: has no checkpoint yet; it begins again at step 0")
    return rebuild(folder, warn, PARTS, exact)


def changes(prepared: Prepared, folder: Path, now: Provenance) -> list[str]:
    """What differs from when the run in `folder` began and may change its result, a short line each.

    now   the origin of what this process begins
    """
    text = (folder / names.RESOLVED).read_text(encoding="utf-8")
    before, after = provenance.read(folder), origin_of(*prepared, text, now)
    if not prepared.spec.reads_data:  # whose code counts no more
        before["code"] = {
            file: sha for file, sha in before.get("code", {}).items() if file in after.get("code", {})
        }
    return provenance.differences(before, after)


def recorded(folder: Path) -> Preprocessing:
    """What a run folder says of the data that it was trained on.

    Raises RunError where that is missing, damaged or of another run.
    """
    fitted = preprocessing.read(folder)
    if fitted.digest != provenance.read(folder).get("data_digest"):
        place = one_line(folder / preprocessing.PREPROCESSING)
        raise RunError(f"{place}: of other data than run.json says; restore both from a copy or train again")
    return fitted


def _with_metrics(file: Path, metrics: Sequence[str]) -> list[str]:
    """The override that adds metrics to a spec; those that it has in this form already are left out."""
    resolved: Any = yaml12.parse(fsio.read_file(file), str(file)).value
    known = resolved.get("metrics") or []
    added = [name for name in metrics if _in_full(name, file.parent) not in known]
    return [f"metrics={json.dumps([*known, *added])}"] if added else []


def _in_full(metric: str, folder: Path) -> object:
    """The block of a metric with every default filled in; None where there is none, which is reported elsewhere."""
    with contextlib.suppress(SpecError):
        return bound.plain(catalog.bind_one("metric", metric, folder))
    return None


def rebuild(
    folder: Path, warn: Warn, parts: Sequence[str] = (), exact: bool = False, metrics: Sequence[str] = ()
) -> Prepared:
    """The spec of a run folder, built again with what the folder records of its data.

    parts   of the data that must be as they were; (): no data are read, and predictions need none
    exact   whether anything else that differs is refused, not warned about
    metrics   names of the catalogue, beside those of the spec
    Raises RunError where one of the parts has changed, or the folder is damaged; SpecError, DataError, MachineError.
    """
    before, fitted = provenance.read(folder), recorded(folder)
    file = folder / names.RESOLVED
    added = _with_metrics(file, metrics)
    document = spec.read(file, added)
    document = document._replace(folder=Path(before.get("spec_folder", ".")))
    try:
        prepared = _prepare(document, Wanted(fitted, tuple(parts)))
    except RunError as error:
        raise RunError(f"{one_line(folder)}: {error}") from None
    except SpecError as error:
        if not added:
            raise
        problems = [line.replace(f"argument {added[0]}: ", "--metric: ") for line in error.problems]
        raise SpecError(*problems) from None
    differences = changes(prepared, folder, origin())
    if differences and exact:
        raise RunError(
            f"{folder}: {'; '.join(differences)}; resume where that is as it was, or without --exact"
        )
    for difference in differences:
        warn(f"{folder.name}: since the run began, {difference}; the result may differ")
    return prepared
