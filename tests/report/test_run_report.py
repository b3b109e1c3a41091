"""What curves say, charts on pages and in pictures, and the page of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from nnrun.report import reports
from nnrun.report.chart import MOST_POINTS, Chart, Line, thinned
from nnrun.report.drawn import figure_of
from nnrun.report.interactive import charts_html
from nnrun.report.run.charts import charts_of
from nnrun.report.run.page import page
from nnrun.report.run.remarks import remarks
from nnrun.report.run.subject import read_subject

STEPS = 10 * np.arange(1, 21)


def write_run(folder: Path, **curves: np.ndarray) -> Path:
    """A run folder with these curves; `val__loss` stands for val/loss."""
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({"status": "done", "step": 200}))
    names = [name.replace("__", "/") for name in curves]
    rows = [
        {"step": int(step), **dict(zip(names, map(float, row), strict=True))}
        for step, *row in zip(STEPS[: len(next(iter(curves.values())))], *curves.values(), strict=True)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    summary = {
        "status": "done", "steps": 200, "epochs": 20.0, "rising": ["accuracy"], "bounds": {"accuracy": [0.0, 1.0]},
        "best": {"metric": "val/accuracy", "value": 0.9, "step": 100}, "stopped_early": None,
        "baseline": {"prediction": "largest class", "metrics": {"val/accuracy": 0.3}},
        "metrics": {"best": {"val/accuracy": 0.9}, "last": {"val/accuracy": 0.9}},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


FALLING = 2.0 * 0.8 ** np.arange(20)
FLAT = np.where(np.arange(20) < 10, 2.0 - 0.15 * np.arange(20), 0.5)
TURNING = FLAT + np.where(np.arange(20) > 10, 0.05 * (np.arange(20) - 10), 0)
RATE = np.full(20, 0.1)
GOOD = np.linspace(0.5, 0.9, 20)


@pytest.mark.parametrize(
    ("curves", "about", "beginning"),
    [
        (
            {"val__loss": TURNING, "train__loss": FALLING},
            "fit",
            "it overfits from step 110 on: val/loss was 0.5 there",
        ),
        (  # a rate that is too high is no overfitting, and updates of a net that is dead are no comfort
            {
                "val__loss": TURNING,
                "train__loss": TURNING,
                "update__ratio": STEPS * 1e-5,
                "learning_rate": RATE,
            },
            "rate",
            "it got worse in training too, from step 110 on: train/loss was 0.5 there and 0.875 in the last fifth",
        ),
        ({"val__loss": FALLING, "learning_rate": RATE}, "fit", "val/loss was still falling when it ended: "),
        (
            {"val__loss": FLAT, "train__accuracy": GOOD, "val__accuracy": GOOD - 0.1},
            "fit",
            "it is better in training by 10.00 points: train/accuracy 86.84%, val/accuracy 76.84%",
        ),
        (
            {"val__loss": FLAT, "train__accuracy": np.full(20, 0.305), "val__accuracy": np.full(20, 0.31)},
            "fit",
            "it has learned next to nothing: val/accuracy 31.00%, and 30.00% for a constant prediction (largest class)",
        ),
        (  # few examples to validate with, and training says that it has learned
            {"val__loss": FLAT, "train__accuracy": np.full(20, 0.73), "val__accuracy": np.full(20, 0.31)},
            "fit",
            "it is better in training by 42.00 points",
        ),
        (
            {"update__ratio": np.full(20, 0.05), "learning_rate": RATE},
            "rate",
            "the learning rate may be too high",
        ),
        (
            {"update__ratio": np.full(20, 1e-6), "learning_rate": RATE},
            "rate",
            "the learning rate may be too low",
        ),
    ],
)
def test_a_curve_is_put_into_words(
    curves: dict[str, np.ndarray], about: str, beginning: str, tmp_path: Path
) -> None:
    said = [
        remark
        for remark in remarks(read_subject("run", write_run(tmp_path / "run", **curves)))
        if not remark.fine
    ]
    assert [remark.about for remark in said] == [about]
    assert said[0].sentence.startswith(beginning), said[0].sentence


def test_a_run_that_overfits_before_it_has_learned_anything_is_told_both(tmp_path: Path) -> None:
    guessed = np.full(20, 0.29)
    folder = write_run(tmp_path / "run", val__loss=TURNING, train__loss=FALLING, val__accuracy=guessed)
    overfits, no_better = remarks(read_subject("run", folder))
    assert overfits.sentence.startswith("it overfits from step 110 on")
    assert (
        "constant prediction (largest class): val/accuracy 29.00%, and 30.00% for that" in no_better.sentence
    )


def test_a_short_run_is_told_how_far_apart_its_parts_are(tmp_path: Path) -> None:
    metrics = {
        "val__loss": np.full(3, 2.0),
        "train__accuracy": np.full(3, 1.0),
        "val__accuracy": np.full(3, 0.5),
    }
    (remark,) = remarks(read_subject("run", write_run(tmp_path / "run", **metrics)))
    assert "train/accuracy 100.00%, val/accuracy 50.00% (the last ones)" in remark.sentence


def test_a_run_that_is_better_in_validation_is_not_called_close(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", val__loss=FLAT, train__accuracy=GOOD - 0.1, val__accuracy=GOOD)
    (remark,) = remarks(read_subject("run", folder))
    assert remark.fine and "better in validation by 10.00 points: train/accuracy 76.84%" in remark.sentence


def test_a_run_that_has_come_to_rest_has_nothing_to_be_fixed(tmp_path: Path) -> None:
    folder = write_run(
        tmp_path / "run", val__loss=FLAT, train__loss=FLAT, train__accuracy=GOOD, val__accuracy=GOOD - 0.01,
        update__ratio=np.full(20, 1e-3), learning_rate=RATE,
    )  # fmt: skip
    said = remarks(read_subject("run", folder))
    assert [remark.about for remark in said] == ["fit", "rate"]
    assert all(remark.fine for remark in said)


def test_a_loss_that_falls_while_the_rate_ends_at_zero_is_not_cut_short(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", val__loss=FALLING, learning_rate=np.linspace(0.1, 0, 20))
    assert remarks(read_subject("run", folder)) == []


def test_seeds_are_a_mean_with_its_interval(tmp_path: Path) -> None:
    values = [0.5 + 0.1 * seed for seed in range(3)]
    for seed, value in enumerate(values):
        write_run(tmp_path / f"group/seed_{seed}", val__accuracy=np.full(20, value))
    (tmp_path / "group/state.json").write_text('{"status": "done"}')
    (chart,) = charts_of([read_subject("group", tmp_path / "group")])
    (line,) = chart.lines
    assert line.low is not None and line.high is not None
    assert line.y == pytest.approx(np.full(20, np.mean(values)))
    # Student's t with two degrees of freedom, 4.30265; no summary says yet that an accuracy is a share.
    half = 4.302652729911275 * np.std(values, ddof=1) / np.sqrt(3)
    assert (line.high - line.y)[0] == pytest.approx(half)
    assert "Means over 3 seeds" in chart.caption and "95% intervals" in chart.caption


def data_of(html: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json">(.*?)</script>', html)
    assert match
    return json.loads(match[1])


def test_lines_keep_their_values_on_a_common_axis() -> None:
    train = Line("train", np.array([1, 2, 4]), np.array([3.0, np.nan, 1.0]))
    val = Line("val", np.array([2, 3]), np.array([5.0, 0.25]))
    dots = Line("dots", np.array([2.0, 2.0, 1.0]), np.array([7.0, 8.0, 9.0]), dots=True)
    data = data_of(charts_html([Chart("c", "c", "", "x", "y", (train, val))]))
    assert data["x"] == [1, 2, 3, 4]
    assert [line["values"] for line in data["series"]] == [[3, None, None, 1], [None, 5, 0.25, None]]
    scatter = data_of(charts_html([Chart("c", "c", "", "x", "y", (dots,))]))
    assert list(zip(scatter["x"], scatter["series"][0]["values"], strict=True)) == [(1, 9), (2, 7), (2, 8)]


def test_a_band_that_reaches_zero_ends_at_the_bottom_of_a_logarithmic_axis() -> None:
    line = Line(
        "l", np.arange(3), np.array([1.0, 0.5, 0.0]), np.array([-1.0, 0.25, 0.0]), np.array([3.0, 1.0, 1.0])
    )
    (series,) = data_of(charts_html([Chart("c", "c", "", "x", "y", (line,), logarithmic=True)]))["series"]
    assert (series["values"], series["low"]) == ([1, 0.5, None], [0.5, 0.5, 0.5])


def test_a_long_curve_is_drawn_by_means_and_says_so() -> None:
    count = 3 * MOST_POINTS - 1
    line, of = thinned(Line("l", np.arange(count), np.arange(count, dtype=float) ** 2))
    assert (of, len(line.y)) == (3, MOST_POINTS)
    assert line.y[:2].tolist() == [5 / 3, (9 + 16 + 25) / 3]
    assert line.y[-1] == pytest.approx(((count - 2) ** 2 + (count - 1) ** 2) / 2)
    html = charts_html(
        [Chart("c", "c", "Caption.", "x", "y", (Line("l", np.arange(count), np.arange(count)),))]
    )
    assert "Caption. Each point is the mean of 3 logged steps." in html


def test_a_legend_of_twelve_long_names_is_whole_and_inside() -> None:
    names = [f"runs/2026-11-28_a_long_name_of_a_run_{i}_{'and_more_words_' * 8}end" for i in range(12)]
    lines = tuple(Line(name, np.arange(3), np.arange(3) * i) for i, name in enumerate(names))
    figure = figure_of(Chart("c", "c", "", "step", "loss", lines))
    FigureCanvasAgg(figure).draw()
    (part,) = figure.subfigs
    legend = part.legends[0]
    assert ["".join(text.get_text().split()) for text in legend.get_texts()] == names
    box, page_box = legend.get_window_extent(), figure.bbox
    assert box.x0 >= page_box.x0 and box.x1 <= page_box.x1 and box.y0 >= page_box.y0 and box.y1 <= page_box.y1
    axes_box = part.axes[0].get_window_extent()
    assert box.y1 <= axes_box.y0 and axes_box.height > 0.5 * 3.6 * figure.dpi


def test_a_page_needs_nothing_else_and_is_the_same_each_time(tmp_path: Path) -> None:
    name = "</script><b>run"
    folder = write_run(tmp_path / "run", val__loss=TURNING, train__loss=FALLING)
    subject = read_subject(name, folder)._replace(label=name)
    html = page([subject], {})
    assert html == page([subject], {})
    assert name not in html and "&lt;/script&gt;&lt;b&gt;run" in html
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "Permission is hereby granted" in html, "the licence of uPlot"
    assert 'http-equiv="refresh"' not in html and 'http-equiv="refresh" content="5"' in page(
        [subject], {}, None, 5
    )
    assert "it overfits from step 110 on" in html


def test_small_updates_after_all_is_learned_say_nothing_of_the_rate(tmp_path: Path) -> None:
    ratio = np.where(np.arange(20) < 5, 2e-3, 1e-7)
    loss = np.where(np.arange(20) < 5, 2.0, 1e-5)
    folder = write_run(tmp_path / "run", update__ratio=ratio, learning_rate=RATE, train__loss=loss)
    (remark,) = remarks(read_subject("run", folder))
    assert remark.fine and "0.002 of the parameters" in remark.sentence


def test_a_loss_below_zero_is_judged_by_its_size(tmp_path: Path) -> None:
    """As that of counts may be: it rises from −2 by 0.15, less than a tenth; it is at −0.1 first, and still learns."""
    val = FLAT - 2.5 + np.where(np.arange(20) > 10, 0.02 * (np.arange(20) - 10), 0)
    ratio = np.where(np.arange(20) < 1, 1e-1, 2e-3)
    folder = write_run(
        tmp_path / "run", val__loss=val, train__loss=-0.1 - 0.1 * np.arange(20), update__ratio=ratio, learning_rate=RATE
    )  # fmt: skip
    (remark,) = remarks(read_subject("run", folder))
    assert remark.fine and "0.002 of the parameters" in remark.sentence


def test_a_metric_of_one_target_is_drawn_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", **{"val__rmse": GOOD, "val__rmse(a)": GOOD, "val__loss": FLAT})
    subjects = reports.subjects_of([folder])
    assert [chart.name for chart in charts_of(subjects)] == ["loss", "rmse"]
    reports.write_picture(tmp_path / "a.svg", subjects, ["val/rmse(a)"])
    assert b"rmse(a)" in (tmp_path / "a.svg").read_bytes()


def test_a_damaged_line_is_refused(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", val__loss=FLAT)
    (folder / "metrics.jsonl").write_text("{}\n[1]\n")
    with pytest.raises(Exception, match=r"metrics.jsonl:2: damaged line"):
        reports.subjects_of([folder])


@pytest.mark.parametrize("suffix", ["svg", "pdf", "png"])
def test_a_picture_is_the_same_each_time(suffix: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", val__accuracy=GOOD, val__loss=FLAT, learning_rate=RATE)
    write: Callable[[str], bytes] = lambda name: (  # noqa: E731
        reports.write_picture(tmp_path / name, reports.subjects_of([folder]), ["val/accuracy"])
        or (tmp_path / name).read_bytes()
    )
    first = write(f"a.{suffix}")
    assert first == write(f"b.{suffix}")
    if suffix == "svg":
        assert b"accuracy" in first and b"learning_rate" not in first
