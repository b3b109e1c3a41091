"""`nnrun train --profile` through the real command line."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 30 epochs}
"""


@pytest.mark.slow
def test_a_trace_is_written_and_changes_nothing(tmp_path: Path, warm: Callable[..., Any]) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    done = warm("train", "spec.yaml", "--profile", "trace", "--run-dir", "traced", "-q", folder=tmp_path)
    assert done.code == 0, done.err
    assert warm("train", "spec.yaml", "--run-dir", "plain", "-q", folder=tmp_path).code == 0
    assert (tmp_path / "traced/metrics.jsonl").read_bytes() == (tmp_path / "plain/metrics.jsonl").read_bytes()
    (file,) = (tmp_path / "trace").rglob("perfetto_trace.json.gz")
    events = json.loads(gzip.decompress(file.read_bytes()))["traceEvents"]
    assert any("while" in event.get("name", "") for event in events), "the loop over steps"
    again = warm("train", "spec.yaml", "--profile", "trace", "--run-dir", "third", "-q", folder=tmp_path)
    assert (
        again.code == 2
        and "--profile trace: already exists" in again.err
        and not (tmp_path / "third").exists()
    )
