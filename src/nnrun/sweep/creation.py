"""The run folders of a sweep: created, or, where something of them is missing, created anew."""

from __future__ import annotations

from pathlib import Path

from nnrun import build, signals
from nnrun.catalog import Spec
from nnrun.errors import DataError, Interrupted, NnrunError, SpecError, first_line
from nnrun.record import run
from nnrun.record.names import METRICS, RESOLVED
from nnrun.runner import session
from nnrun.runner.group import seeds_asked
from nnrun.storage import fsio
from nnrun.sweep import folder as files
from nnrun.sweep.engine import Engine
from nnrun.sweep.flaws import flaw, unmeasured
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.trials import Trial, final_seeds, seeds_of, trial_spec

__all__ = ["RunFolders"]


class RunFolders:
    """Makes sure that the run folders of trials exist and are whole.

    flaws   run -> what it lacked, of those that were created anew
    """

    def __init__(self, sweep_plan: SweepPlan, root: Path, engine: Engine) -> None:
        self.sweep_plan, self.root, self.engine = sweep_plan, root, engine
        self.flaws: dict[str, str] = {}
        self._begun = session.origin()
        self._compared: set[str] = (
            set()
        )  # bases whose data and code were compared with those of the beginning
        for name in files.FOLDERS:
            fsio.make_folders(root / name)

    def trial(self, trial: Trial) -> bool:
        """Whether the run folder of a trial is ready; one that cannot even begin is marked as failed.

        Raises Interrupted, MachineError.
        """
        file, path = self.sweep_plan.file, self.root / trial.run
        if signals.pending():  # thousands of folders take a while
            raise Interrupted(signals.pending(), "")
        seeds = seeds_of(file, trial.arm.base, trial.arm.study)
        if self._could_not_begin(path):
            return False
        if self._is_whole(path, seeds):
            self._warn_of_changes(trial)
            return True
        text = repr(trial.settings)
        try:
            checked = trial_spec(file, trial.arm, trial.settings, seeds, trial.name)
            text = checked.document.text
            self._make(path, checked)
        except (SpecError, DataError) as error:
            files.write_failure(path, text, first_line(error))
            return False
        return True

    def final(self, trial: Trial, place: str) -> None:
        """The run folder of a chosen trial on fresh seeds."""
        file, path = self.sweep_plan.file, self.root / place
        seeds = final_seeds(file, trial.arm.base, trial.arm.study)
        checked = trial_spec(file, trial.arm, trial.settings, seeds, place)
        if path.is_dir() and seeds_asked(path) != range(seeds[0], sum(seeds)):  # other ones are asked for now
            fsio.remove_folder(path)
        if self._is_whole(path, seeds) and (missing := unmeasured(path)):
            self._remove(path, missing)
        self._make(path, checked)

    def _make(self, path: Path, checked: Spec) -> None:
        """Creates a run folder; its spec is known as it would be read back, or runs alike would be told apart."""
        experiment = self.engine.experiment(checked)
        files.make_run(path, checked, experiment, self._begun)
        self.engine.know(path, build.completed(checked, experiment))

    def _could_not_begin(self, path: Path) -> bool:
        """Whether a trial is marked as one that could not even begin."""
        try:
            return not (path / RESOLVED).exists() and run.read_state(path)["status"] == "failed"
        except NnrunError:
            return False

    def _is_whole(self, path: Path, seeds: tuple[int, int]) -> bool:
        """Whether a run folder has all that it needs; one that has not is removed."""
        if not path.is_dir():
            return False
        first, count = seeds
        missing = flaw(path, range(first, first + count), self.sweep_plan.metric.name)
        if missing is None:
            return True
        if run.is_run(path) or any(path.rglob(METRICS)):  # else it was not quite created
            self._remove(path, missing)
        else:
            fsio.remove_folder(path)
        return False

    def _remove(self, path: Path, missing: str) -> None:
        """Removes a run folder that lacks something, and notes what."""
        self.flaws[path.relative_to(self.root).as_posix()] = missing
        fsio.remove_folder(path)

    def _warn_of_changes(self, trial: Trial) -> None:
        """Warns of what has changed since the first trial of a base began: data, code, versions, the machine."""
        if trial.arm.base.label in self._compared:
            return
        self._compared.add(trial.arm.base.label)
        path = self.root / trial.run
        checked = self.engine.spec(path)
        prepared = session.Prepared(checked, self.engine.experiment(checked, path))
        for change in session.changes(prepared, path, self._begun):
            self.engine.warn(
                f"{self.root.name}: since the sweep began, {change}; its trials may differ by that"
            )
