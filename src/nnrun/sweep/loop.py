"""The course of a sweep: ask the search, train what it proposes, tell it how that went, compare what was best.

Everything that is decided follows from the sweep file and from what the run folders say.  So continuing with a
killed sweep is going through the same decisions: what is done is read, what is not is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnrun.errors import RunError, SpecError, one_line
from nnrun.record.names import FINALS, TRIALS
from nnrun.report.sweep.entries import FinalEntry, TrialEntry
from nnrun.report.sweep.folder import read_sweep
from nnrun.report.sweep.rows import best_trial
from nnrun.space import Observation, Point
from nnrun.sweep import folder as files
from nnrun.sweep import records
from nnrun.sweep.batches import Event, Trainer, carry_out, is_done
from nnrun.sweep.best import write_best
from nnrun.sweep.chosen import best_of_lines
from nnrun.sweep.creation import RunFolders
from nnrun.sweep.engine import Engine
from nnrun.sweep.examples import write_examples
from nnrun.sweep.packing import planned
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.repair import reopen_round
from nnrun.sweep.rungs import Rungs
from nnrun.sweep.studies import searched_together
from nnrun.sweep.trials import Trial, final_seeds, seeds_of, trial_at, trial_spec

__all__ = ["SweepLoop"]

_NAMED = 4  # runs that a warning names
_SAME_FAILURES = 3  # of the first trials, which end the sweep


class SweepLoop:
    """One sweep under way.

    records   what became of each trial, by name
    finals    what became of each line's chosen trial on fresh seeds
    """

    def __init__(self, sweep_plan: SweepPlan, root: Path, engine: Engine, trainer: Trainer) -> None:
        self.sweep_plan, self.root, self.engine, self.trainer = sweep_plan, root, engine, trainer
        self.trials: dict[str, Trial] = {}
        self.records: dict[str, TrialEntry] = {}
        self.finals: list[FinalEntry] = []
        self._lanes: dict[str, int] = {}  # of the last program that each trial was in
        self._first: list[TrialEntry] = []  # records of the first that began and ended
        self._ledger = files.Ledger(root / TRIALS)
        self._folders = RunFolders(sweep_plan, root, engine)

    def run(self) -> Iterator[Event]:
        """Trains every trial and compares the best of each line.  Raises Interrupted, MachineError, SpecError."""
        try:
            yield from self._search()
            self._ledger.arrange(self.records[name] for name in self.trials)
            yield from self._compare()
        finally:
            self._ledger.close()

    def _search(self) -> Iterator[Event]:
        """Rounds of trials of all lines, until every line has had its budget."""
        sweep_plan = self.sweep_plan
        number = 0
        for places in searched_together(sweep_plan):
            asked = dict.fromkeys(places, 0)
            while any(done < sweep_plan.budgets[i] for i, done in asked.items()):
                trials: list[Trial] = []
                for i in places:
                    count = sweep_plan.budgets[i] - asked[i]
                    count = min(count, sweep_plan.search.batch or count)
                    points = self._ask(i, asked[i], count) if count else []
                    trials += [
                        trial_at(sweep_plan.arms[i], asked[i] + j, point) for j, point in enumerate(points)
                    ]
                    asked[i] += count
                yield from self._round(f"r{number:03d}", trials)
                number += 1

    def _ask(self, place: int, first: int, count: int) -> list[Point]:
        """What the search proposes for a line, after what it has seen of it."""
        sweep_plan, arm = self.sweep_plan, self.sweep_plan.arms[place]
        sign = -sweep_plan.metric.sign  # a search minimises
        trials = [trial for trial in self.trials.values() if trial.arm == arm]
        seen = [
            Observation(trial.point, None if value is None else sign * value)
            for trial in trials
            for value in [records.trial_value(self.records[trial.name])]
        ]
        return sweep_plan.search.ask(arm.alternative.space, arm.seed, first, count, seen)

    def _round(self, name: str, trials: Sequence[Trial]) -> Iterator[Event]:
        """Trains trials, over the rungs where the search has some, and writes down what became of them."""
        self.trials.update({trial.name: trial for trial in trials})
        ready = [trial for trial in trials if self._is_ready(trial)]
        search = self.sweep_plan.search
        runs = [trial.run for trial in ready]
        self._warn_of(reopen_round(self.root, name, runs, bool(search.rungs), search.explore is not None))
        rungs = Rungs(name, self.sweep_plan, self.root, self.engine, ready)
        known = {trial.run: trial for trial in ready}
        for stage in rungs.stages():
            self._lanes |= {name: batch.lanes for batch in stage for name in batch.runs}
            before = [
                batch for batch in stage if is_done(self.root, batch) and (batch.final or batch.until is None)
            ]
            self._note([known[name] for batch in before for name in batch.runs if name in known], rungs)
            for event in carry_out(self.root, stage, self.trainer):
                yield event
                if event.phase == "done" or (event.phase == "failed" and len(event.batch.runs) == 1):
                    self._note([known[name] for name in event.batch.runs if name in known], rungs)
        self._note(ready, rungs)
        self._check_complete(trials)

    def _warn_of(self, again: Sequence[str]) -> None:
        """Names the runs that are trained again because something of them, or of their program, is missing."""
        flaws = self._folders.flaws
        runs = list(dict.fromkeys([*flaws, *again]))
        for run_name in runs[:_NAMED]:
            lacks = f"{flaws[run_name]} is missing or damaged" if run_name in flaws else "it is not whole"
            self.engine.warn(f"{self.root.name}: {run_name} is trained again: {lacks}")
        if len(runs) > _NAMED:
            self.engine.warn(f"{self.root.name}: {len(runs) - _NAMED} further runs are trained again")
        flaws.clear()

    def _check_complete(self, trials: Sequence[Trial]) -> None:
        """Raises RunError where trials have no record: a sweep with fewer than its budget is not done."""
        missing = [trial.run for trial in trials if trial.name not in self.records]
        if missing:
            raise RunError(
                f"{one_line(self.root)}: {missing[0]} has no result (of {len(missing)} trials); "
                f"`nnrun sweep --resume {one_line(self.root)}` trains what is missing"
            )

    def _note(self, trials: Sequence[Trial], rungs: Rungs) -> None:
        """Writes down the trials that have ended and are not written down yet."""
        for trial in trials:
            if trial.name in self.records or not rungs.is_over(trial):
                continue
            record = records.trial_record(
                self.root, trial, trial.name in rungs.stopped, rungs.seconds(trial), rungs.settings(trial)
            )
            self._add(record)
            self._refuse_same_failures(record)

    def _refuse_same_failures(self, record: TrialEntry) -> None:
        """Raises SpecError where the first trials that began to train all failed, for one reason."""
        if len(self._first) < _SAME_FAILURES:
            self._first.append(record)
            reasons = {failed["reason"] if failed["status"] == "failed" else None for failed in self._first}
            enough = len(self._first) == min(_SAME_FAILURES, sum(self.sweep_plan.budgets))
            if enough and len(reasons) == 1 and None not in reasons:
                raise SpecError(
                    f"the first {len(self._first)} trials failed in the same way: {record['reason']}"
                )

    def _add(self, record: TrialEntry) -> None:
        self.records[record["trial"]] = record
        self._ledger.add(record)

    def _is_ready(self, trial: Trial) -> bool:
        """Whether a trial can train; one that cannot even begin is written down as failed."""
        ready = self._folders.trial(trial)
        if not ready:
            self._add(records.trial_record(self.root, trial, False, 0.0))
        return ready

    def _compare(self) -> Iterator[Event]:
        """Trains the best setting of every line on fresh seeds."""
        file = self.sweep_plan.file
        ledger = files.Ledger(self.root / FINALS)
        places: dict[str, Trial] = {}
        try:
            for trial in best_of_lines(self.sweep_plan, list(self.trials.values()), self.records):
                if final_seeds(file, trial.arm.base)[1]:
                    place = f"final/{trial.arm.place}"
                    self._folders.final(trial, place)
                    places[place] = trial
            identity = repr(
                [
                    (place, trial.name, final_seeds(file, trial.arm.base, trial.arm.study))
                    for place, trial in places.items()
                ]
            )
            name = f"final-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"  # a sweep that grew chooses again
            known = {
                place: self._lanes[trial.run] for place, trial in places.items() if trial.run in self._lanes
            }
            self._warn_of(reopen_round(self.root, name, list(places), False, False))
            batches = planned(name, list(places), self.engine, self.root, file.sweep.width, known)
            yield from carry_out(self.root, batches, self.trainer)
            write_examples(self.root, places, self.engine)
            for place, trial in places.items():
                seconds = records.share_of_seconds(self.root, batches, place)
                record = records.final_record(self.root, trial, place, seconds)
                self.finals.append(record)
                ledger.add(record)
        finally:
            ledger.close()
        self._write_best()

    def best_of_all(self) -> Trial | None:
        """The trial that best.yaml is made of, with the settings that it ended with: the first of the answer."""
        name = best_trial(read_sweep(self.root))
        return (
            None
            if name is None
            else self.trials[name]._replace(settings=dict(self.records[name]["settings"]))
        )

    def _write_best(self) -> None:
        """best.yaml, a spec that trains as it is."""
        trial = self.best_of_all()
        if trial is None:
            return
        seeds = seeds_of(self.sweep_plan.file, trial.arm.base, trial.arm.study)
        checked = trial_spec(
            self.sweep_plan.file, trial.arm, trial.settings, seeds, self.sweep_plan.file.name
        )
        studies = self.sweep_plan.file.sweep.studies
        of_studies = f"of {studies} studies " if studies > 1 else ""
        how = f"{of_studies}over fresh seeds" if self.finals else f"of {len(self.records)} trials"
        headline = f"The best {how} by {self.sweep_plan.metric.name}: {trial.name}."
        write_best(self.root, checked, headline)
