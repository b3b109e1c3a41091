"""The account of an ensemble as tables, pictures and a page."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from nnrun.report.ensemble.page import page, pictures
from nnrun.report.ensemble.tables import answer_line, gain_line, gain_lines, member_table, names_of, view
from nnrun.statistics.metric import SHARE, Metric


def gain(value: float, half: float = 0.25, both: bool = True) -> dict[str, Any]:
    span = [value - half, value + half]
    return {
        "value": value,
        "examples": span,
        "members": span if both else None,
        "both": span if both else None,
    }


def member(name: str, weight: float, accuracy: float) -> dict[str, Any]:
    return {
        "name": name, "run": "/runs/a", "step": 20, "epochs": 2.0, "parameters": "trained", "sha256": "f" * 64,
        "weight": weight, "metrics": {"loss": 1 - accuracy, "accuracy": accuracy},
    }  # fmt: skip


def account(**changes: Any) -> dict[str, Any]:
    best = {"name": "b:20", "by": "accuracy", "metrics": {"loss": 0.2, "accuracy": 0.8}}
    curve = [
        {
            "members": size,
            "subsets": 3 if size == 1 else 1,
            **{name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in ("loss", "accuracy")},
        }
        for size in (1, 2)
    ]
    return {
        "average": "probabilities",
        "split": "test",
        "judge": "accuracy",
        "rising": ["accuracy"],
        "bounds": {"accuracy": [0, 1]},
        "members": [member("a:10", 0.5, 0.7), member("b:20", 0.5, 0.8)],
        "mean": {"loss": 0.25, "accuracy": 0.75},
        "best": best,
        "ensemble": {"loss": 0.1, "accuracy": 0.9},
        "examples": 100,
        "gain": {
            "over_mean": {"loss": gain(0.15), "accuracy": gain(0.15, 0.01)},
            "over_best": {"accuracy": gain(0.1, 0.02)},
        },
        "curve": curve,
        "diversity": {"disagreement": 0.125, "error_correlation": 0.5},
        **changes,
    }


def shown(*parts: Any, width: int = 140) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(*parts, sep="\n")
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_what_judges_and_the_loss_come_first():
    metrics = dict.fromkeys(["rmse", "loss", "calibration_error", "auc", "accuracy"], 1)
    assert names_of(account(ensemble=metrics)) == ["accuracy", "loss", "auc", "calibration_error", "rmse"]
    assert names_of(account(ensemble=metrics, judge="rmse"))[:2] == ["rmse", "loss"]


def test_members_mean_best_and_ensemble_in_rows():
    lines = shown(member_table(account()))
    assert lines[0].split() == ["test", "accuracy", "loss"]
    assert [line.split()[-2:] for line in lines[1:]] == [
        ["70.00%", "0.3"], ["80.00%", "0.2"], ["75.00%", "0.25"], ["80.00%", "0.2"], ["90.00%", "0.1"],
    ]  # fmt: skip
    assert lines[3].startswith("mean member")
    assert lines[4].startswith("best member  ") and "b:20" not in lines[4]
    assert lines[5].startswith("ensemble of 2, probabilities")


def test_the_best_member_is_named_in_full_on_a_narrow_terminal():
    """Of 60 characters; beside the columns of 80 there is room for some thirty."""
    name = "regularised_wide_residual_network/with_cutout/seed_12345:117300"
    metrics = {"accuracy": 0.8, "loss": 0.2, "calibration_error": 0.125}
    content = account(
        best={"name": name, "by": "balanced_accuracy", "metrics": metrics}, mean=metrics, ensemble=metrics
    )
    content["members"] = [
        {**content["members"][0], "metrics": metrics},
        {**content["members"][1], "metrics": metrics},
    ]
    table, named = view(content)[:2]
    rows = [line for line in shown(table, width=80) if line.startswith("best member")]
    assert len(rows) == 1 and rows[0].split() == ["best", "member", "80.00%", "0.2", "0.125"]
    assert "".join(shown(named, width=80)).replace(" ", "") == f"bestmember,byval/balanced_accuracy:{name}"


def test_without_validation_there_is_no_best_row():
    assert not any(str(part).startswith("best member") for part in view(account(best=None)))
    assert not any("best member" in line for line in shown(member_table(account(best=None))))


def test_weights_are_shown_where_they_differ():
    equal = shown(member_table(account()))
    weighted = shown(member_table(account(members=[member("a", 0.125, 0.7), member("b", 0.875, 0.8)])))
    assert "weight" not in equal[0]
    assert weighted[0].split()[-1] == "weight"
    assert [line.split()[-1] for line in weighted[1:3]] == ["0.125", "0.875"]


def test_metrics_that_do_not_fit_have_tables_of_their_own():
    names = ["loss", "accuracy", *(f"average_precision_of_class_{k}" for k in range(4))]
    metrics = dict(zip(names, [0.111, 0.222, 0.333, 0.444, 0.555, 0.666], strict=True))
    best = {"name": "b:20", "by": "accuracy", "metrics": metrics}
    members = [
        {"name": name, "weight": weight, "metrics": metrics} for name, weight in (("a", 0.25), ("b", 0.75))
    ]
    lines = shown(member_table(account(members=members, mean=metrics, best=best, ensemble=metrics)), width=80)
    assert max(map(len, lines)) <= 80
    heads = [line.split()[1:] for line in lines if line.startswith("test")]
    assert [name for head in heads for name in head] == ["accuracy", "loss", *names[2:], "weight"]
    of_a = [word for line in lines if line.startswith("a ") for word in line.split()[1:]]
    assert of_a == ["22.20%", "0.111", "0.333", "0.444", "0.555", "0.666", "0.250"]


def test_members_are_in_the_order_of_their_names():
    """Whatever the order of their arrays; 1200 comes after 600."""
    content = account(members=[member(f"snap:{step}", 0.5, 0.7) for step in (600, 1200, 240)])
    names = ["snap:240", "snap:600", "snap:1200"]
    assert [line.split()[0] for line in shown(member_table(content))[1:4]] == names
    table = page(content, []).partition("<h2>The ensemble</h2>")[2]
    assert sorted(names, key=table.index) == names and "<th" in table
    heads = [
        head
        for head in ("step", "epochs", "parameters", "weight", "data", "SHA-256", "run")
        if f">{head}<" in table
    ]
    assert heads == ["step", "epochs", "SHA-256", "run"]  # the others are the same for all


def test_the_page_says_what_the_terminal_says_of_the_members():
    text = page(account(), [])
    assert "members disagree on 12.5% of the examples on average" in text


def test_names_are_no_markup():
    lines = shown(member_table(account(members=[member("[red]x[/red]:1", 0.5, 0.5)])))
    assert any("[red]x[/red]:1" in line for line in lines)


def test_what_explains_a_loss_stands_below_the_gains():
    lines = shown(*view(account(cautions=["these are independent runs"])))
    assert lines.index("these are independent runs") == 1 + max(
        i for i, line in enumerate(lines) if line.startswith("gain over")
    )


def test_a_line_for_each_gain():
    assert [line.plain for line in gain_lines(account())] == [
        "gain over the mean member: accuracy +15 points  [+14, +16], 95% over examples and members",
        "gain over the mean member: loss 0.15 lower  [-0.1, 0.4], 95% over examples and members",
        "gain over the best member: accuracy +10 points  [+8, +12], 95% over examples and members",
    ]


def test_what_has_no_value_has_no_line():
    lines = gain_lines(account(gain={"over_mean": {"r2": gain(0.1) | {"value": "nan"}}, "over_best": None}))
    assert lines == []


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.11e-16, "0 points  [0, 0]"), (-1.11e-16, "0 points  [0, 0]"), (1e-6, "+0.0001 points")],
)
def test_rounding_errors_are_no_gain(value: float, text: str):
    """What float32 does not tell from the metric is shown as 0."""
    line = gain_line(Metric("accuracy", True, SHARE), gain(value, 0.0, both=False), 0.97)
    assert line.startswith(f"accuracy {text}")


def test_rounding_errors_are_judged_by_the_size_of_the_metric():
    """A loss of 1e-8 may well be 1e-12 lower; one of 1e4 may not."""
    small = gain_line(Metric("loss", False), gain(1e-12, 0.0, both=False), 1e-8)
    large = gain_line(Metric("loss", False), gain(1e-12, 0.0, both=False), 1e4)
    assert small.startswith("loss 1e-12 lower")
    assert large == "loss 0 lower  [0, 0], 95% over examples"
    [line] = gain_lines(
        account(
            mean={"loss": 1e4},
            ensemble={"loss": 1e4},
            gain={"over_mean": {"loss": gain(1e-12, 0.0)}, "over_best": {}},
        )
    )
    assert "loss 0 lower  [0, 0]" in line.plain


def test_a_metric_that_is_not_finite_has_no_size():
    content = account(mean={"loss": "inf"}, gain={"over_mean": {"loss": gain(0.5)}, "over_best": None})
    assert "loss 0.5 lower" in gain_lines(content)[0].plain


def test_notes_on_diversity_calibration_soup_and_barrier():
    calibration = {"before": {"error": 0.2}, "after": {"error": 0.05}, "temperature": 1.5}
    soup = [{"name": "a", "entered": True}, {"name": "b", "entered": False}]
    barrier = {"between": ["a:10", "b:20"], "height": 0.3, "line": [], "split": "test"}
    lines = shown(*view(account(calibration=calibration, soup=soup, barrier=barrier)))[-4:]
    assert lines == [
        "members disagree on 12.5% of the examples on average; correlation of their errors 0.50",
        "calibration error 20.00%, 5.00% at the temperature 1.500 fitted on validation",
        "greedy soup: 1 of 2 members entered",
        "along the line from a:10 to b:20 the loss rises by up to 0.3 above the straight line between its ends",
    ]
    [*_, last] = shown(*view(account(barrier={**barrier, "height": 0})))
    assert "does not rise above the straight line" in last


def test_numbers_differ_and_do_not_disagree():
    content = account(
        ensemble={"rmse": 1.0}, mean={"rmse": 1.0}, best=None, gain={"over_mean": {}, "over_best": None}
    )
    content["members"] = [{"name": "a", "weight": 1.0, "metrics": {"rmse": 1.0}}]
    [*_, last] = shown(*view(content))
    assert last == "members differ by 0.125 on average; correlation of their errors 0.50"


BINS = {"error": 0.1, "counts": [3, 7], "confidence": [0.4, 0.9], "accuracy": [0.5, 0.8]}
LINE = [{"alpha": alpha, "loss": 1.0, "accuracy": 0.5} for alpha in (0.0, 0.5, 1.0)]


def test_pictures_of_what_there_is():
    full = account(
        calibration={"before": BINS, "after": BINS},
        barrier={"between": ["a", "b"], "split": "test", "line": LINE, "height": 0.0},
    )
    images = pictures(full)
    assert [image.name for image in images] == ["curve", "members", "barrier", "reliability"]
    for image in images:
        assert Image.open(io.BytesIO(image.png)).format == "PNG"
        assert image.title and image.caption.endswith(".")
    assert [image.name for image in pictures(account(curve=account()["curve"][:1]))] == ["members"]
    assert images[0].png == pictures(full)[0].png  # the same account is the same file


def test_the_page_has_the_table_the_gains_and_the_pictures():
    content = account(members=[member("<b>a</b>:1", 0.5, 0.7), member("b:20", 0.5, 0.8)])
    text = page(content, pictures(content))
    assert "<h1>Ensemble of 2: probabilities</h1>" in text
    assert "&lt;b&gt;a&lt;/b&gt;:1" in text and "<b>a</b>" not in text
    assert text.count("gain over the mean member") == 2
    assert text.count('src="data:image/png;base64,') == 2  # for who has no scripts, each of two charts
    assert text.count('<div class="chart">') == 4
    assert "best member (b:20)" in text
    assert "<h2>Pictures</h2>" not in page(content, [])
    assert (
        "test/accuracy is 90.00%, of its members alone 75.00% on average: better by 15.00 points, which is"
        in text
    )
    about = page(content, [], origin=["from <x>"]).partition("<h2>The ensemble</h2>")[2]
    assert '<p class="dim">from &lt;x&gt;</p>' in about and about.count('<td class="">ffffffffff</td>') == 2


def test_the_answer_says_whether_a_gain_is_more_than_chance() -> None:
    unsure = account(gain={"over_mean": {"accuracy": gain(0.15, 0.2)}, "over_best": None})
    assert answer_line(unsure).endswith("better by 15.00 points, which may be chance")
    assert answer_line(account()).endswith("better by 15.00 points, which is more than chance")
    loss = account(
        judge="loss",
        mean={"loss": 0.1},
        ensemble={"loss": 0.25},
        gain={"over_mean": {"loss": gain(-0.15, 0.1)}},
    )
    assert answer_line(loss) == (
        "test/loss is 0.25, of its members alone 0.1 on average: worse by 0.15, which is more than chance"
    )
    assert answer_line(account(gain={"over_mean": {}, "over_best": None})) == ""
    none = account(
        ensemble={"accuracy": 0.75}, gain={"over_mean": {"accuracy": gain(1e-9)}, "over_best": None}
    )
    assert answer_line(none) == "test/accuracy is 75.00%, of its members alone 75.00% on average: no gain"


def test_a_gain_below_the_precision_of_predictions_is_none() -> None:
    """Predictions are float32, so a mean error of 1.8 is known to 2e-7."""
    line = gain_line(Metric("mae", False), gain(-1.83e-8, 5e-8, both=False), 1.8)
    assert line.startswith("mae 0 lower")


def test_a_metric_without_a_value_is_undefined_in_every_row():
    row = {"loss": 0.25, "accuracy": 0.75, "r2": "nan"}
    members = [{"name": "a:10", "weight": 1.0, "metrics": row}]
    gap = {"undefined": {"r2": "all targets are equal"}}
    lines = shown(member_table(account(members=members, mean=row, best=None, ensemble=row, **gap)))
    assert [line.split()[-1] for line in lines] == ["r2", "undefined", "undefined", "undefined"]
    row = {"loss": "nan", "accuracy": 0.75, "r2": "nan"}  # it diverged
    lines = shown(
        member_table(account(members=[{**members[0], "metrics": row}], mean=row, best=None, ensemble=row))
    )
    assert [line.split()[-1] for line in lines] == ["r2", "nan", "nan", "nan"]
