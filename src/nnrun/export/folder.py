"""`nnrun export`: the folder of an exported model, verified before it appears.

model.stablehlo       the function, for any number of inputs, on a CPU, CUDA or TPU (jax.export)
model.json            classes, columns, shape and type of inputs, what outputs are, where it comes from
model.py, inputs.py   what loads it: jax and NumPy, nothing of nnrun
example.json          of a table: a row of inputs, columns by name
flatbuffers.zip       what jax.export reads its files with, where it is not installed
weights.safetensors   parameters and batch-norm statistics
numpy_model.py        of an mlp or a linear model: the same in NumPy alone
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from copy import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors.numpy import save
from typing_extensions import TypedDict

from nnrun.errors import RunError, SpecError, one_line
from nnrun.export.about import about_model
from nnrun.export.layers import layers_of
from nnrun.export.packages import flatbuffers_zip
from nnrun.export.probes import as_file, example_of, probes
from nnrun.export.program import serialized
from nnrun.prediction.inputs import ends_of
from nnrun.prediction.models import block_of
from nnrun.prediction.predictor import Predictor
from nnrun.runner import session
from nnrun.storage import fsio
from nnrun.training import flat

__all__ = ["EXAMPLE", "ExportReport", "Exported", "check_target", "export"]

_TOLERANCE = 1e-5  # float32, another order of sums; what is wrong differs by far more
_TOLERANCE_OF_8_BITS = 2e-2  # bfloat16: where another compilation rounds, it is by 2^-9
_PROBES = 1000
_COPIED = ("model.py", "inputs.py", "numpy_model.py")
_REFERENCE = "numpy_model.py"
EXAMPLE = "example.json"
_FILES = Path(__file__).parent / "files"  # no modules of nnrun: they are copied as they are
_CHECK = """
import json, sys
import numpy as np
sys.path.insert(0, ".")
import model
inputs = model.json.loads(open("probes.json").read()) if sys.argv[1] == "json" else np.load("probes.npz")["x"]
first = {name: cells[:1] for name, cells in inputs.items()} if sys.argv[1] == "json" else inputs[:1]
found = {"all": model.Model().outputs(inputs), "first": model.Model().outputs(first)}
if sys.argv[2] == "numpy":
    import numpy_model
    found["numpy"] = numpy_model.Model().outputs(inputs)
if sys.argv[1] == "json":
    model.Model().predict(json.load(open("example.json")))
assert "nnrun" not in sys.modules
np.savez("outputs.npz", **found)
"""


class ExportReport(TypedDict):
    """Exported for programs."""

    folder: str
    size: int
    probes: int
    difference: float
    why_not: str


class Exported(NamedTuple):
    """What was written.

    difference   the largest from the run's own predictions; of scores relative to the largest of them, of numbers to
                 their deviation in training or, if that is larger, the largest distance from their mean
    probes       random inputs that it was compared on
    why_not      why numpy_model.py is not there, "" if it is
    """

    folder: Path
    size: int  # bytes
    probes: int
    difference: float
    why_not: str


def check_target(target: Path) -> None:
    """Raises SpecError unless a folder can be made there."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SpecError(f"-o {one_line(target)}: already exists; write another name")
    if not target.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(target)}: no such folder; make it first or write another name")


def export(predictor: Predictor, target: Path) -> Exported:
    """Writes the folder `target`, once what will lie in it has predicted as the run does.

    Raises SpecError, RunError where predictions differ or members have different precisions, MachineError.
    """
    check_target(target)
    files, why_not = _files(predictor)
    inputs = probes(predictor.fitted, _PROBES, ends_of(predictor.members[0].model))
    difference = _difference(files, predictor, inputs, reference=not why_not)
    few = any(member.model.precision == "bfloat16" for member in predictor.members)
    if not difference <= (_TOLERANCE_OF_8_BITS if few else _TOLERANCE):  # NaN too
        raise RunError(
            f"{one_line(predictor.run_dir)}: the exported model differs from the run by {difference:.1e} on "
            f"{_PROBES} random inputs; nothing was written: please report this model"
        )
    if target.exists():
        fsio.remove_folder(target)
    fsio.write_folder(target.absolute(), files)
    size = sum(map(len, files.values()))
    return Exported(target, size, _PROBES, difference, why_not)


