"""A batch that several devices share is the batch on one device, but for the order of sums."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import pytest

from nnrun.errors import MachineError
from nnrun.training.mesh import check_devices, devices_used, shared_in_words

SPEC = """
data: {name: digits, batch_size: 64, examples: 300}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 2 steps}
"""

PARAMETERS = (64 + 1) * 32 + 2 * 32 + (32 + 1) * 10  # of `mlp` in on_devices.py


def on_devices(folder: Path, *asked: str, kernels: str = "on") -> dict[str, Any]:
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("on_devices.py")), str(folder), *asked],
        env={**os.environ, "XLA_FLAGS": flags, "NNRUN_KERNELS": kernels},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def check(result: dict[str, Any], devices: int) -> None:
    assert result["devices"] == devices
    assert max(result["arrays"], result["moved"], result["log"], result["metrics"]) < 1e-12


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return on_devices(tmp_path_factory.mktemp("devices"), "mlp=8", "parts=8", "convolutions=4")


def test_a_shared_batch_is_the_batch(results: dict[str, Any]) -> None:
    """Dropout, batch norm, mixup, clipping, an average and a metric of examples on eight devices."""
    check(results["mlp"], 8)
    # What devices send is the gradient, with a few numbers of losses and of batch norm, and the examples that mixup
    # mixes, 48 inputs and targets; masks are drawn where they are used.  Each does its part only.
    assert results["mlp"]["sent"].keys() == {"all-reduce", "all-gather"}
    assert 1 <= results["mlp"]["sent"]["all-reduce"] < 1.2
    assert results["mlp"]["sent"]["all-gather"] <= 48 * (64 + 10) / PARAMETERS
    assert results["mlp"]["flops"] < 0.4


def test_convolutions_are_computed_where_their_examples_are(results: dict[str, Any]) -> None:
    """XLA cannot look into kernels: it would gather the batch, and every device would compute all of it."""
    check(results["convolutions"], 4)
    assert results["convolutions"]["sent"].keys() == {"all-reduce"}
    assert 1 <= results["convolutions"]["sent"]["all-reduce"] < 1.2


def test_an_augmentation_keeps_examples_where_they_are(results: dict[str, Any]) -> None:
    mixing = {name for name, exchanges in results["augmentations"].items() if exchanges}
    assert mixing == {"cutmix", "mixup"}  # which need examples of the whole batch


def test_a_state_in_parts_is_the_state(results: dict[str, Any]) -> None:
    """Dropout, Adam and an average, of which each of eight devices holds an eighth."""
    result = results["parts"]
    check(result, 8)
    # The first kernel, 64 · 64, is in parts; the second, 64 · 10, and the biases are small, and whole everywhere.
    assert result["held"] == pytest.approx((4096 / 8 + 640 + 74) / (4096 + 640 + 74), abs=2e-3)
    assert result["beside_the_state"] < 0.3  # the data: no second state comes in
    assert result["gathered"] > 0


@pytest.mark.slow
def test_a_shared_batch_in_float32(tmp_path: Path) -> None:
    """An MLP with dropout and mixup, a ResNet with batch norm and stochastic depth, both with an average."""
    results = on_devices(tmp_path, "float32/mlp=8", "float32/resnet=8")
    for name in ("mlp", "resnet"):
        result = results[f"float32/{name}"]
        assert result["losses"] == 6 + 4  # of each step, and of both parts, of the net and of its average
        assert 0 < result["relative"] < 1e-5, name  # 0 would be the program of one device


@pytest.mark.slow
def test_a_transformer_is_larger_than_what_a_device_holds(tmp_path: Path, warm: Callable[..., Any]) -> None:
    """CPUs have no limit that a state could exceed, so what each device holds is counted: an eighth, and what is too
    small to cut.  A checkpoint of such a run is read on one device."""
    result = on_devices(tmp_path, "large=8")["large"]
    check(result, 8)
    whole = sum(size for _, size in result["leaves"])
    small = sum(size for shape, size in result["leaves"] if math.prod(shape) < 1024 or not divided(shape, 8))
    assert small < whole / 25
    assert len(result["held_by_each"]) == 8
    assert max(result["held_by_each"]) <= (whole - small) / 8 + small

    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    command = ["train", "spec.yaml", "train.fsdp=true", "train.duration=30 steps", "--run-dir", "run", "-q"]
    done = warm(*command, folder=tmp_path, XLA_FLAGS=flags)
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "run.json").read_text())["devices"] == 8
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert losses[-1] < losses[0]
    alone = warm("evaluate", "run", "--checkpoint", "last", "--split", "val", "--json", folder=tmp_path)
    assert alone.code == 0, alone.err
    expected = {name: value for name, value in lines[-1].items() if name.startswith("val/")}
    assert alone.json["metrics"] == pytest.approx(expected, rel=1e-12)


def divided(shape: list[int], devices: int) -> bool:
    return any(size % devices == 0 for size in shape)


@pytest.mark.slow
def test_more_states_in_parts(tmp_path: Path) -> None:
    """A transformer; Muon multiplies whole matrices; Newton-CG keeps vectors of all parameters, whose length is odd."""
    results = on_devices(tmp_path, "transformer=8", "muon=8", "newton_cg=8")
    check(results["transformer"], 8)
    assert 0.125 < results["transformer"]["held"] < 0.25
    check(results["muon"], 8)
    check(results["newton_cg"], 8)


@pytest.mark.slow
def test_more_shared_batches(tmp_path: Path) -> None:
    """Convolutions with stochastic depth, without kernels; SAM, which evaluates twice; L-BFGS on three devices."""
    results = on_devices(tmp_path, "resnet=4", "sam=8", "lbfgs=3", kernels="off")
    check(results["lbfgs"], 3)
    assert results["lbfgs"]["flops"] < 0.4
    check(results["resnet"], 4)
    check(results["sam"], 8)


@pytest.mark.slow
def test_shared_batches_of_other_kinds(tmp_path: Path) -> None:
    """Weighted rows with two moments over the batch, several labels, a user's model and augmentation, and blocks that
    are computed again on the way back, with a state in parts."""
    results = on_devices(tmp_path, "weighted=8", "labels=8", "user=8", "remat=8")
    for name, result in results.items():
        if name != "augmentations":
            check(result, 8)
            assert 1 <= result["sent"]["all-reduce"] < 1.4 and result["flops"] < 0.4, name
    assert max(results["user"]["held"], results["remat"]["held"]) < 0.3


def test_a_batch_has_equal_parts_or_is_refused(
    tmp_path: Path, warm: Callable[..., Any], experiment: Callable[..., Any]
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    for changes, code, message in (
        (
            ["train.devices=5"],
            2,
            "5 devices cannot have equal parts of a batch of 64; write data.batch_size: 65",
        ),
        (["train.devices=2", "train.seeds=3"], 2, "2, but several seeds are spread over the devices anyway"),
        (
            ["train.devices=2"],
            6,
            "train.devices: 2, but there is one here (cpu); write train.devices=1, or all",
        ),
    ):
        done = warm("train", "spec.yaml", *changes, "--run-dir", "run", folder=tmp_path)
        assert done.code == code and message in done.err and len(done.err.splitlines()) == 1, done.err
    assert not (tmp_path / "run").exists()


def test_all_are_as_many_as_divide_the_batch(
    monkeypatch: pytest.MonkeyPatch, experiment: Callable[..., Any]
) -> None:
    plan = experiment("mlp", "train.devices=all").plan._replace(batch_size=60)
    monkeypatch.setattr(jax, "local_devices", lambda: [None] * 8)
    assert devices_used(plan) == 6
    assert devices_used(plan._replace(seeds=(0, 1))) == 1
    assert devices_used(plan._replace(devices=4)) == 4
    with pytest.raises(MachineError, match=r"train\.devices: 12, but there are 8 here"):
        check_devices(plan._replace(devices=12))


def test_explain_says_who_computes_a_batch(
    monkeypatch: pytest.MonkeyPatch, experiment: Callable[..., Any]
) -> None:
    plan = experiment("mlp").plan._replace(batch_size=64)
    in_parts = plan._replace(fsdp=True)
    assert shared_in_words(plan) == "each batch is computed on one device"
    assert shared_in_words(in_parts).startswith("train.fsdp: one device computes each batch here")
    monkeypatch.setattr(jax, "local_devices", lambda: [None] * 4)
    assert "on one of 4 devices; train.devices=all" in shared_in_words(plan)
    shared = "4 devices share each batch, and the state, 16 examples each"
    assert shared_in_words(in_parts._replace(devices="all")) == shared
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert (
        shared_in_words(plan._replace(devices=8))
        == "8 devices of 2 processes share each batch, 8 examples each"
    )
