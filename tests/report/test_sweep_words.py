"""What the answer of a sweep says, and what it warns of, from answers made by hand: every case on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.text import Text

from nnrun.report.sweep import figures, parallel, scatter
from nnrun.report.sweep.cautions import cautions, missing
from nnrun.report.sweep.evidence import distinct, filled, ranked, worst_value
from nnrun.report.sweep.examples import read_examples
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
)
from nnrun.report.sweep.lines import lines_of, number_of
from nnrun.report.sweep.luck import few_studies, luck
from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.sweep.ranges import share_of_range, undrawn
from nnrun.report.sweep.reached import Reached
from nnrun.report.sweep.rows import AnswerRow, rows_of
from nnrun.report.sweep.sensitivity import sensitivity
from nnrun.report.sweep.studies import unsound
from nnrun.report.sweep.tables import answer_tables, leaderboard, seeds_text, trials_text
from nnrun.report.sweep.verdict import base_sentences, sentences, steps_text
from nnrun.report.words import ends_of, overall, pair_sentence, pair_verdict, signed
from nnrun.statistics.budget import BestOf
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.importance import Importance
from nnrun.statistics.metric import SHARE, Metric
from nnrun.statistics.searches import OverSearches

JUDGE, TESTED = Metric("val/accuracy", True, SHARE), Metric("test/accuracy", True, SHARE)
LOSS = Metric("test/loss", False)
RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())


def row(label: str = "adam", mean: float | None = 0.9, **changes: Any) -> AnswerRow:
    values = {} if mean is None else dict.fromkeys(range(8), mean)
    known = AnswerRow(
        base="digits", alternative=label, trial=f"{label}-000", settings={}, run=None, validation=0.9, values=values,
        mean=mean, low=None, high=None, middle=mean, fresh=True, validation_again=0.9, seeds=8, diverged=0, trials=20,
        unstable=0, stopped=0, failed=0, reached=None,
    )  # fmt: skip
    return known._replace(**changes)


def trial(number: int = 0, value: float | None = 0.9, label: str = "adam", **changes: Any) -> TrialRecord:
    known = TrialRecord(
        f"{label}-{number:03d}", "digits", label, number, "", {RATE.path: 0.01 * (number + 1)},
        "diverged" if value is None else "done", value, (value,), 30, 1.0, None,
    )  # fmt: skip
    return known._replace(**changes)


def pair(
    value: float = 0.02, p: float = 0.001, first: str = "adam", second: str = "sgd", **changes: Any
) -> PairComparison:
    known = PairComparison(first, second, value, value - 0.01, value + 0.01, p, p, 8, 40)
    return known._replace(**changes)


def part(*rows: AnswerRow, **changes: Any) -> BaseAnswer:
    return BaseAnswer("digits", TESTED, [*rows], [], None, {}, {})._replace(**changes)


def record(*labels: str, **changes: Any) -> SweepRecord:
    alternatives = tuple(AlternativeRecord(label, {}, (RATE,)) for label in labels or ("adam", "sgd"))
    known = SweepRecord(
        Path("runs/my sweep"), "s", JUDGE, "random", False, 20, 1, 8, None, ("digits",), alternatives, (), ()
    )
    return known._replace(**changes)


# the headline

AHEAD = "adam is ahead on validation data; its test/accuracy is 90.00% (8 seeds)"


@pytest.mark.parametrize(
    ("rows", "pairs", "sentence"),
    [
        ([row("adam", None)], [], None),
        ([row(low=0.88, high=0.92)], [], "the chosen setting has test/accuracy 90.00% [88.00, 92.00] (8 seeds)"),
        ([row(), row("sgd", 0.88)], [pair()], "adam is the best: test/accuracy 90.00% (8 seeds)"),
        ([row(), row("sgd", 0.88)], [pair(p=0.5)], AHEAD),
        ([row(), row("sgd", 0.88)], [pair(-0.02)], AHEAD),
        (
            [row(fresh=False, values={0: 0.9})], [],
            "adam leads the search with val/accuracy 90.00% (1 seed, not yet tried on fresh ones)",
        ),
        (
            [row(fresh=False, values={1: 0.9, 2: 0.9}, studies=(row(), row()))], [],
            "adam leads the search with val/accuracy 90.00% (2 studies, not yet tried on fresh seeds)",
        ),
        ([row(values={1: 0.9}, studies=(row(), row()))], [], "the chosen setting has test/accuracy 90.00% (1 study)"),
    ],
)  # fmt: skip
def test_the_headline(rows: list[AnswerRow], pairs: list[PairComparison], sentence: str | None) -> None:
    said = base_sentences(part(*rows, comparisons=pairs), JUDGE)
    assert said[:1] == ([] if sentence is None else [sentence])


def test_without_a_test_part_ahead_means_ahead() -> None:
    said = base_sentences(part(row(), row("sgd", 0.88), metric=JUDGE, comparisons=[pair(p=0.5)]), JUDGE)
    assert said[0] == "adam is ahead: val/accuracy 90.00% (8 seeds)"


def test_what_is_open_comes_before_what_is_decided() -> None:
    pairs = [pair(0.05, second="sgd"), pair(0.02, second="lion"), pair(0.01, 0.5, second="muon")]
    said = base_sentences(part(row(), comparisons=[*pairs, pair(0.1, first="sgd", second="lion")]), JUDGE)
    assert [line.partition(" (")[0] for line in said[1:]] == [
        "adam and muon show no significant difference",
        "adam beats lion by 2.00 points [1.00, 3.00]",
        "adam beats sgd by 5.00 points [4.00, 6.00]",
    ]


def test_several_bases_have_their_names_before_their_sentences() -> None:
    answer = Answer(record(), [part(row()), part(row(), base="wine")], {})
    assert [line.partition(":")[0] for line in sentences(answer)] == ["digits", "wine"]


@pytest.mark.parametrize(
    ("reached", "text"),
    [
        (None, "–"), (Reached(4, 8, 100.0, None), "4 of 8 seeds"),
        (Reached(5, 8, 1200.0, None), "1,200 (5 of 8 seeds)"), (Reached(8, 8, 90.0, None), "90"),
    ],
)  # fmt: skip
def test_steps_to_the_target(reached: Reached | None, text: str) -> None:
    assert steps_text(row(reached=reached)) == text


# pairs


def test_the_cells_of_a_pair() -> None:
    """Of a falling metric the one with the lower values is better more often."""
    searches = OverSearches(-0.01, 1.0, 0.2, 20, 60)
    known = pair(0.5, 0.0004, searched=True, searches=searches, claim=0.2, higher=0.25, examples=(0.25, 0.75))
    cells = pair_cells(LOSS, known)
    assert cells["better"] == "75%" and pair_cells(TESTED, known)["better"] == "25%"
    assert (cells["p"], cells["p (both)"], cells["seeds"]) == ("< 0.001", "0.2", "8")
    assert cells["other examples"] == "[+0.25, +0.75]" and cells["verdict"] == "only these settings"
    studies = pair_cells(LOSS, known._replace(studies=6))
    assert "other searches" not in studies and "seeds" not in studies and studies["studies"] == "8"
    assert list(cells).index("seeds") == list(studies).index("studies")


def test_an_interval_of_a_size_has_no_sign_and_the_smaller_end_first() -> None:
    assert ends_of(TESTED, -0.02, -0.03, -0.01) == " [1.00, 3.00]"
    assert ends_of(LOSS, 0.02, 0.01, 0.03) == " [0.01, 0.03]"
    assert ends_of(LOSS, 0.02, -0.5, 0.03) == " [-0.5, 0.03]"
    assert ends_of(LOSS, 0.02, None, 0.03) == ""
    assert signed(TESTED, 0.03, -0.01) == "[-1.00, +3.00]"


def test_all_sources_together_are_known_where_each_is() -> None:
    """Half widths 0.01 over seeds and 0.02 over examples: together √5 hundredths."""
    assert overall(TESTED, pair(examples=(0.0, 0.04))) == "[-0.24, +4.24]"
    assert overall(TESTED, pair()) == "[+1.00, +3.00]"  # no search, examples unknown
    assert overall(TESTED, pair(searched=True, searches=OverSearches(0.0, 0.04, 0.4, 20, None))) == "–"


@pytest.mark.parametrize(
    ("changes", "verdict", "words"),
    [
        ({"p": 0.5}, "no significant difference", "adam and sgd show no significant difference (p = 0.5, 8 seeds)"),
        ({}, "different", "adam beats sgd by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds)"),
        ({"value": -0.02}, "different", "sgd beats adam by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds)"),
        (
            {"searched": True, "unknown": "too few trials"}, "only these settings",
            "adam's chosen setting beats sgd's by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds); too few trials, so "
            "this says nothing about other searches",
        ),
        (
            {"examples": (-0.01, 0.05), "verdict": 0.2}, "only these examples",
            "adam beats sgd here by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds); over other examples [-1.00, 5.00]: "
            "other examples could turn it round",
        ),
        (
            {"examples": (0.005, 0.035), "verdict": 0.03}, "different",
            "adam beats sgd by 2.00 points [0.20, 3.80]: over seeds [1.00, 3.00], over other examples [0.50, 3.50] "
            "(p = 0.03, 8 seeds)",
        ),
        (
            {"searched": True, "searches": OverSearches(-0.01, 0.05, 0.2, 20, None), "claim": 0.3},
            "only these settings",
            "adam's chosen setting beats sgd's by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds); over other searches "
            "[-1.00, 5.00] (p = 0.3, 20 trials): another search could turn it round",
        ),
        (
            {
                "searched": True, "searches": OverSearches(0.01, 0.03, 0.01, 20, None), "claim": 0.02,
                "examples": (0.005, 0.035), "verdict": 0.2,
            }, "only these examples",
            "adam's chosen setting beats sgd's by 2.00 points [1.00, 3.00] (p = 0.001, 8 seeds); over other searches "
            "[1.00, 3.00] (p = 0.02, 20 trials), over other examples [0.50, 3.50], all together [0.20, 3.80] "
            "(p = 0.2): it could turn round",
        ),
        (
            {"studies": 6, "unknown": "a study ended"}, "only these searches",
            "adam's searches beat sgd's by 2.00 points [1.00, 3.00] (p = 0.001, 6 studies); a study ended, so this "
            "says nothing about the methods",
        ),
    ],
)  # fmt: skip
def test_the_words_of_a_pair(changes: dict[str, Any], verdict: str, words: str) -> None:
    known = pair(changes.get("value", 0.02), changes.get("p", 0.001))
    known = known._replace(**{k: v for k, v in changes.items() if k not in ("value", "p")})
    if "unknown" in changes and changes.get("studies"):
        known = known._replace(searched=True)
    assert (pair_verdict(known), pair_sentence(TESTED, known)) == (verdict, words)


# luck and cautions


def warned(*rows: AnswerRow, sweep: SweepRecord | None = None, **changes: Any) -> list[str]:
    return cautions(Answer(sweep or record(), [part(*rows, **changes)], {}))


def test_a_winner_whose_luck_did_not_last() -> None:
    """Fresh seeds are 4 points below the search, more than half of the interval of 6 points."""
    lucky = row(validation=0.95, validation_again=0.91, low=0.87, high=0.93)
    assert warned(lucky) == [
        "the winners of the search were partly lucky: val/accuracy then → on fresh seeds: adam 95.00% → 91.00%"
    ]
    assert warned(lucky._replace(low=0.86, high=0.94)) == []


def test_validation_and_test_that_disagree() -> None:
    rows = row("adam", 0.88), row("sgd", 0.9)
    said = list(luck(part(*rows, comparisons=[pair(-0.02)]), record()))
    assert said == [
        "validation and test disagree: adam is the best by val/accuracy, sgd by test/accuracy, by 2.00 points (more "
        "than chance would give); test data choose nothing"
    ]
    [line] = luck(part(*rows, comparisons=[pair(-0.02, 0.5)]), record())
    assert "(no more than chance may give)" in line
    assert list(luck(part(*rows, metric=JUDGE, comparisons=[pair(-0.02)]), record())) == []


def test_trials_that_cannot_tell_methods_apart() -> None:
    open_pair = pair(searched=True, searches=OverSearches(-0.01, 0.05, 0.3, 20, 60), claim=0.3)
    [line] = luck(part(row(), row("sgd"), comparisons=[open_pair]), record())
    assert line == (
        "20 trials each cannot tell adam from sgd (about 60 would) over other searches, if further ones are like these"
    )
    unknown = open_pair._replace(searches=OverSearches(-0.01, 0.05, 0.3, 20, None))
    [line] = luck(part(row(), row("sgd"), comparisons=[unknown]), record())
    assert line == "20 trials each cannot tell adam from sgd over other searches"


def test_trials_that_depend_on_each_other_name_the_command_that_repeats_them() -> None:
    """Two pairs need 2 · 2 / C(2n, n) ≤ 5%: 5 studies, as C(10, 5) = 252 and C(8, 4) = 70."""
    known = pair(searched=True, unknown="trials of tpe depend on each other")
    [line] = luck(part(row(), comparisons=[known, pair(second="lion")]), record(search="tpe"))
    assert line == (
        "trials of tpe depend on each other, so one search says nothing of others; `nnrun sweep --resume "
        "'runs/my sweep' sweep.studies=5` repeats it and compares the studies"
    )


def test_studies_that_are_too_few() -> None:
    """One pair needs 2 / C(2n, n) ≤ 5%: 4 studies, as C(8, 4) = 70 and C(6, 3) = 20."""
    known = part(row(), row("sgd"), comparisons=[pair(studies=3)])
    [line] = few_studies(known, record(studies=3))
    assert line.startswith(
        "3 studies are too few: in this comparison no difference can get below p = 0.05, however large;"
    )
    assert line.endswith("`nnrun sweep --resume 'runs/my sweep' sweep.studies=4` adds further ones")
    [line] = few_studies(known, record(studies=3, looks=2))
    assert line.endswith("begin one with sweep.studies: 5")  # two looks: 4 / C(2n, n)
    enough = part(row(), row("sgd"), comparisons=[pair(p=0.5, studies=6)])
    [line] = few_studies(enough, record(studies=6))
    assert (
        line
        == "6 studies cannot tell adam from sgd (about 40 would), if means and spreads are what they seem"
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"diverged": 3},
            "adam: 3 of 8 fresh seeds diverged; its mean is of the others, so it looks better than it is",
        ),
        ({"diverged": 8, "values": {}}, "adam: 8 of 8 fresh seeds diverged; it has no mean"),
        ({"seeds": 0}, "adam: its runs on fresh seeds failed; see the reason in final.jsonl"),
        ({"unstable": 5}, "adam: 5 of 20 trials diverged, so its budget was smaller than that of the others"),
        ({"unstable": 4}, None),  # fewer than a quarter
        ({"failed": 1}, "adam: 1 of 20 trials failed; see the reasons in trials.jsonl"),
    ],
)
def test_what_was_lost(changes: dict[str, Any], words: str | None) -> None:
    said = warned(row(**changes))
    assert [line.startswith(words or "?") for line in said] == ([True] if words else [])


def test_trials_that_have_not_learned() -> None:
    """Two of eight are a quarter; one alone counts where it is the chosen one."""
    trials = [trial(i, risen=int(i in (3, 4))) for i in range(8)]
    [line] = warned(row(), sweep=record(trials=tuple(trials)))
    assert line.startswith("adam: 2 of 8 trials ended with more than twice the training loss")
    [line] = warned(row(), sweep=record(trials=tuple(trial(i, risen=int(i == 0)) for i in range(8))))
    assert line.startswith("adam: 1 of 8 trials, the chosen one too, ended with")
    assert warned(row(), sweep=record(trials=tuple(trial(i, risen=int(i == 1)) for i in range(8)))) == []


def test_copies_count_once() -> None:
    same = tuple(trial(i, settings={RATE.path: 0.1 * (i // 2)}) for i in range(4))
    [line] = warned(row(), sweep=record(trials=same))
    assert line.startswith(
        "adam: its 4 trials have only 2 different settings, the others are copies and count once"
    )


def test_a_setting_at_the_end_of_its_range() -> None:
    at_end = row(settings={RATE.path: 0.9})
    beyond = (
        "adam: the best optimizer.learning_rate, 0.9, is at the upper end of its range: a better one may lie beyond; "
        "widen it"
    )
    assert warned(at_end) == [beyond]
    weak = {"adam": [Importance(RATE.path, 0.0, 0.5, None)]}
    assert warned(at_end, importances=weak)[0].endswith("the metric hardly depends on it there")
    assert warned(at_end, importances={"adam": [Importance(RATE.path, 0.6, 0.01, None)]}) == [beyond]
    assert warned(row(settings={RATE.path: 0.1})) == []


def curve(*values: float) -> list[BestOf]:
    return [BestOf(k, value, None, None) for k, value in enumerate(values, start=1)]


def test_a_ranking_that_depends_on_the_budget() -> None:
    curves = {"adam": curve(0.5, 0.6, 0.7, 0.8, 0.85, 0.96), "sgd": curve(0.9, 0.9, 0.9, 0.9, 0.9, 0.9)}
    [line] = warned(row(), best_of=curves)
    assert line == (
        "the ranking changes with the budget: after 5 trials of tuning sgd would lead (val/accuracy 90.00% against "
        "85.00% of adam), after 6 it is adam"
    )
    assert warned(row(), best_of={label: known[:5] for label, known in curves.items()}) == []


def test_seeds_that_are_too_few_for_the_number_of_pairs() -> None:
    """Three pairs need 3 · 2 / 2ⁿ ≤ 5%: 7 seeds."""
    pairs = [pair(seeds=6), pair(seeds=6, second="lion"), pair(seeds=6, first="sgd", second="lion")]
    [line] = warned(row(), comparisons=pairs)
    assert line == (
        "6 seeds are too few: in 3 comparisons no difference can get below p = 0.05, however large; write "
        "sweep.final_seeds: 7 or more"
    )
    assert warned(row(), comparisons=[known._replace(seeds=7) for known in pairs]) == []


def test_one_seed_of_each_tells_nothing() -> None:
    [line] = warned(row(), row("sgd"), sweep=record(final_seeds=1))
    assert line == "with 1 seed no difference can be distinguished from chance; write sweep.final_seeds: 6"


def test_seeds_that_would_tell() -> None:
    open_pairs = [pair(p=0.5), pair(0.01, 0.5, first="lion", second="adam", seeds_needed=None)]
    [line] = warned(row(), comparisons=open_pairs)
    assert line == (
        "8 seeds cannot tell adam from sgd (about 40 would), lion (more than 10,000 would), if the differences are "
        "what they seem"
    )
    [line] = warned(row(), comparisons=open_pairs[:1])
    assert line.endswith("if the difference is the 2.00 points seen")


def test_what_is_missing_while_it_runs() -> None:
    rows = row(trials=12), row("sgd", trials=20, fresh=False)
    assert missing(Answer(record(), [part(*rows)], {})) == [
        "32 of 40 trials have ended",
        "not yet trained on fresh seeds: sgd; their values are those of the search",
    ]
    [line] = missing(Answer(record(final_seeds=0), [part(row(fresh=False))], {}))
    assert line.startswith("no final comparison was asked for (sweep.final_seeds: 0)")


def test_a_study_without_a_value_is_named() -> None:
    studies = (row(), row("adam", None), row("adam", None))
    known = row(values={1: 0.9}, studies=studies)
    assert unsound(known) == "studies 2, 3 of adam ended without a value"
    assert (
        unsound(row(values={1: 0.9, 2: 0.9}, studies=studies[:2], diverged=0)._replace(studies=studies[:1]))
        == ""
    )
    assert unsound(row(diverged=2)) == "2 of the fresh seeds of adam diverged"


# what would change the answer


def leaning(*rows: AnswerRow, **changes: Any) -> list[str]:
    return list(sensitivity(part(*rows, **changes), record(search="grid")))


def test_half_of_the_trials_would_change_the_leader() -> None:
    curves = {"adam": curve(0.5, 0.6, 0.7, 0.96), "sgd": curve(0.8, 0.8, 0.9, 0.9)}
    rows = row(), row("sgd", 0.88)
    assert leaning(*rows, best_of=curves, comparisons=[pair()]) == [
        "with half of the trials (2 each) sgd would be expected to lead"
    ]
    assert leaning(*rows, best_of=curves, comparisons=[pair(p=0.5)]) == []  # nothing to change


def test_a_search_that_still_finds_better_ones() -> None:
    """From 0.90 to 0.96 in the second half; the lead is 0.10."""
    curves = {"adam": curve(0.8, 0.9, 0.9, 0.96), "sgd": curve(0.8, 0.86, 0.86, 0.86)}
    [line] = leaning(row(), row("sgd", 0.88), best_of=curves, comparisons=[pair()])
    assert line == (
        "the best of 4 trials of adam is 6.00 points better than what 2 would be expected to find, and its lead in the "
        "search is 10.00 points: more trials may move either"
    )


def test_the_first_at_the_target() -> None:
    slow, fast = Reached(8, 8, 2000.0, None), Reached(8, 8, 100.0, None)
    rows = row(reached=slow), row("sgd", 0.88, reached=fast)
    assert leaning(*rows, target=0.8) == [
        "judged by steps to the target, sgd is first (100 steps, adam 2,000)"
    ]
    assert leaning(*rows) == [] and leaning(rows[1], rows[0], target=0.8) == []


# places in ranges


@pytest.mark.parametrize(
    ("dimension", "value", "place"),
    [
        (RATE, 1e-2, 0.5), (RATE, 0.0, 0.0), (DimensionRecord("x", "uniform", 1.0, 5.0, ()), 2.0, 0.25),
        (DimensionRecord("x", "int", 2, 6, ()), 6, 1.0), (DimensionRecord("x", "normal", 1.0, 2.0, ()), 1.0, 0.5),
        (DimensionRecord("x", "normal", 1.0, 2.0, ()), 5.0, 1.0),
        (DimensionRecord("x", "normal", 1.0, 2.0, ()), -3.0, 0.0),
    ],
)  # fmt: skip
def test_where_a_value_stands(dimension: DimensionRecord, value: float, place: float) -> None:
    assert share_of_range(dimension, value) == pytest.approx(place)


def test_a_part_that_was_never_drawn() -> None:
    """Ten draws between 1 and 0.1 leave three quarters free: 11 · (1/4)¹⁰ is next to nothing; two draws say little."""
    high = np.geomspace(0.1, 1.0, 10).tolist()
    low_end, high_end, share = undrawn(RATE, high) or (0, 0, 0)
    assert (low_end, high_end, share) == pytest.approx((1e-4, 0.1, 0.75))
    assert undrawn(RATE, high[:2]) is None and undrawn(RATE, []) is None
    assert undrawn(DimensionRecord("x", "int", 0, 9, ()), high) is None


def test_the_window_of_a_panel_cuts_off_what_is_far_below() -> None:
    """The quartile of 0, .8, .9, .9, 1 is 0.8, so 0.6 is the end; beside it 8% of room."""
    low, high = scatter.window(np.array([0.0, 0.8, 0.9, 0.9, 1.0]), rising=True)
    assert (low, high) == pytest.approx((0.6 - 0.032, 1.0 + 0.032))
    low, high = scatter.window(np.array([0.0, -0.8, -0.9, -0.9, -1.0]), rising=False)
    assert (low, high) == pytest.approx((-1.032, -0.568))


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]), (0.13, 0.87, [0.2, 0.4, 0.6, 0.8]), (3.0, 3.0, [3.0]),
        (0, 70, [0, 20, 40, 60]),
    ],
)  # fmt: skip
def test_round_values(low: float, high: float, values: list[float]) -> None:
    assert parallel._round_values(low, high) == pytest.approx(values)


def test_the_colour_goes_from_the_worst_to_the_best() -> None:
    """Half of the way up it is a quarter of the way: 147 + (213 − 147) / 4."""
    assert [parallel._colour(share) for share in (0, 0.5, 1)] == [
        "rgb(147 178 214)",
        "rgb(164 157 160)",
        "rgb(213 94 0)",
    ]


def test_bars_of_importance_are_pale_where_chance_explains_them() -> None:
    shares = [Importance("a.rate", 0.5, 0.01, None), Importance("b.width", 0.001, 0.5, None)]
    figure = figures.importance(
        part(row(), importances={"adam": shares}), {"adam": {"color": "#0072B2", "linestyle": "-"}}
    )
    [axes] = figure.axes
    bars = [(bar.get_width(), bar.get_facecolor()[3]) for bar in axes.patches]  # type: ignore[attr-defined]
    assert bars == [(0.004, 0.3), (0.5, 1.0)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["width", "rate"]


# records


def test_the_order_of_trials() -> None:
    """Done before stopped before the rest; without a value last, by name."""
    trials = [
        trial(0, None), trial(1, 0.5), trial(2, 0.9, status="stopped"), trial(3, 0.8), trial(4, None),
        trial(5, 0.99, status="failed"),
    ]  # fmt: skip
    assert [known.number for known in ranked(trials, JUDGE)] == [3, 1, 2, 5, 0, 4]
    assert [known.number for known in ranked(trials, LOSS)] == [1, 3, 2, 5, 0, 4]


def test_the_worst_value_stands_for_those_without_one() -> None:
    sweep = record(trials=(trial(0, 0.5), trial(1, None), trial(2, 0.9), trial(3, 0.1, base="wine")))
    assert worst_value(sweep, "digits") == 0.5
    assert worst_value(sweep._replace(judge=LOSS), "digits") == 0.9
    assert filled(sweep.trials, 0.25) == [0.5, 0.25, 0.9, 0.1]
    assert worst_value(record(), "digits") == 0.0


def test_equal_settings_of_two_studies_are_two_runs() -> None:
    same = {RATE.path: 0.1}
    trials = [trial(0, settings=same), trial(1, settings=same), trial(2, settings=same, study=2)]
    assert [known.number for known in distinct(trials)] == [0, 2]


def final(label: str, values: tuple[float | None, ...], again: float, **changes: Any) -> FinalRecord:
    metrics = {"test/accuracy": values, "val/accuracy": (again,) * len(values)}
    known = FinalRecord(
        "digits", label, f"{label}-000", f"final/{label}", {RATE.path: 0.01}, tuple(range(100, 100 + len(values))),
        "done", metrics, 30, 1.0,
    )  # fmt: skip
    return known._replace(**changes)


def test_rows_are_in_the_order_of_fresh_validation_values() -> None:
    """Test values choose nothing: sgd is better there, and behind.  A seed that diverged puts lion last."""
    finals = (
        final("sgd", (0.99, 0.99), 0.90),
        final("adam", (0.80, 0.90), 0.91),
        final("lion", (0.95, None), 0.99),
    )
    trials = tuple(trial(0, value, label) for label, value in (("sgd", 0.95), ("adam", 0.90), ("lion", 0.97)))
    rows, metric, target, by_label = rows_of(
        record("sgd", "adam", "lion", trials=trials, finals=finals), "digits"
    )
    assert [known.alternative for known in rows] == ["adam", "sgd", "lion"]
    assert metric == TESTED and list(by_label) == ["sgd", "adam", "lion"]
    assert target == pytest.approx(0.90)  # what the worst has at last, by validation
    adam, _, lion = rows
    assert adam.values == {100: 0.8, 101: 0.9} and adam.mean == pytest.approx(0.85)
    assert (lion.seeds, lion.diverged, lion.low, lion.values) == (2, 1, None, {100: 0.95})
    assert (adam.trial, adam.validation, adam.validation_again) == ("adam-000", 0.90, pytest.approx(0.91))


def test_until_all_have_fresh_seeds_the_search_orders() -> None:
    trials = (
        trial(0, 0.95, "sgd"),
        trial(0, 0.90, "adam"),
        trial(1, None, "adam"),
        trial(2, 0.99, "adam", status="stopped"),
    )
    rows, metric, target, _ = rows_of(
        record("adam", "sgd", trials=trials, finals=(final("adam", (0.99,), 0.99),)), "digits"
    )
    assert [(known.alternative, known.fresh) for known in rows] == [("sgd", False), ("adam", True)]
    assert (metric, target) == (TESTED, pytest.approx(0.99))
    sgd, adam = rows
    assert sgd.values == {0: 0.95} and sgd.validation_again is None
    assert (adam.trials, adam.unstable, adam.stopped, adam.failed) == (3, 1, 1, 0)


def test_without_test_values_validation_compares() -> None:
    finals = (
        final("adam", (0.9,), 0.9)._replace(metrics={"val/accuracy": (0.8,)}),
        final("sgd", (0.9,), 0.9),
    )
    rows, metric, _, _ = rows_of(record(finals=finals, trials=(trial(), trial(label="sgd"))), "digits")
    assert metric == JUDGE and {known.alternative: known.mean for known in rows} == {"adam": 0.8, "sgd": 0.9}


def cells(part_answer: BaseAnswer) -> list[list[str]]:
    sheet = leaderboard(part_answer, JUDGE)
    columns = [[column.head, *(cell.plain for cell in column.cells)] for column in sheet.columns]
    return [list(line) for line in zip(*columns, strict=True)]


def test_a_leaderboard_in_the_middle_of_a_sweep() -> None:
    first = row(
        low=0.88, high=0.92, settings={RATE.path: 0.012345}, stopped=2, unstable=1, validation_again=0.91
    )
    second = row(
        "sgd",
        0.95,
        fresh=False,
        validation_again=None,
        failed=1,
        diverged=2,
        values={0: 0.95, 1: 0.95},
        seeds=4,
    )
    assert cells(part(first, second)) == [
        ["alternative", "test/accuracy", "95% interval", "seeds", "val/accuracy on fresh seeds", "trials", "chosen"],
        ["adam", "90.00%", "[88.00, 92.00]", "8", "91.00%", "20 (1 diverged, 2 stopped)", "learning_rate=0.0123"],
        ["sgd", "95.00% (search)", "", "2 of 4", "–", "20 (1 failed)", ""],
    ]  # fmt: skip


def test_a_leaderboard_of_studies_and_targets() -> None:
    known = row(values={1: 0.9}, studies=(row(), row("adam", None)), reached=Reached(8, 8, 90.0, None))
    head = cells(part(known)._replace(target=0.875))[0]
    assert head[3] == "studies" and head[5] == "steps to val/accuracy 87.50%"
    assert seeds_text(known) == "1 of 2" and seeds_text(row(values={1: 0.9}, studies=(row(),))) == "1"
    assert trials_text(row()) == "20"


@pytest.mark.parametrize(
    ("again", "words"),
    [(0.91, "ranked by val/accuracy on fresh seeds"), (None, "ranked by val/accuracy in the search")],
)
def test_what_ranks_the_alternatives_is_said(again: float | None, words: str) -> None:
    rows = row(), row("sgd", 0.95, validation_again=again)
    several = [
        text.plain for text in answer_tables(Answer(record(), [part(*rows)], {})) if isinstance(text, Text)
    ]
    assert words in several
    alone = [
        text.plain for text in answer_tables(Answer(record(), [part(row())], {})) if isinstance(text, Text)
    ]
    assert not [text for text in alone if text.startswith("ranked")]


def test_many_pairs_are_shown_where_they_are_asked_for() -> None:
    pairs = [pair(p=0.5, second=f"s{i}") for i in range(16)]
    answer = Answer(record(), [part(row(), comparisons=pairs)], {})
    short, long = (len(answer_tables(answer, pairs=asked)) for asked in (False, True))
    assert long == short + 3  # an empty line, a heading and a table
    few = Answer(record(), [part(row(), comparisons=pairs[:15])], {})
    assert len(answer_tables(few)) == len(answer_tables(few, pairs=True))


@pytest.mark.parametrize(
    ("value", "number"),
    [(1, 1.0), (0.5, 0.5), (float("nan"), None), (float("inf"), None), (None, None), ("nan", None)],
)
def test_what_is_no_finite_number_is_none(value: object, number: float | None) -> None:
    assert number_of(value) == number


def test_lines_of_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert lines_of(tmp_path / "none.jsonl") == []
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": 2}')  # the last one is still being written
    assert lines_of(tmp_path / "a.jsonl") == [{"a": 1}]


@pytest.mark.parametrize(
    ("content", "values"),
    [
        ('{"format": 1, "metrics": {"a": [0.5, 0.75]}}', [0.5, 0.75]),
        ('{"format": 2, "metrics": {"a": [0.5, 0.75]}}', None),
        ('{"format": 1, "metrics": {"b": [0.5, 0.75]}}', None),
        ('{"format": 1, "metrics": {"a": [0.5]}}', None),
        ('{"format": 1, "metrics": {"a": [[0.5, 0.75]]}}', None),
        ('{"format": 1, "metrics": {"a": [0.5, NaN]}}', None),
        ('{"format": 1, "metrics": {"a": ["x", "y"]}}', None),
        ('{"format": 1, "metr', None),
        (None, None),
    ],
)
def test_resamples_of_the_examples(content: str | None, values: list[float] | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "examples.json").write_text(content)
    known = read_examples(tmp_path, "a")
    assert (known if known is None else known.tolist()) == values
