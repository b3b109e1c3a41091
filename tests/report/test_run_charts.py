"""Which charts runs have, in which order, and what stands on them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.report.chart import MOST_POINTS, Chart, Line, thinned
from nnrun.report.content import Content
from nnrun.report.drawn import figure_of, figure_of_all
from nnrun.report.interactive import charts_html
from nnrun.report.run.charts import charts_of, logged_names
from nnrun.report.run.page import page
from nnrun.report.run.remarks import remarks
from nnrun.report.run.subject import Subject
from nnrun.statistics.metric import SHARE

X = np.array([10.0, 20.0, 30.0])


def line(*values: float, x: np.ndarray = X, **ends: Any) -> Line:
    return Line("run", x, np.array(values, np.float64), **ends)


def subject(
    lines: dict[str, Line], label: str = "run", runs: int = 1, judge: str = "val/accuracy", **changes: Any
) -> Subject:
    best = {"metric": judge, "value": 0.9, "step": 20}
    summary: Any = {"status": "done", "steps": 30, "best": best, **changes.pop("summary", {})}
    state: Any = {"status": changes.get("status", "done"), "step": 30, **changes.pop("state", {})}
    content = Content(state, changes.pop("status", "done"), summary, {}, [], [])
    relabelled = {name: known._replace(label=label) for name, known in lines.items()}
    return Subject(
        label, Path("nowhere"), content, runs, relabelled, frozenset({"accuracy"}), {"accuracy": SHARE}
    )._replace(**changes)


LINES = {
    "epoch": line(1, 2, 3),
    "update/ratio": line(1e-3, 1e-3, 1e-3),
    "learning_rate": line(0.1, 0.01, 0.0001),
    "train/loss": line(100, 1, 0.5),
    "val/loss": line(90, 2, 1),
    "val/accuracy": line(0.5, 0.7, 0.9),
    "train/accuracy": line(0.6, 0.8, 1.0),
    "grad/norm": line(3, 2, 1),
    "val/f1": line(0.1, 0.2, 0.3),
}


def test_names_of_data_come_before_those_of_steps() -> None:
    names = logged_names([subject({k: LINES[k] for k in ("grad/norm", "val/loss", "epoch")}), subject(LINES)])
    assert names == [
        "train/accuracy", "train/loss", "val/accuracy", "val/f1", "val/loss", "learning_rate", "grad/norm",
        "update/ratio",
    ]  # fmt: skip


def test_one_run_has_its_parts_in_one_chart_the_judge_first() -> None:
    charts = charts_of([subject(LINES)])
    assert [chart.name for chart in charts] == [
        "accuracy",
        "loss",
        "f1",
        "learning_rate",
        "grad-norm",
        "update-ratio",
    ]
    accuracy, loss, _, rate, norm, ratio = charts
    assert [known.label for known in accuracy.lines] == ["val/accuracy", "train/accuracy"]
    assert accuracy.title == "accuracy while training" and accuracy.y_label == "accuracy (%)"
    assert accuracy.lines[0].y.tolist() == pytest.approx([50, 70, 90]) and not accuracy.logarithmic
    assert accuracy.at == (20, "best step")
    assert loss.logarithmic and loss.caption == "The vertical axis is logarithmic."
    assert (rate.title, rate.logarithmic) == ("Learning rate", False)  # its fall to 0 is what matters
    assert (norm.title, norm.level) == ("Norm of the gradient", None)
    assert ratio.logarithmic and ratio.level == (1e-3, "usual: 0.001")


def test_several_runs_have_a_chart_for_each_name_validation_first() -> None:
    few = subject({"val/loss": line(3, 2, 1, low=X, high=X)}, "b", 5)
    charts = charts_of([subject(LINES, "a", 3), few])
    assert [chart.name for chart in charts][:4] == ["val-accuracy", "val-f1", "val-loss", "train-accuracy"]
    loss = charts[2]
    assert loss.title == "val/loss while training" and loss.at is None
    assert [known.label for known in loss.lines] == ["a", "b"]
    assert loss.caption.startswith(
        "Means over 3 to 5 seeds; the bands are their 95% intervals (Student's t)."
    )
    assert loss.lines[1].low is not None and loss.lines[1].low.tolist() == X.tolist()


def test_folds_have_means_without_bands_in_the_words() -> None:
    folds: Any = {"runs": [], "mean": {}, "folds": {"count": 4}}
    [chart] = charts_of([subject({"val/f1": line(1, 2, 3)}, runs=4, summary=folds)])
    assert chart.caption == "Means over 4 folds."


def test_metrics_of_targets_are_drawn_where_they_are_asked_for() -> None:
    """The name of a target may hold a slash; it is no part of the data."""
    lines = {"val/rmse(km/h)": line(1, 2, 3), "val/rmse(a)": line(1, 2, 3), "val/rmse": line(1, 2, 3)}
    known = subject(lines, judge="val/rmse(km/h)")
    assert [chart.title for chart in charts_of([known])] == ["rmse while training"]
    charts = charts_of([known], of_targets=True)
    assert [chart.title for chart in charts] == [
        "rmse(km/h) while training", "rmse(a) while training", "rmse while training",
    ]  # fmt: skip
    assert charts[0].name == "rmse-km-h-"


def test_a_loss_that_reaches_zero_or_stays_in_one_order_is_not_logarithmic() -> None:
    for values in ((100.0, 1.0, 0.0), (19.0, 5.0, 1.0)):
        [chart] = charts_of([subject({"val/loss": line(*values)})])
        assert not chart.logarithmic and chart.caption == ""
    [chart] = charts_of([subject({"val/loss": line(np.nan, 21.0, 1.0)})])
    assert chart.logarithmic


def test_without_a_best_step_none_stands_out() -> None:
    [chart] = charts_of([subject({"val/loss": line(1, 2, 3)}, summary={"best": None})])
    assert chart.at is None


def test_what_has_no_value_has_no_chart() -> None:
    lines = {"train/loss": line(*[np.nan] * 3), "train/accuracy": LINES["train/accuracy"]}
    assert [chart.name for chart in charts_of([subject(lines)])] == ["accuracy"]


def test_thinning_takes_means_of_equal_pieces() -> None:
    """3001 points in pieces of three: the first is the mean of 0, 1, 2, the last that of what is left."""
    x = np.arange(2 * MOST_POINTS + 1)
    thin, count = thinned(Line("a", x, x * 2.0, x - 1.0, x + 1.0))
    assert count == 3 and len(thin.x) == 1001
    assert (thin.x[0], thin.y[0], thin.x[-1]) == (1.0, 2.0, 3000.0)
    assert thin.low is not None and thin.high is not None and (thin.low[1], thin.high[1]) == (3.0, 5.0)
    dots = Line("a", x, x, dots=True)
    assert thinned(dots) == (dots, 1)


def data_of(chart: Chart) -> dict[str, Any]:
    match = re.search(r'<script type="application/json">(.*?)</script>', charts_html([chart]))
    assert match
    return json.loads(match[1])


def test_a_page_has_a_band_a_level_and_a_mark() -> None:
    chart = Chart(
        "c", "<t>", "A caption", "step", "y", (line(1, 1 / 3, np.inf, low=np.array([0.5, 0.25, np.nan]), high=X),),
        at=(20, "best"), level=(0.5, "usual"),
    )  # fmt: skip
    data = data_of(chart)
    assert (data["at"], data["level"], data["log"], data["x"]) == (
        [20, "best"],
        [0.5, "usual"],
        False,
        [10, 20, 30],
    )
    [series] = data["series"]
    assert series["values"] == [1, 0.333333333, None]
    assert (series["low"], series["high"]) == ([0.5, 0.25, None], [10, 20, 30])
    html = charts_html([chart])
    assert "<h3>&lt;t&gt;</h3>" in html and "<figcaption>A caption</figcaption>" in html
    assert charts_html([]) == ""


def test_a_logarithmic_axis_leaves_out_what_it_cannot_show() -> None:
    """The least value above 0 is 0.5, where bands end that reach further down."""
    x = np.arange(4.0)
    ends = np.array([-1.0, 0.1, np.nan, 1.0])
    known = Line("a", x, np.array([0.5, -1.0, np.inf, 2.0]), ends, ends + 4)
    [series] = data_of(Chart("c", "t", "", "x", "y", (known,), logarithmic=True))["series"]
    assert series["values"] == [0.5, None, None, 2]
    assert (series["low"], series["high"]) == ([0.5, 0.5, None, 1], [3, 4.1, None, 5])


def test_lines_beyond_the_colours_are_dashed() -> None:
    lines = tuple(Line(f"l{i}", X, X) for i in range(10))
    series = data_of(Chart("c", "t", "", "x", "y", lines))["series"]
    assert series[8]["colour"] == series[0]["colour"] != series[1]["colour"]
    assert series[8]["night"] == series[0]["night"] != series[0]["colour"]
    assert [known["dash"] for known in series[6:]] == [[], [], [8, 4], [8, 4]]


def test_a_long_line_says_of_how_many_steps_a_point_is() -> None:
    x = np.arange(MOST_POINTS + 1)
    html = charts_html([Chart("c", "t", "What.", "x", "y", (Line("a", x, x),))])
    assert "What. Each point is the mean of 2 logged steps." in html


def test_a_picture_has_all_lines_marks_and_axes() -> None:
    both = Chart(
        "c", "a title", "", "step", "loss", (line(1, 2, 3, low=X, high=X + 1), Line("one point", X[:1], X[:1])),
        logarithmic=True, at=(25, "best step"), level=(2.0, "usual"),
    )  # fmt: skip
    figure = figure_of(both)
    [axes] = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == ("step", "loss", "log")
    drawn = {known.get_label(): known for known in axes.lines}
    assert drawn["run"].get_ydata().tolist() == [1, 2, 3] and drawn["one point"].get_marker() == "o"  # type: ignore[union-attr]
    assert drawn["run"].get_marker() in ("", "None") and len(axes.collections) == 1
    notes = {text.get_text(): text.get_ha() for text in axes.texts}
    assert notes == {
        "best step": "right",
        "usual": "right",
    }  # right of the middle: the text stands on the left
    assert axes.get_title(loc="left") == ""
    left = figure_of(both._replace(at=(11, "early"))).axes[0].texts[0]
    assert (left.get_text(), left.get_ha()) == ("early", "left")


def test_pictures_below_each_other_have_their_titles() -> None:
    one = Chart("c", "first", "", "x", "y", (line(1, 2, 3),))
    figure = figure_of_all([one, one._replace(title="second $x$")])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", r"second \$x\$"]
    assert not figure.legends  # of one line each


FLAT = np.where(np.arange(20) < 10, 2.0 - 0.15 * np.arange(20), 0.5)
LONG = 10.0 * np.arange(1, 21)


def said(lines: dict[str, np.ndarray], **changes: Any) -> list[tuple[str, str, bool]]:
    known = {name: Line("run", LONG[: len(values)], values) for name, values in lines.items()}
    return [tuple(remark) for remark in remarks(subject(known, **changes))]


def test_a_run_that_diverged_names_its_gradients() -> None:
    norm = np.array([1.0, 3.0, 2.0, 500.0, np.inf])
    [(about, sentence, fine)] = said(
        {"grad/norm": norm}, status="diverged", state={"reason": "the loss became NaN"}
    )
    assert (about, fine) == ("end", False)
    assert sentence == "it diverged: the loss became NaN; the gradient's norm was last 500, its median 2.5"
    [(_, sentence, _)] = said({}, status="diverged")
    assert sentence == "it diverged: its loss became NaN or infinite"


def test_a_rise_needs_a_remedy_and_an_early_stop_none() -> None:
    stop = {"step": 30, "metric": "val/loss", "since": 10, "patience": 20, "min_delta": 0.0}
    first, second = said({}, summary={"rise": {"first": 1.0, "last": 5.0}, "stopped_early": stop})
    assert first[1].startswith("the training loss rose from 1 to 5") and not first[2]
    assert second[1].startswith("stopped early at step 30") and second[2]


def test_seven_evaluations_say_nothing_of_the_fit() -> None:
    rising = np.array([1.0, 0.5, 0.6, 0.9, 1.2, 1.5, 1.8, 2.0])
    assert said({"val/loss": rising[:7]}) == []
    assert len(said({"val/loss": rising})) == 1
    assert said({"val/loss": np.append(rising, np.nan)}) == []


@pytest.mark.parametrize(
    ("first", "least", "last", "overfits"),
    [(10.0, 0.5, 0.96, False), (10.0, 0.5, 0.99, True), (2.0, 1.0, 1.09, False), (2.0, 1.0, 1.11, True)],
)
def test_a_rise_counts_against_the_fall_and_against_the_least_value(
    first: float, least: float, last: float, overfits: bool
) -> None:
    """More than a twentieth of how far it fell (9.5: 0.475), and more than a tenth of the least value (1: 0.1)."""
    curve = np.array([first, *[least] * 7, *[last] * 2])
    assert any(sentence.startswith("it overfits") for _, sentence, _ in said({"val/loss": curve})) == overfits


def test_overfitting_has_both_losses() -> None:
    """The least is 0.5 at step 100; the last fifth is the mean of 0.8 to 1.1; training went from 1 to 0.05."""
    val = FLAT + np.where(np.arange(20) >= 12, 0.1 * (np.arange(20) - 12), 0)
    [(_, sentence, _)] = said({"val/loss": val, "train/loss": np.linspace(1.9, 0.0, 20)})
    assert sentence.startswith(
        "it overfits from step 110 on: val/loss was 0.5 there and 1.05 in the last fifth, while train/loss went from "
        "0.9 to 0. Try more data"
    )


@pytest.mark.parametrize(
    ("ratio", "fine", "words"),
    [
        (0.011, False, "may be too high"), (0.01, True, "of a usual size"), (1e-4, True, "of a usual size"),
        (9e-5, False, "may be too low"),
    ],
)  # fmt: skip
def test_the_size_of_updates(ratio: float, fine: bool, words: str) -> None:
    [(about, sentence, is_fine)] = said(
        {"update/ratio": np.full(20, ratio), "learning_rate": np.full(20, 0.1)}
    )
    assert (about, is_fine) == (
        "rate",
        fine,
    ) and f"the learning rate {'is ' if fine else ''}{words}" in sentence
    assert f"an update is {ratio:.4g} of the parameters" in sentence


def test_updates_count_while_the_rate_is_at_least_half_of_its_peak() -> None:
    """In the warm-up and at the end of the schedule updates are small because the rate is."""
    rate = np.concatenate([[0.01, 0.02], np.full(8, 0.1), np.full(10, 0.001)])
    ratio = np.where(rate >= 0.05, 2e-3, 1e-7)
    [(_, sentence, fine)] = said({"update/ratio": ratio, "learning_rate": rate})
    assert fine and "an update is 0.002 of the parameters" in sentence


SHARES = {"val/loss": FLAT, "train/accuracy": np.full(20, 0.9), "val/accuracy": np.full(20, 0.885)}


def test_a_distance_of_two_points_is_close() -> None:
    [(_, sentence, fine)] = said(SHARES)
    assert fine and sentence.endswith("train/accuracy 90.00%, val/accuracy 88.50% (means of the last fifth)")
    [(_, sentence, fine)] = said({**SHARES, "val/accuracy": np.full(20, 0.879)})
    assert not fine and sentence.startswith("it is better in training by 2.10 points")


def test_a_judge_that_is_no_share_says_nothing_of_the_distance() -> None:
    assert said(SHARES, judge="val/loss") == []
    assert said({k: v for k, v in SHARES.items() if k != "train/accuracy"}) == []


def test_the_distance_of_a_label_whose_name_has_a_slash() -> None:
    curves = {
        "val/loss": FLAT,
        "train/accuracy(a/b)": np.full(20, 0.9),
        "val/accuracy(a/b)": np.full(20, 0.8),
    }
    [(_, sentence, _)] = said(
        curves,
        judge="val/accuracy(a/b)",
        bounds={"accuracy(a/b)": SHARE},
        rising=frozenset({"accuracy(a/b)"}),
    )
    assert sentence.startswith("it is better in training by 10.00 points: train/accuracy(a/b) 90.00%")


def test_the_page_of_several_runs_names_each_box() -> None:
    subjects = [
        subject({"val/loss": line(1, 2, 3)}, "<a>", summary={"rise": {"first": 1.0, "last": 5.0}}),
        subject({}, "b", status="running", summary={"best": None, "steps": 0}),
    ]
    html = page(subjects, {}, reload_after=7)
    assert "<title>nnrun: &lt;a&gt;, b</title>" in html and '<meta http-equiv="refresh" content="7">' in html
    assert "Worth a look: &lt;a&gt;" in html and html.count("Worth a look") == 1
    assert html.count("the training loss rose from 1 to 5") == 1  # as a remark, not again as a warning
    assert "<h2>The run of &lt;a&gt;</h2>" in html and "<h2>The run of b</h2>" in html


def test_the_page_of_a_run_that_has_not_ended() -> None:
    unfinished = subject({"val/loss": line(3, 2, 0.125)}, status="running")
    unfinished.content.summary.clear()
    html = page([unfinished], {})
    assert '<p class="lead">running, at step 30</p>' in html
    results = html.partition("<h2>Results</h2>")[2].partition("<h2>")[0]
    assert re.findall(r"<td[^>]*>(.*?)</td>", results) == ["val/loss", "0.125"]
    assert "http-equiv" not in html


def test_the_page_of_a_run_without_curves_has_no_heading_for_them() -> None:
    assert "<h2>Curves</h2>" not in page([subject({})], {})
