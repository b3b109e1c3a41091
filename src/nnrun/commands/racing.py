"""race."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nnrun import console
from nnrun.commands._app import Device, Json, Quiet, Root, app, prepare_device, resolved, settle
from nnrun.errors import SpecError, one_line

if TYPE_CHECKING:
    from nnrun.types import Surface

__all__ = ["race"]


@app.command()
def race(
    optimizers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="OPTIMIZER",
            help="Names, blocks such as '{name: adam, learning_rate: 0.1}', or your own module:function; "
            "by default those of the lecture.",
        ),
    ] = None,
    surface: Annotated[str, typer.Option("--surface", help="See `nnrun list surface`.")] = "beale",
    run_name: Annotated[
        str | None, typer.Option("--run", help="Race over the plane through three checkpoints of this run.")
    ] = None,
    checkpoints: Annotated[
        str | None,
        typer.Option("--checkpoints", help="Their steps: 10,200,400; by default first, middle, last."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, max=100_000, help="Steps of each optimizer.")] = 300,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise of noisy surfaces.")] = 0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Draw it: a .png, or a .gif or .html that plays.")
    ] = None,
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
        title, ground, marks = _plane(folder, checkpoints)
    else:
        from nnrun.race import entrants

        settle(device)
        title, marks = surface, {}
        ground = entrants.surface(surface, Path.cwd())
    from nnrun import signals
    from nnrun.race import course, entrants, report

    rates = course.RATES[::3] if run_name else course.RATES  # a step of a network takes its time
    racers = [entrants.entrant(text, Path.cwd(), steps, rates) for text in optimizers or entrants.LECTURE]
    paths = []
    with signals.deferred(), console.counting("racing", len(racers), quiet or as_json) as tick:
        for one in racers:
            paths.append(course.run(ground, one.label, one.make, one.rates, steps, seed))
            tick()
    if output:
        from nnrun.race import draw
        from nnrun.record import fsio

        with console.counting("drawing", None, quiet or as_json) as tick:
            grid = 33 if run_name else draw.GRID
            content = draw.draw(ground, paths, title, output.suffix, tick, grid, marks)
        fsio.write_file(output, content)
    if as_json:
        return console.print_json(report.record(title, ground, paths, output))
    console.show(report.table(title, ground, paths))
    return console.show(f"picture: {one_line(output)}") if output else None


def _check_output(output: Path | None) -> None:
    """Before anything slow."""
    formats = (".png", ".gif", ".html")
    if output and output.suffix not in formats:
        raise SpecError(
            f"-o {one_line(output)}: what to draw is told by the end of the name; write {', '.join(formats)}"
        )
    if output and not output.absolute().parent.is_dir():
        raise SpecError(f"-o {one_line(output)}: no such folder; make it first or write another name")


def _check_surface(surface: str, run_name: str | None, checkpoints: str | None) -> None:
    if run_name and surface != "beale":
        raise SpecError("--run: the run gives the surface; leave --surface out")
    if checkpoints and not run_name:
        raise SpecError("--checkpoints: of which run? write --run RUN")


def _plane(folder: Path, checkpoints: str | None) -> tuple[str, Surface, dict[str, tuple[float, float]]]:
    """The plane of a run: what it is called, its surface, and where the checkpoints lie on it."""
    from nnrun import session
    from nnrun.race import plane

    wanted = None
    if checkpoints:
        if not all(part.strip().isdecimal() for part in checkpoints.split(",")):
            raise SpecError(
                f"--checkpoints: got {one_line(checkpoints, 60)!r}; write three steps: 10,200,400"
            )
        wanted = [int(part) for part in checkpoints.split(",")]
    steps = plane.pick(folder, wanted)
    found = plane.plane(session.rebuild(folder, console.warn).experiment, folder, steps)
    marks = {f"step {step}": tuple(point) for step, point in zip(steps, found.points.tolist(), strict=True)}
    return f"{folder.name}, steps {', '.join(map(str, steps))}", found.surface, marks
