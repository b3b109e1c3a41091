"""The plane through the start of a run and its checkpoints as a surface: the loss over two directions."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from nnrun.errors import RunError, SpecError, one_line
from nnrun.record import checkpoint, provenance, run, weights_from
from nnrun.record.names import ENSEMBLE, PROVENANCE
from nnrun.record.provenance import Provenance
from nnrun.runner.warm_start import begin_with
from nnrun.training import flat, start
from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment, State, Surface, Tree

__all__ = ["Plane", "pick", "plane"]

_EXAMPLES = 128  # of the training data that the loss is averaged over
_MARGIN = 0.6  # of the extent of the three points, around them
_NEAR = 1e-3  # of the first distance: a third point nearer than that to the line through the others
_START = 0  # the step before the first
_SEED = 0  # of a direction that is drawn


class Plane(NamedTuple):
    """A surface, and where the steps of the run lie on it."""

    surface: Surface
    steps: list[int]
    points: np.ndarray  # (2 or 3, 2)


def _remedy(folder: Path) -> str:
    """The command that leads to a run, or a seed of a group, with a checkpoint."""
    for member in run.members(folder):
        if checkpoint.steps(member / "checkpoints"):
            return f"it is a group; take one of its runs: nnrun race --run {shlex.quote(one_line(member))}"
    origin: Provenance = provenance.read(folder) if (folder / PROVENANCE).is_file() else {}
    match origin.get("argv"):
        case [_, "train", spec, *rest] if not spec.startswith("-"):
            changes = [text for text in rest if "=" in text and not text.startswith(("-", "checkpoint"))]
            command = shlex.join(map(one_line, [spec, *changes]))
        case _:
            command = "SPEC"
    return f"train it first: nnrun train {command}"


def pick(folder: Path, steps: list[int] | None) -> list[int]:
    """The steps that the plane goes through: `steps`, or the start, the middle and the last checkpoint.

    Of a run with one checkpoint there are two.  Raises RunError, SpecError.
    """
    place = folder / "checkpoints"
    known = checkpoint.steps(place) if place.is_dir() else []
    if (folder / ENSEMBLE).is_file():
        raise RunError(
            f"{one_line(folder)}: is an average, which has no start; race over the plane of one of its runs"
        )
    if not known:
        raise RunError(f"{one_line(folder)}: has no checkpoint, and a plane needs one; {_remedy(folder)}")
    known = sorted({_START, *known})
    if steps is None:
        return known if len(known) < 3 else [_START, known[len(known) // 2], known[-1]]
    if len(steps) != 3 or len(set(steps)) != 3 or not set(steps) <= set(known):
        got, shown = ",".join(map(str, steps)), ", ".join(map(str, known))
        raise SpecError(
            f"--checkpoints: got {got}; write three of the start, 0, and the steps that there are checkpoints of: "
            f"{shown}"
        )
    return steps


def plane(experiment: Experiment, folder: Path, steps: list[int]) -> Plane:
    """The loss on training data over the plane through the parameters of two or three steps of a run.

    x (2,) stands for the parameters first + x₀ · u + x₁ · v: u leads from the first step to the last, v is as long,
    at a right angle, and together they reach the second.  Where there are two steps, v is drawn: in each array as
    long as u is there (Li et al. 2018 scale it by filters).  Batch-norm statistics are those of the last.
    Raises RunError.
    """
    like = start.one_like(experiment)
    states = [_state_at(experiment, folder, step, like) for step in steps]
    flats = [np.concatenate([np.ravel(a) for a in jax.tree.leaves(state.params)]) for state in states]
    along = flats[-1] - flats[0]
    aside = flats[1] - flats[0] if len(steps) == 3 else _drawn(_shaped(along, like.params))
    length = float(np.linalg.norm(along))
    share = float(along @ aside) / max(length**2, 1e-30)
    across = aside - share * along
    height = float(np.linalg.norm(across))
    if length == 0 or height < _NEAR * length:
        named = ", ".join(map(str, steps))
        raise RunError(
            f"{one_line(folder)}: the steps {named} lie on a line; choose others with --checkpoints, or another run"
        )
    second = [[share, height / length]] if len(steps) == 3 else []
    points = np.array([[0.0, 0.0], *second, [1.0, 0.0]])
    basis = [
        states[0].params,
        _shaped(along, states[0].params),
        _shaped(across * length / height, states[0].params),
    ]
    value = _loss(experiment, states[-1], basis)
    window = _window(points)
    heights = _heights(value, window)
    least, first = float(np.nanmin(heights)), float(value(jnp.zeros(2)))
    goal = least + 0.05 * (first - least)
    return Plane(Surface(value, (0.0, 0.0), window, goal=goal, floor=least, noise=0.0), steps, points)


def _drawn(along: Tree) -> np.ndarray:
    """A random direction, in each array as long as `along`."""
    chance = np.random.default_rng(_SEED)
    parts = []
    for leaf in jax.tree.leaves(along):
        part = chance.normal(size=leaf.size)
        parts.append(part * float(jnp.linalg.norm(leaf)) / np.linalg.norm(part))
    return np.concatenate(parts)


def _state_at(experiment: Experiment, folder: Path, step: int, like: State) -> State:
    """The state of a checkpoint, or, at 0, the one that the run began with."""
    if step > _START:
        return _load(folder, step, like)
    state = start.one_initial(experiment)
    weights = weights_from.read_arrays(folder)
    if not weights:
        return state
    return flat.unflatten(begin_with(experiment, like)(flat.flatten(state), weights), like)


def _load(folder: Path, step: int, like: State) -> State:
    content = checkpoint.load(checkpoint.step_folder(folder / "checkpoints", step))
    arrays = {name: array for name, array in content.arrays.items() if name in flat.shapes(like)}
    checkpoint.check_structure(arrays, flat.shapes(like), str(folder))
    return flat.unflatten(arrays, like)


def _shaped(vector: np.ndarray, like: Tree) -> Tree:
    """A flat vector as a tree."""
    leaves, structure = jax.tree.flatten(like)
    cuts = np.cumsum([leaf.size for leaf in leaves])[:-1]
    parts = np.split(vector, cuts)
    return structure.unflatten(
        [jnp.asarray(part, leaf.dtype).reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)]
    )


def _loss(experiment: Experiment, state: State, basis: list[Tree]) -> Callable[[Array], Array]:
    train, knobs = experiment.dataset.train, state.knobs
    model, loss = experiment.model(knobs), experiment.loss(knobs)
    count = min(_EXAMPLES, len(train.y))
    batch = Batch(jnp.asarray(train.x[:count]), jnp.asarray(train.y[:count]), jnp.ones(count))
    inputs, targets = normalise(experiment, batch)

    def value(x: Array) -> Array:
        params = jax.tree.map(lambda p, u, v: p + x[0].astype(p.dtype) * u + x[1].astype(p.dtype) * v, *basis)
        outputs, _ = model.apply(params, state.stats, inputs, None, None)
        mass = 1.0 if loss.weight is None else loss.weight(outputs, targets).mean()
        return loss.value(outputs, targets).mean() / mass + experiment.penalty(knobs)(params)

    return value


def _window(points: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = points.min(0), points.max(0)
    margin = _MARGIN * float((high - low).max())
    left, bottom = (low - margin).tolist()
    right, top = (high + margin).tolist()
    return (left, right), (bottom, top)


def _heights(
    value: Callable[[Array], Array], window: tuple[tuple[float, float], tuple[float, float]]
) -> np.ndarray:
    (left, right), (bottom, top) = window
    xs, ys = np.meshgrid(np.linspace(left, right, 25), np.linspace(bottom, top, 25))
    return np.asarray(
        jax.jit(lambda g: jax.lax.map(value, g))(jnp.asarray(np.stack([xs.ravel(), ys.ravel()], 1), float))
    )
