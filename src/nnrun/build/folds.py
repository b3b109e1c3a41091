"""The folds that a spec asks for: whether they fit together with the rest of it, and the spec of each."""

from __future__ import annotations

import math

from nnrun.catalog import Spec
from nnrun.data._folds import Fold

__all__ = ["fold_of", "folds_asked", "of_fold", "with_folds"]


def folds_asked(spec: Spec) -> int:
    """How many runs a cross-validation has; 0 where the spec is that of a single run, or of several seeds."""
    train = spec.train
    return train.folds * train.repeats if train.folds is not None and train.fold is None else 0


def of_fold(spec: Spec, number: int) -> Spec:
    """The spec of run `number`, 1, 2, ..., of a cross-validation: its seeds follow one another."""
    changes = {"fold": number, "seed": spec.train.seed + number - 1}
    return spec._replace(train=spec.train.model_copy(update=changes))


def fold_of(spec: Spec) -> Fold | None:
    """The fold that a run validates with, of a cross-validation the first; None where there are no folds."""
    train = spec.train
    return None if train.folds is None else Fold(train.fold or 1, train.folds)


def with_folds(spec: Spec) -> Spec:
    """The spec with the fraction that a fold validates with in place of `data.validation`.

    Raises SpecError where keys beside `train.folds` contradict it.
    """
    train = spec.train
    if train.folds is None:
        for key, is_set in (("repeats", train.repeats > 1), ("fold", train.fold is not None)):
            if is_set:
                raise spec.fail(
                    ("train", key), f"belongs to train.folds; write train.folds=5, or leave {key} out"
                )
        return spec
    if train.seeds > 1:
        raise spec.fail(
            ("train", "seeds"),
            f"got {train.seeds} with train.folds: every fold is trained once, with a seed of its own; write "
            "train.repeats for more runs, or leave one of the two out",
        )
    if train.fold is not None and train.fold > train.folds * train.repeats:
        runs = train.folds * train.repeats
        raise spec.fail(("train", "fold"), f"got {train.fold}, but there are {runs}; write 1 to {runs}")
    if train.seed + train.folds * train.repeats > 2**31:
        raise spec.fail(("train", "seed"), "too large for one seed a fold; write a smaller one")
    if spec.data.common.get("bootstrap"):
        raise spec.fail(
            ("data", "bootstrap"),
            "with train.folds, examples would be left out twice, by the fold and by the draw; leave one of them out",
        )
    written = spec.data.common.get("validation")
    is_written = ("data", "validation") in spec.document.places
    if is_written and written is not None and not math.isclose(written, 1 / train.folds, rel_tol=0.01):
        raise spec.fail(
            ("data", "validation"),
            f"got {written}, but train.folds decides what validates, 1/{train.folds} of the examples; leave "
            f"it out, or write {1 / train.folds:.3g}",
        )
    common = {**spec.data.common, "validation": 1 / train.folds}
    return spec._replace(data=spec.data._replace(common=common))
