"""Training batches of runs in this process: one experiment for each structure, one program for each size.

A batch names run folders that exist; what they are is read from them, so that another process can do the same.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

from typing_extensions import TypedDict

from nnrun import build, catalog, spec
from nnrun.build import structure_of
from nnrun.catalog import Spec, user_code
from nnrun.errors import RunError, Warn, one_line
from nnrun.preprocessing import PARTS, Preprocessing, Wanted, first_change
from nnrun.record import provenance
from nnrun.record.names import RESOLVED
from nnrun.runner import driver
from nnrun.runner.driver import RunProgress
from nnrun.runner.session import precision, recorded
from nnrun.runner.status import group_of
from nnrun.sweep.moment import ChangedError, Expected, Moment, check_code
from nnrun.training import shards
from nnrun.training.shards import Compiled, Shards
from nnrun.types import Dataset, Experiment

__all__ = ["BatchFile", "Engine", "RunBatch", "many_files", "together"]

_HELD = 64  # structures whose experiments are kept, which share their data
_COMPILED = 4  # programs that are kept, which have the data on the device
_DATASETS = 2
_SPECS = 1000  # of run folders, each some 20 KiB; others are read again

Key = TypeVar("Key")
Held = TypeVar("Held")


class RunBatch(NamedTuple):
    """Runs of one structure that train in one program.

    name    of its file in the sweep's folder
    runs    their folders, below that of the sweep
    lanes   of the program; there may be fewer seeds in all
    until   the step to stop at; None: the end
    leave   whether they end there
    """

    name: str
    runs: list[str]
    lanes: int
    until: int | None = None
    final: bool = False


class _BatchEntry(TypedDict):
    name: str
    runs: list[str]
    lanes: int
    until: int | None
    final: bool


class BatchFile(TypedDict):
    """The content of batches/NAME.json: a stage's runs, and the batches that they were packed into."""

    runs: list[str]
    batches: list[_BatchEntry]


class Engine:
    """Experiments and programs, kept for the next batch."""

    def __init__(self, warn: Warn) -> None:
        self.warn = warn
        self._specs: OrderedDict[Path, Spec] = OrderedDict()
        self.moment = Moment()
        self._shared: OrderedDict[str, Experiment] = OrderedDict()
        self._programs: OrderedDict[tuple[str, int], Compiled] = OrderedDict()
        self._datasets: OrderedDict[str, Dataset] = OrderedDict()

    def structure(self, folder: Path) -> str:
        """What tells apart the programs that run folders need."""
        return _key(self.spec(folder))

    def shared(self, checked: Spec, fitted: Preprocessing | None = None) -> Experiment:
        """The experiment of a spec's structure; reads the data where it is new.

        fitted   what a run of that spec records of its data, which must be as they were
        Raises what `build` raises.
        """
        key = _key(checked)
        if key not in self._shared:
            data = build.data_of(checked)
            need = Wanted(fitted, PARTS) if fitted else None
            with precision(checked.train.precision):
                experiment = build.build(checked, self._datasets.get(data), need)
            self.moment.note(checked, data, experiment.dataset.fitted.digest)
            _keep(self._datasets, data, experiment.dataset, _DATASETS)
            # The spec that is read back from a run folder says more, and means the same.
            for name in (key, _key(build.completed(checked, experiment))):
                _keep(self._shared, name, experiment, _HELD)
        self._shared.move_to_end(key)
        return self._shared[key]

    def experiment(self, checked: Spec, folder: Path | None = None) -> Experiment:
        """The experiment of a spec: its own knobs and seeds, all else shared with its structure.

        folder   of its run; where the data are not those that the run was made for, ChangedError
        """
        fitted = recorded(folder) if folder else None
        try:
            shared = self.shared(checked, fitted)
            if fitted and fitted.digest != shared.dataset.fitted.digest:
                change = first_change(shared.dataset.fitted, fitted)
                raise RunError(
                    f"{change} since it was made; bring the data back as they were, or begin again"
                )
        except RunError as error:
            raise ChangedError(f"{one_line(folder)}: {error}") from None
        knobs = shared.knobs["model"] if user_code.is_user_name(checked.model.name) else None
        first, count = checked.train.seed, checked.train.seeds
        plan = shared.plan._replace(name=checked.name, seeds=tuple(range(first, first + count)))
        return shared._replace(knobs=build.knobs_of(checked, knobs), plan=plan)

    def train(self, root: Path, batch: RunBatch, expected: Expected | None = None) -> Iterator[RunProgress]:
        """Trains a batch, each run from its newest checkpoint.

        expected   what the process that sent the batch has, which is compared with what was read here

        Raises ChangedError, Interrupted, MachineError, RunError.
        """
        specs = [self.spec(root / name) for name in batch.runs]
        experiments = [
            self.experiment(checked, root / name) for checked, name in zip(specs, batch.runs, strict=True)
        ]
        if expected is not None:
            check_code(expected)  # again: it may have changed since it was imported
        groups = [
            group_of(root / name, experiment.plan.seeds)
            for name, experiment in zip(batch.runs, experiments, strict=True)
        ]
        population = together(experiments)
        make = partial(self._compiled, _key(specs[0]), population, batch.lanes)
        with precision(population.plan.precision):
            yield from driver.train_together(population, groups, make, self.warn, batch.until, batch.final)

    def spec(self, folder: Path) -> Spec:
        """The spec of a run folder.  Raises RunError, SpecError."""
        if folder not in self._specs:
            origin = Path(provenance.read(folder).get("spec_folder", "."))
            document = spec.read(folder / RESOLVED)._replace(folder=origin)
            self.know(folder, catalog.bind(document))
        return self._specs[folder]

    def know(self, folder: Path, checked: Spec) -> None:
        """The spec of a run folder that this process has just made, as it would be read back."""
        _keep(self._specs, folder, checked, _SPECS)

    def _compiled(self, key: str, experiment: Experiment, lanes: int) -> Compiled:
        """The programs for as many lanes, new or known; a machine with several cores fills them up."""
        seeds = experiment.plan.seeds
        compiled = self._programs.get((key, lanes))
        if compiled is None:
            filler = lanes - len(seeds)
            plan = experiment.plan._replace(seeds=(*seeds, *seeds[-1:] * filler))
            full = experiment._replace(
                plan=plan, lane_knobs=(*experiment.lane_knobs, *experiment.lane_knobs[-1:] * filler)
            )
            compiled = shards.compile_shards(full)
            _keep(self._programs, (key, lanes), compiled, _COMPILED)
        if isinstance(compiled, Shards) or lanes == len(seeds):
            return compiled.for_lanes(experiment)
        return self._compiled(key, experiment, len(seeds))  # another number of lanes is another program


def together(experiments: Sequence[Experiment]) -> Experiment:
    """Experiments of one structure as one population: their seeds, each with the knobs of its own."""
    seeds = tuple(seed for experiment in experiments for seed in experiment.plan.seeds)
    knobs = tuple(experiment.knobs for experiment in experiments for _ in experiment.plan.seeds)
    return experiments[0]._replace(plan=experiments[0].plan._replace(seeds=seeds), lane_knobs=knobs)


def _keep(held: OrderedDict[Key, Held], key: Key, value: Held, most: int) -> None:
    """Holds a value, and lets go of the oldest beyond `most`."""
    held[key] = value
    held.move_to_end(key)
    while len(held) > most:
        held.popitem(last=False)


def _key(checked: Spec) -> str:
    return repr(structure_of(checked))


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Allows this process as many open files as the system lets it: every lane holds a few."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS says unlimited and means less
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
