"""A sweep trains seeds: it refuses what belongs to cross-validation."""

from __future__ import annotations

from nnrun.catalog import Spec

__all__ = ["without_folds"]


def without_folds(spec: Spec) -> Spec:
    """The spec of a trial.  Raises SpecError where it asks for folds, or for what belongs to them."""
    train = spec.train
    if train.folds is not None:
        remedy = "leave train.folds out; nnrun compare tests cross-validated runs against each other"
        raise spec.fail(("train", "folds"), f"a sweep trains seeds, not folds; {remedy}")
    for key, is_set in (("repeats", train.repeats > 1), ("fold", train.fold is not None)):
        if is_set:
            raise spec.fail(
                ("train", key),
                f"belongs to train.folds, and a sweep trains seeds, not folds; leave {key} out",
            )
    return spec