def _files(predictor: Predictor) -> tuple[dict[str, bytes], str]:
    """The content of each file, and why there is no NumPy reference."""
    members = predictor.members
    precisions = {member.model.precision for member in members}
    if len(precisions) > 1:
        raise RunError(
            f"{one_line(predictor.run_dir)}: its members have different precisions; export one of them"
        )
    _check_preprocessing(predictor)
    layers: list[dict[str, object]] | str = "numpy_model.py is for a single model, this is an ensemble"
    if precisions == {"bfloat16"}:
        layers = "numpy_model.py has no bfloat16"
    elif len(members) == 1:
        experiment = members[0].model.experiment
        rates = experiment.loss(experiment.knobs).positive
        layers = layers_of(block_of(members[0].folder, "model"), rates)
    about = about_model(predictor, layers if isinstance(layers, list) else None)
    package = flatbuffers_zip()  # before serialized, which needs it
    with session.precision(precisions.pop()):
        content = serialized(members, predictor.weights, predictor.combiner)
        weights = save(_arrays(predictor))
    files = {
        "model.stablehlo": content,
        "model.json": json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n",
        "weights.safetensors": weights,
        "flatbuffers.zip": package,
    }
    if predictor.fitted.columns:
        example = json.dumps(example_of(predictor.fitted), indent=1, allow_nan=False)
        files[EXAMPLE] = example.encode() + b"\n"
    for name in _COPIED:
        if name != _REFERENCE or about["layers"]:
            files[name] = (_FILES / name).read_bytes()
    return files, layers if isinstance(layers, str) else ""


def _check_preprocessing(predictor: Predictor) -> None:
    """Raises RunError where members, folds of a cross-validation, do not take the same inputs or give other units."""
    data = [member.model.experiment.dataset for member in predictor.members]
    first = data[0]
    for other in data[1:]:
        if (
            other.fitted.columns != first.fitted.columns
            or not np.array_equal(other.offset, first.offset)
            or not other.fitted.has_units_of(first.fitted)
        ):
            raise RunError(
                f"{one_line(predictor.run_dir)}: its members are folds, each with its own preprocessing, and an "
                f"exported model has one; export one of them, such as {one_line(predictor.members[0].folder)}"
            )


def _arrays(predictor: Predictor) -> dict[str, np.ndarray]:
    """Parameters and statistics by path; of several members below member_01, ..."""
    arrays = {}
    for number, member in enumerate(predictor.members, start=1):
        prefix = f"member_{number:02d}/" if len(predictor.members) > 1 else ""
        state = member.state
        for kind, tree in (("params", state.params), ("stats", state.stats)):
            arrays |= {f"{prefix}{kind}/{path}": array for path, array in flat.named(tree).items()}
    return arrays


def _difference(files: dict[str, bytes], predictor: Predictor, inputs: Any, reference: bool) -> float:
    """The largest difference from the run's own predictions of what another process loads from these files."""
    predictor = copy(predictor)
    predictor.warn = lambda line: None  # unknown names are among the inputs on purpose
    is_of_numbers = predictor.combiner.kind == "numbers"
    ours = predictor.predict(inputs) if is_of_numbers else predictor.scores(inputs)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        kind = as_file(inputs, folder)
        # Unknown names are among the inputs on purpose; their warnings are none here, and no errors.
        quiet = ["-W", "ignore::UserWarning"]
        command = [sys.executable, *quiet, "-c", _CHECK, kind, "numpy" if reference else "jax"]
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
        )
        if done.returncode:
            last = done.stderr.strip().rpartition("\n")[2]
            raise RunError(
                f"{one_line(predictor.run_dir)}: the exported model cannot be loaded: {one_line(last)}"
            )
        with np.load(folder / "outputs.npz") as outputs:
            theirs = {name: outputs[name].astype(np.float64) for name in outputs.files}
    size = _size(predictor, ours)
    return float(np.max([(np.abs(values - ours[: len(values)]) / size).max() for values in theirs.values()]))


def _size(predictor: Predictor, ours: np.ndarray) -> float | np.ndarray:
    """What a difference is divided by: numbers are as exact as they were standardised, however far from 0 they lie.

    Of several targets each has its own, (k,).
    """
    if predictor.combiner.kind == "numbers":
        fitted = predictor.fitted
        return np.maximum(fitted.target_scale, np.abs(ours - fitted.target_shift).max(0))
    return max(1.0, float(np.abs(ours).max())) if predictor.combiner.kind == "scores" else 1.0
