"""Several processes that are to train one run: whether they mean the same one, and what all but the first do then."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

from nnrun import build, signals
from nnrun.errors import DataError, Interrupted, MachineError, NnrunError, RunError, SpecError, one_line
from nnrun.hosts import Party, joined
from nnrun.record import provenance, run
from nnrun.runner import session
from nnrun.runner.describe import origin_of
from nnrun.runner.session import Prepared
from nnrun.spec import yaml12
from nnrun.training.led import follow
from nnrun.training.mesh import devices_used

__all__ = ["differences", "signals_kept", "take_part", "take_part_again"]


@contextlib.contextmanager
def signals_kept() -> Iterator[None]:
    """With other processes, signals wait from here on: all end together.  Alone, as elsewhere."""
    if joined() is None:
        yield
        return
    with signals.deferred():
        try:
            yield
        finally:
            signals.forget()  # whoever was to act on it has


def take_part(prepared: Prepared) -> None:
    """Sees to it that all processes train the same run; returns in the first of them, and where there is one.

    The others train until process 0 has ended, and end with it.  Raises SpecError, DataError, RunError, MachineError,
    and Interrupted where a signal has arrived.
    """
    party = joined()
    if party is None:
        return
    _refuse_several_runs(prepared)
    _agree(prepared, party)
    if not party.first:
        experiment = prepared.experiment
        with session.precision(experiment.plan.precision):
            follow(experiment, party)


def take_part_again(folder: Path) -> None:
    """The same for a run that continues."""
    if joined() is None:
        return
    if run.members(folder):
        raise SpecError(
            f"{one_line(folder)}: a group of runs, and several processes train one; resume it with one process"
        )
    take_part(session.rebuild(folder, lambda message: None, session.PARTS))


def _refuse_several_runs(prepared: Prepared) -> None:
    if prepared.folds:
        raise prepared.spec.fail(
            ("train", "folds"), "several processes train one run, not folds; train them with one process"
        )
    if len(prepared.experiment.plan.seeds) > 1:
        raise prepared.spec.fail(
            ("train", "seeds"),
            f"{len(prepared.experiment.plan.seeds)}, but several processes train one run; train each seed by itself",
        )


def _agree(prepared: Prepared, party: Party) -> None:
    """Returns when all processes have the same spec, code, data and versions, and as many devices.

    Process 0 compares, and raises SpecError, DataError, RunError or MachineError that names the process and what
    differs; the others end with it.  Raises Interrupted where a signal has arrived meanwhile.
    """
    devices_used(prepared.experiment.plan)  # whether the batch can be divided
    mine = _about(prepared)
    party.publish("about", mine)
    if party.first:
        for index in range(1, party.count):
            problem = next(differences(mine, party.of("about", index)), None)
            if problem is not None:
                raise type(problem)(f"process {index} of {party.count} {problem}")
        if signals.pending():
            raise Interrupted(signals.pending(), "interrupted before the first step; nothing was written")


def _about(prepared: Prepared) -> dict[str, Any]:
    """What must be the same, as JSON."""
    resolved = build.resolved(*prepared)
    about = origin_of(*prepared, yaml12.dump(resolved), provenance.collect({}, {}))
    return {
        "versions": about.get("versions"),
        "spec": dict(_flat(resolved)),
        "code": {Path(file).name: digest for file, digest in about.get("code", {}).items()},
        "data": about.get("data_digest"),
        "devices": [len(jax.local_devices()), jax.devices()[0].device_kind],
    }


def differences(here: Mapping[str, Any], far: Mapping[str, Any]) -> Iterator[NnrunError]:
    """What the other process has otherwise, the first thing of each kind."""
    for name, (before, after) in _unequal(here["versions"], far["versions"]):
        yield RunError(f"has {name} {after}, process 0 has {before}; install the same")
    for name, (before, after) in _unequal(here["spec"], far["spec"]):
        yield SpecError(f"has another spec: {name} is {after}, on process 0 {before}")
    for name, _ in _unequal(here["code"], far["code"]):
        yield SpecError(f"has other code in {name} than process 0")
    if here["data"] != far["data"]:
        yield DataError("has other data than process 0 (their digests differ); give all the same files")
    if here["devices"] != far["devices"]:
        (count, kind), (far_count, far_kind) = here["devices"], far["devices"]
        yield MachineError(
            f"has {far_count} devices ({far_kind}), process 0 has {count} ({kind}); give each as many of one kind"
        )


def _unequal(here: Mapping[str, Any], far: Mapping[str, Any]) -> list[tuple[str, tuple[str, str]]]:
    names = [
        name
        for name in here.keys() | far.keys()
        if here.get(name) != far.get(name) and not _is_one_file(here.get(name), far.get(name))
    ]
    values = [tuple(one_line(side.get(name, "absent"), 60) for side in (here, far)) for name in names]
    return sorted(
        (one_line(name, 80), (before, after)) for name, (before, after) in zip(names, values, strict=True)
    )


def _is_one_file(here: object, far: object) -> bool:
    """Whether two values are files of one name in folders of their own; what they hold is compared by digest."""
    if not isinstance(here, str) or not isinstance(far, str):
        return False
    return Path(here).is_absolute() and Path(far).is_absolute() and Path(here).name == Path(far).name


def _flat(tree: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Each value of a spec under its dotted key."""
    if isinstance(tree, Mapping):
        for name, value in tree.items():
            yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
    elif isinstance(tree, list):
        for number, value in enumerate(tree, start=1):
            yield from _flat(value, f"{prefix}.{number}")
    else:
        yield prefix, tree
