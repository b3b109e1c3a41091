"""Where a cluster is, and what a node does with a batch that was sent to it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from nnrun.errors import SpecError
from nnrun.sweep import remote
from nnrun.sweep.remote import Cluster, begin, cluster_of, result_of


@pytest.mark.parametrize(
    ("text", "cluster"),
    [
        ("ray", Cluster("ray", None, {})),
        ("ray://head:10001", Cluster("ray", "ray://head:10001", {})),
        ("slurm:time=60", Cluster("slurm", None, {"time": 60})),
        (
            "slurm:partition=gpu,time=90,gpus_per_node=1,mem=16G,gres=gpu:a100:1",
            Cluster(
                "slurm",
                None,
                {"partition": "gpu", "time": 90, "gpus_per_node": 1, "mem": "16G", "gres": "gpu:a100:1"},
            ),
        ),
    ],
)
def test_where_a_cluster_is(text: str, cluster: Cluster) -> None:
    assert cluster_of(text) == cluster


@pytest.mark.parametrize("text", ["ray://", "Ray", "slurmy", "", "head:10001", "slurm;time=3"])
def test_what_is_no_cluster(text: str) -> None:
    with pytest.raises(SpecError, match=r"--on: got .*; write ray, ray://HOST:PORT, or slurm:time=MINUTES"):
        cluster_of(text)


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("slurm", ["how long may a job take? write slurm:time=MINUTES"]),
        ("slurm:", ["how long may a job take?"]),
        ("slurm:partition=gpu", ["how long may a job take?"]),
        ("slurm:time=0", ["time: got '0'; write a whole number of at least 1"]),
        ("slurm:time=1:00:00", ["time: got '1:00:00'"]),
        ("slurm:time=\u0663", ["time: got '\u0663'"]),
        ("slurm:time=5,time=6", ["time is there twice; leave one out"]),
        ("slurm:time=5,mem=", ["mem has no value; write mem=VALUE"]),
        ("slurm:time=5,mem", ["mem has no value"]),
        ("slurm:tme=5", ["there is no option 'tme'; write some of time, ", "how long may a job take?"]),
        (
            "slurm:nodes=2,cpus_per_task=a,time=x",
            ["no option 'nodes'", "cpus_per_task: got 'a'", "time: got 'x'"],
        ),
    ],
)
def test_each_option_of_slurm_that_is_wrong_is_named(text: str, problems: list[str]) -> None:
    """An array of batches has a node for each, so `nodes` is no option; how long it takes nobody can guess."""
    with pytest.raises(SpecError) as refused:
        cluster_of(text)
    assert len(refused.value.problems) == len(problems)
    for problem, words in zip(refused.value.problems, problems, strict=True):
        assert str(problem).startswith("--on slurm: ") and words in str(problem)


@pytest.mark.parametrize(
    ("script", "answer"),
    [
        (
            'print(\'hello\'); print(\'{"error": "first"}\'); print(\'{"error": "last"}\'); raise SystemExit(4)',
            (4, "last"),
        ),
        ("print('{\"step\": 3}'); print(3)", (0, "")),
        ("import os; os._exit(9)", (9, "")),
    ],
)
def test_on_a_node_the_last_error_of_the_process_counts(
    script: str, answer: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the user's code prints is no news."""
    popen = subprocess.Popen
    jobs: list[dict[str, Any]] = []

    def start(command: list[str], **streams: Any) -> Any:
        jobs.append(json.loads(command[-1]))
        return popen([sys.executable, "-S", "-c", script], **streams)

    monkeypatch.setattr(remote.subprocess, "Popen", start)
    assert result_of(begin('{"root": "/x"}')) == answer
    assert jobs[0]["root"] == "/x" and jobs[0]["parent"] > 1
