"""The course of a sweep: ask the search, train what it proposes, tell it how that went, compare what was best.

Everything that is decided follows from the sweep file and from what the run folders say.  So going on with a
killed sweep is going through the same decisions: what is done is read, what is not is trained.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nnrun import signals
from nnrun.errors import DataError, Interrupted, SpecError, first_line
from nnrun.record import run
from nnrun.runner import session
from nnrun.space import Observation, Point
from nnrun.sweep import folder as files
from nnrun.sweep import records
from nnrun.sweep.batches import Event, Trainer, carry_out, is_done
from nnrun.sweep.best import write_best
from nnrun.sweep.engine import Engine
from nnrun.sweep.packing import pack
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.rungs import Rungs
from nnrun.sweep.stages import ranking
from nnrun.sweep.trials import Trial, final_seeds, seeds_of, trial_at, trial_spec

__all__ = ["SweepLoop"]

_SAME_FAILURES = 3  # of the first trials, which end the sweep


class SweepLoop:
    """One sweep under way.

    records   what became of each trial, by name
    finals    what became of each line's chosen trial on fresh seeds
    """

    def __init__(self, sweep_plan: SweepPlan, root: Path, engine: Engine, trainer: Trainer) -> None:
        self.sweep_plan, self.root, self.engine, self.trainer = sweep_plan, root, engine, trainer
        self.trials: dict[str, Trial] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.finals: list[dict[str, Any]] = []
        self._lanes: dict[str, int] = {}  # of the last program that each trial was in
        self._first: list[dict[str, Any]] = []  # records of the first that began and ended
        self._ledger = files.Ledger(root / "trials.jsonl")
        self._begun = session.origin()
        self._seen: set[str] = set()  # bases whose data and code were compared with those of the beginning

    def run(self) -> Iterator[Event]:
        """Trains every trial and compares the best of each line.  Raises Interrupted, MachineError, SpecError."""
        try:
            yield from self._search()
            yield from self._compare()
        finally:
            self._ledger.close()

    def _search(self) -> Iterator[Event]:
        """Rounds of trials of all lines, until every line has had its budget."""
        sweep_plan = self.sweep_plan
        asked = [0] * len(sweep_plan.arms)
        number = 0
        while any(done < budget for done, budget in zip(asked, sweep_plan.budgets, strict=True)):
            trials: list[Trial] = []
            for i, arm in enumerate(sweep_plan.arms):
                count = sweep_plan.budgets[i] - asked[i]
                count = min(count, sweep_plan.search.batch or count)
                points = self._ask(i, asked[i], count) if count else []
                trials += [trial_at(arm, asked[i] + j, point) for j, point in enumerate(points)]
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
        return sweep_plan.search.ask(arm.alternative.space, sweep_plan.file.sweep.seed, first, count, seen)

    def _round(self, name: str, trials: Sequence[Trial]) -> Iterator[Event]:
        """Trains trials, over the rungs where the search has some, and writes down what became of them."""
        self.trials.update({trial.name: trial for trial in trials})
        ready = [trial for trial in trials if self._make(trial)]
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

    def _refuse_same_failures(self, record: dict[str, Any]) -> None:
        """Raises SpecError where the first trials that began to train all failed, for one reason."""
        if len(self._first) < _SAME_FAILURES:
            self._first.append(record)
            reasons = {failed["reason"] if failed["status"] == "failed" else None for failed in self._first}
            enough = len(self._first) == min(_SAME_FAILURES, sum(self.sweep_plan.budgets))
            if enough and len(reasons) == 1 and None not in reasons:
                raise SpecError(
                    f"the first {len(self._first)} trials failed in the same way: {record['reason']}"
                )

    def _add(self, record: dict[str, Any]) -> None:
        self.records[record["trial"]] = record
        self._ledger.add(record)

    def _make(self, trial: Trial) -> bool:
        """Creates the run folder of a trial; one that cannot even begin is written down as failed."""
        sweep_plan, path = self.sweep_plan, self.root / trial.run
        if signals.pending():  # thousands of folders take a while
            raise Interrupted(signals.pending(), "")
        known = run.is_run(path)
        if known and not (path / "resolved.yaml").exists():
            self._add(records.trial_record(self.root, trial, False, 0.0))
            return False
        if known:
            self._tell_changes(trial)
            return True
        seeds = seeds_of(sweep_plan.file, trial.arm.base)
        text = repr(trial.settings)
        try:
            checked = trial_spec(sweep_plan.file, trial.arm, trial.settings, seeds, trial.name)
            text = checked.document.text
            files.make_run(path, checked, self.engine.experiment(checked), self._begun)
        except (SpecError, DataError) as error:
            files.write_failure(path, text, first_line(error))
            self._add(records.trial_record(self.root, trial, False, 0.0))
            return False
        self.engine.known[path] = checked
        return True

    def _tell_changes(self, trial: Trial) -> None:
        """Warns of what has changed since the first trial of a base was made; RunError where its data have."""
        if trial.arm.base.label in self._seen:
            return
        self._seen.add(trial.arm.base.label)
        path = self.root / trial.run
        checked = self.engine.spec(path)
        prepared = session.Prepared(checked, self.engine.experiment(checked, path))
        for change in session.changes(prepared, path, self._begun):
            self.engine.warn(
                f"{self.root.name}: since the sweep began, {change}; its trials may differ by that"
            )

    def best(self) -> list[Trial]:
        """The trial of each line that is best on validation data, with the settings that it ended with.

        Lines without any are left out.
        """
        winners: list[Trial] = []
        for arm in self.sweep_plan.arms:
            trials = [
                trial for trial in self.trials.values() if trial.arm == arm and trial.name in self.records
            ]
            values = {trial.name: records.trial_value(self.records[trial.name]) for trial in trials}
            ranked = ranking(trials, values, self.sweep_plan.metric)[:1]
            winners += [
                trial._replace(settings=dict(self.records[trial.name]["settings"])) for trial in ranked
            ]
        return winners

    def _compare(self) -> Iterator[Event]:
        """Trains the best setting of every line on fresh seeds."""
        file = self.sweep_plan.file
        chosen = self.best()
        ledger = files.Ledger(self.root / "final.jsonl")
        places: dict[str, Trial] = {}
        try:
            for trial in chosen:
                first, count = final_seeds(file, trial.arm.base)
                if not count:
                    continue
                place = f"final/{trial.arm.folder}{trial.arm.alternative.label}"
                checked = trial_spec(file, trial.arm, trial.settings, (first, count), place)
                files.make_run(self.root / place, checked, self.engine.experiment(checked), self._begun)
                self.engine.known[self.root / place] = checked
                places[place] = trial
            identity = repr(
                [(place, trial.name, final_seeds(file, trial.arm.base)) for place, trial in places.items()]
            )
            name = f"final-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"  # a sweep that grew chooses again
            known = {
                place: self._lanes[trial.run] for place, trial in places.items() if trial.run in self._lanes
            }
            batches = pack(name, list(places), self.engine, self.root, file.sweep.width, known=known)
            yield from carry_out(self.root, batches, self.trainer)
            for place, trial in places.items():
                seconds = records.share_of_seconds(self.root, batches, place)
                record = records.final_record(self.root, trial, place, seconds)
                self.finals.append(record)
                ledger.add(record)
        finally:
            ledger.close()
        self._write_best()

    def best_of_all(self) -> Trial | None:
        """The line's trial that is best on the validation data of the fresh seeds, on the first base.

        Test data choose nothing.  Without a final comparison, the trials' own seeds count.
        """
        first = self.sweep_plan.file.bases[0].label
        candidates = {trial.name: trial for trial in self.best() if trial.arm.base.label == first}
        values = {
            record["trial"]: records.mean_value(record["metrics"].get(self.sweep_plan.metric.name, []))
            for record in self.finals
        }
        if not any(values.get(name) is not None for name in candidates):
            values = {name: records.trial_value(self.records[name]) for name in candidates}
        ranked = ranking(
            list(candidates.values()), {name: values.get(name) for name in candidates}, self.sweep_plan.metric
        )
        return ranked[0] if ranked else None

    def _write_best(self) -> None:
        """best.yaml, a spec that trains as it is."""
        trial = self.best_of_all()
        if trial is None:
            return
        seeds = seeds_of(self.sweep_plan.file, trial.arm.base)
        checked = trial_spec(
            self.sweep_plan.file, trial.arm, trial.settings, seeds, self.sweep_plan.file.name
        )
        headline = f"The best of {len(self.records)} trials by {self.sweep_plan.metric.name}: {trial.name}."
        write_best(self.root, checked, headline)
