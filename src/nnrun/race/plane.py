"""The plane through three checkpoints of a run as a surface: the loss of the network over two directions."""

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
from nnrun.record import checkpoint, provenance, run
from nnrun.record.provenance import Provenance
from nnrun.training import flat, programs
from nnrun.training.step import normalise
from nnrun.types import Batch, Experiment, State, Surface, Tree

__all__ = ["Plane", "pick", "plane"]

_EXAMPLES = 128  # of the training data that the loss is averaged over
_MARGIN = 0.6  # of the extent of the three points, around them
_NEAR = 1e-3  # of the first distance: a third point nearer than that to the line through the others


_MORE = "checkpoint.keep=10 checkpoint.every=10%"  # at least three, if a run has as many steps


class Plane(NamedTuple):
    """A surface, and where the three checkpoints lie on it."""

    surface: Surface
    steps: list[int]
    points: np.ndarray  # (3, 2)


def _remedy(folder: Path) -> str:
    """The command that leads to a run, or a seed of a group, with three checkpoints."""
    for member in run.members(folder):
        if len(checkpoint.steps(member / "checkpoints")) >= 3:
            return f"it is a group; take one of its runs: nnrun race --run {shlex.quote(one_line(member))}"
    origin: Provenance = provenance.read(folder) if (folder / "run.json").is_file() else {}
    match origin.get("argv"):
        case [_, "train", spec, *rest] if not spec.startswith("-"):
            changes = [text for text in rest if "=" in text and not text.startswith(("-", "checkpoint"))]
            command = shlex.join(map(one_line, [spec, *changes]))
        case _:
            command = "SPEC"
    return f"train it again with more: nnrun train {command} {_MORE}"


def pick(folder: Path, steps: list[int] | None) -> list[int]:
    """Three steps of which there are checkpoints: `steps`, or the first, the middle and the last.

    Raises RunError, SpecError.
    """
    place = folder / "checkpoints"
    known = checkpoint.steps(place) if place.is_dir() else []
    shown = ", ".join(map(str, known)) or "none"
    if steps is None:
        if len(known) < 3:
            raise RunError(
                f"{one_line(folder)}: has checkpoints {shown}, a plane needs three; {_remedy(folder)}"
            )
        return [known[0], known[len(known) // 2], known[-1]]
    missing = [step for step in steps if step not in known]
    if len(steps) != 3 or len(set(steps)) != 3 or missing:
        got = ",".join(map(str, steps))
        raise SpecError(f"--checkpoints: got {got}; write three steps that there are checkpoints of: {shown}")
    return steps


def plane(experiment: Experiment, folder: Path, steps: list[int]) -> Plane:
    """The loss on training data over the plane through the parameters of three checkpoints.

    x (2,) stands for the parameters first + x₀ · u + x₁ · v: u leads from the first checkpoint to the last, v
    is as long, at a right angle, and together they reach the second.  Batch-norm statistics are those of the
    last.  Raises RunError.
    """
    like = programs.one_like(experiment)
    states = [_load(folder, step, like) for step in steps]
    flats = [np.concatenate([np.ravel(a) for a in jax.tree.leaves(state.params)]) for state in states]
    along, aside = flats[2] - flats[0], flats[1] - flats[0]
    length = float(np.linalg.norm(along))
    share = float(along @ aside) / max(length**2, 1e-30)
    across = aside - share * along
    height = float(np.linalg.norm(across))
    if length == 0 or height < _NEAR * length:
        named = ", ".join(map(str, steps))
        message = (
            f"{one_line(folder)}: the checkpoints {named} lie on a line; choose others with --checkpoints"
        )
        raise RunError(message)
    points = np.array([[0.0, 0.0], [share, height / length], [1.0, 0.0]])
    basis = [
        states[0].params,
        _shaped(along, states[0].params),
        _shaped(across * length / height, states[0].params),
    ]
    value = _loss(experiment, states[2], basis)
    window = _window(points)
    heights = _heights(value, window)
    least, start = float(np.nanmin(heights)), float(value(jnp.zeros(2)))
    goal = least + 0.05 * (start - least)
    return Plane(Surface(value, (0.0, 0.0), window, goal=goal, floor=least, noise=0.0), steps, points)


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
