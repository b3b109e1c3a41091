"""Numbers and comparisons in words."""

from __future__ import annotations

import math

import pytest

from nnrun.errors import RunError
from nnrun.report.settings import settings_text
from nnrun.report.summary import finished, headline, read_summary, result_line, seeds_line, some_of
from nnrun.report.sweep.reached import Reached
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.tables import seeds_text, trials_text
from nnrun.report.sweep.verdict import steps_text
from nnrun.report.values import level, number, plus_minus, span
from nnrun.report.words import chance, difference, gap, pair_sentence, pair_verdict
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import SHARE, Metric
from nnrun.statistics.searches import OverSearches


def pair(
    value: float, low: float | None, high: float | None, p: float = 0.01, seeds: int = 8
) -> PairComparison:
    return PairComparison("adam", "sgd", value, low, high, p, p, seeds, None)


def row(**changes: object) -> AnswerRow:
    empty = AnswerRow(
        "digits",
        "sgd",
        "sgd-000",
        {},
        None,
        0.9,
        {},
        None,
        None,
        None,
        None,
        True,
        None,
        10,
        0,
        20,
        0,
        0,
        0,
        None,
    )
    return empty._replace(**changes)


ACCURACY, LOSS = Metric("test/accuracy", True, SHARE), Metric("val/loss", False)


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [
        (ACCURACY, 0.97894, "97.89%"), (ACCURACY, 1.0, "100.00%"), (LOSS, 0.0123456, "0.01235"),
        (LOSS, 1e-9, "1e-09"), (LOSS, None, "–"), (ACCURACY, None, "–"),
    ],
)  # fmt: skip
def test_a_value(metric: Metric, value: float | None, text: str):
    assert level(metric, value) == text


def test_an_interval_has_the_units_of_its_value():
    assert span(ACCURACY, 0.9, 0.95678) == "[90.00, 95.68]"
    assert span(LOSS, 0.123456, 2.0) == "[0.1235, 2]"
    assert span(LOSS, None, 2.0) == span(LOSS, 1.0, None) == ""


def test_a_gap_is_in_points_for_a_share():
    assert gap(ACCURACY, -0.0123) == "1.23 points"
    assert gap(LOSS, -0.0123456) == "0.0123"


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.5, "p = 0.5"), (0.0312, "p = 0.031"), (0.001, "p = 0.001"), (0.00099, "p < 0.001"), (1.0, "p = 1")],
)
def test_a_p_value(p: float, text: str):
    assert chance(p) == text


def test_a_difference_forwards_and_backwards():
    accuracy = pair(0.012, 0.008, 0.016)
    assert difference(ACCURACY, accuracy) == "+1.20 [+0.80, +1.60]"
    assert difference(ACCURACY, accuracy, forward=False) == "-1.20 [-1.60, -0.80]"
    assert difference(LOSS, pair(-0.5, None, None)) == "-0.5"


def test_the_winner_of_a_pair_comes_first():
    assert (
        pair_sentence(ACCURACY, pair(0.012, 0.008, 0.016))
        == "adam beats sgd by 1.20 points [0.80, 1.60] (p = 0.01, 8 seeds)"
    )
    assert pair_sentence(ACCURACY, pair(-0.012, -0.016, -0.008)) == (
        "sgd beats adam by 1.20 points [0.80, 1.60] (p = 0.01, 8 seeds)"
    )


def test_of_a_falling_metric_the_smaller_one_wins():
    metric = Metric("test/loss", False)
    assert pair_sentence(metric, pair(0.5, 0.25, 0.75)).startswith("sgd beats adam by 0.5 [0.25, 0.75]")
    assert pair_sentence(metric, pair(-0.5, None, None)).startswith("adam beats sgd by 0.5 (p")


