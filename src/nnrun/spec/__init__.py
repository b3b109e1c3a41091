"""A spec file as checked plain data: YAML, places, problems, sections, overrides.  Imports no jax."""

from nnrun.spec.document import BLOCKS, LISTS, Document, read
from nnrun.spec.sections import (
    COMMON,
    SECTIONS,
    Checkpoint,
    DataCommon,
    EarlyStopping,
    OptimizerCommon,
    ScheduleCommon,
    Train,
)
from nnrun.spec.yaml12 import parse

__all__ = [
    "BLOCKS",
    "COMMON",
    "LISTS",
    "SECTIONS",
    "Checkpoint",
    "DataCommon",
    "Document",
    "EarlyStopping",
    "OptimizerCommon",
    "ScheduleCommon",
    "Train",
    "parse",
    "read",
]
