"""The model of a member, ready to predict."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from nnrun.errors import RunError, SpecError, Warn, one_line
from nnrun.prediction.combiner import OutputKind
from nnrun.record import checkpoint, preprocessing, provenance
from nnrun.record.names import RESOLVED
from nnrun.runner import session
from nnrun.runner.held_out import nothing_held_out
from nnrun.spec import yaml12
from nnrun.storage import fsio
from nnrun.training import flat, start
from nnrun.training.outputs import Outputs, compile_outputs, essential
from nnrun.training.predictions import targets_of
from nnrun.types import Examples, Experiment, State

__all__ = ["SharedModel", "block_of", "by_model", "held_out", "open_model", "state_of"]

_DECIDING = ("data", "model", "loss")  # the blocks that predictions depend on
_NEEDED = ("params/", "stats/", "knobs/model/", "knobs/loss/")  # of the arrays of a checkpoint


class SharedModel(NamedTuple):
    """What members of one structure share.

    block   name and options of the data block
    """

    block: dict[str, object]
    experiment: Experiment
    precision: str
    like: State  # the whole state, as shapes
    outputs: Outputs

    @property
    def kind(self) -> OutputKind:
        """Of what outputs are; scores are those of classes of which no softmax is a probability."""
        if not self.experiment.dataset.classes:
            return "labels" if self.experiment.dataset.fitted.label_classes else "numbers"
        return "classes" if self.experiment.loss(self.experiment.knobs).probabilities else "scores"

    @property
    def task(self) -> str:
        """What members must have in common beside the data, in words."""
        classes, targets = self.experiment.dataset.classes, self.experiment.dataset.fitted.targets
        if pairs := self.experiment.dataset.fitted.label_classes:
            named = (f"{target} ({' or '.join(pair)})" for target, pair in zip(targets, pairs, strict=True))
            return f"labels {', '.join(named)}"
        if targets:
            return f"a regression of {', '.join(targets)}"
        what = "scores of classes" if self.kind == "scores" else "classes"
        return f"{what} {', '.join(classes)}" if classes else "a regression"

    def part(self, name: str) -> Examples:
        """The inputs and targets of train, val or test."""
        return getattr(self.experiment.dataset, name)

    def targets(self, name: str) -> np.ndarray:
        """Targets (n,) or (n, k) of a part: labels, or numbers in their own units."""
        return targets_of(self.experiment.dataset, name)

    def standardised(self, name: str) -> np.ndarray:
        """Targets (n,) or (n, k) of a part as the loss takes them: labels, or standardised, in today's precision."""
        y = self.part(name).y
        return y if y.dtype.kind == "i" else y.astype(jnp.zeros(()).dtype)


def open_model(
    folder: Path, warn: Warn, parts: Sequence[str] = (), metrics: Sequence[str] = ()
) -> SharedModel:
    """The model of the run in `folder`.  To be used within its precision (session.precision).

    parts     of its data that are read; the others have no content
    metrics   of the catalogue that its loss has beside those of its spec
    Raises RunError where one of them has changed since the run was trained.
    """
    prepared = session.rebuild(folder, warn, parts, metrics=metrics)
    name = prepared.experiment.plan.precision
    with session.precision(name):
        like = start.one_like(prepared.experiment)
        outputs = compile_outputs(prepared.experiment, essential(like))
    data = prepared.spec.data
    return SharedModel({"name": data.name, **data.options}, prepared.experiment, name, like, outputs)


def held_out(model: SharedModel, split: str, folder: Path) -> Examples:
    """A part of the model's data.  Raises SpecError naming the run if the part is empty."""
    examples = model.part(split)
    if not len(examples.y):
        raise SpecError(nothing_held_out(split, folder, model.experiment.dataset))
    return examples


def state_of(model: SharedModel, stored: Mapping[str, np.ndarray], place: str) -> State:
    """The part of a checkpoint's arrays that predictions need, on the device.

    Raises RunError naming `place`, the first leaf that differs from the model and both forms of it.
    """
    like = essential(model.like)
    shapes = flat.shapes(like)
    arrays = {
        name: array
        for name, array in stored.items()
        if (name in ("step", "key") or name.startswith(_NEEDED))
        and (name in shapes or not name.startswith("knobs/"))
    }
    checkpoint.check_structure(arrays, shapes, place)
    return flat.unflatten(arrays, like)


def by_model(folders: Sequence[Path]) -> list[list[int]]:
    """Positions of the run folders, grouped by the model that they share: each model is built once."""
    groups: dict[str, list[int]] = {}
    for i, folder in enumerate(folders):
        groups.setdefault(_key(folder), []).append(i)
    return list(groups.values())


def block_of(folder: Path, kind: str) -> dict[str, Any]:
    """Name and options of the data, model or loss of the run in `folder`, every default filled in."""
    return _deciding(folder)[kind]


def _deciding(folder: Path) -> dict[str, Any]:
    place = folder / RESOLVED
    resolved: Any = yaml12.parse(fsio.read_file(place), str(place)).value
    try:
        return {name: resolved[name] for name in _DECIDING} | {"precision": resolved["train"]["precision"]}
    except (KeyError, TypeError):
        raise RunError(f"{one_line(place)}: damaged; restore it") from None


def _key(folder: Path) -> str:
    deciding = _deciding(folder)
    deciding["folder"] = provenance.read(folder).get("spec_folder")  # where its own modules are
    deciding["fitted"] = preprocessing.content(folder).decode()
    return json.dumps(deciding, sort_keys=True, default=str)
