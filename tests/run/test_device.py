"""A device that is here and cannot be used is told in a line, through the real command line."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

import nnrun
from nnrun import device
from nnrun.errors import MachineError

SPEC = "data: {name: digits}\nmodel: linear\noptimizer: {name: sgd, learning_rate: 0.1}\ntrain: {duration: 2 steps}\n"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with a plugin of jax for a device whose driver is missing."""
    plugin = tmp_path / "packages" / "jax_plugins" / "broken" / "__init__.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(
        "def initialize():\n"
        "    try:\n"
        "        raise OSError('libcuda.so.1: no such file')\n"
        "    except OSError as error:\n"
        "        raise RuntimeError('Unable to load CUDA. Is it installed?\\nor not') from error\n"
    )
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path


LINE = (
    "jax cannot use the GPU or TPU that it is installed for (Unable to load CUDA. Is it installed?); see whether its "
    "driver is there (nvidia-smi), or write --device cpu"
)


def test_a_plugin_that_does_not_start_is_a_line(broken, nnrun):
    settings = {"PYTHONPATH": f"{broken / 'packages'}", "JAX_PLATFORMS": ""}
    trained = nnrun("train", "spec.yaml", "--quiet", folder=broken, **settings)
    assert trained.code == 0
    assert trained.err.splitlines() == [f"nnrun: warning: {LINE}"]
    on_the_cpu = nnrun("train", "spec.yaml", "--quiet", "--device", "cpu", folder=broken, **settings)
    assert (on_the_cpu.code, on_the_cpu.err) == (0, "")
    on_a_gpu = nnrun("train", "spec.yaml", "--device", "gpu", folder=broken, **settings)
    assert on_a_gpu.code == 6
    assert on_a_gpu.err.splitlines() == [f"nnrun: --device gpu: there is none here: {LINE}"]


@pytest.mark.parametrize(
    ("message", "remark"),
    [
        (
            "An NVIDIA GPU may be present on this machine, but a CUDA-enabled jaxlib is not installed.",
            'there seems to be an NVIDIA GPU, which jax is not installed for; pip install "nnrun[cuda]", or write '
            "--device cpu",
        ),
        (
            "A Google TPU may be present on this machine, but either a TPU-enabled jaxlib or libtpu is not installed.",
            'there seems to be a TPU, which jax is not installed for; pip install "nnrun[tpu]", or write --device '
            "cpu",
        ),
    ],
)
def test_what_jax_warns_of_has_a_remedy(monkeypatch, capfd, message, remark):
    def devices() -> None:
        logging.getLogger("jax._src.xla_bridge").warning(message)
        logging.getLogger("jax._src.xla_bridge").warning(message)

    monkeypatch.setattr(jax, "devices", devices)
    assert device.prepare("auto") == [remark]
    assert device.prepare("cpu") == []
    assert capfd.readouterr().err == ""


def test_without_a_word_of_jax_the_extra_is_named(monkeypatch):
    def devices() -> None:
        raise RuntimeError("Unknown backend gpu")

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.setattr(jax.config, "update", lambda *setting: None)
    with pytest.raises(
        MachineError, match=r"^--device gpu: there is none here \(for one, install nnrun\[cuda\]\); wr"
    ):
        device.prepare("gpu")


@pytest.mark.parametrize(
    "setting",
    [
        {"JAX_DEFAULT_PRNG_IMPL": "rbg"},
        {"JAX_THREEFRY_PARTITIONABLE": "0"},
        {"JAX_RANDOM_SEED_OFFSET": "5"},
        {"JAX_ENABLE_X64": "1"},
        {"JAX_DEFAULT_MATMUL_PRECISION": "bfloat16"},
        {"JAX_NUMPY_DTYPE_PROMOTION": "strict", "JAX_NUMPY_RANK_PROMOTION": "raise"},
    ],
    ids=lambda setting: next(iter(setting)),
)
def test_a_seed_means_the_same_whatever_the_environment_sets(nnrun, tmp_path, usual_losses, setting):
    """These variables change what `jax.random`, arrays and products are; initial weights and masks are of the seed."""
    assert losses(nnrun, tmp_path, **setting) == usual_losses


def test_usual_losses_are_of_the_seed(nnrun, tmp_path, usual_losses):
    """Another seed draws other weights and masks, so the test above can fail."""
    assert losses(nnrun, tmp_path, "train.seed=1") != usual_losses


def test_a_seed_means_the_same_in_a_process_of_other_settings(tmp_path, usual_losses):
    with jax.default_prng_impl("rbg"), jax.threefry_partitionable(False):
        assert losses(in_this_process, tmp_path) == usual_losses
    jax.config.update("jax_random_seed_offset", 5)
    try:
        with pytest.raises(
            MachineError, match=r"^jax_random_seed_offset is 5 here, so every seed would draw other num"
        ):
            losses(in_this_process, tmp_path)
    finally:
        jax.config.update("jax_random_seed_offset", 0)


def in_this_process(*arguments: str, folder: Path) -> Any:
    result = nnrun.train(folder / "spec.yaml", run_dir=folder / "run")
    return SimpleNamespace(code=0, json={"run_dir": str(result.run_dir)})


@pytest.fixture(scope="module")
def usual_losses(warm, tmp_path_factory) -> list[float]:
    return losses(warm, tmp_path_factory.mktemp("usual"))


def losses(command: Callable[..., Any], folder: Path, *overrides: str, **settings: str) -> list[float]:
    """The loss of each step, of weights and masks that are drawn."""
    (folder / "spec.yaml").write_text(
        "data: {name: digits}\nmodel: {name: mlp, hidden: [8], dropout: 0.5}\noptimizer: {name: adam}\n"
        "train: {duration: 3 steps}\n"
    )
    trained = command("train", "spec.yaml", "--json", *overrides, folder=folder, **settings)
    assert trained.code == 0, trained.err
    lines = (folder / trained.json["run_dir"] / "metrics.jsonl").read_text().splitlines()
    return [row["train/loss"] for row in map(json.loads, lines) if "train/loss" in row]
