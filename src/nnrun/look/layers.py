"""What goes through the layers of a run at a checkpoint, and the gradients that come back."""

from __future__ import annotations

import math
from pathlib import Path

import jax
import numpy as np

from nnrun.layer._watched import Passage
from nnrun.optimizer._paths import names
from nnrun.probe.objective import compiled_quickly, objective_on, ready
from nnrun.probe.sample import looked_at
from nnrun.probe.start import make_look
from nnrun.probe.units import idle_units
from nnrun.record import checkpoint
from nnrun.report.run.inside import Inside, OfLayer, OfLeaf
from nnrun.runner import session
from nnrun.runner.evaluation import load_intact
from nnrun.training import flat, start

__all__ = ["layers_of"]


def layers_of(folder: Path, which: str) -> Inside:
    """Takes some training examples through a run, without noise, augmentation and penalties.

    folder   of a run, not of an ensemble
    which    the checkpoint: last, best or a step
    Batch norm uses the statistics of these examples, as in training.
    Raises RunError, DataError where the training part is not there or not as it was.
    """
    content = load_intact(folder, which)
    experiment = session.rebuild(folder, _say_nothing, ["train"]).experiment
    with session.precision(experiment.plan.precision), compiled_quickly():
        like = start.one_like(experiment)
        checkpoint.check_structure(content.state, flat.shapes(like), str(folder))
        state = flat.unflatten(content.state, like)
        experiment = experiment._replace(knobs=state.knobs)
        batch = ready(experiment, looked_at(experiment.dataset))
        seen = make_look(experiment, batch)(state)
        idle = dict(idle_units(seen))
        gradient = jax.jit(objective_on(experiment, state.stats, batch).gradient)(state.params)[1]
    leaves = zip(names(state.params), jax.tree.leaves(state.params), jax.tree.leaves(gradient), strict=True)
    return {
        "examples": len(batch.y),
        "layers": [_of_layer(passage, idle) for passage in seen if not _is_identity(passage, idle)],
        "parameters": [_of_leaf(name, np.asarray(leaf), np.asarray(slope)) for name, leaf, slope in leaves],
    }


def _say_nothing(line: str) -> None:
    """What has changed since the run began was said when its examples were predicted."""


def _is_identity(passage: Passage, idle: dict[str, float]) -> bool:
    """Whether a layer does nothing here, as dropout without noise; an activation does, whatever these examples are."""
    if passage.x.shape != passage.y.shape or "/".join(passage.path) in idle:
        return False
    return bool((np.asarray(passage.x) == np.asarray(passage.y)).all())


def _of_layer(passage: Passage, idle: dict[str, float]) -> OfLayer:
    y, name = np.asarray(passage.y, np.float64), "/".join(passage.path)
    return {
        "name": name, "shape": list(y.shape[1:]), "mean": _finite(y.mean()), "std": _finite(y.std()),
        "zeros": float((y == 0).mean()), "idle": idle.get(name),
    }  # fmt: skip


def _of_leaf(name: str, leaf: np.ndarray, slope: np.ndarray) -> OfLeaf:
    norm, gradient = (float(np.linalg.norm(a.astype(np.float64))) for a in (leaf, slope))
    return {
        "name": name, "numbers": leaf.size, "size": _finite(norm / math.sqrt(leaf.size)) if leaf.size else None,
        "gradient": _finite(gradient), "ratio": _finite(gradient / norm) if norm else None,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
