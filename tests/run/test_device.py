"""A device that is here and cannot be used is told in a line, through the real command line."""

from __future__ import annotations

import logging
from pathlib import Path

import jax
import pytest

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
