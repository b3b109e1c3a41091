"""A population or a sweep over several devices is that on one.  Simulated devices need a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = """
import sys, numpy, jax
from nnrun.runner import session
from nnrun.training import shards
from pathlib import Path
prepared = session.prepare(Path("spec.yaml"))
jax.config.update("jax_enable_x64", True)
compiled = shards.compile_shards(prepared.experiment)
used = [part.chunk.compiled.input_shardings[0][2].device_set for part in compiled.parts]
print(len(jax.devices()), len(set.union(*used)))
state, log = compiled.advance(compiled.initial(), 0, 5)
rows = compiled.rows(log, 5)
metrics = compiled.evaluate(state, "val")
numpy.savez(sys.argv[1], rows=rows, val=[one["val/loss"] for one in metrics],
            kernels=[one["params/output/kernel"] for one in compiled.unpack(state)])
"""
SPEC = """
data: {name: digits, batch_size: 64, examples: 256}
model: {name: mlp, hidden: [8], dropout: 0.3}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 5 steps, seeds: 13, precision: float64}
"""

SWEEP_PROGRAM = """
import sys, jax, nnrun
from nnrun.training import shards
used, compile_shards = set(), shards.compile_shards
def noting(*arguments):
    compiled = compile_shards(*arguments)
    used.update(getattr(compiled, "devices", jax.local_devices()[:1]))
    return compiled
shards.compile_shards = noting
nnrun.sweep("sweep.yaml", run_dir=sys.argv[1])
print(len(jax.devices()), len(used))
"""
BASE = """
name: tiny
data: {name: digits, batch_size: 64, examples: 256}
model: {name: mlp, hidden: [8], dropout: 0.3}
optimizer: {name: nesterov, learning_rate: 0.01}
train: {duration: 3 epochs, precision: float64}
"""
SWEEP = """
base: base.yaml
sweep:
  over:
    optimizer:
      - {name: nesterov, learning_rate: {log: [1e-2, 0.3]}}
      - {name: adam, learning_rate: {log: [1e-3, 0.1]}}
  trials: 8
  final_seeds: 3
"""


def run_on(count: int, program: str, folder: Path, argument: str) -> list[str]:
    """What a program prints in a process with so many simulated devices."""
    flags = f"--xla_force_host_platform_device_count={count}"
    done = subprocess.run(
        [sys.executable, "-c", program, argument],
        cwd=folder,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def values(sweep: Path) -> Iterator[tuple[str, list[float]]]:
    """The metrics of all trials and of the chosen ones on fresh seeds, by run and metric."""
    for file in ("trials.jsonl", "final.jsonl"):
        for line in (sweep / file).read_text().splitlines():
            entry = json.loads(line)
            yield from ((f"{entry['run']}: {name}", numbers) for name, numbers in entry["metrics"].items())


@pytest.mark.slow
def test_a_sweep_over_devices_equals_one_on_one(tmp_path: Path) -> None:
    """Trials of both optimizers, and those that are chosen."""
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    for count in (1, 4):
        assert run_on(count, SWEEP_PROGRAM, tmp_path, f"on-{count}") == [str(count), str(count)]
    alone, several = (dict(values(tmp_path / f"on-{count}")) for count in (1, 4))
    assert len(alone) > 20 and alone.keys() == several.keys()
    for name, expected in alone.items():
        assert several[name] == pytest.approx(expected, rel=1e-12), name
    best = [(tmp_path / f"on-{count}" / "best.yaml").read_text() for count in (1, 4)]
    assert best[0] == best[1]


@pytest.mark.slow
def test_eight_devices_equal_one(tmp_path: Path) -> None:
    """Thirteen seeds: two a device on seven of them, the last filled up."""
    import numpy as np

    (tmp_path / "spec.yaml").write_text(SPEC)
    arrays = {}
    for count in (1, 8):
        printed = run_on(count, PROGRAM, tmp_path, f"{count}.npz")
        assert printed == [str(count), str(7 if count == 8 else 1)]
        arrays[count] = np.load(tmp_path / f"{count}.npz")
    for name in ("rows", "val", "kernels"):
        np.testing.assert_allclose(arrays[8][name], arrays[1][name], rtol=1e-9, atol=1e-12)
