"""train, resume, reproduce."""

from __future__ import annotations

import contextlib
import shlex
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import (
    Coordinator,
    Device,
    Exact,
    Hosts,
    Json,
    Process,
    Quiet,
    Root,
    RunDir,
    RunName,
    app,
    meeting,
    prepare_device,
    resolved,
)
from nnrun.commands._data import note_columns, show_data
from nnrun.commands._watched import follow, watch
from nnrun.commands.tracking import Track, trackers_of
from nnrun.errors import DivergedError, SpecError, counted, one_line

if TYPE_CHECKING:
    from nnrun.types import Experiment


__all__ = ["reproduce", "resume", "train"]


_Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML file; `nnrun init` writes one.")]
_Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Changes of the spec, such as optimizer.learning_rate=3e-4."),
]
_From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="RUN[:STEP][:AVERAGE]",
        help="Begin with the weights of a run: its best by validation, or those of a step or an average.",
    ),
]
_FromOnly = Annotated[
    list[str] | None,
    typer.Option(
        "--from-only",
        metavar="PATTERN",
        help="Take only layers that match, such as 'hidden_*'; may be given several times.",
    ),
]
_OptimizerState = Annotated[
    str | None,
    typer.Option(
        "--optimizer-state", metavar="keep|fresh", help="Of --from: what the optimizer remembers; fresh."
    ),
]
_Profile = Annotated[
    Path | None,
    typer.Option(
        "--profile",
        metavar="DIR",
        help="Write a trace of three seconds of training into a new folder; perfetto_trace.json.gz opens in "
        "ui.perfetto.dev.",
    ),
]
_DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Only check the spec and the data, and show what they are.")
]


@app.command()
def train(
    spec: _Spec,
    overrides: _Overrides = None,
    from_run: _From = None,
    only: _FromOnly = None,
    optimizer_state: _OptimizerState = None,
    run_dir: RunDir = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    coordinator: Coordinator = None,
    process: Process = None,
    hosts: Hosts = None,
    track: Track = None,
    profile: _Profile = None,
    dry_run: _DryRun = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train what a spec describes, in a new run folder."""
    meet = meeting(coordinator, process, hosts, dry_run)
    # It reads the spec: mistakes there are reported before anything slow is imported.
    prepare_device(device, spec, overrides or [], meet)
    from nnrun.runner import folds, session, together, warm_start
    from nnrun.runner.leaves import request_of
    from nnrun.runner.profile import check_target, profiled
    from nnrun.track.beside import tracked

    if profile is not None:
        check_target(profile)

    trackers_of(track or [])  # a mistake in them is reported before anything is read
    request = request_of(from_run, only or (), optimizer_state)
    with together.signals_kept():
        prepared = session.prepare(spec, overrides or [])
        sent_to = track or prepared.spec.track
        trackers_of(sent_to)  # those of the spec, too, before anything trains
        if dry_run:
            return show_data(prepared.experiment.dataset, as_json, prepared.folds)
        together.take_part(prepared)  # of several processes the first continues alone
        beginnings = []
        if from_run is not None:
            beginnings = warm_start.warm_start(from_run, runs_root, prepared, request, console.warn)
        folder = session.create(prepared, run_dir, runs_root, beginnings=beginnings)
        if not (quiet or as_json):
            _announce(prepared.experiment, prepared.folds, session.sharing(prepared))
            if beginnings:
                console.note(warm_start.seam(beginnings, prepared.experiment))
        training = folds.train(prepared, folder, console.warn)
        with tracked(folder, sent_to, console.warn):
            return watch(profiled(training, profile) if profile else training, folder, quiet, as_json)


def _announce(experiment: Experiment, folds: int, sharing: str) -> None:
    """Says that convolutions could be faster here, and why they are not; and what the columns of a table are.

    folds     how many there are
    sharing   which devices share each batch; "" where it is one
    """
    from nnrun import kernels

    reason = kernels.load().reason
    if experiment.plan.convolutions == kernels.WITHOUT and "NNRUN_KERNELS" not in reason:
        console.note(f"convolutions take longer without the compiled kernels: {reason}")
    if sharing:
        console.note(sharing)
    note_columns(experiment.dataset, folds)


@app.command()
def resume(
    run_name: RunName,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE", hidden=True, help="Refused, with what to write."),
    ] = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    coordinator: Coordinator = None,
    process: Process = None,
    hosts: Hosts = None,
    exact: Exact = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Continue an interrupted run, bit for bit; nothing to do if it is done."""
    from nnrun.record import run
    from nnrun.report.summary import read_summary

    meet = meeting(coordinator, process, hosts)
    folder = run.resolve(run_name, runs_root)
    if overrides:
        _refuse_changes(folder, overrides)
    if run.status(folder) == "done" and read_summary(folder):  # without one, only the end is done again
        if not as_json:
            console.show(f"{folder} is done; nothing to do")
        return console.report(folder, as_json)
    run.check_free(folder)  # at once, before anything slow
    prepare_device(device, resolved(folder), [], meet)
    from nnrun.runner import folds, together
    from nnrun.track.beside import tracked

    with together.signals_kept():
        together.take_part_again(folder)
        with tracked(folder, [], console.warn):
            return watch(folds.resume(folder, console.warn, exact), folder, quiet, as_json)


def _refuse_changes(folder: Path, overrides: list[str]) -> None:
    """A run continues as it began; other settings are another run."""
    name, changes = shlex.quote(one_line(f"{folder}:last")), one_line(shlex.join(overrides))
    raise SpecError(
        f"resume continues a run as it began; for {changes} train a new one with its weights: "
        f"nnrun train SPEC {changes} --from {name} (and --optimizer-state keep for its momentum)"
    )


@app.command()
def reproduce(
    run_name: RunName,
    run_dir: RunDir = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a run again from its folder, and say whether it is the same, bit for bit; if not, what differs."""
    from nnrun.record import preprocessing, run

    folder = run.resolve(run_name, runs_root)
    spec = resolved(folder)
    if not (folder / preprocessing.PREPROCESSING).is_file() and not run.members(folder):
        raise SpecError(f"reproduce: {one_line(folder)} is no run that was trained; name one of its members")
    prepare_device(device, spec, [])
    from nnrun.runner import again, folds

    again.refuse_unfinished(folder)
    if folder.name.startswith("seed_") and run.is_run(folder.parent):
        group = shlex.quote(one_line(folder.parent))
        console.warn(
            f"it was trained in one program with the other seeds of {group}; alone its last bits may differ, and "
            f"nnrun reproduce {group} trains them all again"
        )
    target = (
        run.claim_at(run_dir) if run_dir else run.claim(runs_root, f"again-{folder.name}", datetime.now())
    )
    again.begin_again(folder, target)
    if not (quiet or as_json):
        console.note(f"training again in {one_line(target)}")
    with contextlib.suppress(DivergedError):  # which the first one may have done too
        follow(folds.train_again(target, console.warn), quiet or as_json)
    result = again.compare(folder, target)
    if as_json:
        report = again.ReproductionReport(
            run_dir=str(target), same=not result.differences, **result._asdict()
        )
        console.print_json(report)
    elif result.differences:
        console.show(f"{one_line(folder)} trained again is not the same:", *result.differences)
    else:
        console.show(
            f"the same, bit for bit: {counted(result.lines, 'line')} of metrics and {counted(result.arrays, 'array')}"
            + (f" of {result.runs} runs" if result.runs > 1 else "")
        )
    if not as_json:
        console.show(f"run folder: {one_line(target)}")
    if result.differences:
        raise typer.Exit(7)
