"""What would change the verdict of a sweep: one seed less, one trial less, half of the trials, another target.

Each line looks at the best alternative and the next one.  Nothing here is a test: it says on what the answer leans.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from nnrun.amounts import figure
from nnrun.report.sweep.evidence import distinct, ranked
from nnrun.report.sweep.findings import BaseAnswer
from nnrun.report.sweep.folder import SweepRecord, TrialRecord
from nnrun.report.sweep.ranges import undrawn
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.values import level
from nnrun.report.words import gap
from nnrun.statistics.budget import at_budget
from nnrun.statistics.compare import holm, least_seeds
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.sign_flips import ALPHA, sign_flip_test
from nnrun.statistics.studies import compare_studies, least_studies

__all__ = ["sensitivity"]

_LARGE = 0.5  # of a lead
_FEWEST_TRIALS = 4  # of which a half can be looked at


def sensitivity(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    """Lines, one for each thing that would change the answer; none where the best alternative leads in every way."""
    rows = [row for row in part.rows if row.fresh and row.mean is not None]
    if len(rows) < 2:
        return
    best, second = rows[:2]
    pair = next(
        (p for p in part.comparisons if {p.first, p.second} == {best.alternative, second.alternative}), None
    )
    ahead = part.metric.gain(best.mean or 0.0, second.mean or 0.0) > 0
    if pair and pair.significant and ahead and not part.factors:
        if sweep.studies > 1:
            yield from _one_study_less(rows, sweep.looks, pair)
        else:
            yield from _one_seed_less(rows, sweep.looks, pair)
            yield from _best_trial_less(part, sweep, best, second)
        yield from _half_of_the_trials(part, sweep, best, second)
    yield from _another_target(part, rows)
    if not sweep.adaptive:
        yield from _never_drawn(part, sweep, (best, second))


def _one_seed_less(rows: Sequence[AnswerRow], looks: int, pair: PairComparison) -> Iterator[str]:
    """Seeds without which the difference is no longer significant; none where one seed less could find nothing."""
    values = {row.alternative: row.values for row in rows}
    seeds = [seed for seed in values[pair.first] if seed in values[pair.second]]
    if len(seeds) - 1 < least_seeds(math.comb(len(values), 2) * looks):
        return
    turning = [seed for seed in seeds if _adjusted(values, seed, looks)[pair.first, pair.second] > ALPHA]
    if turning:
        rest = f", or any of {len(turning) - 1} further ones," if len(turning) > 1 else ""
        yield f"without seed {turning[0]}{rest} {pair.first} and {pair.second} would show no significant difference"


def _one_study_less(rows: Sequence[AnswerRow], looks: int, pair: PairComparison) -> Iterator[str]:
    """The same of studies."""
    values = {row.alternative: row.values for row in rows}
    studies = [study for study in values[pair.first] if study in values[pair.second]]
    if len(studies) - 1 < least_studies(math.comb(len(values), 2) * looks):
        return
    for study in studies:
        rest = {
            label: {number: value for number, value in known.items() if number != study}
            for label, known in values.items()
        }
        [same] = [p for p in compare_studies(rest, looks=looks) if p[:2] == (pair.first, pair.second)]
        if not same.significant:
            yield f"without study {study} {pair.first} and {pair.second} would show no significant difference"
            return


def _adjusted(
    values: Mapping[str, Mapping[int, float]], left_out: int, looks: int
) -> dict[tuple[str, str], float]:
    """The corrected p-values of all pairs without a seed."""
    p_values = {}
    for first, second in itertools.combinations(values, 2):
        common = [seed for seed in values[first] if seed in values[second] and seed != left_out]
        if len(common) >= 2:
            p_values[first, second] = sign_flip_test([values[first][s] - values[second][s] for s in common])
    return dict(zip(p_values, holm([*p_values.values()], looks), strict=True))


def _best_trial_less(
    part: BaseAnswer, sweep: SweepRecord, best: AnswerRow, second: AnswerRow
) -> Iterator[str]:
    """Whether the next best setting of the best alternative is still ahead, by the values of its own seeds."""
    trials = _trials(sweep, best)
    rest = [trial for trial in ranked(distinct(trials), sweep.judge) if trial.trial != best.trial]
    values = [
        value for value in (rest[0].metrics.get(part.metric.name, ()) if rest else ()) if value is not None
    ]
    if not values or rest[0].status != "done" or second.mean is None:
        return
    mean = statistics.fmean(values)
    if part.metric.gain(mean, second.mean) < 0:
        yield (
            f"without its best trial {best.alternative} would have {part.metric} {level(part.metric, mean)} "
            f"({rest[0].trial}), behind the {level(part.metric, second.mean)} of {second.alternative}"
        )


def _half_of_the_trials(
    part: BaseAnswer, sweep: SweepRecord, best: AnswerRow, second: AnswerRow
) -> Iterator[str]:
    curves = [part.best_of.get(row.alternative) for row in (best, second)]
    if not all(curves):
        return
    first_curve, second_curve = (curve for curve in curves if curve)
    trials = min(first_curve[-1].k, second_curve[-1].k)
    if trials < _FEWEST_TRIALS:
        return
    half = trials // 2
    lead = sweep.judge.gain(first_curve[-1].value, second_curve[-1].value)
    early = sweep.judge.gain(at_budget(first_curve, half), at_budget(second_curve, half))
    if lead > 0 >= early:
        yield f"with half of the trials ({half} each) {second.alternative} would be expected to lead"
    later = sweep.judge.gain(first_curve[-1].value, at_budget(first_curve, half))
    if lead > 0 and early > 0 and later > _LARGE * lead:
        yield (
            f"the best of {trials} trials of {best.alternative} is {gap(sweep.judge, later)} better than what {half} "
            f"would be expected to find, and its lead in the search is {gap(sweep.judge, lead)}: more trials may move "
            "either"
        )


def _another_target(part: BaseAnswer, rows: Sequence[AnswerRow]) -> Iterator[str]:
    """Whether another alternative is the first to reach the target."""
    reached = {row.alternative: row.reached.steps for row in rows if row.reached}
    if part.target is None or len(reached) < 2:
        return
    fastest, best = min(reached, key=reached.__getitem__), rows[0].alternative
    if best in reached and reached[fastest] < reached[best] < float("inf"):
        yield (
            f"judged by steps to the target, {fastest} is first ({reached[fastest]:,.0f} steps, {best} "
            f"{reached[best]:,.0f})"
        )


def _never_drawn(part: BaseAnswer, sweep: SweepRecord, rows: Sequence[AnswerRow]) -> Iterator[str]:
    for row in rows:
        [alternative] = [known for known in sweep.alternatives if known.label == row.alternative]
        trials = distinct(_trials(sweep, row))
        for dimension in alternative.dimensions:
            values = [
                float(value)
                for trial in trials
                if isinstance(value := trial.settings.get(dimension.path), int | float)
                and not isinstance(value, bool)
            ]
            unusual = undrawn(dimension, values)
            if unusual:
                low, high, share = unusual
                yield (
                    f"{row.alternative}: none of its {len(values)} trials has {dimension.path} between "
                    f"{figure(low, 3)} and {figure(high, 3)}, {100 * share:.0f}% of the range"
                )


def _trials(sweep: SweepRecord, row: AnswerRow) -> list[TrialRecord]:
    return [trial for trial in sweep.trials if (trial.base, trial.alternative) == (row.base, row.alternative)]
