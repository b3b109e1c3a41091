"""check, explain, bench, lr-find."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from nnrun.commands import console
from nnrun.commands._app import Device, Json, Quiet, Root, app, counting, prepare_device
from nnrun.errors import SpecError, one_line

__all__ = ["bench", "check", "explain", "lr_find"]

_Spec = Annotated[Path, typer.Argument(metavar="SPEC", help="A YAML spec.")]
_Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changes to the spec.")
]
_FAILED = 5  # the exit code where a check fails, as of a run that diverged


@app.command()
def check(
    spec: _Spec,
    overrides: _Overrides = None,
    runs_root: Root = Path("runs"),
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Look for faults before a long run: data, initial loss, gradients, capacity, rate, memory, disk and time."""
    prepare_device(device, spec, overrides or [])
    from nnrun.probe import check as probe
    from nnrun.report import findings

    made = probe.check(spec, overrides or [], runs_root, counting(quiet or as_json))
    if as_json:
        console.print_json(probe.as_data(made))
    else:
        console.show(findings.findings_table(made), findings.verdict_line(made))
    return _FAILED if any(finding.verdict == "fail" for finding in made) else 0


@app.command()
def explain(
    spec: _Spec,
    overrides: _Overrides = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Say what a spec means: layers, equations, schedule, steps, memory and time; nothing is trained."""
    prepare_device(device, spec, overrides or [])
    from nnrun.commands._explained import content
    from nnrun.probe import explain as probe

    meaning = probe.explain(spec, overrides or [], counting(quiet or as_json))
    if as_json:
        return console.print_json(probe.as_data(meaning))
    return console.show(*content(meaning))


@app.command()
def bench(
    spec: _Spec,
    overrides: _Overrides = None,
    rival: Annotated[
        Literal["torch"] | None,
        typer.Option(
            "--vs", metavar="torch", help="Train the same net in torch too, in turn with it, on a CPU."
        ),
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Time a spec: compilation, steps a second, the share of what the machine can do, memory; writes nothing."""
    prepare_device(device, spec, overrides or [])
    from nnrun.probe import speed
    from nnrun.probe.versus import versus
    from nnrun.report.lines import Folded
    from nnrun.report.speed import LABEL, speed_lines

    shown = counting(quiet or as_json)
    beside = versus(spec, overrides or [], shown) if rival else None
    figures = speed.as_data(speed.bench(spec, overrides or [], shown), beside)
    if as_json:
        return console.print_json(figures)
    return console.show(*(Folded(line, LABEL) for line in speed_lines(figures)))


@app.command("lr-find")
def lr_find(
    spec: _Spec,
    overrides: _Overrides = None,
    low: Annotated[float, typer.Option("--from", metavar="RATE", help="The lowest rate.")] = 1e-5,
    high: Annotated[float, typer.Option("--to", metavar="RATE", help="The highest rate.")] = 10.0,
    count: Annotated[int, typer.Option("--rates", metavar="N", min=3, max=1000, help="How many.")] = 50,
    seeds: Annotated[
        int, typer.Option("--seeds", metavar="N", min=1, max=100, help="Runs at each rate.")
    ] = 3,
    steps: Annotated[int, typer.Option("--steps", metavar="N", min=5, help="Of each run.")] = 100,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.png", help="Draw the curve.")
    ] = None,
    device: Device = "auto",
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Find a learning rate: short runs at many rates at once, their losses, and the best as an override."""
    if not 0 < low < high < float("inf"):
        raise SpecError(f"--from {low:g} --to {high:g}: write two rates above 0, the lower one first")
    if output is not None and (output.suffix != ".png" or not output.parent.is_dir()):
        raise SpecError(f"-o {one_line(output)}: write the name of a .png in a folder that exists")
    prepare_device(device, spec, overrides or [])
    from nnrun.probe import rates
    from nnrun.report import rates as shown
    from nnrun.report.explained import folded
    from nnrun.storage import fsio

    request = rates.RangeTestRequest(low, high, count, seeds, steps)
    test = rates.range_test(spec, overrides or [], request, counting(quiet or as_json))
    if output is not None:
        fsio.write_file(
            output,
            shown.picture(spec.stem, test.rates, test.losses, test.start, test.written, test.suggestion),
        )
    if as_json:
        return console.print_json(rates.as_data(test))
    console.show(shown.curve_of_rates(test.rates, test.losses, test.start))
    *sentences, command = shown.rate_lines(*test, command=[str(spec), *(overrides or [])])
    console.show(*folded(sentences), command)
    return console.show("-o rates.png draws it" if output is None else f"picture: {one_line(output)}")
