"""From the parameters of an estimator to a spec, by the rules of a spec file and its overrides."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun import catalog, spec
from nnrun.errors import SpecError, one_line
from nnrun.sklearn._data import Given
from nnrun.spec import override
from nnrun.spec.document import Document, content
from nnrun.spec.plain import Plain, in_full

__all__ = ["DEFAULT", "Parameters", "document_of"]

# In float64, as scikit-learn computes: a few rows are as fast in it, and weights count like repeated rows to 1e-9.
DEFAULT: dict[str, Plain] = {
    "data": {"name": "npz", "batch_size": 256, "validation": 0},
    "model": {"name": "mlp", "hidden": [64]},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "train": {"duration": "100 epochs", "precision": "float64"},
}
_OF_DATA = (
    "batch_size",
    "validation",
    "split_seed",
    "stratify",
    "sampling",
    "bootstrap",
)  # of a spec, that stay
_OURS = ("data", "data.name", "data.path", "data.test", "data.weights", "train.seed")


class Parameters(NamedTuple):
    """What an estimator was given; None: as the spec says."""

    spec: str | Path | Mapping[str, object] | None
    overrides: Sequence[str]
    hidden: int | Sequence[int] | None
    activation: str | None
    dropout: float | None
    loss: str | Mapping[str, object] | None
    optimizer: str | Mapping[str, object] | None
    learning_rate: float | None
    weight_decay: float | None
    batch_size: int | str | None
    epochs: int | None


def document_of(parameters: Parameters, place: Path, archive: Path, given: Given, seed: int) -> Document:
    """The spec of a run that trains on given examples, and holds out no test part.

    place    where a spec that is not in a file is written; its name is that of the run
    archive  the .npz of the examples, which need not be there
    seed     of the run
    Raises SpecError for a file that cannot be read; what is wrong with its content is in the document's problems.
    """
    path = _file(parameters.spec, place)
    tree = spec.parse(content(path), str(path)).value
    written: Mapping[str, Plain] = tree if isinstance(tree, dict) else {}
    asked = override.as_list(parameters.overrides)
    overrides = [f"data={json.dumps(_data(written, parameters.batch_size, archive, given, asked))}"]
    changes = _changes(parameters, written, given.classes > 0)
    overrides += [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    for text in asked:
        if text.partition("=")[0] in _OURS:
            raise SpecError(
                f"overrides: {one_line(text, 60)}: the estimator trains on what `fit` is given, from random_state; "
                "leave it out"
            )
    document = catalog.read(path, [*overrides, f"train.seed={seed}", *asked])
    return document if path != place else document._replace(folder=Path.cwd())


def _file(given: str | Path | Mapping[str, object] | None, place: Path) -> Path:
    """The spec file that is given, or one that says the same as a dict."""
    if isinstance(given, str | Path):
        return Path(given)
    try:
        text = json.dumps(DEFAULT if given is None else dict(given), indent=2)
    except TypeError as error:
        raise SpecError(
            f"spec: holds what YAML cannot: {one_line(error)}; write numbers, text, lists and dicts"
        ) from None
    place.write_text(text, encoding="utf-8")
    return place


def _data(
    spec_given: Mapping[str, Plain],
    batch_size: int | str | None,
    archive: Path,
    given: Given,
    asked: Sequence[str],
) -> dict[str, object]:
    """The data block: the keys of the spec that say how to train on examples, whatever they are."""
    written = in_full(spec_given.get("data"))
    block: dict[str, object] = {"name": "npz", "path": str(archive.absolute()), "validation": 0}
    block |= {key: written[key] for key in _OF_DATA if key in written} if isinstance(written, dict) else {}
    if batch_size is not None:
        block["batch_size"] = _plain(batch_size)
    size = block.get("batch_size", 64)
    if isinstance(size, int) and not isinstance(size, bool):
        block["batch_size"] = min(size, max(1, _trained_on(block["validation"], len(given.y), asked)))
    return block | {"test": 0} | ({} if given.weights is None else {"weights": "w"})


def _trained_on(validation: object, examples: int, asked: Sequence[str]) -> int:
    """How many examples are left to train on; options that make no sense are reported later."""
    options: dict[str, object] = {"validation": validation}
    for text in asked:
        key, _, value = text.partition("=")
        with suppress(ValueError):
            options[key.removeprefix("data.")] = float(value)
    part, most = options["validation"], options.get("examples")
    if isinstance(part, int | float) and 0 <= part < 1:
        examples -= round(examples * part)
    return int(min(examples, most)) if isinstance(most, float) and most >= 1 else examples


def _changes(parameters: Parameters, given: Mapping[str, Plain], classifies: bool) -> dict[str, object]:
    """Key -> value of what the parameters change of a spec."""
    _, _, hidden, activation, dropout, loss, optimizer, learning_rate, weight_decay, _, epochs = parameters
    if loss is None and "loss" not in given and not classifies:
        loss = "squared_error"
    if isinstance(hidden, int | np.integer):
        hidden = [hidden]
    before = in_full(given.get("optimizer", DEFAULT["optimizer"] if parameters.spec is None else None))
    if isinstance(before, dict) and before.get("name") == optimizer:
        optimizer = None  # with the options that the spec has
    changes = {
        "model.hidden": None if hidden is None else [_plain(width) for width in hidden],
        "model.activation": activation,
        "model.dropout": dropout,
        "loss": {"name": loss} if isinstance(loss, str) else loss,
        "optimizer": {"name": optimizer} if isinstance(optimizer, str) else optimizer,
        "optimizer.learning_rate": learning_rate,
        "optimizer.weight_decay": weight_decay,
        "train.duration": None if epochs is None else f"{_plain(epochs)} epochs",
    }
    return {key: _plain(value) for key, value in changes.items() if value is not None}


def _plain(value: Any) -> Any:
    """A scalar of NumPy, as searches draw them, as one of Python."""
    return (
        value.item()
        if isinstance(value, np.generic)
        else dict(value)
        if isinstance(value, Mapping)
        else value
    )
