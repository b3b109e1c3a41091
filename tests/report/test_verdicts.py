"""What predicted examples say in sentences, against counts done by hand."""

from __future__ import annotations

from nnrun.report.per_class import per_class_of
from nnrun.report.run.verdicts import calibration_verdict, class_verdicts


def test_the_worst_class_and_what_it_is_taken_for() -> None:
    confusion = [[90, 0, 10], [0, 2, 3], [30, 0, 70]]
    assert list(class_verdicts(per_class_of(["cat", "eel", "dog"], confusion))) == [
        "Worst class: eel, 2 of 5 right (40%), most often taken for dog (3).",
        "Most frequent confusion: dog taken for cat (30).",
    ]
    confusion = [[9, 1], [0, 0]]  # no example of the second class
    assert list(class_verdicts(per_class_of(["a", "b"], confusion))) == [
        "Worst class: a, 9 of 10 right (90%), most often taken for b (1)."
    ]
    assert list(class_verdicts(per_class_of(["a", "b"], [[9, 0], [0, 4]]))) == []


def test_whether_probabilities_are_meant() -> None:
    few = calibration_verdict({"error": 0.1, "counts": [10], "confidence": [0.9], "accuracy": [0.8]})
    assert few.startswith(
        "The probabilities are calibrated, as far as 10 examples can tell: on average 90.0% sure and 80.0% right"
    )
    many = calibration_verdict({"error": 0.1, "counts": [1000], "confidence": [0.9], "accuracy": [0.8]})
    assert (
        "not calibrated: on average 90.0% sure and 80.0% right, so too sure; the calibration error is 10.00%"
        in many
    )
    assert many.endswith("(p < 0.001).")
    shy = calibration_verdict({"error": 0.1, "counts": [1000], "confidence": [0.8], "accuracy": [0.9]})
    assert "so not sure enough" in shy
