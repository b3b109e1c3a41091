"""The report of a sweep as a page, its pictures' data, and the cautions, from answers made by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnrun.report.drawing import Picture
from nnrun.report.sweep import figures, page, scatter
from nnrun.report.sweep.cautions import cautions, missing
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import AlternativeRecord, DimensionRecord, SweepRecord, TrialRecord
from nnrun.report.sweep.plots import pictures
from nnrun.report.sweep.reached import Reached
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.verdict import sentences
from nnrun.statistics.budget import BestOf
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.importance import Importance
from nnrun.statistics.metric import SHARE, Metric

RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())


def trial(
    number: int, value: float | None, status: str = "done", rate: float = 0.1, **changes: Any
) -> TrialRecord:
    record = TrialRecord(
        f"sgd-{number:03d}", "digits", "sgd", number, "", {"optimizer.learning_rate": rate}, status, value, (value,),
        30, 1.0, None,
    )  # fmt: skip
    return record._replace(**changes)


def row(label: str, mean: float | None = 0.9, **changes: Any) -> AnswerRow:
    values = dict.fromkeys(range(10), mean) if mean is not None else {}
    plain = AnswerRow(
        "digits",
        label,
        f"{label}-000",
        {},
        None,
        0.9,
        values,
        mean,
        None,
        None,
        mean,
        True,
        0.9,
        10,
        0,
        20,
        0,
        0,
        0,
        None,
    )
    return plain._replace(**changes)


def pair(
    first: str, second: str, value: float = 0.01, p: float = 0.001, seeds: int = 10, needed: int | None = 40
) -> Any:
    return PairComparison(first, second, value, value - 0.01, value + 0.01, p, p, seeds, needed)


def part(*rows: AnswerRow, **changes: Any) -> BaseAnswer:
    return BaseAnswer("digits", Metric("test/accuracy", True, SHARE), list(rows), [], None, {}, {})._replace(
        **changes
    )


def answer(*parts: BaseAnswer, folder: Path = Path("nowhere"), **changes: Any) -> Answer:
    labels = list(dict.fromkeys(row.alternative for part in parts for row in part.rows)) or ["sgd"]
    sweep = SweepRecord(
        folder, "sweep", Metric("val/accuracy", True, SHARE), "random", False, 20, 3, 10, None,
        tuple(part.base for part in parts) or ("digits",),
        tuple(AlternativeRecord(label, {}, (RATE,)) for label in labels), (), (),
    )  # fmt: skip
    return Answer(sweep._replace(**changes), list(parts), {})


def cells(text: str, heading: str) -> list[list[str]]:
    """The rows of the table below a heading."""
    section = text.partition(f"<h2>{heading}")[2].partition("<h2>")[0]
    lines = re.findall(r"<tr[^>]*>(.*?)</tr>", section)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", line) for line in lines]


def test_the_facts_in_a_line():
    text = page.page(answer(part(row("sgd"), row("adam"))), [])
    facts = "2 alternatives, 20 trials each by random search, 3 seeds a trial, judged by val/accuracy (more is better)"
    assert f"{facts}; 0 runs" in text
    falling = answer(
        part(row("sgd")), trials=(trial(0, 0.5), trial(1, 0.5)), seeds=1, judge=Metric("val/loss", False)
    )
    assert (
        "1 alternative, 20 trials by random search, 1 seed a trial, judged by val/loss (less is better); 2 runs"
        in (page.page(falling, []))
    )


def test_the_leaderboard_of_a_page():
    reached = Reached(10, 10, 1234.0, 5.6789)
    text = page.page(
        answer(part(row("sgd", low=0.89, high=0.91, middle=0.905, reached=reached), row("adam"), target=0.9)),
        [],
    )
    head, first, second = cells(text, "Leaderboard")
    assert head == [
        "alternative", "test/accuracy", "95% interval", "middle half", "seeds", "val/accuracy in the search",
        "on fresh seeds", "steps to val/accuracy 90.00%", "seconds", "trials", "chosen setting",
    ]  # fmt: skip
    assert first == [
        "sgd", "90.00%", "[89.00, 91.00]", "90.50%", "10", "90.00%", "90.00%", "1,234", "5.68", "20", "",
    ]  # fmt: skip
    assert second[7:9] == ["–", "–"]


def test_values_of_the_search_are_marked_among_fresh_ones():
    text = page.page(answer(part(row("sgd"), row("adam", fresh=False))), [])
    _, first, second = cells(text, "Leaderboard")
    assert (first[1], second[1]) == ("90.00%", "90.00% (search)")


@pytest.mark.parametrize(
    ("dimension", "text"),
    [
        (DimensionRecord("a", "choice", None, None, (1, "x", [2])), "one of 1, x, [2]"),
        (DimensionRecord("a", "normal", 0.5, 0.1, ()), "normal, 0.5 ± 0.1"),
        (DimensionRecord("a", "uniform", 0.0, 0.5, ()), "0 to 0.5"),
        (DimensionRecord("a", "log", 1e-4, 1.0, ()), "0.0001 to 1, logarithmic"),
        (DimensionRecord("a", "int", 1, 8, ()), "1 to 8, whole"),
        (DimensionRecord("a", "log_int", 1, 512, ()), "1 to 512, whole, logarithmic"),
    ],
)
def test_what_varied(dimension: DimensionRecord, text: str):
    content = answer(part(row("sgd")), alternatives=(AlternativeRecord("sgd", {}, (dimension,)),))
    assert cells(page.page(content, []), "What varied")[1] == ["sgd", "a", text]


def test_all_trials_best_first_and_failures_with_their_reason():
    trials = (
        trial(0, 0.5), trial(1, None, "failed", reason="<b>bad</b>"), trial(2, 0.75),
        trial(3, None, "diverged", reason="inf"),
    )  # fmt: skip
    rows = cells(page.page(answer(part(row("sgd")), trials=trials), []), "Trials")
    assert [line[:3] for line in rows[1:]] == [
        ["sgd-002", "75.00%", "done"], ["sgd-000", "50.00%", "done"],
        ["sgd-001", "–", "failed: &lt;b&gt;bad&lt;/b&gt;"], ["sgd-003", "–", "diverged"],
    ]  # fmt: skip


def test_every_pair_with_both_p_values():
    comparisons = [
        pair("sgd", "adam")._replace(p=0.0004, adjusted=0.03, higher=0.75),
        pair("sgd", "rmsprop", p=0.5),
    ]
    rows = cells(page.page(answer(part(row("sgd"), comparisons=comparisons)), []), "All pairs")
    assert rows[1] == [
        "sgd",
        "adam",
        "+1.00 [+0.00, +2.00]",
        "75%",
        "10",
        "&lt; 0.001",
        "0.03",
        "–",
        "–",
        "–",
        "[+0.00, +2.00]",
        "different",
    ]
    assert rows[2][-1] == "no significant difference"


def test_several_bases_have_their_names_in_the_headings():
    text = page.page(
        answer(part(row("sgd")), part(row("sgd"), base="mnist")), [Picture("a", "t", "c", b"png")]
    )
    assert "<h2>Leaderboard on digits</h2>" in text and "<h2>Leaderboard on mnist</h2>" in text
    assert "on 2 bases" in text and "<h2>Pictures</h2>" in text


def test_the_best_and_the_pairs_that_concern_it():
    comparisons = [pair("sgd", "adam"), pair("sgd", "rmsprop", 0.001, p=0.4), pair("adam", "rmsprop")]
    lines = sentences(
        answer(part(row("sgd"), row("rmsprop", 0.89), row("adam", 0.88), comparisons=comparisons))
    )
    assert lines[0] == "sgd is ahead on validation data; its test/accuracy is 90.00% (10 seeds)"
    assert [line.split(" (")[0] for line in lines[1:]] == [
        "sgd and rmsprop show no significant difference",  # what is open comes first
        "sgd beats adam by 1.00 points [0.00, 2.00]",
    ]
    assert sentences(answer(part(row("sgd", None)))) == []
    assert sentences(answer(part())) == []


# Cautions


def only(content: Answer, word: str) -> str:
    [line] = [line for line in cautions(content) if word in line]
    return line


def test_too_few_seeds_for_any_difference():
    content = answer(part(row("sgd"), row("adam"), comparisons=[pair("sgd", "adam", seeds=4)]))
    line = only(content, "too few")
    assert line.startswith(
        "4 seeds are too few: in this comparison no difference can get below p = 0.05, however large"
    )
    least = int(re.findall(r"final_seeds: (\d+)", line)[0])
    assert 2 / 2**least <= 0.05 < 2 / 2 ** (least - 1)


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (1234, "adam (about 1,234 would), if the difference is the 0.10 points seen"),
        (None, "more than 10,000"),
    ],
)
def test_how_many_seeds_would_tell(needed: int | None, text: str):
    content = answer(
        part(row("sgd"), row("adam"), comparisons=[pair("sgd", "adam", 0.001, p=0.5, needed=needed)])
    )
    assert text in only(content, "cannot tell")


def test_seeds_and_trials_that_were_lost():
    content = answer(
        part(
            row("a", diverged=3),
            row("b", None, diverged=10),
            row("c", unstable=5),
            row("d", unstable=1),
            row("e", failed=2),
            row("f", None, seeds=0),
        )
    )
    text = "\n".join(cautions(content))
    assert "a: 3 of 10 fresh seeds diverged; its mean is of the others" in text
    assert "b: 10 of 10 fresh seeds diverged; it has no mean" in text
    assert "c: 5 of 20 trials diverged" in text and "narrow its ranges" in text
    assert "d:" not in text
    assert "e: 2 of 20 trials failed; see the reasons in trials.jsonl" in text
    assert "f: its runs on fresh seeds failed; see the reason in final.jsonl" in text


@pytest.mark.parametrize(
    ("p", "text"), [(0.01, "a better one may lie beyond; widen it"), (0.5, "hardly depends on it there")]
)
def test_a_best_setting_at_the_end_of_its_range(p: float, text: str):
    importances = {"sgd": [Importance("optimizer.learning_rate", explained=0.5, p=p, correlation=None)]}
    settings = {"optimizer.learning_rate": 0.95}
    line = only(answer(part(row("sgd", settings=settings), importances=importances)), "upper end")
    assert (
        line.startswith("sgd: the best optimizer.learning_rate, 0.95, is at the upper end of its range")
        and text in line
    )


def test_a_ranking_that_changes_with_the_budget():
    def curve(*values: float) -> list[BestOf]:
        return [BestOf(k + 1, value, None, None) for k, value in enumerate(values)]

    curves = {"sgd": curve(*[0.9] * 10), "adam": curve(*[0.8] * 5, *[0.95] * 5)}
    line = only(answer(part(row("sgd"), row("adam"), best_of=curves)), "budget")
    assert "after 5 trials of tuning sgd would lead" in line and line.endswith("after 10 it is adam")
    same = {"sgd": curve(*[0.9] * 10), "adam": curve(*[0.8] * 10)}
    assert not any("budget" in line for line in cautions(answer(part(row("sgd"), row("adam"), best_of=same))))


def test_a_search_that_was_lucky():
    lucky = row("sgd", validation=0.95, validation_again=0.9, low=0.89, high=0.91)
    sound = row("adam", validation=0.905, validation_again=0.9, low=0.89, high=0.91)
    line = only(answer(part(lucky, sound)), "lucky")
    assert line.endswith("sgd 95.00% → 90.00%")


def test_what_an_unfinished_sweep_lacks(tmp_path):
    rows = row("sgd", trials=20), row("adam", trials=12, fresh=False)
    lines = missing(answer(part(*rows), folder=tmp_path))
    assert lines == [
        "32 of 40 trials have ended",
        "not yet trained on fresh seeds: adam; their values are those of the search",
    ]
    (tmp_path / "state.json").write_text('{"status": "done"}')
    assert missing(answer(part(*rows), folder=tmp_path)) == []
    [line] = missing(answer(part(*rows), folder=tmp_path, final_seeds=0))
    assert line.startswith("no final comparison was asked for")


# Pictures


def test_the_worst_trials_do_not_squeeze_the_others():
    """Whatever lies further below the lower quartile than the best above it is shown at the edge."""
    good = np.linspace(0.9, 1.0, 20)
    low, high = scatter.window(np.array([*good, 0.0]), rising=True)
    assert 0.7 < low < 0.9 and 1.0 < high < 1.1
    low, high = scatter.window(np.array([*(1 - good), 5.0]), rising=False)
    assert high < 0.3 and -0.1 < low < 0
    low, high = scatter.window(np.array([0.5]), rising=True)
    assert low < 0.5 < high


def test_one_panel_for_each_dimension():
    dimensions = (
        RATE,
        DimensionRecord("model.hidden", "choice", None, None, ([4], [8])),
        DimensionRecord("x", "int", 1, 9, ()),
    )
    settings = {"optimizer.learning_rate": 0.1, "model.hidden": [8], "x": 3}
    trials = [trial(i, 0.5 + i / 10, settings=settings) for i in range(3)] + [
        trial(3, None, "diverged", settings=settings)
    ]
    alternative = AlternativeRecord("sgd", {}, dimensions)
    figure = scatter.sensitivity(alternative, trials, "sgd-002", Metric("val/accuracy", True, SHARE), 5.0)
    assert figure is not None
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == [r"learning_rate", "hidden", "x"]
    assert [axes.get_xscale() for axes in shown] == ["log", "linear", "linear"]
    assert [tick.get_text() for tick in shown[1].get_xticklabels()] == ["[4]", "[8]"]
    marks = {line.get_marker(): len(line.get_xdata()) for line in shown[0].lines}
    assert marks == {"o": 3, "x": 1, "*": 1}
    assert (
        scatter.sensitivity(alternative, trials[3:], None, Metric("val/accuracy", True, SHARE), 5.0) is None
    )
    empty = AlternativeRecord("sgd", {}, ())
    assert scatter.sensitivity(empty, trials, None, Metric("val/accuracy", True, SHARE), 5.0) is None


def test_the_leaderboard_as_a_picture():
    looks = {name: {"color": "#000000"} for name in ("sgd", "adam", "lost")}
    rows = row("sgd", 0.9, low=0.8, high=0.95), row("adam", 0.7), row("lost", None)
    axes = figures.leaderboard(part(*rows), looks).axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["adam", "sgd"]  # the best at the top
    assert axes.get_xlabel() == "test/accuracy (%)"
    [bar] = [line for line in axes.lines if len(line.get_xdata()) == 2]
    assert list(bar.get_xdata()) == [pytest.approx(80), pytest.approx(95)]


def test_names_of_pictures_are_names_of_files():
    content = answer(
        part(row("a/../b c", settings={"optimizer.learning_rate": 0.1}), base="x$y"),
        trials=(trial(0, 0.5, base="x$y", alternative="a/../b c"),),
    )
    images = pictures(content)
    assert [image.name for image in images] == ["leaderboard", "sensitivity-a-..-b-c"]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,100}", image.name) for image in images)
