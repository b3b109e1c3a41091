"""A spec file as checked plain data: YAML, places, problems, sections, overrides.  Imports no jax."""

from nnrun.spec.document import (
    BLOCKS,
    COMMON,
    SECTIONS,
    Checkpoint,
    DataCommon,
    Document,
    EarlyStopping,
    OptimizerCommon,
    ScheduleCommon,
    Train,
    read,
)

__all__ = [
    "BLOCKS",
    "COMMON",
    "SECTIONS",
    "Checkpoint",
    "DataCommon",
    "Document",
    "EarlyStopping",
    "OptimizerCommon",
    "ScheduleCommon",
    "Train",
    "read",
]
