"""All checks of a spec before its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from nnrun import build
from nnrun.errors import Interrupted, MachineError, NnrunError, first_line, one_line
from nnrun.probe import (
    capacity,
    copies,
    examples,
    first_steps,
    gradients,
    leaks,
    practice,
    relation,
    start,
    units,
)
from nnrun.probe.finding import CheckReport, Finding, FindingEntry, worst
from nnrun.probe.first_steps import FirstSteps
from nnrun.probe.objective import beginning, compiled_quickly, ready
from nnrun.probe.sample import looked_at, sample_of
from nnrun.probe.shared import NotMadeError, Shared
from nnrun.runner import session
from nnrun.runner.session import Prepared
from nnrun.sweep.cost import Measured, compile_and_time
from nnrun.types import Experiment, State

__all__ = ["CHECKS", "as_data", "check", "findings", "of_data"]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]

_OF_DATA = (
    "classes", "categories", "constant features", "input scale", "duplicates", "conflicting labels", "leaks",
    "inputs and targets",
)  # fmt: skip
_OF_MODEL = (
    "initial loss", "initial scale", "gradients", "twenty examples", "learning rate", "dead units", "batches",
    "checkpoint", "time",
)  # fmt: skip
CHECKS = (*_OF_DATA, "memory", "disk", *_OF_MODEL)  # in the order in which they are made
_EXAMPLES = 2000  # of the data alone


def check(spec: Path, overrides: Sequence[str], root: Path, show: Counting) -> list[Finding]:
    """Makes all checks of a spec; nothing of it is left behind.

    root   where runs are, whose disk is looked at
    show   shows how many checks are done
    Raises SpecError, DataError, MachineError where the spec cannot be built.
    """
    prepared = session.prepare(spec, overrides, in_memory=False)
    with show("checking", len(CHECKS)) as tick:
        made = []
        for finding in findings(prepared, root):
            made.append(finding)
            tick()
    return made


def findings(prepared: Prepared, root: Path) -> Iterator[Finding]:
    """The findings, one after another; those that need memory that is not there are not made."""
    experiment = prepared.experiment
    runs = max(prepared.folds, 1)
    with session.precision(experiment.plan.precision):
        yield from of_data(experiment)
        memory = _made("memory", lambda: practice.check_memory(experiment))
        yield memory
        yield _made("disk", lambda: practice.check_disk(experiment, root, runs))
        if memory.verdict == "fail":
            yield from (Finding(name, "skip", "there is no memory for it") for name in _OF_MODEL)
            return
        alone = experiment._replace(plan=experiment.plan._replace(seeds=experiment.plan.seeds[:1]))
        measured = Shared(lambda: compile_and_time(alone))
        yield from _of_model(prepared, alone, measured)
        several = len(experiment.plan.seeds) > 1  # which train in a program of their own
        yield from _of_machine(
            Shared(lambda: compile_and_time(experiment)) if several else measured, runs, root
        )


def of_data(experiment: Experiment) -> Iterator[Finding]:
    """The findings that need no model.  To be used within the precision of the run."""
    dataset = experiment.dataset
    sample = Shared(lambda: sample_of(dataset, "train", _EXAMPLES))
    digests = Shared(lambda: copies.digests_of(dataset))
    yield _made("classes", lambda: examples.check_classes(dataset))
    yield _made("categories", lambda: examples.check_categories(dataset))
    yield _made("constant features", lambda: examples.check_constants(dataset))
    yield _made("input scale", lambda: examples.check_scale(dataset, sample()))
    yield _made("duplicates", lambda: copies.check_duplicates(dataset, sample(), digests()))
    yield _made("conflicting labels", lambda: copies.check_conflicts(dataset, sample(), digests()))
    yield _made("leaks", lambda: leaks.check_leaks(dataset, sample()))
    yield _made("inputs and targets", lambda: relation.check_relation(dataset, sample()))


def _of_model(
    prepared: Prepared, experiment: Experiment, measured: Callable[[], Measured]
) -> Iterator[Finding]:
    batch = Shared(lambda: ready(experiment, looked_at(experiment.dataset)))
    look = Shared(lambda: start.make_look(experiment, batch()))
    state = Shared(lambda: beginning(experiment))
    steps = Shared(lambda: _first_steps(prepared, experiment, measured()))
    with compiled_quickly():
        yield _made("initial loss", lambda: start.check_start(experiment, state(), batch()))
        yield _made("initial scale", lambda: start.check_activations(batch(), look()(state())))
        yield _made("gradients", lambda: _gradients(prepared, state()))
    yield _made("twenty examples", lambda: capacity.check_capacity(experiment, state()))
    yield _made("learning rate", lambda: first_steps.check_rate(steps()))

    def dead_units() -> Finding:
        after = steps().state
        with compiled_quickly():
            return units.check_units(experiment, state(), after, batch(), look()(after))

    yield _made("dead units", dead_units)


def _gradients(prepared: Prepared, state: State) -> Finding:
    """The gradients of the same model in float64, on the same data, from the same beginning."""
    checked = prepared.spec
    exact = checked._replace(train=checked.train.model_copy(update={"precision": "float64"}))
    with session.precision("float64"):
        try:
            experiment = build.build(exact, prepared.experiment.dataset)
        except MachineError as error:
            return Finding("gradients", "skip", f"in float64, {one_line(error)}")
        return gradients.check_gradients(experiment, state)


def _first_steps(prepared: Prepared, experiment: Experiment, measured: Measured) -> FirstSteps:
    """In the programs that the machine is measured with: to compile them takes longer than any other check."""
    return first_steps.first_steps(
        prepared.spec, experiment, measured.compiled, measured.state, measured.step_seconds
    )


def _of_machine(measured: Callable[[], Measured], runs: int, root: Path) -> Iterator[Finding]:
    yield _made("batches", lambda: practice.check_batches(measured()))
    yield _made("checkpoint", lambda: practice.check_checkpoint(measured(), root))
    yield _made("time", lambda: practice.check_time(measured(), runs))


def _made(name: str, make: Callable[[], Finding]) -> Finding:
    """The finding of one check; where that raises, that it did: the others are still worth making."""
    try:
        return make()
    except Interrupted:
        raise
    except NotMadeError:
        return Finding(name, "skip", "what it looks at could not be made, as said above")
    except NnrunError as error:  # it says what to do, of the data, the user's code or the machine
        return Finding(name, "fail", one_line(error))
    except Exception as error:
        evidence = f"the check itself failed: {type(error).__name__}: {one_line(first_line(error), 200)}"
        return Finding(name, "fail", evidence, "a fault of nnrun, please report it; the others were made")


def _finite(numbers: Mapping[str, float | int | None]) -> dict[str, float | int | None]:
    """With null for what JSON does not have."""
    return {
        name: None if value is None or not np.isfinite(value) else value for name, value in numbers.items()
    }


def as_data(made: list[Finding]) -> CheckReport:
    """For programs."""
    return {
        "verdict": worst([finding.verdict for finding in made]),
        "checks": [
            FindingEntry(**{**finding._asdict(), "numbers": _finite(finding.numbers)}) for finding in made
        ],
    }
