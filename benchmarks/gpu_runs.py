"""Whole runs through the command line: killed and resumed, moved from CPU to GPU, second order step by step."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from gpu_check import ROOT, Check, say
from gpu_command import Command, filled, losses, newest_step, nnrun, write_images

MLP = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [128], dropout: 0.5}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: EPOCHS epochs}
checkpoint: {every: EVERY epochs}
"""
CONV = """
data: {name: npz, path: images.npz, standardize: image, batch_size: BATCH}
model: MODEL
optimizer: {name: momentum, learning_rate: 0.05}
train: {duration: EPOCHS epochs, deterministic: DETERMINISTIC}
checkpoint: {every: EVERY epochs}
"""
LENET = "{name: lenet, filters: [4, 6], hidden: [16], norm: batch}"
RESNET = "{name: resnet, depth: 8}"
NEWTON = """
data: {name: digits, batch_size: full}
model: {name: mlp, hidden: [64], activation: tanh}
optimizer: newton_cg
train: {duration: 8 steps, log_every: 1 step}
"""


def differing(run: Path, rival: Path) -> list[str]:
    """What differs between two finished runs: files by name, of the metrics the first line too."""
    names = [f"checkpoints/step_{newest_step(run):08d}/{path.name}" for path in _files(run)]
    differences = [name for name in names if _bytes(run / name) != _bytes(rival / name)]
    lines = [(folder / "metrics.jsonl").read_bytes().splitlines() for folder in (run, rival)]
    if lines[0] != lines[1]:
        first = next((i for i, pair in enumerate(zip(*lines, strict=False)) if pair[0] != pair[1]), -1)
        ends = [losses(folder)[-1] for folder in (run, rival)]
        differences.append(
            f"metrics.jsonl from line {first + 1} of {len(lines[0])} on (last loss {ends[0]:.7g}, {ends[1]:.7g})"
        )
    return differences


def _files(run: Path) -> list[Path]:
    return sorted((run / "checkpoints" / f"step_{newest_step(run):08d}").iterdir())


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


class Case(NamedTuple):
    """A kind of run."""

    name: str
    spec: str
    middle: int  # the step from which on it is killed

    @property
    def folder(self) -> str:
        """How the names of its run folders begin."""
        return self.name.replace(", ", "-")

    def written(self, folder: Path) -> Path:
        """Its spec as a file."""
        path = folder / f"{self.folder}.yaml"
        path.write_text(self.spec)
        return path


def cases(check: Check) -> list[Case]:
    """The MLP, and a net with convolutions and batch norm, with and without deterministic kernels."""
    epochs, conv = (250, 40) if check.small else (400, 60)
    mlp = Case("mlp", filled(MLP, EPOCHS=epochs, EVERY=10), 7 * epochs)
    size = {"BATCH": 16, "MODEL": LENET} if check.small else {"BATCH": 128, "MODEL": RESNET}
    write_images(check.folder / "images.npz", 320 if check.small else 2560, (32, 32, 3))
    name, middle = ("lenet", 7 * conv) if check.small else ("resnet8", 5 * conv)
    exact, free = (
        filled(CONV, EPOCHS=conv, EVERY=4, DETERMINISTIC=value, **size) for value in ("true", "false")
    )
    return [mlp, Case(f"{name}, deterministic", exact, middle), Case(name, free, middle)]


def kill_and_resume(check: Check, case: Case) -> str:
    """A run killed in the middle and resumed, against a run that was left alone."""
    clean, killed = (check.folder / f"{case.folder}-{name}" for name in ("clean", "killed"))
    first = trained(check, case, clean)
    middle = nnrun(
        check.folder,
        *("train", case.written(check.folder), "--run-dir", killed, "--quiet"),
        until=lambda: newest_step(killed) >= case.middle,
    )
    if middle.code != -signal.SIGKILL:
        raise RuntimeError(f"not killed in time: exit code {middle.code}: {middle.errors[-300:]}")
    step = newest_step(killed)
    last = nnrun(check.folder, "resume", killed, "--quiet").check()
    verdict = compared(check, f"{case.name}, killed and resumed", clean, killed)
    seconds = f"cold {first.seconds:.1f} s, killed {middle.seconds:.1f} s, resumed {last.seconds:.1f} s"
    return f"killed after step {step} of {newest_step(clean)} and resumed: {verdict}  ({seconds})"


def twice(check: Check, case: Case) -> str:
    """The same run twice, with the same compiled programs."""
    runs = [check.folder / f"{case.folder}-{i}" for i in range(2)]
    seconds = " and ".join(f"{trained(check, case, run).seconds:.1f} s" for run in runs)
    return f"twice: {compared(check, f'{case.name}, twice', *runs)}  ({seconds})"


