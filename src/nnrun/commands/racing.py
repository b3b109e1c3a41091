"""race."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun.commands import console
from nnrun.commands._app import Device, Json, Quiet, Root, app, choose_device, prepare_device, resolved
from nnrun.errors import SpecError, one_line

if TYPE_CHECKING:
    from nnrun.race.ground import Ground
    from nnrun.race.trajectory import Trajectory

__all__ = ["race"]

_Optimizers = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OPTIMIZER",
        help="Names, blocks such as '{name: adam, learning_rate: 0.1}', or your own module:function; "
        "by default sgd, momentum, nesterov, adagrad, rmsprop and adam.",
    ),
]
_Surface = Annotated[str, typer.Option("--surface", metavar="NAME", help="See `nnrun list surface`.")]
_RunName = Annotated[
    str | None,
    typer.Option(
        "--run", metavar="RUN", help="Race over the plane through the start and two checkpoints of this run."
    ),
]
_Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="A,B,C",
        help="With --run: the steps of three, 0 is the start; left out: the start, the middle and the last.",
    ),
]
_Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        metavar="N",
        min=1,
        max=100_000,
        help="Steps of each optimizer.",
        show_default="300; with --run 100",
    ),
]
_Seed = Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Of the noise of noisy surfaces.")]
_Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Draw a picture: a .png, or a .gif or .html that plays."
    ),
]


@app.command()
def race(
    optimizers: _Optimizers = None,
    surface: _Surface = "beale",
    run_name: _RunName = None,
    checkpoints: _Checkpoints = None,
    steps: _Steps = None,
    seed: _Seed = 0,
    output: _Output = None,
    runs_root: Root = Path("runs"),
    device: Device = "cpu",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Race optimizers over a surface: their paths, and the steps each needs to the goal."""
    _check_output(output)
    _check_surface(surface, run_name, checkpoints)
    if run_name:
        from nnrun.record import run

        folder = run.resolve(run_name, runs_root)
        prepare_device(device, resolved(folder), [])
        from nnrun.race import ground

        place = ground.of_run(folder, checkpoints, console.warn)
    else:
        choose_device(device)
        from nnrun.race import ground

        place = ground.of_surface(surface, Path.cwd())
    from nnrun import signals
    from nnrun.runner import session

    with signals.deferred(), session.precision(place.precision):
        paths = _paths(place, optimizers or [], steps or place.steps, seed, quiet or as_json)
        if output:
            _draw(place, paths, output, quiet or as_json)
    from nnrun.race import report

    if as_json:
        return console.print_json(report.record(place.title, place.surface, paths, output))
    console.show(report.table(place.title, place.surface, paths))
    return console.show(f"picture: {one_line(output)}" if output else "-o race.gif draws it")


def _paths(place: Ground, optimizers: list[str], steps: int, seed: int, quiet: bool) -> list[Trajectory]:
    from nnrun.race import entrants, trajectory

    known = optimizers or entrants.LECTURE
    rounded = place.precision == "bfloat16"
    racers = [entrants.entrant(text, Path.cwd(), steps, place.rates, rounded) for text in known]
    paths = []
    with console.counting("racing", len(racers), quiet) as tick:
        for racer in racers:
            paths.append(trajectory.run(place.surface, racer.label, racer.make, racer.rates, steps, seed))
            tick()
    return paths


def _draw(place: Ground, paths: list[Trajectory], output: Path, quiet: bool) -> None:
    from nnrun.race import draw
    from nnrun.storage import fsio

    with console.counting("drawing", None, quiet) as tick:
        content = draw.draw(place.surface, paths, place.title, output.suffix, tick, place.grid, place.marks)
    fsio.write_file(output, content)


def _check_output(output: Path | None) -> None:
    """Before anything slow."""
    formats = (".png", ".gif", ".html")
    if output and output.suffix not in formats:
        raise SpecError(
            f"-o {one_line(output)}: the end of the name decides what is drawn; write {', '.join(formats)}"
        )
    if output and not output.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(output)}: no such folder; make it first or write another name")


def _check_surface(surface: str, run_name: str | None, checkpoints: str | None) -> None:
    if run_name and surface != "beale":
        raise SpecError("--run: the run gives the surface; leave --surface out")
    if checkpoints and not run_name:
        raise SpecError("--checkpoints: of which run? write --run RUN")
