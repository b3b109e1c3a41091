"""Compiled programs that are kept from fit to fit: of one structure, whatever the data, the seed and the knobs."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from nnrun import build, catalog
from nnrun.catalog import Spec, bound
from nnrun.training.outputs import Outputs, compile_outputs, essential
from nnrun.training.programs import Programs, compile_programs
from nnrun.training.start import one_like
from nnrun.types import Experiment

__all__ = ["may_be_shared", "outputs_for", "programs_for", "room_for"]

_MOST = 32  # programs of each kind that are kept
_LARGEST = 64 << 20  # bytes of inputs; of more, compiling takes little of the time
_BYTES = 256 << 20  # of inputs, which programs hold: of all that are kept

Kept = TypeVar("Kept")
_programs: OrderedDict[str, tuple[Programs, int]] = OrderedDict()  # and the bytes that they hold
_outputs: OrderedDict[str, tuple[Outputs, int]] = OrderedDict()
_lock = threading.Lock()


def programs_for(checked: Spec, experiment: Experiment) -> Programs:
    """The programs that train a run alone, known or new.  To be used within its precision."""
    dataset, plan = experiment.dataset, experiment.plan
    rows = room_for(len(dataset.train.y))
    if not may_be_shared(checked, experiment):
        return compile_programs(experiment)
    described = plan._replace(name="", seeds=())
    sizes = rows, len(dataset.val.y), dataset.weights is not None, dataset.train.x.dtype.name
    key = repr((_structure(checked, experiment), described, sizes))
    programs = _kept(_programs, key, lambda: compile_programs(experiment, rows), _bytes(experiment))
    return programs.for_data(experiment)


def outputs_for(checked: Spec, experiment: Experiment) -> Outputs:
    """What computes the outputs of a model, known or new.  To be used within its precision."""

    def make() -> Outputs:
        return compile_outputs(experiment, essential(one_like(experiment)))

    if catalog.user_names(checked) or _takes_of_the_data(checked):
        return make()
    structure = _structure(checked, experiment)
    parts = {name: structure[name] for name in ("model", "loss", "inputs", "classes", "targets")}
    return _kept(_outputs, repr((parts, experiment.plan.precision)), make)


def _structure(checked: Spec, experiment: Experiment) -> dict[str, object]:
    """What a program is made for, beside the sizes of the data."""
    structure = {
        key: value for key, value in build.structure_of(checked).items() if key not in ("data", "folder")
    }
    dataset = experiment.dataset
    fitted = dataset.fitted
    return structure | {
        "inputs": fitted.shape,
        "classes": len(fitted.classes),
        "targets": len(fitted.targets),
    }


def may_be_shared(checked: Spec, experiment: Experiment) -> bool:
    """Whether nothing in the programs depends on the data but their sizes."""
    small = isinstance(experiment.dataset.train.x, np.ndarray) and _bytes(experiment) <= _LARGEST
    return small and not (catalog.user_names(checked) or _takes_of_the_data(checked) or checked.average)


def _takes_of_the_data(checked: Spec) -> bool:
    """Whether a loss counts the classes, or a layer is given something of the inputs as a constant."""
    if checked.loss.options.get("class_weight"):
        return True
    layers = [block.function for block in bound.walk(checked.model) if block.kind == "layer"]
    return any(catalog.SUPPLIED["layer"] & bound.hints(function).keys() for function in layers)


def _bytes(experiment: Experiment) -> int:
    """Of the inputs that are trained on."""
    return np.asarray(experiment.dataset.train.x).nbytes


def room_for(examples: int) -> int:
    """A number of rows, at least this many and at most an eighth more, that data of nearly the same size share."""
    step = max(64, 1 << max(0, (examples - 1).bit_length() - 4))
    return -(-examples // step) * step


def _kept(
    held: OrderedDict[str, tuple[Kept, int]], key: str, make: Callable[[], Kept], size: int = 0
) -> Kept:
    """What is held under the key, made if it is not; what was not used for the longest time goes.

    size   bytes that it holds
    """
    with _lock:
        known = held.get(key)
    program = known or (make(), size)
    with _lock:
        held[key] = program
        held.move_to_end(key)
        while len(held) > _MOST or sum(kept_size for _, kept_size in held.values()) > _BYTES:
            held.popitem(last=False)
    return program[0]
