"""From a checked Spec to an Experiment: pure functions of arrays.  Nothing below this package sees a Spec."""

from nnrun.build.experiment import build, data_of, knobs_of, resolved, structure_of

__all__ = ["build", "data_of", "knobs_of", "resolved", "structure_of"]
