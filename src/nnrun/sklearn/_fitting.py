"""Training for an estimator: a run like any other, in a folder that is kept or not."""

from __future__ import annotations

import functools
import hashlib
import io
import tempfile
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nnrun import build, catalog, device
from nnrun.catalog import Spec
from nnrun.errors import SpecError, one_line
from nnrun.record.names import RESOLVED
from nnrun.record.provenance import Provenance
from nnrun.runner import driver, session
from nnrun.runner.evaluation import load_intact
from nnrun.runner.session import Prepared
from nnrun.sklearn._data import Given, dataset_for
from nnrun.sklearn._network import Network
from nnrun.sklearn._programs import may_be_shared, programs_for, room_for
from nnrun.sklearn._settings import Parameters, document_of
from nnrun.spec.document import Document
from nnrun.storage import fsio

__all__ = ["Fit", "fit"]


class Fit(NamedTuple):
    """What a fit leaves.

    folder   of its run; None where that was not to be kept
    steps    of the run that its weights are of
    """

    network: Network
    folder: Path | None
    steps: int


def fit(parameters: Parameters, given: Given, seed: int, root: Path | None, name: str) -> Fit:
    """Trains a run on the examples.

    root   the folder in which the run's own is made, and a file with the examples; None: nothing stays
    name   of a run whose spec has none
    Raises the errors of nnrun.errors; DivergedError where the loss is not finite.
    """
    with tempfile.TemporaryDirectory(prefix="nnrun-") as place:
        archive = Path(place) / "data.npz" if root is None else _archived(given, root)
        document = document_of(parameters, Path(place) / f"{name}.yaml", archive, given, seed)
        prepared = _prepared(document, given)
        begun = _origin() if root is None else session.origin()
        folder = session.create(prepared, None, root or Path(place), begun)
        experiment = prepared.experiment
        compiled = partial(programs_for, prepared.spec, experiment)
        for _ in driver.train(experiment, folder, warnings.warn, compiled):
            pass
        chosen = load_intact(folder, "best")
        text = fsio.read_file(folder / RESOLVED).decode()
    network = Network(text, document.folder, experiment.dataset.fitted, chosen.arrays)
    return Fit(network, None if root is None else folder, chosen.step)


def _archived(given: Given, root: Path) -> Path:
    """The file with these examples, which runs on the same ones share."""
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **given.arrays)
    archive = root.absolute() / f"data-{hashlib.sha256(content.getvalue()).hexdigest()[:16]}.npz"
    if not archive.exists():
        fsio.make_folders(root)
        fsio.write_file(archive, content.getvalue())
    return archive


def _prepared(document: Document, given: Given) -> Prepared:
    """The experiment of a spec on these examples."""
    checked = catalog.bind(document)
    for key, is_set in (("folds", checked.train.folds is not None), ("seeds", checked.train.seeds > 1)):
        if is_set:
            raise SpecError(
                f"train.{key}: an estimator is one run; leave it out, and use cross_val_score or an ensemble of "
                "scikit-learn"
            )
    _refuse_names(checked, given)
    checked = build.with_folds(checked)
    if checked.train.deterministic:
        device.demand_determinism()
    with session.precision(checked.train.precision):
        experiment = build.build(checked, dataset_for(checked, given))
    plan, examples = experiment.plan, len(experiment.dataset.train.y)
    if plan.batch_size == examples and may_be_shared(checked, experiment):
        # The rest of a batch is padding, which counts nothing: one program serves data of nearly the same size.
        experiment = experiment._replace(plan=plan._replace(batch_size=room_for(examples)))
    return Prepared(checked, experiment)


def _refuse_names(checked: Spec, given: Given) -> None:
    """Refuses names of classes in a spec that mean other labels than those of this name.

    A run knows classes by their positions: of labels 1 and 2, the name 1 would be the second.
    """
    if given.labels == tuple(map(str, range(given.classes))):
        return
    blocks = {"loss": checked.loss} | {f"metrics.{i}": block for i, block in enumerate(checked.metrics)}
    for place, block in blocks.items():
        for key, value in block.options.items():
            if (key == "class_weight" and isinstance(value, Mapping)) or (
                key == "label" and value is not None
            ):
                counted = one_line(", ".join(f"{i} is {label}" for i, label in enumerate(given.labels)), 80)
                raise SpecError(
                    f"{place}.{key}: names classes, and the run of an estimator counts them ({counted}); call `fit` "
                    "with the labels 0, 1, ..., or write weights as sample_weight"
                )


@functools.cache
def _origin() -> Provenance:
    """Of runs that do not stay; finding it out takes a moment."""
    return session.origin()
