"""The answer of a sweep with studies: one row for each alternative, one best, and words that say what is known."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from nnrun.report.sweep.answer import as_data
from nnrun.report.sweep.cautions import cautions, leans_on
from nnrun.report.sweep.findings import Answer, answer
from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
)
from nnrun.report.sweep.page import page
from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.sweep.rows import best_trial
from nnrun.report.sweep.tables import answer_tables, comparison_table
from nnrun.report.sweep.verdict import sentences
from nnrun.report.words import pair_sentence, pair_verdict
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.metric import SHARE, Metric
from nnrun.statistics.searches import OverSearches

RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
ACCURACY, TESTED = Metric("val/accuracy", True, SHARE), Metric("test/accuracy", True, SHARE)


def sweep_of(
    values: Mapping[str, Sequence[float | None]],
    factors: Sequence[tuple[str, str]] = (),
    seeds: int = 2,
    trials: int = 3,
    looks: int = 1,
    first_ahead: float = 0.01,
) -> SweepRecord:
    """A sweep by tpe: alternative -> the value of each study on fresh seeds; None where all of its trials diverged.

    The test value is half a point below the validation value, but of the first alternative `first_ahead` above it.
    """
    studies = max(map(len, values.values()))
    all_trials, finals = [], []
    for place, (label, of_studies) in enumerate(values.items()):
        for study, value in enumerate(of_studies, start=1):
            inner = f"study-{study}/{label}" if study > 1 else label
            for number in range(trials):
                status = "diverged" if value is None else "done"
                worse = None if value is None else value - 0.01 * ((number + study) % trials)
                all_trials.append(
                    TrialRecord(
                        f"{inner}-{number:03d}",
                        "digits",
                        label,
                        number,
                        f"trials/{inner}-{number:03d}",
                        {RATE.path: 0.01 * study},
                        status,
                        worse,
                        (worse,),
                        10,
                        1.0,
                        None,
                        judged_on="a b",
                        study=study,
                    )
                )
            if value is None:
                continue
            mine = [t for t in all_trials if (t.alternative, t.study) == (label, study)]
            best = max(mine, key=lambda trial: trial.value or 0.0)
            noise = [value - 0.001, *[value + 0.001 / (seeds - 1)] * (seeds - 1)]
            better = first_ahead if place == 0 else -0.005
            metrics = {"val/accuracy": tuple(noise), "test/accuracy": tuple(v + better for v in noise)}
            finals.append(
                FinalRecord("digits", label, best.trial, f"final/{inner}", dict(best.settings),
                            tuple(range(seeds)), "done", metrics, 10, 1.0, study)
            )  # fmt: skip
    names = list(values)
    alternatives = tuple(
        AlternativeRecord(label, {}, (RATE,), dict(zip(("optimizer", "schedule"), factors[i], strict=True)))
        if factors
        else AlternativeRecord(label, {}, (RATE,))
        for i, label in enumerate(names)
    )
    return SweepRecord(
        Path("nowhere"), "x", ACCURACY, "tpe", True, trials, 1, seeds, None, ("digits",), alternatives,
        tuple(all_trials), tuple(finals), looks, studies,
    )  # fmt: skip


ADAM, SGD = [0.90, 0.92, 0.91, 0.93, 0.905, 0.915], [0.80, 0.85, 0.82, 0.83, 0.84, 0.81]


def text_of(result: Answer) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(*answer_tables(result), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_a_row_is_of_all_studies_and_its_setting_of_the_best_by_validation() -> None:
    sweep = sweep_of({"adam": ADAM, "sgd": SGD})
    [part] = answer(sweep).bases
    adam, sgd = part.rows
    assert adam.values == pytest.approx({i: value + 0.01 for i, value in enumerate(ADAM, start=1)})
    assert adam.mean == pytest.approx(np.mean(ADAM) + 0.01)
    half = 2.5706 * np.std(ADAM, ddof=1) / math.sqrt(6)  # Student's with five degrees of freedom
    ends = adam.mean - half, adam.mean + half
    assert (adam.low, adam.high) == pytest.approx(ends, abs=1e-5)
    assert adam.settings == {RATE.path: pytest.approx(0.04)} and adam.trial == "study-4/adam-002"
    assert best_trial(sweep) == "study-4/adam-002"
    assert (adam.trials, adam.seeds, adam.diverged, sgd.trials) == (18, 12, 0, 18)
    assert adam.validation_again == pytest.approx(np.mean(ADAM)) and adam.validation == pytest.approx(
        np.mean(ADAM)
    )
    assert [study.trial for study in adam.studies][:2] == ["adam-002", "study-2/adam-001"]


def test_the_best_alternative_has_the_best_mean_by_validation_not_the_best_study() -> None:
    """Test data choose nothing: by the test part the first would be ahead."""
    first, second = [0.95, 0.80, 0.81, 0.82], [0.860, 0.861, 0.862, 0.863]
    sweep = sweep_of({"lucky": first, "steady": second})
    [part] = answer(sweep).bases
    assert [row.alternative for row in part.rows] == ["steady", "lucky"]
    assert best_trial(sweep) == part.rows[0].trial == "study-4/steady-002"
    assert sentences(answer(sweep))[0].startswith(
        "steady is ahead on validation data; its test/accuracy is 85.65%"
    )


def test_words_of_a_verdict() -> None:
    result = answer(sweep_of({"adam": ADAM, "sgd": SGD}))
    head, verdict = sentences(result)
    assert head.startswith("adam is the best: test/accuracy 92.33% [91.20, 93.47]") and head.endswith(
        "(6 studies)"
    )
    assert verdict.startswith("adam beats sgd by 10.33 points [") and verdict.endswith(
        "(p = 0.0022, 6 studies)"
    )
    text = text_of(result)
    assert "  studies  " in text.splitlines()[0] and "  seeds  " not in text.splitlines()[0]
    assert "\nwarning: nothing is known of other examples for adam, sgd" in text
    html = page(result, [])
    assert "<h2>Studies</h2>" in html and "repeated in 6 studies" in html
    assert "Welch's t-test" in html and "exchange test" not in html and "over studies" in html


@pytest.mark.parametrize(
    ("change", "sentence", "verdict"),
    [
        ({}, "adam beats sgd by 1.20 points [0.80, 1.60] (p = 0.002, 6 studies)", "different"),
        (
            {"examples": (0.010, 0.014), "verdict": 0.003},
            "adam beats sgd by 1.20 points [0.75, 1.65]: over searches and seeds [0.80, 1.60], over other examples "
            "[1.00, 1.40] (p = 0.003, 6 studies)",
            "different",
        ),
        (
            {"examples": (-0.002, 0.026), "verdict": 0.2},
            "adam's searches beat sgd's by 1.20 points [0.80, 1.60] (p = 0.002, 6 studies); over other examples "
            "[-0.20, 2.60]: other examples could turn it round",
            "only these examples",
        ),
        (
            {"searched": True, "unknown": "study 2 of sgd ended without a value", "claim": None, "verdict": None},
            "adam's searches beat sgd's by 1.20 points [0.80, 1.60] (p = 0.002, 6 studies); study 2 of sgd ended "
            "without a value, so this says nothing about the methods",
            "only these searches",
        ),
        (
            {"adjusted": 0.3},
            "adam and sgd show no significant difference (p = 0.3, 6 studies)",
            "no significant difference",
        ),
    ],
)  # fmt: skip
def test_words_of_every_case(change: dict[str, object], sentence: str, verdict: str) -> None:
    pair = PairComparison(
        "adam", "sgd", 0.012, 0.008, 0.016, 0.002, 0.002, 6, None, claim=0.002, verdict=0.002, studies=6
    )
    pair = pair._replace(**change)
    assert (pair_sentence(TESTED, pair), pair_verdict(pair)) == (sentence, verdict)
    cells = pair_cells(TESTED, pair)
    assert cells["studies"] == "6" and "seeds" not in cells and "other searches" not in cells


def test_a_study_without_a_value_leaves_no_verdict_about_the_method() -> None:
    sweep = sweep_of({"adam": ADAM, "sgd": [0.80, None, 0.82, 0.83, 0.84, 0.81]})
    result = answer(sweep)
    [part] = result.bases
    assert part.rows[1].lost == [2]
    [pair] = part.comparisons
    assert pair.studies == 5 and pair.significant and not pair.decided
    assert sentences(result)[1].endswith(
        "study 2 of sgd ended without a value, so this says nothing about the methods"
    )
    assert (
        "study 2 of sgd ended without a value, so its mean, which is of the others, looks better than it is"
        in cautions(result)
    )
    assert "5 of 6" in text_of(result)
    behind = answer(sweep_of({"adam": [0.99, None, 0.99, 0.99], "sgd": SGD[:4]}))
    assert [row.alternative for row in behind.bases[0].rows] == [
        "sgd",
        "adam",
    ]  # as where fresh seeds diverged


def test_seeds_that_diverged_leave_no_verdict_either() -> None:
    sweep = sweep_of({"adam": ADAM, "sgd": SGD})
    hurt = sweep.finals[-1]
    metrics = {name: (None, *values[1:]) for name, values in hurt.metrics.items()}
    result = answer(sweep._replace(finals=(*sweep.finals[:-1], hurt._replace(metrics=metrics))))
    assert sentences(result)[1].endswith(
        "1 of the fresh seeds of sgd diverged, so this says nothing about the methods"
    )
    assert any("sgd: 1 of 12 fresh seeds diverged" in text for text in cautions(result))


@pytest.mark.parametrize(
    ("studies", "looks", "least"), [(2, 1, 4), (3, 1, 4), (4, 4, 5)], ids=["two", "three", "four looks"]
)
def test_too_few_studies_are_said_with_the_command_that_adds_them(
    studies: int, looks: int, least: int
) -> None:
    result = answer(sweep_of({"adam": ADAM[:studies], "sgd": SGD[:studies]}, looks=looks))
    assert not result.bases[0].comparisons[0].decided
    [text] = [line for line in cautions(result) if "too few" in line]
    assert text.startswith(
        f"{studies} studies are too few: in this comparison no difference can get below p = 0.05"
    )
    command = f"`nnrun sweep --resume nowhere sweep.studies={least}` adds further ones"
    assert text.endswith(command if looks == 1 else f"begin one with sweep.studies: {least}")


def test_how_many_studies_would_tell() -> None:
    result = answer(sweep_of({"adam": [0.90, 0.93, 0.91, 0.92], "sgd": [0.92, 0.935, 0.925, 0.93]}))
    [text] = [line for line in cautions(result) if "cannot tell" in line]
    assert text.startswith("4 studies cannot tell sgd from adam (") and text.endswith("are what they seem")


def test_a_verdict_that_hangs_on_a_study() -> None:
    adam = [0.90, 0.92, 0.91, 0.93, 0.905]
    close = answer(sweep_of({"adam": adam, "sgd": [0.80, 0.85, 0.9045, 0.913, 0.84]}))
    assert close.bases[0].comparisons[0].significant
    [text] = [line for line in leans_on(close) if "without study" in line]
    assert text.endswith("adam and sgd would show no significant difference")
    sure = answer(sweep_of({"adam": adam, "sgd": SGD[:5]}))
    assert not [line for line in leans_on(sure) if "without" in line]


def test_plain_data_have_every_study() -> None:
    board = as_data(answer(sweep_of({"adam": ADAM, "sgd": SGD})))
    adam = board["alternatives"][0]
    assert isinstance(adam["studies"], list) and len(adam["studies"]) == 6
    assert (
        adam["studies"][1]["trial"] == "study-2/adam-001"
        and adam["studies"][1]["run"] == "final/study-2/adam"
    )
    assert adam["values"] == pytest.approx({str(i): value + 0.01 for i, value in enumerate(ADAM, start=1)})
    assert board["comparisons"][0]["studies"] == 6
    assert {trial["study"] for trial in board["trials"]} == set(range(1, 7))


def test_the_course_of_tuning_is_the_mean_of_the_studies() -> None:
    [part] = answer(sweep_of({"adam": ADAM[:2], "sgd": SGD[:2]})).bases
    # Trials of study 1 are 1, 2 and 0 hundredths below its value, those of study 2 are 2, 0 and 1.
    assert [point.value for point in part.best_of["adam"]] == pytest.approx(
        [(0.89 + 0.90) / 2, (0.89 + 0.92) / 2, (0.90 + 0.92) / 2]
    )
    assert all(point.low is not None and point.low < point.value for point in part.best_of["adam"])


def test_an_unfinished_sweep_gives_the_answer_so_far() -> None:
    sweep = sweep_of({"adam": ADAM, "sgd": SGD})._replace(finals=())
    result = answer(sweep)
    assert result.bases[0].comparisons == []
    [head] = sentences(result)
    assert head.startswith("adam leads the search with val/accuracy 91.33%") and "6 studies" in head
    assert "not yet tried on fresh seeds" in head
    partly = sweep._replace(trials=tuple(trial for trial in sweep.trials if trial.study < 3))
    assert "12 of 36 trials have ended" in text_of(answer(partly))


def test_a_sweep_that_was_given_studies_has_its_answer_so_far() -> None:
    """Four studies of six are measured: the two others are not lost, and nothing is chosen from them."""
    sweep = sweep_of({"adam": ADAM, "sgd": SGD})
    begun = tuple(trial for trial in sweep.trials if trial.study < 6)
    result = answer(sweep._replace(finals=tuple(f for f in sweep.finals if f.study < 5), trials=begun))
    adam = result.bases[0].rows[0]
    assert (adam.lost, adam.pending, len(adam.values)) == ([], [5, 6], 4)
    assert adam.trial == "study-4/adam-002" and result.bases[0].comparisons[0].studies == 4
    assert not any("without a value" in text for text in cautions(result))
    text = text_of(result)
    assert (
        "missing: not yet trained on fresh seeds: studies 5, 6 of adam; its values are of the others" in text
    )


def test_one_search_of_trials_that_depend_on_each_other_names_the_command_that_repeats_it() -> None:
    sweep = sweep_of({"adam": [0.9], "sgd": [0.8]}, seeds=8)
    result = answer(sweep)
    assert result.bases[0].comparisons[0].significant and not result.bases[0].comparisons[0].decided
    [text] = [line for line in cautions(result) if "depend on each other" in line]
    assert "`nnrun sweep --resume nowhere sweep.studies=4` repeats it and compares the studies" in text


def test_factors_are_answered_over_studies() -> None:
    random = np.random.default_rng(0)
    crossed = [("adam", "constant"), ("adam", "cosine"), ("sgd", "constant"), ("sgd", "cosine")]
    values = {
        f"{optimizer}-{schedule}": (0.8 + 0.1 * (optimizer == "adam") + random.normal(0, 0.005, 6)).tolist()
        for optimizer, schedule in crossed
    }
    result = answer(sweep_of(values, crossed, first_ahead=-0.005))
    text = "\n".join(sentences(result))
    assert "optimizer, mean over schedule: adam beats sgd by " in text and "6 studies)" in text
    assert "optimizer and schedule show no significant interaction (" in text
    assert "seeds)" not in text
    assert "studies" in page(result, [])


def test_a_terminal_shows_all_sources_of_a_pair() -> None:
    """Its columns are those of the page, but for the p-value before any correction."""
    known = PairComparison(
        "a", "b", 0.02, 0.01, 0.03, 0.01, 0.02, 8, None, examples=(0.005, 0.035), verdict=0.03
    )
    searched = known._replace(searched=True, searches=OverSearches(0.0, 0.04, 0.2, 12, None))
    for pair in (known, searched):
        heads = [column.head for column in comparison_table(TESTED, [pair]).columns]
        left_out = {"p", "verdict"} | (set() if pair.searched else {"other searches", "p (both)"})
        assert [head for head in heads if head] == [
            head for head in pair_cells(TESTED, pair) if head not in left_out
        ]
        assert "other examples" in heads and "all" in heads
    heads = [column.head for column in comparison_table(TESTED, [known._replace(examples=None)]).columns]
    assert "other examples" not in heads and "all" not in heads  # nothing would stand there


@pytest.mark.quick(1)
@pytest.mark.parametrize("studies", [4, 6])
def test_equal_methods_are_seldom_called_different_and_better_ones_are_found(studies: int) -> None:
    """From records to verdicts: whole sweeps whose studies chose settings of random quality."""
    random = np.random.default_rng(studies)

    def verdict(ahead: float) -> PairComparison:
        a, b = (np.clip(0.9 + 0.01 * random.normal(size=studies) + up, 0, 1).tolist() for up in (ahead, 0.0))
        sweep = sweep_of({"a": a, "b": b}, trials=1)
        finals = [
            final._replace(metrics={**final.metrics, "test/accuracy": final.metrics["val/accuracy"]})
            for final in sweep.finals
        ]
        [pair] = answer(sweep._replace(finals=tuple(finals))).bases[0].comparisons
        return pair

    false = np.mean([verdict(0.0).decided for _ in range(200)])
    assert false <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 200)
    better = [verdict(0.02) for _ in range(50)]
    found = np.mean([pair.decided and (pair.difference > 0) == (pair.first == "a") for pair in better])
    assert found >= (0.3 if studies == 4 else 0.7)
