"""A sweep on a Ray cluster of two nodes on this machine, one of which dies."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

SWEEP = """
base: tiny.yaml
sweep:
  over: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
  trials: 6
  final_seeds: 0
  width: 1
"""
BASE = """
name: tiny
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [8]}
optimizer: {name: adam, learning_rate: 0.01}
train: {duration: 60 epochs}
checkpoint: {every: 10 steps}
"""


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_a_node_dies_and_nothing_is_lost(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    from nnrun.sweep import lifecycle
    from nnrun.sweep.engine import Engine
    from nnrun.sweep.on_ray import OnRay

    (tmp_path / "tiny.yaml").write_text(BASE)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    try:
        cluster.wait_for_nodes()
        engine = Engine(lambda message: None)
        sweep_plan, folder = lifecycle.begin(tmp_path / "sweep.yaml", [], engine, tmp_path / "out", tmp_path)
        trainer = OnRay(cluster.address, engine)
        killed = threading.Event()

        def kill() -> None:
            while len(list(folder.glob("trials/*/checkpoints"))) < 2:  # both nodes train
                time.sleep(0.1)
            cluster.remove_node(second, allow_graceful=False)
            killed.set()

        threading.Thread(target=kill, daemon=True).start()
        for _ in lifecycle.sweep(sweep_plan, folder, engine, trainer):
            pass
        assert killed.is_set()
    finally:
        ray.shutdown()
        cluster.shutdown()
    records = lines(folder / "trials.jsonl")
    assert sorted(one["trial"] for one in records) == [f"trial-{i:03d}" for i in range(6)]
    assert {one["status"] for one in records} == {"done"}
    for one in records:
        steps = [line["step"] for line in lines(folder / one["run"] / "metrics.jsonl")]
        assert steps == sorted(set(steps))  # no step twice
        assert steps[-1] == one["steps"]