def test_three_sources_of_chance_side_by_side():
    """All together: the half widths over searches, which hold the seeds, and over examples, in quadrature."""
    seeds = pair(0.02, 0.018, 0.022)
    known = seeds._replace(
        searched=True,
        claim=0.01,
        verdict=0.02,
        searches=OverSearches(0.017, 0.023, 0.01, 12, None),
        examples=(0.016, 0.024),
    )
    assert known.overall == pytest.approx((0.015, 0.025))
    assert known.decided and pair_sentence(ACCURACY, known) == (
        "adam beats sgd by 2.00 points [1.50, 2.50]: over seeds [1.80, 2.20], over other searches [1.70, 2.30], "
        "over other examples [1.60, 2.40] (p = 0.02, 8 seeds, 12 trials)"
    )
    plain = seeds._replace(examples=(0.0170, 0.0215), verdict=0.01)
    assert plain.overall == pytest.approx((0.02 - math.hypot(0.002, 0.003), 0.02 + math.hypot(0.002, 0.0015)))
    assert pair_sentence(ACCURACY, plain) == (
        "adam beats sgd by 2.00 points [1.64, 2.25]: over seeds [1.80, 2.20], over other examples [1.70, 2.15] "
        "(p = 0.01, 8 seeds)"
    )


def test_what_could_turn_a_difference_round():
    seeds = pair(0.02, 0.018, 0.022)
    near, far = OverSearches(-0.01, 0.05, 0.3, 12, None), OverSearches(0.001, 0.04, 0.01, 12, None)
    few = seeds._replace(examples=(-0.001, 0.041))
    assert not few.decided and pair_sentence(ACCURACY, few) == (
        "adam beats sgd here by 2.00 points [1.80, 2.20] (p = 0.01, 8 seeds); over other examples [-0.10, 4.10]: "
        "other examples could turn it round"
    )
    searched = few._replace(searched=True, searches=near, claim=0.3)
    assert pair_sentence(ACCURACY, searched).endswith(
        "over other searches [-1.00, 5.00] (p = 0.3, 12 trials), over other examples [-0.10, 4.10]: another search or "
        "other examples could turn it round"
    )
    together = seeds._replace(searched=True, searches=far, claim=0.01, examples=(0.001, 0.04), verdict=0.11)
    assert not together.decided and pair_sentence(ACCURACY, together).endswith(
        "over other examples [0.10, 4.00], all together [-0.69, 4.83] (p = 0.11): it could turn round"
    )
    assert [pair_verdict(known) for known in (few, searched, together)] == [
        "only these examples", "only these settings", "only these examples",
    ]  # fmt: skip


def test_no_significant_difference():
    text = pair_sentence(Metric("test/loss", False), pair(0.5, -0.1, 1.1, p=0.2))
    assert text == "adam and sgd show no significant difference (p = 0.2, 8 seeds)"


@pytest.mark.parametrize(
    ("reached", "text"),
    [
        (None, "–"),
        (Reached(10, 10, 1234.0, 5.0), "1,234"),
        (Reached(8, 10, 30.0, None), "30 (8 of 10 seeds)"),
        (Reached(5, 10, 30.0, None), "5 of 10 seeds"),
        (Reached(0, 10, float("inf"), None), "0 of 10 seeds"),
    ],
)
def test_steps_to_the_target(reached: Reached | None, text: str):
    assert steps_text(row(reached=reached)) == text


def test_how_many_seeds_and_trials():
    assert seeds_text(row(seeds=10)) == "10"
    assert seeds_text(row(seeds=10, diverged=2, values=dict.fromkeys(range(8), 0.9))) == "8 of 10"
    assert trials_text(row(trials=20)) == "20"
    assert (
        trials_text(row(trials=20, unstable=2, stopped=3, failed=1)) == "20 (2 diverged, 3 stopped, 1 failed)"
    )


def test_settings_by_their_last_part_where_that_is_unique():
    settings = {
        "optimizer.learning_rate": 0.0123456,
        "model.layers.1.rate": 0.5,
        "augment.rate": 1,
        "model.hidden": [4],
    }
    assert (
        settings_text(settings, 3)
        == "learning_rate=0.0123  model.layers.1.rate=0.5  augment.rate=1  hidden=[4]"
    )
    assert settings_text({}) == ""
    odd = {"data.delimiter": "\t", "data.exclude": ["Straße"], "data.target": "a b"}
    assert settings_text(odd) == 'delimiter="\\t"  exclude=["Straße"]  target=a b'
    names = {"optimizer.name": "lookahead", "optimizer.inner.name": "sgd", "model.norm.name": "batch"}
    assert settings_text(names) == "optimizer=lookahead  inner=sgd  norm=batch"
    rates = {"optimizer.learning_rate": 0.012345, "optimizer.inner.learning_rate": 0.5}
    assert settings_text(rates) == "optimizer.learning_rate=0.01235  optimizer.inner.learning_rate=0.5"
    assert settings_text({"optimizer": {"name": "sgd"}, "train.random": "fast", "x": None}) == (
        'optimizer={"name": "sgd"}  random=fast  x=null'
    )


