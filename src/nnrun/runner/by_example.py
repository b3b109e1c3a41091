"""What a run's metrics would be on other examples: on resamples of those that they are measured on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nnrun.errors import Warn
from nnrun.record import checkpoint
from nnrun.runner.evaluation import load_checkpoint
from nnrun.statistics.gain import resampled
from nnrun.training import flat, start
from nnrun.training.judge import make_judge
from nnrun.training.outputs import compile_outputs, essential
from nnrun.training.predictions import targets_of
from nnrun.types import Experiment

__all__ = ["DRAWS", "metrics_of_resamples"]

DRAWS = 1_000
_MOST = 1e8  # predictions that metrics without terms go through in these samples


def metrics_of_resamples(
    experiment: Experiment, folders: Sequence[Path], warn: Warn
) -> tuple[str, dict[str, list[float]]]:
    """The part, and metric -> its mean over the runs in each of 1,000 bootstrap samples of that part's examples.

    folders   runs of this experiment that have ended; their best checkpoints are read
    The part is the test part or, where there is none, the validation part.  Parts of the same length have the same
    samples, so differences of two experiments that are measured on the same examples are paired.  Metrics of averaged
    parameters are not among them, nor is one that a sample leaves undefined, nor one that needs all predictions at once
    where that takes long (`Judge.resampled`).
    To be used within the precision of the experiment.  Raises RunError where a checkpoint is missing.
    """
    part = "test" if len(experiment.dataset.test.y) else "val"
    examples, targets = getattr(experiment.dataset, part), targets_of(experiment.dataset, part)
    like = start.one_like(experiment)
    outputs_of, judge = compile_outputs(experiment, essential(like)), make_judge(experiment)
    terms, predicted = [], []
    for folder in folders:
        arrays = load_checkpoint(folder, "best", warn).state
        checkpoint.check_structure(arrays, flat.shapes(like), str(folder))
        outputs = outputs_of(essential(flat.unflatten(arrays, like)), examples.x, lambda: None)
        terms.append(judge.terms(outputs, targets))
        predicted.append(outputs)
    metrics = judge.table(resampled(np.stack(terms), DRAWS)) | judge.resampled(
        predicted, targets, DRAWS, DRAWS, _MOST
    )
    means = {f"{part}/{name}": values.mean(axis=1) for name, values in metrics.items()}
    return part, {name: values.tolist() for name, values in means.items() if np.isfinite(values).all()}
