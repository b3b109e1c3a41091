"""Runs to batches: those of one structure together, as many as one program serves well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnrun.record import run
from nnrun.runner.session import precision
from nnrun.storage import fsio
from nnrun.sweep.engine import BatchFile, Engine, RunBatch
from nnrun.sweep.repair import correct_markers
from nnrun.sweep.width import width_of

__all__ = ["SPARE", "pack", "planned"]

SPARE = 2  # times as many lanes as are needed may cost less than compiling


def pack(
    name: str,
    runs: Sequence[str],
    engine: Engine,
    root: Path,
    width: int | None,
    untils: dict[str, int | None] | None = None,
    final: bool = False,
    known: Mapping[str, int] | None = None,
) -> list[RunBatch]:
    """Batches of runs that exist, in the order of the first of each structure.

    width   most seeds in one program; None: by the size of the net
    untils  the step at which each run stops; runs of one structure that stop at different steps are kept apart
    known   lanes of programs of the structure of a run that are compiled already; used where they are not far too many
    """
    groups: dict[tuple[str, int | None], list[str]] = {}
    for run_name in runs:
        until = untils[run_name] if untils else None
        groups.setdefault((engine.structure(root / run_name), until), []).append(run_name)
    batches: list[RunBatch] = []
    for (_, until), members in groups.items():
        experiment = engine.experiment(engine.spec(root / members[0]))
        seeds = len(experiment.plan.seeds)
        with precision(experiment.plan.precision):
            most = max(1, (width or width_of(experiment)) // seeds)
        count = -(-len(members) // most)
        size = -(-len(members) // count)  # of equal size, so that one program serves them all
        for i in range(0, len(members), size):
            lanes = (known or {}).get(members[i], 0)
            fits = size * seeds <= lanes <= SPARE * size * seeds
            label = f"{name}-{len(batches):02d}"
            batches.append(
                RunBatch(label, members[i : i + size], lanes if fits else size * seeds, until, final)
            )
    return batches


def planned(
    name: str, runs: Sequence[str], engine: Engine, root: Path, width: int | None, known: Mapping[str, int]
) -> list[RunBatch]:
    """The batches of runs that train to their end, as they were written down; packed and written down if new.

    Arguments are those of `pack`.
    """
    file = root / "batches" / f"{name}.json"
    if not file.is_file():
        batches = pack(name, runs, engine, root, width, known=known)
        fsio.write_json(file, {"runs": list(runs), "batches": [batch._asdict() for batch in batches]})
        correct_markers(root, batches)
    content: BatchFile = run.read_json(file)
    return [RunBatch(**written) for written in content["batches"]]
