"""What nnrun does on a GPU, and how fast: one command for whoever has one at hand for a few minutes.

    pip install -e ".[bench,cuda,test]"
    python benchmarks/gpu.py --json gpu.json [--seconds 240] [--only kill,tf32] [--skip tests] [--no-compile]

The sections, the most valuable first; each is a process of its own, so that none can harm or delay the rest:

    devices       what there is: versions, driver, cores
    kill          runs killed and resumed through the command line, bit for bit; the same run twice
    move          a run that begins on the CPU and continues on the GPU
    commands      a sweep killed and resumed, ensembles, predictions, an exported model and a race, each beside the CPU
    tf32          how exact float32 products are, and what Newton-CG and Muon make of it
    population    1, 16, 256 and 1,024 nets 64-128-10 in one program, against torch: alone (eager, captured as a CUDA
                  graph, compiled) and under torch.func.vmap
    convolutions  ResNet-20 and conv32-conv64 against torch in float32 and bfloat16; fraction of the measured peak
    grouped       8 and 32 nets conv32-conv64 in one program: grouped convolutions, a loop over the nets, and a
                  convolution for each net written one after another
    cifar94       seconds to 94% on CIFAR-10 with configs/cifar10_94.yaml, where that and the data are there
    tests         the conformance suites on this device, as far as the time reaches

Without a GPU everything runs in small, in three minutes on two cores, to show that it works: times mean nothing
then.  torch fills its compile cache beside the first sections, which time nothing.  Programs of
nnrun that are timed are compiled on a quiet device, because XLA chooses kernels by measuring them.

Float32 is what each side makes of it by default: jax multiplies in TF32 on such a device, torch does so in
convolutions only.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from gpu_check import ROOT, Check, OutOfTimeError, say, short


class Section(NamedTuple):
    """A part of the check: where its function is, and how many seconds it may take at most."""

    module: str
    function: str
    seconds: float


SECTIONS = {
    "devices": Section("gpu_products", "devices", 60),
    "kill": Section("gpu_runs", "kill", 150),
    "move": Section("gpu_runs", "move", 60),
    "commands": Section("gpu_commands", "commands", 180),
    "tf32": Section("gpu_products", "tf32", 90),
    "population": Section("gpu_speed", "population", 120),
    "convolutions": Section("gpu_speed", "convolutions", 150),
    "grouped": Section("gpu_grouped", "grouped", 120),
    "cifar94": Section("gpu_runs", "cifar94", 60),
    "tests": Section("gpu_tests", "tests", 600),
}
TIMED = ("population", "convolutions", "grouped", "cifar94")
WARM = Section("gpu_speed", "torch_warm", 150)  # beside the sections before these
_SHORTEST = 10.0  # a section does not begin with less


def run_section(name: str, arguments: argparse.Namespace) -> int:
    """In the process of a section."""
    check = Check(
        arguments.small,
        arguments.compile,
        arguments.folder,
        arguments.part,
        time.monotonic() + arguments.seconds,
        {},
    )
    section = WARM if name == "warm" else SECTIONS[name]
    sys.path.insert(0, str(Path(__file__).parent))
    try:
        getattr(importlib.import_module(section.module), section.function)(check)
    except OutOfTimeError as error:
        check.conclude(f"{name}: {error}")
    except Exception as error:
        check.conclude(f"{name}: FAILED  {short(error)}")
        check.add("failures", short(error))
    sys.stdout.flush()
    os._exit(1 if "failures" in check.results else 0)


class Whole:
    """The check as a whole."""

    def __init__(self, arguments: argparse.Namespace, folder: Path) -> None:
        self.arguments, self.folder = arguments, folder
        self.began = time.monotonic()
        self.seconds = arguments.seconds
        self.results: dict[str, Any] = {"sections": {}}
        self.beside: subprocess.Popen[bytes] | None = None

    @property
    def left(self) -> float:
        """Seconds until the check must have ended."""
        return self.began + self.seconds - time.monotonic()

    def start(self, name: str, seconds: float) -> tuple[subprocess.Popen[bytes], Path]:
        """Begins a section in a process group of its own; its results appear in the file."""
        folder = self.folder / name
        folder.mkdir()
        part = self.folder / f"{name}.json"
        words = ["--section", name, "--folder", folder, "--part", part, "--seconds", seconds]
        words += ["--small" if self.arguments.small else "--no-small"]
        words += ["--compile" if self.arguments.compile else "--no-compile"]
        command = [sys.executable, __file__, *map(str, words)]
        return subprocess.Popen(command, env=environment(self.folder), process_group=0), part

    def finish(self, process: subprocess.Popen[bytes], seconds: float) -> str:
        """Waits for a section, and ends all of its processes."""
        try:
            code = process.wait(max(0.0, seconds))
            status = "ok" if code == 0 else f"failed ({code})"
        except subprocess.TimeoutExpired:
            status = "out of time"
        except BaseException:
            stop(process)
            raise
        stop(process)
        return status

    def section(self, name: str) -> None:
        """Runs a section and keeps what it found out."""
        seconds = min(SECTIONS[name].seconds, self.left)
        if seconds < _SHORTEST:
            say(f"== {name}: left out, {self.left:.0f} s are left")
            self.keep(name, {"status": "left out"})
            return
        say(f"== {name}  (at most {seconds:.0f} s)")
        began = time.monotonic()
        if name == "kill" and self.arguments.compile:
            self.beside = self.start("warm", WARM.seconds)[0]
        if name in TIMED and self.beside:
            say(f"    torch's cache: {self.finish(self.beside, self.left / 5)}")
            self.beside = None
        process, part = self.start(name, seconds - 2)
        status = self.finish(process, seconds)
        content = json.loads(part.read_text()) if part.is_file() else {}
        spent = round(time.monotonic() - began, 1)
        say(f"== {name}: {status}, {spent} s")
        self.keep(name, {"status": status, "seconds": spent, **content})

    def keep(self, name: str, content: dict[str, Any]) -> None:
        """Adds to the results, and writes them if that was asked for."""
        self.results["sections"][name] = content
        self.results |= {"seconds": round(time.monotonic() - self.began, 1), "small": self.arguments.small}
        if self.arguments.json:
            self.arguments.json.write_text(json.dumps(self.results, indent=2))

    def conclude(self) -> None:
        """Everything that counts, once more."""
        say("\n== all in all")
        for name, content in self.results["sections"].items():
            say(f"{name}: {content['status']}, {content.get('seconds', 0)} s")
            for line in content.get("conclusions", []):
                say(f"    {line.strip()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a section's process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def environment(folder: Path) -> dict[str, str]:
    """For all processes: one device, memory as it is needed, compile caches that begin empty."""
    settings = {
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "torch"),
        "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0"),
        "PYTHONUNBUFFERED": "1",
    }
    paths = [str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **settings, "PYTHONPATH": os.pathsep.join(paths)}


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="where the results go, complete after each section")
    parser.add_argument(
        "--seconds", type=float, default=240.0, help="of the whole check; what does not fit is left out"
    )
    parser.add_argument(
        "--only", default=",".join(SECTIONS), help="sections, in the order in which they are to run"
    )
    parser.add_argument("--skip", default="", help="sections to leave out")
    parser.add_argument("--small", action=argparse.BooleanOptionalAction, help="as without a GPU")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="time torch.compile too; not if small"
    )
    for hidden in ("--section", "--folder", "--part"):
        parser.add_argument(hidden, type=str if hidden == "--section" else Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Runs the sections."""
    arguments = parsed()
    if arguments.section:
        run_section(arguments.section, arguments)
    names = [name for name in arguments.only.split(",") if name not in arguments.skip.split(",")]
    names = ["devices", *(name for name in names if name != "devices")]  # the rest depends on it
    if unknown := set(names) - SECTIONS.keys():
        raise SystemExit(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        whole = Whole(arguments, Path(place))
        try:
            for name in names:
                whole.section(name)
                if name == "devices":
                    settle(arguments, whole.results["sections"]["devices"].get("platform", "cpu"))
        except KeyboardInterrupt:
            say("== interrupted")
        finally:
            if whole.beside:
                stop(whole.beside)
        whole.conclude()


def settle(arguments: argparse.Namespace, platform: str) -> None:
    """What was not asked for follows from the device."""
    if arguments.small is None:
        arguments.small = platform == "cpu"
    if arguments.compile is None:
        arguments.compile = not arguments.small and importlib.util.find_spec("torch") is not None


if __name__ == "__main__":
    main()
