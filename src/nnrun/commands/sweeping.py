"""sweep."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Device, Json, Quiet, Root, RunDir, app, choose_device
from nnrun.errors import DivergedError, SpecError, one_line
from nnrun.record.names import BEST, REPORT

if TYPE_CHECKING:
    from nnrun.sweep.batches import Trainer
    from nnrun.sweep.engine import Engine
    from nnrun.sweep.plan import SweepPlan
    from nnrun.sweep.whole import Ended

__all__ = ["sweep"]

_FAILED = 7  # exit code: the sweep is done, and some of its trials failed


_Spec = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="A YAML file with base: and sweep: in it.")
]
_Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE", help="Changes of the sweep, such as sweep.trials=40, or of its base."
    ),
]
_Resume = Annotated[
    Path | None,
    typer.Option("--resume", metavar="DIR", help="Continue this sweep; sweep.trials=40 makes it longer."),
]
_DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Show the trials, the programs, the fresh seeds that follow, the time and the memory; train nothing.",
    ),
]
_Measure = Annotated[
    bool,
    typer.Option("--measure", help="With --dry-run: time each program instead of one of each kind of model."),
]
_Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", metavar="N", min=1, max=256, help="Worker processes; 1: in this process."),
]
_On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray|ray://HOST:PORT|slurm:time=MINUTES,...",
        help="Train on a cluster. ray: that of $RAY_ADDRESS, or one started here. slurm: as an array of jobs of at "
        "most that many minutes; partition=, account=, gpus_per_node= and others follow. Each needs the extra of nnrun "
        "that has its name.",
    ),
]


@app.command()
def sweep(
    spec: _Spec = None,
    overrides: _Overrides = None,
    resume: _Resume = None,
    dry_run: _DryRun = False,
    measure: _Measure = False,
    jobs: _Jobs = 1,
    on: _On = None,
    run_dir: RunDir = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Try many settings at once, compare the best, and say how sure that is."""
    _check(spec, resume, bool(dry_run or run_dir), on)
    if measure and not dry_run:
        raise SpecError("--measure: says what a sweep takes; write --dry-run too")
    changes = list(overrides or [])
    if resume is not None and spec is not None:
        changes = [str(spec), *changes]  # with --resume, the first argument is a change already
    folder = None
    if resume is not None:
        from nnrun.sweep.reopened import begun_sweep

        folder = begun_sweep(resume, runs_root)
    else:
        from nnrun.sweep import file

        assert spec is not None
        file.read(spec, changes)  # mistakes in the YAML are reported without jax
    if jobs > 1:
        from nnrun.device import take_memory_on_demand

        take_memory_on_demand()  # before jax starts a GPU, which this process shares with a worker
    choose_device(device)
    from nnrun.sweep.engine import Engine

    engine = Engine(console.warn)
    if dry_run:
        assert spec is not None
        return _dry_run(spec, changes, engine, measure, as_json)
    from nnrun.sweep import lifecycle
    from nnrun.sweep.whole import trainer_of

    trainer = trainer_of(engine, jobs, on)  # a cluster that does not answer must leave nothing behind
    if folder is None:
        assert spec is not None
        sweep_plan, folder = lifecycle.begin(spec, changes, engine, run_dir, runs_root)
    else:
        sweep_plan = lifecycle.continue_sweep(folder, changes, engine)
    return _train(sweep_plan, folder, engine, trainer, quiet, as_json)


def _check(spec: Path | None, resume: Path | None, of_a_new_one: bool, on: str | None) -> None:
    """Refuses arguments that do not go together, before anything slow.

    of_a_new_one   whether an option is there that only a new sweep can have
    """
    if resume is None and spec is None:
        raise SpecError("sweep: which file? write nnrun sweep FILE, or --resume FOLDER")
    if resume is not None and of_a_new_one:
        raise SpecError("--resume: continues in its own folder; leave --dry-run and --run-dir out")
    if on is not None:
        from nnrun.sweep.remote import cluster_of

        cluster_of(on)


def _train(
    sweep_plan: SweepPlan, folder: Path, engine: Engine, trainer: Trainer, quiet: bool, as_json: bool
) -> None:
    from nnrun.report.sweep import answer
    from nnrun.sweep import whole

    silent = quiet or as_json
    ended = whole.carry_out(
        sweep_plan, folder, engine, trainer, lambda: console.sweep_view(silent), console.warn, silent
    )
    if as_json:
        console.print_json(answer.as_json(folder))
    else:
        console.show(*answer.answer_tables(ended.answer))
        best = folder / BEST
        closing_line = (
            f"train the best: nnrun train {shlex.quote(one_line(best))}"
            if best.is_file()
            else "no trial has a value to be best"
        )
        console.show(f"report: {one_line(folder / REPORT)}", closing_line)
    _leave(ended, folder)


def _leave(ended: Ended, folder: Path) -> None:
    """Ends with an exit code of its own where trials failed, or where none has a result."""
    if message := ended.all_diverged(folder):
        console.leave(DivergedError.exit_code, message)
    if message := ended.failed(folder):
        console.leave(_FAILED, message)


def _dry_run(spec: Path, changes: list[str], engine: Engine, measure: bool, as_json: bool) -> None:
    from nnrun.sweep import dry_run, file, planning

    estimate = dry_run.dry_run_of(planning.make_plan(file.read(spec, changes), engine), engine, measure)
    if as_json:
        return console.print_json(dry_run.as_json(estimate))
    return console.show(*dry_run.tables(estimate))