# A run's summary


@pytest.mark.parametrize(
    ("value", "text"), [(0.123456, "0.1235"), (3, "3"), ("nan", "nan"), (None, "None"), (1e-7, "1e-07")]
)
def test_a_number(value: object, text: str):
    assert number(value) == text


def test_some_of_all():
    assert some_of(5, 5) == "5"
    assert some_of(3, 5) == "3 of 5"
    assert seeds_line(5, 5) == "mean ± 95% interval of 5 seeds"
    assert seeds_line(3, 5) == "mean ± 95% interval of 3 of 5 seeds"
    assert seeds_line(0, 5) == "all 5 seeds diverged"


def test_test_metrics_come_before_validation_metrics():
    metrics = {"train/loss": 1.0, "val/loss": 2.0, "test/loss": 3.0, "test/accuracy": 0.5}
    assert result_line(metrics, {}) == "test/loss 3  test/accuracy 0.5"
    assert (
        result_line({"val/loss": 2.0, "train/loss": 1.0}, {"val/loss": [1.877, 2.123]}) == "val/loss 2 ± 0.12"
    )
    assert result_line({"train/loss": 1.0}, {}) == "train/loss 1"
    assert result_line({"test/loss": 3.0}, {"test/loss": None}) == "test/loss 3"


def test_the_headline_of_a_run():
    summary = {
        "status": "done",
        "steps": 30,
        "best": {"metric": "val/accuracy", "step": 20},
        "metrics": {"best": {"test/accuracy": 0.75}},
    }
    assert (
        headline(summary) == "done after 30 steps: test/accuracy 0.75  (at step 20, the best by val/accuracy)"
    )
    assert headline({**summary, "best": None}) == "done after 30 steps: test/accuracy 0.75"
    assert headline({"status": "diverged", "steps": 3}) == "diverged after 3 steps"


def test_the_headline_of_a_group():
    runs = [{"status": "done"}, {"status": "diverged"}, {"status": "done"}]
    summary = {
        "status": "done",
        "runs": runs,
        "mean": {"best": {"test/loss": 0.5}},
        "ci95": {"best": {"test/loss": [0.4877, 0.5123]}},
    }
    assert finished(summary) == 2
    assert headline(summary) == "done: test/loss 0.5 ± 0.012  (mean ± 95% interval of 2 of 3 seeds)"


def test_a_group_whose_intervals_are_half_widths_is_refused(tmp_path):
    """As written before there was a format of them: read as [low, high] they would be a bug in nnrun."""
    (tmp_path / "summary.json").write_text('{"mean": {"best": {"a": 1.0}}, "ci95": {"best": {"a": 0.1}}}')
    with pytest.raises(RunError, match=r"summary\.json: written by an earlier nnrun.*; train it again"):
        read_summary(tmp_path)
    (tmp_path / "summary.json").write_text('{"mean": {"best": {"a": 1.0}}, "ci95": {"best": {"a": null}}}')
    assert read_summary(tmp_path)["ci95"] == {"best": {"a": None}}


def test_an_interval_is_half_its_width_or_its_ends_where_it_was_cut():
    assert plus_minus(0.5, [0.4877, 0.5123]) == " ± 0.012"
    assert plus_minus(0.98, [0.9312, 1.0]) == " [0.9312, 1]"
    assert plus_minus(0.0, [0.0, 0.0]) == " ± 0"
    assert plus_minus(1e9 / 3, [1e9 / 3 - 1e-3, 1e9 / 3 + 1e-3]) == " ± 0.001"
    assert plus_minus(0.5, None) == plus_minus("nan", [0.4, 0.6]) == ""


def test_a_run_without_a_summary(tmp_path):
    assert read_summary(tmp_path) == {}
    (tmp_path / "summary.json").write_text('{"status": "done"}')
    assert read_summary(tmp_path) == {"status": "done"}
