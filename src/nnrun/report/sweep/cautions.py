"""What a careful supervisor would say to the answer of a sweep, and what of it is still missing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import cast

from nnrun.amounts import figure
from nnrun.record import run
from nnrun.report.sweep.evidence import distinct
from nnrun.report.sweep.examples import read_examples
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.report.sweep.folder import SweepRecord
from nnrun.report.sweep.judged_on import other_examples
from nnrun.report.sweep.luck import few_studies, luck
from nnrun.report.sweep.ranges import border
from nnrun.report.sweep.rows import AnswerRow
from nnrun.report.sweep.sensitivity import sensitivity
from nnrun.report.sweep.studies import unsound
from nnrun.report.values import level
from nnrun.report.words import gap
from nnrun.statistics.budget import at_budget
from nnrun.statistics.compare import least_seeds
from nnrun.statistics.sign_flips import ALPHA

__all__ = ["cautions", "leans_on", "missing"]

_FEW_TRIALS = 5  # the smaller budget that the ranking is looked at with
_MANY = 0.25  # of the trials
_UNIMPORTANT = 0.1  # p-value of an importance above which a dimension may have no effect


def cautions(answer: Answer) -> list[str]:
    """Warnings, one sentence each."""
    several = len(answer.bases) > 1
    return [
        f"{part.base}: {text}" if several else text
        for part in answer.bases
        for text in (
            *other_examples(answer.sweep, part.base),
            *(_few_seeds if answer.sweep.studies == 1 else few_studies)(part, answer.sweep),
            *_no_examples(part),
            *_copies(part, answer.sweep),
            *_risen(part, answer.sweep),
            *_diverged(part),
            *_borders(part, answer.sweep),
            *_budget(part, answer.sweep),
            *luck(part, answer.sweep),
        )
    ]


def leans_on(answer: Answer) -> list[str]:
    """What would change the answer, one sentence each."""
    several = len(answer.bases) > 1
    return [
        f"{part.base}: {text}" if several else text
        for part in answer.bases
        for text in sensitivity(part, answer.sweep)
    ]


def missing(answer: Answer) -> list[str]:
    """What an unfinished sweep lacks."""
    sweep = answer.sweep
    lines = []
    rows = [row for part in answer.bases for row in part.rows]
    planned = sweep.trials_planned * sweep.studies
    short = [row for row in rows if row.trials < planned]
    if short and not _is_over(sweep):
        trials = planned * len(rows)
        lines.append(f"{sum(row.trials for row in rows)} of {trials} trials have ended")
    for row in rows if not _is_over(sweep) else ():
        if row.pending:
            numbers = ", ".join(map(str, row.pending))
            name = _name(sweep, row)
            lines.append(
                f"not yet trained on fresh seeds: studies {numbers} of {name}; its values are of the others"
            )
    waiting = [row for row in rows if not row.fresh]
    if waiting and not sweep.final_seeds:
        lines.append(
            "no final comparison was asked for (sweep.final_seeds: 0): values are those of the search, which "
            "flatter whatever was chosen by them, and nothing is tested"
        )
    elif waiting and not _is_over(sweep):
        names = ", ".join(_name(sweep, row) for row in waiting)
        lines.append(f"not yet trained on fresh seeds: {names}; their values are those of the search")
    return lines


def _is_over(sweep: SweepRecord) -> bool:
    return run.is_run(sweep.folder) and run.read_state(sweep.folder)["status"] == "done"


def _name(sweep: SweepRecord, row: AnswerRow) -> str:
    return f"{row.alternative} on {row.base}" if len(sweep.bases) > 1 else row.alternative


def _few_seeds(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    if part.factors:
        pairs = len(part.factors.effects) + len(part.factors.interactions)
        seeds = part.factors.effects[0].pair.seeds
    else:
        pairs, seeds = len(part.comparisons), min((pair.seeds for pair in part.comparisons), default=0)
    if not pairs:
        if len(part.rows) > 1 and sweep.final_seeds == 1 and any(row.fresh for row in part.rows):
            enough = least_seeds(math.comb(len(part.rows), 2) * sweep.looks)
            yield f"with 1 seed no difference can be distinguished from chance; write sweep.final_seeds: {enough}"
        return
    least = least_seeds(pairs * sweep.looks)
    if seeds < least:
        tests = "this comparison" if pairs == 1 else f"{pairs} comparisons"
        yield (
            f"{seeds} seeds are too few: in {tests} no difference can get below p = {ALPHA:g}, however large; "
            f"write sweep.final_seeds: {least} or more"
        )
        return
    if part.factors:
        return
    best = part.rows[0].alternative
    open_ = [p for p in part.comparisons if best in (p.first, p.second) and not p.significant]
    rivals = [
        f"{pair.second if pair.first == best else pair.first} "
        f"({'more than 10,000' if pair.seeds_needed is None else f'about {pair.seeds_needed:,}'} would)"
        for pair in open_
    ]
    if rivals:
        seen = f"difference is the {gap(part.metric, open_[0].difference)} seen"
        seem = "differences are what they seem" if len(rivals) > 1 else seen
        yield f"{seeds} seeds cannot tell {best} from {', '.join(rivals)}, if the {seem}"


def _no_examples(part: BaseAnswer) -> Iterator[str]:
    rows = [row for row in part.rows if row.fresh and row.run and len(row.values) > 1 and not row.diverged]
    runs = [(row.alternative, study.run) for row in rows for study in row.studies or (row,)]
    names = [name for name, run in runs if run and read_examples(run, part.metric.name) is None]
    if names and part.comparisons:
        yield (
            f"nothing is known of other examples for {', '.join(dict.fromkeys(names))}: what is said of them covers "
            "seeds and searches only"
        )


def _diverged(part: BaseAnswer) -> Iterator[str]:
    for row in part.rows:
        if row.fresh and row.diverged:
            kept = (
                "its mean is of the others, so it looks better than it is" if row.values else "it has no mean"
            )
            yield f"{row.alternative}: {row.diverged} of {row.seeds} fresh seeds diverged; {kept}"
        if row.lost:
            yield f"{unsound(row)}, so its mean, which is of the others, looks better than it is"
        if row.fresh and not row.seeds:
            yield f"{row.alternative}: its runs on fresh seeds failed; see the reason in final.jsonl"
        if row.unstable >= max(2, _MANY * row.trials):
            yield (
                f"{row.alternative}: {row.unstable} of {row.trials} trials diverged, so its budget was smaller than "
                "that of the others; narrow its ranges to where training is stable"
            )
        if row.failed:
            yield f"{row.alternative}: {row.failed} of {row.trials} trials failed; see the reasons in trials.jsonl"


def _risen(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    for row in part.rows:
        trials = [t for t in sweep.trials if (t.base, t.alternative) == (row.base, row.alternative)]
        risen = [trial for trial in trials if trial.risen]
        chosen = any(trial.trial == row.trial for trial in risen)
        if chosen or len(risen) >= max(2, _MANY * len(trials)):
            yield (
                f"{row.alternative}: {len(risen)} of {len(trials)} trials{', the chosen one too,' if chosen else ''} "
                "ended with more than twice the training loss of their beginning, or of outputs of 0: they have not "
                "learned; narrow its ranges to where training is stable"
            )


def _copies(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    for row in part.rows:
        trials = [t for t in sweep.trials if (t.base, t.alternative) == (row.base, row.alternative)]
        combinations = len(distinct(trials))
        if combinations < len(trials):
            yield (
                f"{row.alternative}: its {len(trials)} trials have only {combinations} different settings, the others "
                "are copies and count once; write sweep.search: grid, or wider ranges"
            )


def _borders(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    dimensions = {alternative.label: alternative.dimensions for alternative in sweep.alternatives}
    for row in part.rows:
        importances = {
            importance.path: importance for importance in part.importances.get(row.alternative, [])
        }
        for dimension in dimensions[row.alternative]:
            end = border(dimension, row.settings[dimension.path]) if dimension.path in row.settings else None
            if end is None:
                continue
            number = cast(float, row.settings[dimension.path])  # as it lies at a border
            value = f"{row.alternative}: the best {dimension.path}, {figure(number)}"
            weight = importances.get(dimension.path)
            if weight and weight.p > _UNIMPORTANT:
                yield f"{value}, is at the {end} end of its range; the metric hardly depends on it there"
            else:
                yield f"{value}, is at the {end} end of its range: a better one may lie beyond; widen it"


def _budget(part: BaseAnswer, sweep: SweepRecord) -> Iterator[str]:
    curves = part.best_of
    longest = min((len(curve) and curve[-1].k for curve in curves.values()), default=0)
    if len(curves) < 2 or longest <= _FEW_TRIALS:
        return
    few = {label: at_budget(curve, _FEW_TRIALS) for label, curve in curves.items()}
    all_ = {label: at_budget(curve, longest) for label, curve in curves.items()}
    early, late = (sweep.judge.best(values, values.__getitem__) for values in (few, all_))
    if early is None or late is None:
        return
    lead, rival = (level(sweep.judge, few[label]) for label in (early, late))
    if lead != rival:  # a lead that no digit shows is none
        yield (
            f"the ranking changes with the budget: after {_FEW_TRIALS} trials of tuning {early} would lead "
            f"({sweep.metric} {lead} against {rival} of {late}), after {longest} it is {late}"
        )
