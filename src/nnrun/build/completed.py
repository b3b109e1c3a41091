"""A spec with what follows from its data filled in, as its run folder has it; what of it a program is made for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from nnrun.build.folds import folds_asked
from nnrun.catalog import Spec, bound, user_code
from nnrun.duration import Duration
from nnrun.loss._class_weight import weights_of
from nnrun.types import Experiment

__all__ = ["completed", "resolved", "structure_of"]


def structure_of(spec: Spec) -> dict[str, object]:
    """What one compiled program is made for: the spec without its knobs, its seeds and its name.

    Specs of the same structure have the same data, and their runs can be lanes of one population.  The floats of
    the user's own model count as structure, because a module of Flax or Equinox has no knobs.
    """
    train = {key: str(value) for key, value in spec.train if key not in ("seed", "seeds")}
    return {
        **{key: bound.structure(getattr(spec, key)) for key in ("data", "loss", "optimizer", "schedule")},
        "model": bound.structure(spec.model, fixed=user_code.is_user_name(spec.model.name)),
        **{
            # A metric is no part of the program, so its floats are no knobs.
            key: [bound.structure(block, fixed=key == "metrics") for block in getattr(spec, key)]
            for key in spec.document.lists
        },
        "train": train,
        "checkpoint": {key: str(value) for key, value in spec.checkpoint},
        "folder": str(spec.document.folder),
    }


def resolved(spec: Spec, experiment: Experiment) -> dict[str, Any]:
    """The spec as YAML data with every default filled in; also those that follow from the data."""

    def section(model: Iterable[tuple[str, object]]) -> dict[str, object]:
        return {key: str(value) if isinstance(value, Duration) else value for key, value in model}

    spec = completed(spec, experiment)
    train = section(spec.train)
    if spec.train.early_stopping is not None:
        train["early_stopping"] = section(spec.train.early_stopping)
    return {
        "name": spec.name,
        **{
            key: bound.plain(getattr(spec, key)) for key in ("data", "model", "loss", "optimizer", "schedule")
        },
        **{key: [bound.plain(block) for block in getattr(spec, key)] for key in spec.document.lists},
        "train": train,
        "checkpoint": section(spec.checkpoint),
    }


def completed(spec: Spec, experiment: Experiment) -> Spec:
    """The spec as its run folder has it: with the metrics that follow from the loss where none was written.

    Weights of classes that are fitted to the training part are numbers in it; each fold has its own.
    """
    plan, early = experiment.plan, spec.train.early_stopping
    loss = spec.loss
    if loss.options.get("class_weight") == "balanced" and not folds_asked(spec):
        classes, labels = experiment.dataset.classes, experiment.dataset.train.y
        weights = weights_of("balanced", classes, np.bincount(labels, minlength=len(classes)).tolist())
        assert weights is not None
        fitted = dict(zip(classes, weights.tolist(), strict=True))
        loss = loss._replace(options={**loss.options, "class_weight": fitted})
    if early is not None:
        early = early.model_copy(update={"metric": plan.patience_metric})
    return spec._replace(
        loss=loss,
        train=spec.train.model_copy(update={"early_stopping": early}),
        checkpoint=spec.checkpoint.model_copy(update={"best": plan.judge}),
    )
