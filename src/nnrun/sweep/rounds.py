"""A sweep that grows until its verdict is clear: what the next round adds, and when there is none.

After each round the answer is looked at, which is one of `sweep.rounds` looks: every p-value of every look is
multiplied by their number (Bonferroni), so the chance of any false verdict in any look is at most 5%, whatever
the rule by which a sweep grows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NotRequired

from typing_extensions import TypedDict

from nnrun.record.names import ROUNDS
from nnrun.report.sweep.findings import Answer, BaseAnswer
from nnrun.statistics.comparison import PairComparison
from nnrun.storage import fsio
from nnrun.sweep.file import MOST_SEEDS, MOST_STUDIES, MOST_TRIALS
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.trials import final_seeds

__all__ = ["Round", "RoundEntry", "next_round"]


class RoundEntry(TypedDict):
    """A line of rounds.jsonl: what a sweep had when it was looked at."""

    round: int
    trials: int
    final_seeds: int
    studies: NotRequired[int]  # where the search is repeated
    decided: bool


class Round(NamedTuple):
    """What becomes of a sweep after a look at it.

    changes   overrides that make it larger; [] where it is over
    words     what to say of it
    """

    changes: list[str]
    words: str


def next_round(sweep_plan: SweepPlan, folder: Path, answer: Answer) -> Round:
    """Looks at the answer of a sweep that is done, writes down that it did, and says how the sweep continues."""
    sweep, base = sweep_plan.file.sweep, sweep_plan.file.bases[0]
    trials, seeds = max(sweep_plan.budgets), final_seeds(sweep_plan.file, base)[1]
    open_pairs = [pair for part in answer.bases for pair in _open(part)]
    lost = [text for part in answer.bases for text in _not_compared(part)]
    decided = not open_pairs and not lost
    entries = _read(folder)
    looked: RoundEntry = {
        "round": len(entries) + 1,
        "trials": trials,
        "final_seeds": seeds,
        "decided": decided,
    }
    if sweep.studies > 1:
        looked["studies"] = sweep.studies
    if not entries or _budget(entries[-1]) != _budget(looked):
        entries.append(looked)
        fsio.write_file(folder / ROUNDS, "".join(json.dumps(entry) + "\n" for entry in entries).encode())
    number = f"round {len(entries)} of {sweep.rounds}"
    if decided:
        return Round([], f"{number}: the verdict is clear")
    if len(entries) >= sweep.rounds:
        return Round([], f"{number}: the verdict is not clear, and there are no further rounds")
    changes = _growth(sweep_plan, open_pairs, entries[0], looked)
    if not changes:
        more = "no further studies" if sweep.studies > 1 else "neither trials nor seeds"
        reasons = list(dict.fromkeys([*lost, *(pair.unknown for pair in open_pairs if pair.unknown)]))
        why = f": {'; '.join(reasons)}" if reasons else ""
        return Round([], f"{number}: the verdict is not clear, and {more} would make it so{why}")
    return Round(changes, f"{number}: the verdict is not clear; the next one has {', '.join(changes)}")


def _open(part: BaseAnswer) -> list[PairComparison]:
    """The comparisons of a base that are not decided: of its factors, or of the best alternative with the others."""
    if part.factors:
        return [effect.pair for effect in part.factors.effects if not effect.pair.decided]
    best = part.rows[0].alternative if part.rows else ""
    return [pair for pair in part.comparisons if best in (pair.first, pair.second) and not pair.decided]


def _not_compared(part: BaseAnswer) -> list[str]:
    """The alternatives that could not be compared with the best one."""
    if part.factors or len(part.rows) < 2:
        return []
    best = part.rows[0].alternative
    compared = {name for pair in part.comparisons if best in (pair.first, pair.second) for name in pair[:2]}
    names = [row.alternative for row in part.rows[1:] if row.alternative not in compared]
    return [f"{', '.join(names)} could not be compared with {best}"] if names else []


def _growth(
    sweep_plan: SweepPlan, open_pairs: Sequence[PairComparison], first: RoundEntry, last: RoundEntry
) -> list[str]:
    """More trials where another search could turn a difference round, more seeds where they show none.

    Where the search is repeated, more studies.
    first, last   what the sweep had at the first look and at this one
    """
    changes = []
    trials, seeds = last["trials"], last["final_seeds"]
    if "studies" in last:
        studies = min(MOST_STUDIES, last["studies"] + first.get("studies", 0))
        is_open = any(not pair.significant and not pair.unknown for pair in open_pairs)
        return [f"sweep.studies={studies}"] if is_open and studies > last["studies"] else []
    grows = sweep_plan.search.most is None and any(arm.alternative.space for arm in sweep_plan.arms)
    grows = grows and trials < MOST_TRIALS
    if grows and any(pair.searches and not pair.over_searches for pair in open_pairs):
        changes.append(f"sweep.trials={min(MOST_TRIALS, trials + first['trials'])}")
    if any(not pair.significant for pair in open_pairs) and seeds < MOST_SEEDS:
        changes.append(f"sweep.final_seeds={min(MOST_SEEDS, seeds + first['final_seeds'])}")
    return changes


def _budget(entry: RoundEntry) -> tuple[int, int, int]:
    return entry["trials"], entry["final_seeds"], entry.get("studies", 1)


def _read(folder: Path) -> list[RoundEntry]:
    if not (folder / ROUNDS).is_file():
        return []
    return [json.loads(line) for line in fsio.read_file(folder / ROUNDS).splitlines()]
