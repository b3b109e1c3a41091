"""What was looked at in a part of the data: how a run predicts it, and where it errs; as plain data."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from nnrun.report.ensemble.account import Bins
from nnrun.report.per_class import PerClass
from nnrun.report.per_label import PerLabel
from nnrun.report.run.inside import Inside

__all__ = ["Erring", "Looked", "RemarkEntry", "ReportReport"]


class Erring(TypedDict):
    """An example that is predicted wrongly.

    row       its position, from 0, in what the data train or test with; None where that is not known
    error     of numbers, predicted − target
    confidence, of_target   the probabilities of what is predicted and of what it is; of numbers there are none
    picture   PNG as base64, of an image
    file      where an image lies, below the folder of its part
    cells     its features by name, of a table
    """

    row: int | None
    target: str
    predicted: str
    error: NotRequired[str]
    confidence: NotRequired[float]
    of_target: NotRequired[float]
    picture: NotRequired[str]
    file: NotRequired[str]
    cells: NotRequired[dict[str, str]]


class Looked(TypedDict):
    """How a run or an ensemble predicts a part of its data.

    wrong     the most confidently wrong examples, of numbers those with the largest errors
    errors    how many examples are wrong in all, of several labels in any of them; of numbers all
    labels    the names of several labels
    targets, predictions   of numbers
    filters   what the first layer looks for, as pictures; [] where that is no picture
    inside    of a run, what goes through its layers, where its training part could be read
    """

    folder: str
    split: str
    checkpoint: str
    examples: int
    errors: int
    wrong: list[Erring]
    filters: list[str]
    inside: NotRequired[Inside]
    per_class: NotRequired[PerClass]
    per_label: NotRequired[PerLabel]
    reliability: NotRequired[Bins]
    labels: NotRequired[list[str]]
    targets: NotRequired[list[float]]
    predictions: NotRequired[list[float]]


class RemarkEntry(TypedDict):
    """What the curves of a run say: of what, in a sentence, and whether that is as it should be."""

    about: str
    sentence: str
    fine: bool


class ReportReport(TypedDict):
    """What `nnrun report --json` prints: where the report is, and what it says of each run, by label."""

    report: str
    remarks: dict[str, list[RemarkEntry]]
    looked: dict[str, Looked]
