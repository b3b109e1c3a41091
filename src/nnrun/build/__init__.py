"""From a checked Spec to an Experiment: pure functions of arrays.  Nothing below this package sees a Spec."""

from nnrun.build.completed import completed, resolved, structure_of
from nnrun.build.experiment import build, data_of, dataset_of, knobs_of, source_of
from nnrun.build.folds import folds_asked, of_fold, with_folds
from nnrun.build.targets import wants_counts

__all__ = [
    "build", "completed", "data_of", "dataset_of", "folds_asked", "knobs_of", "of_fold", "resolved", "source_of",
    "structure_of", "wants_counts", "with_folds",
]  # fmt: skip
