"""A population over several devices is the population on one.  Eight simulated devices need a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
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
used = [part.chunk.advance.input_shardings[0][2].device_set for part in compiled.parts]
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


@pytest.mark.slow
def test_eight_devices_equal_one(tmp_path: Path) -> None:
    """Thirteen seeds: two a device on seven of them, the last filled up."""
    import numpy as np

    (tmp_path / "spec.yaml").write_text(SPEC)
    found = {}
    for count in (1, 8):
        flags = f"--xla_force_host_platform_device_count={count}"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, f"{count}.npz"],
            cwd=tmp_path,
            env={**os.environ, "XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == [str(count), str(7 if count == 8 else 1)]
        found[count] = np.load(tmp_path / f"{count}.npz")
    for name in ("rows", "val", "kernels"):
        np.testing.assert_allclose(found[8][name], found[1][name], rtol=1e-9, atol=1e-12)
