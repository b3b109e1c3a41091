"""The factors of a sweep, from records to words, tables, page and plain data."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nnrun.report.sweep import page
from nnrun.report.sweep.answer import as_data
from nnrun.report.sweep.cautions import cautions
from nnrun.report.sweep.findings import answer
from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
)
from nnrun.report.sweep.tables import answer_tables
from nnrun.report.sweep.verdict import sentences
from nnrun.statistics.metric import SHARE, Metric

RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
JUDGE, TESTED = Metric("val/accuracy", True, SHARE), "test/accuracy"
OPTIMIZERS, SCHEDULES = ("sgd", "adam"), ("constant", "cosine")
ADAM_WITH_COSINE = {("adam", "cosine"): 0.04}


def crossed(
    ahead: dict[tuple[str, str], float], trials: int = 1, seeds: int = 8, noise: float = 0.001
) -> SweepRecord:
    """All combinations of two optimizers and two schedules; adam is better by 0.02, some combinations by more."""
    random = np.random.default_rng(1)
    alternatives, records, finals = [], [], []
    for optimizer, schedule in itertools.product(OPTIMIZERS, SCHEDULES):
        label = f"{optimizer}-{schedule}"
        factors = {"optimizer": optimizer, "schedule": schedule}
        alternatives.append(AlternativeRecord(label, {}, (RATE,) if trials > 1 else (), factors))
        quality = 0.9 + 0.02 * (optimizer == "adam") + ahead.get((optimizer, schedule), 0.0)
        mine = []
        for number in range(trials):
            value = quality - 0.1 * (number / trials) ** 2
            values = {name: (value + float(random.normal(0, noise)),) for name in (JUDGE.name, TESTED)}
            mine.append(
                TrialRecord(f"{label}-{number}", "digits", label, number, f"trials/{label}-{number}",
                            {RATE.path: number / trials} if trials > 1 else {}, "done", values[JUDGE.name][0],
                            values[JUDGE.name], 10, 1.0, None, 0, values, "a b")
            )  # fmt: skip
        records += mine
        chosen = max(mine, key=lambda trial: trial.value or 0.0)
        fresh = {name: tuple(quality + random.normal(0, noise, seeds)) for name in (JUDGE.name, TESTED)}
        finals.append(
            FinalRecord("digits", label, chosen.trial, f"final/{label}", chosen.settings,
                        tuple(range(10_000, 10_000 + seeds)), "done", fresh, 10, 1.0)
        )  # fmt: skip
    return SweepRecord(Path("nowhere"), "crossed", JUDGE, "random", False, trials, 1, seeds, None, ("digits",),
                       tuple(alternatives), tuple(records), tuple(finals))  # fmt: skip


def shown(sweep: SweepRecord, pairs: bool = False) -> str:
    console = Console(width=160, color_system=None)
    with console.capture() as capture:
        console.print(*answer_tables(answer(sweep), pairs))
    return capture.get()


def test_factors_are_answered_one_by_one_in_place_of_pairs() -> None:
    """With nothing searched for, an effect of fixed settings is an effect."""
    lines = sentences(answer(crossed({})))
    assert len(lines) == 4
    assert lines[0].startswith("adam-")
    assert (
        lines[1].startswith("optimizer, mean over schedule: adam beats sgd by 1.98 points [")
        and "8 seeds)" in lines[1]
    )
    assert lines[2].startswith("schedule, mean over optimizer: ") and "no significant difference" in lines[2]
    assert lines[3].startswith("optimizer and schedule show no significant interaction (p = ")


def test_what_two_factors_do_together() -> None:
    """One of four is 4 points higher: 1 point above the sum of the effects that this moves."""
    line = sentences(answer(crossed(ADAM_WITH_COSINE)))[-1]
    assert line.startswith("at these settings what optimizer does depends on schedule: ")
    assert " 1.0" in line or " 0.9" in line
    assert line.partition(" points [")[2].startswith(("0.9", "1.0"))
    assert "above the sum of both effects" in line or "below the sum of both effects" in line


def test_an_effect_of_searched_settings_needs_both_tests() -> None:
    """Methods that are the same: another search could turn it round.  Far apart: it could not."""
    near = sentences(answer(crossed({("adam", s): -0.0195 for s in SCHEDULES}, trials=9, noise=0.0001)))[1]
    assert near.startswith("optimizer, mean over schedule: adam's chosen settings beat sgd's by 0.0")
    assert near.endswith("another search could turn it round")
    far = sentences(answer(crossed({("adam", s): 0.2 for s in SCHEDULES}, trials=9)))[1]
    assert far.startswith("optimizer, mean over schedule: adam beats sgd by 2")
    assert "over other searches [" in far


def test_the_table_has_the_factors_as_rows_and_columns() -> None:
    text = shown(crossed({}))
    lines = [line.split() for line in text.splitlines()]
    assert ["optimizer", "×", "schedule", "constant", "cosine", "mean"] in lines
    sgd, adam = (next(line for line in lines if line[:1] == [name]) for name in OPTIMIZERS)
    assert float(adam[-1].rstrip("%")) - float(sgd[-1].rstrip("%")) == pytest.approx(2, abs=0.1)
    assert "all pairs" not in text
    assert "all pairs" in shown(crossed({}), pairs=True)


def test_the_page_and_the_data_have_all_effects() -> None:
    result = answer(crossed(ADAM_WITH_COSINE))
    text = page.page(result, [])
    assert "<h2>Factors, by test/accuracy</h2>" in text and "they interact" in text
    factors = as_data(result)["factors"]["digits"]
    assert [effect["factor"] for effect in factors["effects"]] == ["optimizer", "schedule"]
    assert factors["interactions"][0]["significant"] is True
    assert len(factors["means"]) == 4
    assert as_data(answer(crossed({})._replace(finals=())))["factors"] == {}


def test_too_few_seeds_are_counted_by_the_tests_of_the_factors() -> None:
    """Two effects and an interaction need 7 seeds: 3 · 2 / 2⁷ = 4.7%."""
    [warning] = [text for text in cautions(answer(crossed({}, seeds=6))) if "too few" in text]
    assert (
        warning.startswith("6 seeds are too few: in 3 comparisons")
        and "sweep.final_seeds: 7 or more" in warning
    )
    assert not any("too few" in text for text in cautions(answer(crossed({}, seeds=7))))
