"""What luck had to do with the answer of a sweep: that of its draws, and that of choosing the best of many."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from nnrun.errors import one_line
from nnrun.report.sweep.findings import BaseAnswer
from nnrun.report.sweep.folder import SweepRecord
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.searches import dependent
from nnrun.report.values import level
from nnrun.report.words import gap
from nnrun.statistics.sign_flips import ALPHA
from nnrun.statistics.studies import least_studies

__all__ = ["few_studies", "luck"]


def luck(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    """Warnings, one sentence each."""
    fresh = [row for row in part.rows if row.fresh and row.mean is not None and row.validation is not None]
    yield from _draws(part)
    yield from _repeats(part, sweep)
    yield from _disagreement(part, sweep, fresh)
    yield from _choice(fresh, sweep)


def few_studies(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    """Whether there are enough studies to find any difference, and how many would tell the best from the others."""
    pairs = [effect.pair for effect in part.factors.effects] if part.factors else part.comparisons
    if not pairs:
        return
    tests = len(pairs) + (len(part.factors.interactions) if part.factors else 0)
    studies = min(pair.studies or 0 for pair in pairs)
    least = least_studies(tests * sweep.looks)
    if studies < least:
        of_tests = "this comparison" if tests == 1 else f"{tests} comparisons"
        # One that grows until its verdict is clear takes nothing by hand.
        by_hand = f"{_command(sweep, least)} adds further ones"
        remedy = by_hand if sweep.looks == 1 else f"begin one with sweep.studies: {least}"
        yield (
            f"{studies} studies are too few: in {of_tests} no difference can get below p = {ALPHA:g}, however large; "
            f"{remedy}"
        )
        return
    best = part.rows[0].alternative
    rivals = {
        (pair.second if pair.first == best else pair.first): pair
        for pair in part.comparisons
        if best in (pair.first, pair.second) and not pair.significant and not pair.unknown
    }
    if not rivals or part.factors:
        return
    named = [
        f"{rival} ({'more than 10,000' if pair.seeds_needed is None else f'about {pair.seeds_needed:,}'} would)"
        for rival, pair in rivals.items()
    ]
    yield f"{studies} studies cannot tell {best} from {', '.join(named)}, if means and spreads are what they seem"


def _command(sweep: SweepRecord, studies: int) -> str:
    """The command that gives a sweep this many studies."""
    return f"`nnrun sweep --resume {shlex.quote(one_line(sweep.folder))} sweep.studies={studies}`"


def _repeats(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    """The command that repeats the search, where its trials depend on each other and say nothing of other searches."""
    pairs = [effect.pair for effect in part.factors.effects] if part.factors else part.comparisons
    if any(pair.significant and pair.unknown == dependent(sweep) for pair in pairs):
        tests = len(pairs) + (len(part.factors.interactions) if part.factors else 0)
        command = _command(sweep, least_studies(tests))
        yield f"{dependent(sweep)}, so one search says nothing of others; {command} repeats it and compares the studies"


def _draws(part: BaseAnswer) -> Iterator[str]:
    """How many trials would tell the best from those that another search could put before it."""
    if not part.rows or part.factors:
        return
    best = part.rows[0].alternative
    rivals = {
        (pair.second if pair.first == best else pair.first): pair.searches
        for pair in part.comparisons
        if best in (pair.first, pair.second) and pair.significant and not pair.decided and pair.searches
    }
    if not rivals:
        return
    trials = min(over.trials for over in rivals.values())
    named = [
        f"{rival} (about {over.trials_needed:,} would)" if over.trials_needed else rival
        for rival, over in rivals.items()
    ]
    condition = (
        ", if further ones are like these" if any(over.trials_needed for over in rivals.values()) else ""
    )
    yield f"{trials} trials each cannot tell {best} from {', '.join(named)} over other searches{condition}"


def _disagreement(part: BaseAnswer, sweep: SweepRecord, fresh: list[AnswerRow]) -> Iterator[str]:
    if len(fresh) < 2 or part.metric == sweep.judge:
        return
    chosen, best = part.rows[0], sweep.judge.best(fresh, lambda row: row.mean or 0.0) or fresh[0]
    names = {chosen.alternative, best.alternative}
    pair = next((p for p in part.comparisons if {p.first, p.second} == names), None)
    if pair:
        size = "more than chance would give" if pair.significant else "no more than chance may give"
        yield (
            f"validation and test disagree: {chosen.alternative} is the best by {sweep.judge}, {best.alternative} "
            f"by {part.metric}, by {gap(part.metric, pair.difference)} ({size}); test data choose nothing"
        )


def _choice(rows: list[AnswerRow], sweep: SweepRecord) -> Iterator[str]:
    """The value by which a setting was chosen flatters it; reported where fresh seeds do not reach it."""
    losses = []
    for row in rows:
        again, before = row.validation_again, row.validation
        if again is None or before is None or row.low is None or row.high is None:
            continue
        lost = sweep.judge.gain(before, again)
        if lost > (row.high - row.low) / 2:
            losses.append(f"{row.alternative} {level(sweep.judge, before)} → {level(sweep.judge, again)}")
    if losses:
        yield f"the winners of the search were partly lucky: {sweep.metric} then → on fresh seeds: {', '.join(losses)}"
