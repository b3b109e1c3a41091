"""The other commands on the device: sweeps, ensembles, predictions, exported models, races."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from gpu_check import ROOT, Check
from gpu_command import Command, nnrun

SWEEP = """
name: sweep
base: base.yaml
sweep:
  over:
    optimizer:
      - {name: momentum, learning_rate: {log: [1e-2, 0.3]}}
      - {name: adam, learning_rate: {log: [1e-4, 1e-2]}}
  trials: 8
  seeds: 2
  final_seeds: 4
"""
BASE = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [64], dropout: 0.2}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 10 epochs}
"""
_OTHER = "cpu"  # what the device is compared with
_LOOKS = """
import sys
from nnrun.cli import main
sys.argv = ["nnrun", *sys.argv[1:]]
try:
    main()
except SystemExit as ending:
    if ending.code:
        raise
if "jax" in sys.modules:
    from jax._src import xla_bridge
    if xla_bridge._backends:
        print("started:", *xla_bridge._backends, file=sys.stderr)
"""


def commands(check: Check) -> None:
    """Section: every command that has not run on the device so far."""
    folder = check.folder
    (folder / "base.yaml").write_text(BASE)
    (folder / "sweep.yaml").write_text(SWEEP)
    parts: dict[str, Callable[[Check], str]] = {
        "sweep": sweeps,
        "ensemble": ensembles,
        "predict": predictions,
        "export": exported,
        "race": raced,
        "ls, show, list": looks,
    }
    nnrun(folder, "train", "base.yaml", "train.seeds=4", "--run-dir", folder / "four", "--quiet").check()

    def run(name: str) -> None:
        with check.guarded(name):
            check.conclude(f"{name}: {parts[name](check)}")

    at_once(run, parts)


def at_once(function: Callable[[str], Any], names: Iterable[str]) -> list[Any]:
    """What the function returns for each name, several at a time where there are cores for it."""
    with ThreadPoolExecutor(4 if (os.cpu_count() or 1) >= 8 else 1) as pool:
        return list(pool.map(function, names))


def sweeps(check: Check) -> str:
    """A sweep left alone, one killed and resumed, and one on the CPU."""
    resumed = sweep_resumed(check)
    return resumed if check.small else f"{resumed}; {sweep_on_cpu(check)}"  # on a CPU that is the same device


def sweep_resumed(check: Check) -> str:
    """A sweep left alone, and one that is killed when half of its trials are done and resumed."""
    folder = check.folder
    whole, killed = folder / "whole", folder / "killed"
    first = swept(folder, whole)
    middle = nnrun(
        folder, *("sweep", "sweep.yaml", "--run-dir", killed, "--quiet"),
        until=lambda: len(summaries_of(killed)) >= 16,
    )  # fmt: skip
    if middle.code != -signal.SIGKILL:
        raise RuntimeError(f"not killed in time: exit code {middle.code}: {middle.errors[-300:]}")
    done = len(summaries_of(killed))
    last = nnrun(folder, "sweep", "--resume", killed, "--quiet").check()
    summaries, others = (summaries_of(sweep) for sweep in (whole, killed))
    differing = [name for name in summaries if summaries[name] != others.get(name)]
    check.note("sweep, killed and resumed", {"runs": len(summaries), "differing": differing})
    verdict = f"{len(differing)} OTHER" if differing else "the same values to the last digit"
    seconds = f"{first.seconds:.1f} s; {middle.seconds:.1f} and {last.seconds:.1f} s"
    return f"killed with {done} of {len(summaries)} runs done, resumed: {verdict}  ({seconds})"


def swept(folder: Path, sweep: Path, *arguments: str) -> Command:
    """The command that ran the sweep in a new folder."""
    return nnrun(folder, "sweep", "sweep.yaml", "--run-dir", sweep, "--quiet", *arguments).check()


def summaries_of(sweep: Path) -> dict[str, Any]:
    """The last metrics of each run of a sweep."""
    paths = sorted([*sweep.glob("trials/*/seed_*/summary.json"), *sweep.glob("final/*/seed_*/summary.json")])
    return {
        str(path.parent.relative_to(sweep)): json.loads(path.read_text())["metrics"]["last"] for path in paths
    }


def sweep_on_cpu(check: Check) -> str:
    """The same sweep on the CPU: how far its values are from those of the device."""
    folder = check.folder
    command = swept(folder, folder / "sweep-cpu", "--device", _OTHER)
    here, there = summaries_of(folder / "whole"), summaries_of(folder / "sweep-cpu")
    shared = sorted(here.keys() & there.keys())
    distances = {
        metric: max(abs(here[name][metric] - there[name][metric]) for name in shared)
        for metric in ("train/loss", "val/accuracy", "test/accuracy")
    }
    check.note("sweep, on the CPU", distances)
    furthest = ", ".join(f"{metric} {distance:.2g}" for metric, distance in distances.items())
    alone = len(here.keys() ^ there.keys())
    names = f"on the CPU {len(shared)} runs of the same names, {alone} of other names"
    return f"{names}, furthest apart: {furthest}  ({command.seconds:.1f} s)"


