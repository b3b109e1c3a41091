"""What is drawn in the pictures of sweeps and ensembles: lines, bars, bands and limits, before they become pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnrun.report.curves import band, curves_by_run
from nnrun.report.drawing import COLOURS, NIGHT, Look, axis_label, look, plain
from nnrun.report.drawn import figure_of
from nnrun.report.ensemble import page as ensemble
from nnrun.report.ensemble.charts import charts as ensemble_charts
from nnrun.report.interactive import chart_html
from nnrun.report.sweep import charts, figures, parallel, plots, scatter
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, SweepRecord, TrialRecord
from nnrun.report.sweep.rows import AnswerRow
from nnrun.statistics.budget import BestOf
from nnrun.statistics.metric import SHARE, Metric

JUDGE, TESTED = Metric("val/accuracy", True, SHARE), Metric("test/accuracy", True, SHARE)
LOSS = Metric("val/loss", False)
RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
NUMBERS = {"adam": 0, "sgd": 1}
LOOKS: dict[str, Look] = {"adam": look(0), "sgd": look(1)}


def row(label: str = "adam", **changes: Any) -> AnswerRow:
    known = AnswerRow(
        base="digits", alternative=label, trial=f"{label}-000", settings={}, run=None, validation=0.9,
        values={0: 0.8, 1: 1.0}, mean=0.9, low=0.7, high=0.95, middle=0.9, fresh=True, validation_again=0.9, seeds=2,
        diverged=0, trials=20, unstable=0, stopped=0, failed=0, reached=None,
    )  # fmt: skip
    return known._replace(**changes)


def part(*rows: AnswerRow, **changes: Any) -> BaseAnswer:
    return BaseAnswer("digits", TESTED, [*rows], [], None, {}, {})._replace(**changes)


def trial(number: int, rate: float, value: float | None, status: str = "done") -> TrialRecord:
    return TrialRecord(
        f"adam-{number}", "digits", "adam", number, "", {RATE.path: rate}, status, value, (value,), 30, 1.0, None
    )  # fmt: skip


def xy(axes: Axes, marker: str | None = None) -> list[tuple[list[float], list[float]]]:
    """The points of each line, of those with this marker alone."""
    return [
        ([float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()])  # type: ignore[union-attr]
        for line in axes.lines
        if marker is None or line.get_marker() == marker
    ]


def only(figure: Figure | None) -> Axes:
    assert figure is not None
    [axes] = figure.axes
    return axes


def rounded(lines: Sequence[tuple[list[float], list[float]]]) -> list[tuple[list[float], list[float]]]:
    return [([round(x, 6) for x in xs], [round(y, 6) for y in ys]) for xs, ys in lines]


def test_a_leaderboard_has_single_runs_an_interval_and_a_mean_the_best_on_top() -> None:
    axes = only(
        figures.leaderboard(part(row(), row("sgd", low=None, high=None), row("lion", mean=None)), LOOKS)
    )
    assert rounded(xy(axes)) == [
        ([80, 100], [-0.22, -0.22]), ([90], [0]),  # sgd without an interval, in the lowest row; runs below its middle
        ([80, 100], [0.78, 0.78]), ([70, 95], [1, 1]), ([90], [1]),
    ]  # fmt: skip
    assert [label.get_text() for label in axes.get_yticklabels()] == ["sgd", "adam"]
    assert axes.get_xlabel() == "test/accuracy (%)" and axes.lines[-1].get_color() == COLOURS[0]


def write_curve(folder: Path, values: Sequence[float]) -> Path:
    folder.mkdir(parents=True)
    (folder / "state.json").write_text('{"status": "done"}')
    lines = [json.dumps({"step": 10 * (i + 1), "val/accuracy": value}) for i, value in enumerate(values)]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_learning_curves_in_percent_over_the_steps(tmp_path: Path) -> None:
    runs = [write_curve(tmp_path / "a", [0.1, 0.5, 0.9]), write_curve(tmp_path / "b", [0.2, 0.6, 0.8])]
    rows = row(run=runs[0]), row("sgd", run=runs[1]), row("lion")
    chart = charts.curves(part(*rows), JUDGE, NUMBERS)
    assert chart is not None
    axes = only(figure_of(chart))
    assert rounded(xy(axes)) == [([10, 20, 30], [10, 50, 90]), ([10, 20, 30], [20, 60, 80])]
    assert [line.get_label() for line in axes.lines] == ["adam", "sgd"]
    low, high = axes.get_ylim()  # the ends are 80 and 90; room of a quarter of 80, and 5% of that beside it
    assert (low, high) == pytest.approx((60 - 1, 90 + 1))
    assert chart.caption.endswith("bands. Values below 59.00% are left out, to show how the curves end.")
    flat = charts.curves(part(row(run=write_curve(tmp_path / "flat", [0.8, 0.9, 0.9]))), JUDGE, NUMBERS)
    assert flat is not None and flat.window is None and flat.caption.endswith("bands.")
    assert charts.curves(part(row()), JUDGE, NUMBERS) is None
    studied = charts.curves(part(rows[0]), JUDGE, NUMBERS, studies=2)
    assert studied is not None and studied.caption.endswith("bands. The setting is that of the best study.")


def test_an_alternative_has_one_colour_in_all_pictures(tmp_path: Path) -> None:
    rows = row(run=None), row("sgd", run=write_curve(tmp_path / "b", [0.2, 0.6, 0.8]))
    chart = charts.curves(part(*rows), JUDGE, NUMBERS)
    assert chart is not None
    assert only(figure_of(chart)).lines[0].get_color() == COLOURS[NUMBERS["sgd"]]
    data = chart_html(chart, b"").partition('<script type="application/json">')[2].partition("</script>")[0]
    assert json.loads(data)["series"][0]["colour"] == COLOURS[NUMBERS["sgd"]]


def test_the_band_of_a_group_is_around_its_mean(tmp_path: Path) -> None:
    (tmp_path / "group").mkdir()
    (tmp_path / "group/state.json").write_text('{"status": "done"}')
    for seed, end in enumerate((0.7, 0.9)):
        write_curve(tmp_path / f"group/seed_{seed}", [0.5, end])
    chart = charts.curves(part(row(run=tmp_path / "group")), JUDGE, NUMBERS)
    assert chart is not None
    axes = only(figure_of(chart))
    assert rounded(xy(axes)) == [([10, 20], [50, 80])]
    [filled] = axes.collections
    heights = filled.get_paths()[0].vertices[:, 1]  # type: ignore[index]
    assert (heights.min(), heights.max()) == (0, 100), "0.8 ± 12.7 · 0.1, cut to what a share can be"
    named = curves_by_run(tmp_path / "group", "val/accuracy")
    assert [folder.name for folder, _ in named] == ["seed_0", "seed_1"]
    assert curves_by_run(tmp_path / "group", "val/other") == []


def test_a_curve_that_is_not_finite_is_no_part_of_a_band() -> None:
    at = np.array([1, 2], np.int64)
    known = band([(at, np.array([1.0, 3.0])), (at, np.array([1.0, np.nan]))])
    assert known is not None and known.mean.tolist() == [1, 3] == known.low.tolist() == known.high.tolist()
    assert band([(at, np.array([np.inf, 1.0]))]) is None


def test_the_best_of_k_trials_in_percent_with_bands_where_they_are_known() -> None:
    known = {
        "sgd": [BestOf(1, 0.5, None, None), BestOf(2, 0.6, None, None)],
        "adam": [BestOf(1, 0.7, 0.6, 0.8), BestOf(2, 0.9, 0.85, 0.95)],
    }
    axes = only(figure_of(charts.best_of(part(row(), row("sgd"), best_of=known), JUDGE, NUMBERS)))
    assert rounded(xy(axes)) == [([1, 2], [70, 90]), ([1, 2], [50, 60])]  # in the order of the rows
    assert len(axes.collections) == 1 and axes.get_ylabel() == "best val/accuracy (%)"
    half = {"adam": [*known["adam"][:1], BestOf(2, 0.9, None, None)]}
    assert not only(figure_of(charts.best_of(part(row(), best_of=half), JUDGE, NUMBERS))).collections


def test_the_profile_is_a_staircase_from_the_fastest() -> None:
    points = {"adam": [(1.0, 0.5), (4.0, 1.0)], "sgd": [(1.0, 0.5), (20.0, 1.0)]}
    record: Any = None
    axes = only(figures.profile(Answer(record, [], points), LOOKS))
    assert rounded(xy(axes)) == [
        ([1, 1, 4, 22], [0, 0.5, 1, 1]), ([1, 1, 20, 22], [0, 0.5, 1, 1]),
    ]  # fmt: skip
    assert axes.get_xscale() == "log" and axes.get_ylim() == (0, 1.03)
    near = {"adam": [(1.0, 1.0)], "sgd": [(8.0, 1.0)]}
    assert only(figures.profile(Answer(record, [], near), LOOKS)).get_xscale() == "linear"


# the metric by setting

TRIALS = [
    trial(0, 1e-3, 0.9), trial(1, 1e-2, 0.95), trial(2, 1e-1, 0.93, "stopped"), trial(3, 1.0, None, "diverged"),
    trial(4, 1e-4, None, "failed"), trial(5, 1e-4, 0.1), trial(6, 2e-3, 0.92),
]  # fmt: skip


def test_a_panel_marks_what_became_of_each_trial() -> None:
    """0.1 is below the window, whose end is drawn as a triangle; a failed trial is nowhere."""
    figure = scatter.sensitivity(AlternativeRecord("adam", {}, (RATE,)), TRIALS, "adam-1", JUDGE, 5.0)
    axes = only(figure)
    low, high = axes.get_ylim()
    filled, hollow = rounded(xy(axes, "o"))
    assert filled == ([1e-3, 1e-2, 2e-3], [90, 95, 92]) and hollow == ([0.1], [93])
    assert xy(axes, "v") == [([1e-4], [low])] and xy(axes, "^") == []
    assert xy(axes, "x") == [([1.0], [low])] and rounded(xy(axes, "*")) == [([1e-2], [95])]
    assert (
        axes.get_xscale() == "log"
        and axes.get_xlabel() == "learning_rate"
        and axes.get_ylabel() == "val/accuracy (%)"
    )
    assert low < 90 and high > 95


def test_of_a_falling_metric_the_lost_are_at_the_top() -> None:
    axes = only(scatter.sensitivity(AlternativeRecord("adam", {}, (RATE,)), TRIALS, None, LOSS, 5.0))
    _, high = axes.get_ylim()
    assert xy(axes, "x") == [([1.0], [high])] and xy(axes, "*") == []


def test_choices_are_places_side_by_side_and_panels_two_in_a_row() -> None:
    dimensions = (
        RATE, DimensionRecord("a.name", "choice", None, None, ("x", "y")), DimensionRecord("b.depth", "int", 2, 6, ()),
    )  # fmt: skip
    settings = [("x", 2), ("y", 6)]
    trials = [
        known._replace(settings={RATE.path: 0.1, "a.name": name, "b.depth": depth})
        for known, (name, depth) in zip(TRIALS[:2], settings, strict=True)
    ]
    figure = scatter.sensitivity(AlternativeRecord("adam", {}, dimensions), trials, None, JUDGE, 5.0)
    assert figure is not None
    first, second, third, fourth = figure.axes
    assert not fourth.get_visible() and first.get_visible()
    assert xy(second, "o")[0][0] == [0, 1] and [t.get_text() for t in second.get_xticklabels()] == ["x", "y"]
    assert third.get_xlim() == pytest.approx((2 - 0.16, 6 + 0.16))  # 4% of 4
    assert (first.get_ylabel(), second.get_ylabel(), third.get_ylabel()) == (
        "val/accuracy (%)",
        "",
        "val/accuracy (%)",
    )


def test_nothing_that_varied_and_nothing_with_a_value_has_no_picture() -> None:
    nothing = AlternativeRecord("adam", {}, ())
    assert scatter.sensitivity(nothing, TRIALS, None, JUDGE, 5.0) is None
    assert scatter.sensitivity(AlternativeRecord("adam", {}, (RATE,)), TRIALS[3:5], None, JUDGE, 5.0) is None


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-3, 10.0, ["0.001", "0.01", "0.1", "1", "10"]),
        (2e-3, 5e-2, ["0.002", "0.01", "0.05"]),  # one power of ten between the ends: both ends beside it
    ],
)
def test_ticks_of_a_logarithmic_axis(low: float, high: float, ticks: list[str]) -> None:
    axis = parallel._logarithmic("rate", low, high)
    assert [text for _, text in axis.ticks] == ticks and axis.name == "rate (log)"
    assert (axis.place(low), axis.place(high)) == (0, 1) and axis.place(
        float(np.sqrt(low * high))
    ) == pytest.approx(0.5)


def test_the_score_axis_has_the_best_on_top() -> None:
    trials = [trial(i, 0.1, value) for i, value in enumerate((0.90, 0.92, 0.95))]
    rising, falling = parallel._score_axis(trials, JUDGE), parallel._score_axis(trials, LOSS)
    assert rising.place(0.95) > rising.place(0.92) > rising.place(0.90) > 0 == rising.place(0.0)
    assert falling.place(0.90) > falling.place(0.92) > falling.place(0.95) and falling.place(9.0) == 0
    assert [text for _, text in rising.ticks] == ["90", "92", "94"]  # 5.8 points in about five steps: of two
    assert rising.ticks[0][0] == pytest.approx(rising.place(0.90))


def test_values_that_left_their_range_stay_on_the_axis() -> None:
    """Rules that perturb settings on the way may leave the range, or a list of choices."""
    axis = parallel._setting_axis(RATE, [trial(0, 2.0, 0.9), trial(1, 0.5, 0.9)])
    assert (axis.place(1e-4), axis.place(2.0)) == (0, 1)
    choice = DimensionRecord("a.width", "choice", None, None, (32, 64))
    left = [trial(0, 0.1, 0.9)._replace(settings={"a.width": 48})]
    assert [text for _, text in parallel._setting_axis(choice, left).ticks] == ["32", "64", "48"]
    normal = DimensionRecord("a.x", "normal", 0.0, 1.0, ())
    drawn = [trial(i, 0.1, 0.9)._replace(settings={"a.x": x}) for i, x in enumerate((-2.0, 2.0))]
    assert parallel._setting_axis(normal, drawn).place(0.0) == 0.5


def test_which_pictures_a_sweep_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "png", lambda figure, dpi: b"drawn elsewhere")
    record = SweepRecord(
        Path("nowhere"), "s", JUDGE, "random", False, 20, 1, 8, None, ("digits",),
        (AlternativeRecord("adam", {}, (RATE,)),), tuple(TRIALS), (),
    )  # fmt: skip
    known = part(
        row(trial="adam-1"), best_of={"adam": [BestOf(1, 0.9, None, None), BestOf(2, 0.95, None, None)]}
    )
    drawn = {picture.name: picture for picture in plots.pictures(Answer(record, [known], {}))}
    assert list(drawn) == ["leaderboard", "best-of-k", "sensitivity-adam"]
    assert drawn["best-of-k"].caption == "Best value of the search so far."
    assert (
        drawn["leaderboard"].caption == "Means with 95% intervals; small dots are single runs, fresh seeds."
    )


# ensembles


def account(**changes: Any) -> Any:
    band_of = {"mean": 0.5, "low": 0.4, "high": 0.6}
    curve = [{"members": k, "subsets": 3, "f1": band_of, "loss": band_of} for k in (1, 2)]
    members = [
        {"name": name, "metrics": {"f1": value, "loss": 1 - value}}
        for name, value in (("a", 0.25), ("b", 0.5))
    ]
    known = {
        "split": "test", "judge": "f1", "rising": ["f1"], "bounds": {"f1": [0, 1]},
        "members": members, "mean": {"f1": 0.375, "loss": 0.625}, "best": None,
        "ensemble": {"f1": 0.75, "loss": 0.25, "ece": 0.1}, "curve": curve,
    }  # fmt: skip
    return {**known, **changes}


def test_members_are_dots_beside_their_mean_and_the_ensemble() -> None:
    first, second = ensemble_charts(account())["members"]
    assert (first.y_label, second.y_label) == ("test/f1 (%)", "test/loss")  # not every metric
    assert (first.title, first.name) == ("Members and ensemble: test/f1", "members-f1") and first.whole
    members, mean, whole = first.lines
    assert (members.x.tolist(), members.y.tolist(), members.dots) == ([1, 2], [25, 50], True)
    assert (mean.x.tolist(), mean.y.tolist(), mean.label) == ([1, 2], [37.5, 37.5], "their mean")
    assert (whole.y.tolist(), whole.label) == ([75, 75], "ensemble")


@pytest.mark.parametrize(
    ("subsets", "bands", "label"),
    [(3, True, "mean over subsets"), (1, False, "average of the best by validation")],
)
def test_the_curve_has_a_band_where_there_are_subsets(subsets: int, bands: bool, label: str) -> None:
    known = account()
    for point in known["curve"]:
        point["subsets"] = subsets
    chart = ensemble_charts(known)["curve"][0]
    [line] = chart.lines
    assert (line.label, line.x.tolist(), line.y.tolist(), chart.level) == (label, [1, 2], [50, 50], None)
    assert (line.low is not None and line.low.tolist() == [40, 40]) is bands
    assert (line.high is not None and line.high.tolist() == [60, 60]) is bands
    assert ("one of each size" in chart.caption) is not bands
    best = {"name": "b", "by": "f1", "metrics": {"f1": 0.5, "loss": 0.5}}
    assert ensemble_charts(account(best=best))["curve"][0].level == (50, "best member by validation")
    assert "curve" not in ensemble_charts(account(curve=known["curve"][:1]))


def test_a_barrier_beside_the_straight_line_between_its_ends() -> None:
    line = [{"alpha": a, "loss": loss} for a, loss in ((0.0, 0.5), (0.5, 2.0), (1.0, 0.25))]
    barrier: Any = {"between": ["a", "b"], "split": "val", "line": line, "height": 1.6}
    known = account(judge="loss", ensemble={"loss": 0.25}, barrier=barrier)
    [chart] = ensemble_charts(known)["barrier"]
    values, straight = chart.lines
    assert (values.x.tolist(), values.y.tolist()) == ([0, 0.5, 1], [0.5, 2, 0.25])
    assert (straight.x.tolist(), straight.y.tolist()) == ([0, 1], [0.5, 0.25])
    assert (chart.x_label, chart.y_label) == ("a → b", "val/loss")


def test_reliability_before_and_after() -> None:
    bins = {"confidence": [0.25, 0.75], "accuracy": [0.5, 0.75], "counts": [1, 3], "error": 0.123456}
    known: Any = {"before": bins, "after": {**bins, "error": 0.01}, "temperature": 1.5}
    axes = only(ensemble._reliability(known))
    assert [dots.get_label() for dots in axes.collections] == [
        "as predicted: error 12.35%", "after temperature scaling: error 1.00%",
    ]  # fmt: skip
    assert rounded(xy(axes)) == [([0, 100], [0, 100]), ([25, 75], [50, 75]), ([25, 75], [50, 75])]
    few, many = axes.collections[0].get_sizes()  # type: ignore[attr-defined]
    assert many > 2 * few
    assert len(only(ensemble._reliability({"before": bins})).lines) == 2  # type: ignore[typeddict-item]


# what all pictures share


def test_names_are_drawn_letter_by_letter() -> None:
    assert (
        plain("a$b_1$\n") == r"a\$b_1\$?"
        and plain("x" * 30) == "x" * 23 + "…"
        and plain("x" * 24) == "x" * 24
    )
    assert (axis_label(JUDGE), axis_label(LOSS)) == ("val/accuracy (%)", "val/loss")


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of #rrggbb."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_lines_stand_out_from_paper_by_day_and_by_night() -> None:
    """WCAG 2.2, 1.4.11: 3 to 1 for graphics; by night lines are lighter."""
    for colour in COLOURS:
        assert 1.05 / (luminance(colour) + 0.05) >= 3, colour
    for colour in NIGHT:
        assert (luminance(colour) + 0.05) / (luminance("#16191d") + 0.05) >= 4.5, colour


def test_the_ninth_line_has_the_first_colour_and_another_style() -> None:
    assert look(0) == {"color": "#0072B2", "linestyle": "-"}
    assert look(8) == {"color": "#0072B2", "linestyle": "--"} and look(16)["linestyle"] == ":"
    assert look(24) == look(0)
