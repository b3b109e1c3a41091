"""One round of trials as stages of batches: to the end at once, or from rung to rung."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from typing_extensions import TypedDict

from nnrun.record import run
from nnrun.report.sweep.entries import Settings
from nnrun.runner.status import group_of
from nnrun.space import Point, draws
from nnrun.storage import fsio
from nnrun.sweep import exploit, records
from nnrun.sweep.engine import BatchFile, Engine, RunBatch
from nnrun.sweep.packing import pack
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.repair import correct_markers
from nnrun.sweep.stages import pairs_of, rung_steps, rung_value, survivors
from nnrun.sweep.trials import Trial, seeds_of, trial_spec, values_at
from nnrun.types import Plan, Tree

__all__ = ["ExploitMarker", "RungFile", "Rungs"]


class RungFile(TypedDict):
    """The content of batches/NAME.rung.json: what trials were ranked by after the stage NAME."""

    values: dict[str, float | None]  # of each trial; None: it has none


class _Move(TypedDict):
    loser: str
    winner: str
    settings: Settings  # the loser's from then on


class ExploitMarker(TypedDict):
    """The content of batches/NAME-exploit.done.json: losers continue from the state of winners after the stage NAME."""

    seconds: float
    moves: list[_Move]


class Rungs:
    """The stages of a round; which batches a stage has is written down before any of it is trained.

    stopped   names of the trials that lost at a rung
    """

    def __init__(
        self, name: str, sweep_plan: SweepPlan, root: Path, engine: Engine, trials: Sequence[Trial]
    ) -> None:
        self.name, self.sweep_plan, self.root, self.engine = name, sweep_plan, root, engine
        self.trials = list(trials)
        self.stopped: set[str] = set()
        self._points: dict[str, Point] = {trial.name: trial.point for trial in trials}
        self._batches: dict[str, list[RunBatch]] = {}  # that each run was in
        self._last = False

    def stages(self) -> Iterator[list[RunBatch]]:
        """The batches of each stage in turn; what is decided after a stage follows from the run folders."""
        going, search = self.trials, self.sweep_plan.search
        rungs = {trial.name: rung_steps(search, self._plan(trial)) if search.rungs else [] for trial in going}
        count = max((len(steps) for steps in rungs.values()), default=0)
        for k in range(count + 1):
            untils = {
                trial.run: rungs[trial.name][k] if k < len(rungs[trial.name]) else None for trial in going
            }
            self._last = k == count
            yield self._stage(f"{self.name}-s{k}", [trial.run for trial in going], untils)
            self._last = self._last or not going
            if self._last:
                return
            steps = {trial.name: untils[trial.run] or self._plan(trial).steps for trial in going}
            values = self._values(k, going, steps)
            if search.explore:
                self._exploit(k, going, values, steps)
                continue
            on = survivors(going, values, self.sweep_plan.metric, search.keep)
            losers = [trial for trial in going if trial.name not in on]
            left = self._stage(f"{self.name}-s{k}x", [trial.run for trial in losers], untils, final=True)
            stopped = {run_name for batch in left for run_name in batch.runs if untils[run_name] is not None}
            self.stopped |= {
                trial.name for trial in losers if trial.run in stopped
            }  # others had ended before
            yield left
            going = [trial for trial in going if trial.name in on]

    def _stage(
        self, name: str, runs: Sequence[str], untils: dict[str, int | None], final: bool = False
    ) -> list[RunBatch]:
        """The batches of a stage as written down; runs that are not among them are packed and written down now.

        In a sweep that has grown, a stage has more runs than it had.  Runs that leave were in a program of some
        size just now, which is used again.
        """
        requested = set(runs)
        batches: list[RunBatch] = []
        known: set[str] = set()
        while (file := self.root / "batches" / f"{name}.json").is_file():
            content: BatchFile = run.read_json(file)
            batches += [
                RunBatch(**written)
                for written in content["batches"]
                if requested.intersection(written["runs"])
            ]
            known |= set(content["runs"])
            name += "+"
        missing = [run_name for run_name in runs if run_name not in known]
        if missing:
            width = self.sweep_plan.file.sweep.width
            first = (
                name.rstrip("+") == f"{self.name}-s0"
            )  # all are packed, as they were if this was written before
            going = [
                run_name
                for run_name in missing
                if first or not records.needs_no_training(self.root / run_name)
            ]
            lanes = {run_name: self._batches[run_name][-1].lanes for run_name in going} if final else None
            new = pack(name, going, self.engine, self.root, width, untils, final, lanes)
            fsio.write_json(file, {"runs": missing, "batches": [batch._asdict() for batch in new]})
            correct_markers(self.root, new)
            batches += new
        for batch in batches:
            for run_name in batch.runs:
                self._batches.setdefault(run_name, []).append(batch)
        return batches

    def is_over(self, trial: Trial) -> bool:
        """Whether a trial has come to its end; with exploiting, none has before the last stage."""
        early = self.sweep_plan.search.explore is not None and not self._last
        over = not early and records.needs_no_training(self.root / trial.run)
        return over and not self._awaits_rung(trial)

    def _awaits_rung(self, trial: Trial) -> bool:
        """Whether a trial that is over ended at a rung that is not decided again yet: it may have lost there."""
        joined = self._batches.get(trial.run, [])
        if self._last or not joined or joined[-1].until is None or joined[-1].final:
            return False
        return records.steps_of(self.root / trial.run) >= joined[-1].until

    def seconds(self, trial: Trial) -> float:
        """The trial's share of the time of its batches."""
        return records.share_of_seconds(self.root, self._batches.get(trial.run, []), trial.run)

    def settings(self, trial: Trial) -> Settings:
        """What the trial ended with."""
        return values_at(trial.arm, self._points[trial.name])

    def _plan(self, trial: Trial) -> Plan:
        return self.engine.experiment(self.engine.spec(self.root / trial.run)).plan

    def _folders(self, trial: Trial) -> list[Path]:
        return group_of(self.root / trial.run, self._plan(trial).seeds).members

    def _values(self, k: int, going: Sequence[Trial], steps: Mapping[str, int]) -> dict[str, float | None]:
        """What the trials are ranked by at a rung.

        It is written down before anything follows from it: a trial that diverges later, or is given another state,
        was good enough here all the same when a killed sweep decides again.
        """
        file = self.root / "batches" / f"{self.name}-s{k}.rung.json"
        if not file.is_file():
            ranked = {trial.name: self._value(trial, steps[trial.name]) for trial in going}
            fsio.write_json(file, RungFile(values=ranked))
        return run.read_json(file)["values"]

    def _value(self, trial: Trial, step: int) -> float | None:
        """The value at a step; None where the trial, or one of its seeds, has failed or diverged."""
        folders = self._folders(trial)
        states = {run.read_state(path)["status"] for path in (self.root / trial.run, *folders)}
        if states & {"failed", "diverged"}:
            return None
        return rung_value(folders, self.sweep_plan.metric, step)

    def _exploit(
        self, k: int, going: Sequence[Trial], values: dict[str, float | None], steps: dict[str, int]
    ) -> None:
        """Losers take the state of a winner, and its settings, moved."""
        explore = self.sweep_plan.search.explore
        assert explore is not None
        done = self.root / "batches" / f"{self.name}-s{k}-exploit.done.json"
        moves = []
        for loser, winner in pairs_of(going, values, self.sweep_plan.metric, 1 - self.sweep_plan.search.keep):
            space = loser.arm.alternative.space
            chance = draws(loser.arm.seed, loser.number, 2 * len(space), stream=2 + k)
            self._points[loser.name] = explore(space, self._points[winner.name], chance)
            moves.append((loser, winner))
        if done.is_file():
            return
        for loser, winner in moves:
            folders = self._folders(loser), self._folders(winner)
            move = exploit.Move(*folders, self._knobs(loser), self.sweep_plan.metric.name)
            exploit.apply(move, steps[loser.name])
            if len(move.loser) > 1:
                run.write_state(self.root / loser.run, "interrupted", step=steps[loser.name])
        applied = [_Move(loser=a.name, winner=b.name, settings=self.settings(a)) for a, b in moves]
        fsio.write_json(done, ExploitMarker(seconds=0.0, moves=applied))

    def _knobs(self, trial: Trial) -> Tree:
        """The knobs of a trial's present point."""
        file = self.sweep_plan.file
        checked = trial_spec(
            file,
            trial.arm,
            self.settings(trial),
            seeds_of(file, trial.arm.base, trial.arm.study),
            trial.name,
        )
        return self.engine.experiment(checked).knobs
