"""The model of a member, ready to predict."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nnrun.errors import RunError, Warn, one_line
from nnrun.record import checkpoint, run
from nnrun.record.checkpoint import Checkpoint
from nnrun.runner import session
from nnrun.spec import yaml12
from nnrun.storage import fsio
from nnrun.training import flat, programs
from nnrun.training.outputs import Outputs, compile_outputs, essential
from nnrun.types import Experiment, State

__all__ = ["Model", "block_of", "by_model", "open_model", "state_of", "task"]

_DECIDING = ("data", "model", "loss")  # the blocks that predictions depend on


class Model(NamedTuple):
    """What members of one structure share.

    block   name and options of the data block
    """

    block: dict[str, Any]
    experiment: Experiment
    precision: str
    like: State  # the whole state, as shapes
    outputs: Outputs

    @property
    def classifies(self) -> bool:
        """Whether targets are labels."""
        return bool(self.experiment.dataset.classes)


def open_model(folder: Path, warn: Warn) -> Model:
    """The model of the run in `folder`, and its data.  To be used within its precision (session.precision)."""
    prepared = session.rebuild(folder, warn)
    name = prepared.spec.train.precision
    with session.precision(name):
        like = programs.one_like(prepared.experiment)
        outputs = compile_outputs(prepared.experiment, essential(like))
    data = prepared.spec.data
    return Model({"name": data.name, **data.options}, prepared.experiment, name, like, outputs)


def state_of(model: Model, content: Checkpoint, place: str) -> State:
    """What predictions need of a checkpoint, on the device.

    Raises RunError naming `place`, the first leaf that differs from the model and both forms of it.
    """
    like = essential(model.like)
    shapes = flat.shapes(like)
    arrays = {name: array for name, array in content.arrays.items() if _needed(name)}
    arrays = {
        name: array for name, array in arrays.items() if name in shapes or not name.startswith("knobs/")
    }
    checkpoint.check_structure(arrays, shapes, place)
    return flat.unflatten(arrays, like)


def _needed(name: str) -> bool:
    return name in ("step", "key") or name.startswith(("params/", "stats/", "knobs/model/", "knobs/loss/"))


def task(model: Model) -> str:
    """What members must have in common beside the data, in words."""
    dataset = model.experiment.dataset
    return f"classes {', '.join(dataset.classes)}" if dataset.classes else "a regression"


def by_model(folders: Sequence[Path]) -> Iterator[list[int]]:
    """Positions of those run folders that share a model, together: each model is built once."""
    groups: dict[str, list[int]] = {}
    for i, folder in enumerate(folders):
        groups.setdefault(_key(folder), []).append(i)
    yield from groups.values()


def block_of(folder: Path, kind: str) -> dict[str, Any]:
    """Name and options of the data, model or loss of the run in `folder`, every default filled in."""
    return _deciding(folder)[kind]


def _deciding(folder: Path) -> dict[str, Any]:
    place = folder / "resolved.yaml"
    resolved = yaml12.parse(fsio.read_file(place), str(place)).value
    try:
        return {name: resolved[name] for name in _DECIDING} | {"precision": resolved["train"]["precision"]}
    except (KeyError, TypeError):
        raise RunError(f"{one_line(place)}: damaged; restore it") from None


def _key(folder: Path) -> str:
    deciding = _deciding(folder)
    deciding["folder"] = run.read_json(folder / "run.json").get("spec_folder")  # where its own modules are
    return json.dumps(deciding, sort_keys=True, default=str)