def recompiled(check: Check, case: Case) -> str:
    """The run of `kill_and_resume` once more, with programs that were compiled anew."""
    run = check.folder / f"{case.folder}-fresh"
    command = trained(check, case, run, cache="fresh")
    verdict = compared(check, f"{case.name}, compiled anew", check.folder / f"{case.folder}-clean", run)
    return f"again, compiled anew: {verdict}  ({command.seconds:.1f} s)"


def trained(check: Check, case: Case, run: Path, cache: str = "cache") -> Command:
    """The command that trained the case in a new run folder."""
    spec = case.written(check.folder)
    return nnrun(check.folder, "train", spec, "--run-dir", run, "--quiet", cache=cache).check()


def compared(check: Check, what: str, run: Path, rival: Path) -> str:
    """Whether two runs are the same, in words."""
    differences = differing(run, rival)
    check.note(what, {"same": not differences, "differences": differences})
    return f"OTHER BYTES: {'; '.join(differences)}" if differences else "the same bytes"


def kill(check: Check) -> None:
    """Section: kill and resume, bit for bit.  Several runs at once, where there are cores for it."""
    mlp, exact, free = cases(check)
    work: list[tuple[Case, list[Callable[[Check, Case], str]]]] = [
        (mlp, [kill_and_resume, recompiled]),
        (exact, [kill_and_resume]),
        (free, [] if check.small else [twice]),  # on a CPU the kernels are the same
    ]

    def run(item: tuple[Case, list[Callable[[Check, Case], str]]]) -> None:
        case, functions = item
        for function in functions:
            with check.guarded(case.name):
                check.conclude(f"{case.name}: {function(check, case)}")

    with ThreadPoolExecutor(3 if (os.cpu_count() or 1) >= 8 else 1) as pool:
        list(pool.map(run, work))


def move(check: Check) -> None:
    """Section: a run that begins on the CPU, is interrupted, and continues on the best device."""
    epochs = 250 if check.small else 400
    spec, run = check.folder / "moved.yaml", check.folder / "moved"
    spec.write_text(filled(MLP, EPOCHS=epochs, EVERY=10))
    begun = nnrun(
        check.folder, "train", spec, "--run-dir", run, "--quiet", "--device", "cpu",
        until=lambda: newest_step(run) >= 7 * epochs, sends=signal.SIGINT,
    )  # fmt: skip
    step = newest_step(run)
    resumed = nnrun(check.folder, "resume", run, "--quiet").check()
    state: dict[str, Any] = json.loads((run / "state.json").read_text())
    for line in resumed.warnings or ["no warning"]:
        say(f"    {line}")
    check.note("warnings", resumed.warnings)
    check.note("state", state)
    check.conclude(
        f"begun on the CPU (exit code {begun.code} after step {step}), resumed: {state['status']} at step "
        f"{newest_step(run)}, last loss {losses(run)[-1]:.5f}, warnings: {len(resumed.warnings)}  "
        f"({begun.seconds:.1f} and {resumed.seconds:.1f} s)"
    )


def newton(check: Check) -> None:
    """Newton-CG step by step: on the device, there with full-precision products, and on the CPU."""
    spec = check.folder / "newton.yaml"
    spec.write_text(NEWTON)
    ways: dict[str, tuple[list[str], dict[str, str]]] = {
        "default": ([], {}),
        "highest": ([], {"JAX_DEFAULT_MATMUL_PRECISION": "highest"}),
    }
    if not check.small:
        ways["cpu"] = ["--device", "cpu"], {}

    def run(way: str) -> list[float]:
        arguments, settings = ways[way]
        folder = check.folder / f"newton-{way}"
        nnrun(check.folder, "train", spec, "--run-dir", folder, "--quiet", *arguments, **settings).check()
        return losses(folder)

    with ThreadPoolExecutor(3 if (os.cpu_count() or 1) >= 8 else 1) as pool:
        curves = dict(zip(ways, pool.map(run, ways), strict=True))
    check.note("newton_cg", curves)
    for way, curve in curves.items():
        check.conclude(
            f"Newton-CG, {way:8} loss after steps 1 to 8: {' '.join(f'{loss:.4f}' for loss in curve)}"
        )


def cifar94(check: Check) -> None:
    """Section: seconds to 94% on CIFAR-10."""
    spec = ROOT / "configs" / "cifar10_94.yaml"
    if check.small or not spec.is_file() or "NNRUN_DATA_DIR" not in os.environ:
        return check.conclude(
            "left out: it takes a GPU, configs/cifar10_94.yaml and CIFAR-10 in $NNRUN_DATA_DIR"
        )
    run = check.folder / "cifar94"
    command = nnrun(check.folder, "train", spec, "--run-dir", run, "--quiet").check()
    summary = json.loads((run / "summary.json").read_text())
    check.note("summary", summary)
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    return check.conclude(
        f"test accuracy {summary['metrics']['last']['test/accuracy']:.2%} after {timing[-1]['seconds']:.2f} s of "
        f"training, {command.seconds:.1f} s in all"
    )
