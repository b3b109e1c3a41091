"""The application that the commands belong to, and the options that several of them have."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nnrun.commands import console
from nnrun.errors import RunError, SpecError, one_line
from nnrun.record.names import LEADERBOARD, RESOLVED, SWEEP

__all__ = [
    "Calibrated",
    "CheckpointOption",
    "Coordinator",
    "Device",
    "Exact",
    "Hosts",
    "Json",
    "ModelName",
    "Process",
    "Quiet",
    "Root",
    "RunDir",
    "RunName",
    "Split",
    "app",
    "choose_device",
    "counting",
    "meeting",
    "options",
    "prepare_device",
    "resolved",
]

_ORDER = (
    "train", "resume", "reproduce", "check", "explain", "bench", "lr-find", "evaluate", "sweep", "ensemble", "predict",
    "export", "ls", "show", "report", "plot", "track", "tag", "rm", "compare", "race", "list", "schema", "init",
)  # fmt: skip


class _Commands(TyperGroup):
    """The commands in the order in which they are needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=_ORDER.index)


app = typer.Typer(
    name="nnrun",
    cls=_Commands,
    help="Train neural networks from a YAML file: hand-written optimizers, exact resume, honest statistics.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, only the result.")]
Device = Annotated[
    str,
    typer.Option(
        "--device", metavar="auto|cpu|gpu|tpu", help="Where it is computed; auto is the best there is."
    ),
]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, or the beginning of its name.")]
ModelName = Annotated[
    str, typer.Argument(metavar="RUN", help="A run or an ensemble, or RUN:STEP, RUN:ema, RUN:STEP:ema.")
]
Root = Annotated[Path, typer.Option("--runs-root", metavar="DIR", help="The folder that run folders lie in.")]
RunDir = Annotated[
    Path | None,
    typer.Option("--run-dir", metavar="DIR", help="The exact run folder; it must be new or empty."),
]
Split = Annotated[str, typer.Option("--split", metavar="train|val|test", help="The part of the data.")]
CheckpointOption = Annotated[
    str,
    typer.Option(
        "--checkpoint", metavar="last|best|STEP", help="Which checkpoint; best is the best by validation."
    ),
]
Calibrated = Annotated[
    bool,
    typer.Option("--calibrated", help="Probabilities at the temperature that fits the validation part best."),
]
Exact = Annotated[
    bool,
    typer.Option(
        "--exact",
        help="Refuse if versions, device or code have changed since the run began; "
        "without it that is a warning. Other data are always refused.",
    ),
]

Coordinator = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="HOST:PORT",
        help="Where process 0 listens, of several that train this run together; start each with the same.",
    ),
]
Process = Annotated[
    str | None,
    typer.Option("--process", metavar="I/N", help="Which of how many processes this one is: 0/2, 1/2."),
]
Hosts = Annotated[
    str | None,
    typer.Option(
        "--hosts",
        metavar="auto",
        help="The processes of a SLURM, Open MPI, Kubernetes or TPU job train this run together.",
    ),
]


def _version(value: bool) -> None:
    if value:
        from nnrun import __version__

        console.show(f"nnrun {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Train neural networks from a YAML file: hand-written optimizers, exact resume, honest statistics."""
    del version, debug


def resolved(folder: Path) -> Path:
    """The spec that a run was made from."""
    file = folder / RESOLVED
    if (folder / SWEEP).is_file():
        raise RunError(f"{one_line(folder)}: a sweep; {_runs_of_sweep(folder)}")
    if not file.is_file():
        raise RunError(f"{one_line(file)}: missing; restore it or start a new run")
    return file


def prepare_device(
    device: str, spec: Path, overrides: list[str], meet: Callable[[], None] | None = None
) -> None:
    """Settles the device; the spec is read before that, so that mistakes in it are reported without jax.

    meet   what is to be done before jax starts a device
    """
    _check_device(device)
    from nnrun import catalog

    document = catalog.read(spec, overrides)
    catalog.check_names(document)
    from nnrun import device as device_module

    _say(device_module.prepare(device, document.sections["train"].deterministic, meet))


def _runs_of_sweep(folder: Path) -> str:
    """Which runs to name in place of a sweep."""
    from nnrun.record import run

    name = one_line(folder)
    if not (folder / LEADERBOARD).is_file():
        return f"`nnrun sweep --resume {name}` continues it, trials/ holds its runs"
    rows = run.read_json(folder / LEADERBOARD).get("alternatives") or [{}]
    first = rows[0].get("run")
    best = f"{name}/{one_line(first)}, the first of its table, or " if first else ""
    return f"write one of its runs: {best}one of {name}/trials"


def meeting(
    coordinator: str | None, process: str | None, hosts: str | None, dry_run: bool = False
) -> Callable[[], None] | None:
    """A function that meets the other processes of a run; None where there are none.  Raises SpecError."""
    from nnrun.hosts import join, request_of

    request = request_of(coordinator, process, hosts)
    if request is not None and dry_run:
        raise SpecError(
            "--dry-run looks at the spec and the data in one process; leave out --coordinator and --hosts"
        )
    return None if request is None else lambda: join(request)


def counting(quiet: bool) -> Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]:
    """console.counting for callers that do not know whether progress is shown."""
    return lambda what, total: console.counting(what, total, quiet)


def choose_device(device: str) -> None:
    """Settles the device for what has no spec of its own, such as a sweep; kernels are deterministic, as by default."""
    _check_device(device)
    from nnrun import device as device_module

    _say(device_module.prepare(device, deterministic=True))


def _say(remarks: list[str]) -> None:
    """Why a device that may be here is not used."""
    for remark in remarks:
        console.warn(remark)


def _check_device(device: str) -> None:
    if device not in ("auto", "cpu", "gpu", "tpu"):
        several = f"; how many share a batch is train.devices={device}" if _is_count(device) else ""
        raise SpecError(f"--device: got {one_line(device, 40)!r}; write auto, cpu, gpu or tpu{several}")


def _is_count(device: str) -> bool:
    """Whether somebody means a number of devices."""
    return device == "all" or (device.isascii() and device.isdigit())