def ensembles(check: Check) -> str:
    """Four seeds and averages of them, on the device and on the CPU."""

    def judged(average: str) -> str:
        accuracies = []
        for device in ("auto",) if check.small else ("auto", _OTHER):
            output = check.folder / f"four-{average}-{device}"
            words = ["ensemble", check.folder / "four", "--average", average, "-o", output]
            nnrun(check.folder, *words, "--device", device, "--quiet").check()
            accuracies.append(accuracy_of(output))
        check.note(f"ensemble, {average}", accuracies)
        return " ".join([average, *(f"{accuracy:.4f}" for accuracy in accuracies)])

    averages = ["probabilities"] if check.small else ["probabilities", "greedy", "parameters"]
    return "test accuracy here, on the CPU: " + ", ".join(at_once(judged, averages))


def accuracy_of(ensemble: Path) -> float:
    """Of the ensemble on the test part."""
    return float(json.loads((ensemble / "account.json").read_text())["ensemble"]["accuracy"])


def predictions(check: Check) -> str:
    """A run of the device predicts there and on the CPU, and a run of the CPU on the device."""
    folder = check.folder
    nnrun(
        folder, *("train", "base.yaml", "--run-dir", folder / "on-cpu", "--device", _OTHER, "--quiet")
    ).check()
    furthest = {}
    for name, run in (
        ("trained here", folder / "four" / "seed_0"),
        ("trained on the CPU", folder / "on-cpu"),
    ):
        here, there = (predicted(folder, run, device) for device in ("auto", _OTHER))
        furthest[name] = float(np.max(np.abs(here - there)))
    check.note("predict", furthest)
    return "probabilities here and on the CPU, furthest apart: " + ", ".join(
        f"{name} {distance:.2g}" for name, distance in furthest.items()
    )


def predicted(folder: Path, run: Path, device: str) -> np.ndarray:
    """(n, K) probabilities of the test part."""
    output = folder / f"{run.name}-{device}.npz"
    nnrun(folder, "predict", run, "--split", "test", "-o", output, "--device", device, "--quiet").check()
    return np.load(output)["probabilities"]


def exported(check: Check) -> str:
    """An exported model, loaded without nnrun on the device and on the CPU."""
    folder = check.folder
    model = folder / "exported"
    nnrun(folder, "export", folder / "four" / "seed_0", "-o", model).check()
    rng = np.random.default_rng(0)
    np.save(folder / "inputs.npy", rng.integers(0, 17, (1000, 8, 8, 1)).astype(np.float32))
    program = (
        "import sys, jax, numpy as np, model\n"
        "outputs = model.Model().predict_proba(np.load('../inputs.npy'))\n"
        "print(jax.devices()[0].platform); np.save(sys.argv[1], outputs)\n"
    )
    outputs, platforms = [], []
    for platform in ("", _OTHER):
        path = folder / f"outputs{platform}.npy"
        settings = {**os.environ, "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        settings |= {"JAX_PLATFORMS": platform} if platform else {}
        words = [sys.executable, "-c", program, path]
        result = subprocess.run(words, cwd=model, env=settings, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(result.stderr.strip()[-400:])
        platforms.append(result.stdout.split()[-1])
        outputs.append(np.load(path))
    distance = float(np.max(np.abs(outputs[0] - outputs[1])))
    check.note("export", {"platforms": platforms, "distance": distance})
    return f"probabilities on {platforms[0]} and {platforms[1]}, furthest apart: {distance:.2g}"


def raced(check: Check) -> str:
    """The race of the README on the device and on the CPU: the steps that each needs."""
    results = []
    for device in ("auto", _OTHER):
        words = [sys.executable, "-m", "nnrun", "race", "--device", device, "--json", "--quiet"]
        environment = {**os.environ, "XDG_CACHE_HOME": str(check.folder / "cache")}
        output = subprocess.run(words, env=environment, capture_output=True, text=True, check=True, cwd=ROOT)
        results.append({row["optimizer"]: row["steps"] for row in json.loads(output.stdout)["optimizers"]})
    check.note("race", results)
    same = "the same steps" if results[0] == results[1] else f"OTHER STEPS, on the CPU {results[1]}"
    return f"{results[0]}: {same}"


def looks(check: Check) -> str:
    """Commands that only look start no device."""
    words = {"ls": ["ls"], "show": ["show", "four/seed_0"], "list": ["list"]}
    started = {}
    for name, arguments in words.items():
        command = [sys.executable, "-c", _LOOKS, *arguments]
        arguments_of_run: dict[str, Any] = {"cwd": check.folder, "capture_output": True, "text": True}
        result = subprocess.run(command, check=False, **arguments_of_run)
        if result.returncode:
            raise RuntimeError(f"{name}: {result.stderr.strip()[-300:]}")
        started[name] = [line for line in result.stderr.splitlines() if line.startswith("started:")]
    check.note("looks", started)
    guilty = [f"{name} {lines[0]}" for name, lines in started.items() if lines]
    return "; ".join(guilty) if guilty else "they start no device"
