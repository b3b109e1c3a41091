"""A spec file as checked plain data: YAML, places, problems, sections, overrides.  Imports no jax."""

from nnrun.spec.document import BLOCKS, LISTS, TRACK, Document, read
from nnrun.spec.sections import (
    COMMON,
    SECTIONS,
    CheckpointSection,
    DataCommon,
    EarlyStoppingSection,
    OptimizerCommon,
    ScheduleCommon,
    TrainSection,
    home_of,
)
from nnrun.spec.yaml12 import parse

__all__ = [
    "BLOCKS",
    "COMMON",
    "LISTS",
    "SECTIONS",
    "TRACK",
    "CheckpointSection",
    "DataCommon",
    "Document",
    "EarlyStoppingSection",
    "OptimizerCommon",
    "ScheduleCommon",
    "TrainSection",
    "home_of",
    "parse",
    "read",
]
