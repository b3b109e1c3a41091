"""sweep."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Device, Json, Quiet, Root, RunDir, app, choose_device
from nnrun.errors import DivergedError, RunError, SpecError, one_line

if TYPE_CHECKING:
    from nnrun.report.sweep.entries import TrialEntry
    from nnrun.sweep.batches import Trainer
    from nnrun.sweep.engine import Engine
    from nnrun.sweep.plan import SweepPlan

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
    typer.Option("--dry-run", help="Show the trials, the programs, the time and the memory; train nothing."),
]
_Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", metavar="N", min=1, max=256, help="Worker processes; 1: in this process."),
]
_On = Annotated[
    str | None,
    typer.Option(
        "--on",
        metavar="ray|ray://HOST:PORT",
        help="Train on a Ray cluster: that of $RAY_ADDRESS or one started here, or another. "
        "Needs the extra `ray` of nnrun.",
    ),
]


@app.command()
def sweep(
    spec: _Spec = None,
    overrides: _Overrides = None,
    resume: _Resume = None,
    dry_run: _DryRun = False,
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
    changes = list(overrides or [])
    if resume is not None and spec is not None:
        changes = [str(spec), *changes]  # with --resume, the first argument is a change already
    folder = None if resume is None else _found(resume, runs_root)
    if folder is None:
        from nnrun.sweep import file

        assert spec is not None
        file.read(spec, changes)  # mistakes in the YAML are reported without jax
    choose_device(device)
    from nnrun.sweep.engine import Engine

    engine = Engine(console.warn)
    if dry_run:
        assert spec is not None
        return _rehearse(spec, changes, engine, as_json)
    from nnrun.sweep import lifecycle

    trainer = _trainer(engine, jobs, on)  # a cluster that does not answer must leave nothing behind
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
        from nnrun.sweep.on_ray import address_of

        address_of(on)


def _found(text: Path, root: Path) -> Path:
    from nnrun.record import run

    if (text / "sweep.json").is_file() and not run.is_run(text):
        run.write_state(text, "interrupted")  # its state.json is gone, and follows from the rest
    folder = run.resolve(str(text), root)
    if not (folder / "sweep.json").is_file():
        raise RunError(f"{one_line(folder)}: not a sweep; `nnrun resume {one_line(folder)}` continues a run")
    run.check_free(folder)
    return folder


def _trainer(engine: Engine, jobs: int, on: str | None) -> Trainer:
    """Who trains the batches: this process, worker processes, or a cluster."""
    if on is not None:
        from nnrun.sweep.on_ray import OnRay, address_of

        return OnRay(address_of(on), engine)
    from nnrun.sweep.batches import InProcess
    from nnrun.sweep.workers import Workers

    return Workers(jobs, engine) if jobs > 1 else InProcess(engine)


def _train(
    sweep_plan: SweepPlan, folder: Path, engine: Engine, trainer: Trainer, quiet: bool, as_json: bool
) -> None:
    from nnrun import signals
    from nnrun.report.sweep import answer
    from nnrun.sweep import lifecycle
    from nnrun.sweep.progress import ProgressBoard

    records: list[TrialEntry] = []
    grows = sweep_plan.file.sweep.until is not None
    # Between a look and the next round a signal waits: the sweep is not done then, and the next round says so.
    with signals.deferred() if grows else contextlib.nullcontext():
        while True:
            with console.sweep_view(quiet or as_json) as view:
                progress = None
                for loop, event in lifecycle.sweep(sweep_plan, folder, engine, trainer):
                    progress = progress or ProgressBoard(loop)
                    view(progress.board(event))
                    records = list(loop.records.values())
            changes = _grown(sweep_plan, folder, quiet or as_json)
            if not changes:
                lifecycle.finish(folder)
            sweep_answer = answer.write_answer(folder)
            if not changes:
                break
            sweep_plan = lifecycle.continue_sweep(folder, changes, engine, next_round=True)
    if as_json:
        console.print_json(answer.as_json(folder))
    else:
        console.show(*answer.answer_tables(sweep_answer))
        best = folder / "best.yaml"
        closing_line = (
            f"train the best: nnrun train {shlex.quote(one_line(best))}"
            if best.is_file()
            else "no trial has a value to be best"
        )
        console.show(f"report: {one_line(folder / 'report.html')}", closing_line)
    _leave(records, sum(sweep_plan.budgets), folder)


def _grown(sweep_plan: SweepPlan, folder: Path, quiet: bool) -> list[str]:
    """What the next round of a sweep with `until` adds; [] where there is none."""
    if sweep_plan.file.sweep.until is None:
        return []
    from nnrun.report.sweep import answer
    from nnrun.sweep.rounds import next_round

    following = next_round(sweep_plan, folder, answer.answer(answer.read_sweep(folder)))
    if not quiet or not following.changes:
        console.warn(f"{one_line(folder)}: {following.words}")
    return following.changes


def _leave(records: list[TrialEntry], budget: int, folder: Path) -> None:
    """Ends with an exit code of its own where trials failed, or where none has a result."""
    statuses = [record["status"] for record in records]
    where = f"trials.jsonl in {one_line(folder)} says why"
    if records and set(statuses) == {"diverged"}:
        message = f"all {len(records)} trials diverged, so nothing is compared; write smaller learning rates"
        console.leave(DivergedError.exit_code, f"{message}; {where}")
    if failed := statuses.count("failed"):
        console.leave(_FAILED, f"{failed} of {budget} trials failed; {where}")


def _rehearse(spec: Path, changes: list[str], engine: Engine, as_json: bool) -> None:
    from nnrun.sweep import dry_run, file, plan

    estimate = dry_run.dry_run_of(plan.make_plan(file.read(spec, changes), engine), engine)
    if as_json:
        return console.print_json(dry_run.as_json(estimate))
    return console.show(*dry_run.tables(estimate))
