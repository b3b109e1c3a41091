"""The user's own code from a spec: models, optimizers, layers, data, and what becomes of it on resume."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

MODULE = '''
"""My own code."""
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

from nnrun.layer._compose import serial, stateless
from nnrun.layer.dense import dense
from nnrun.optimizer._elementwise import elementwise
from nnrun.types import Examples, Layer, Source


def net(outputs: int, width: int = 8) -> Layer:
    """My net.

    width   units
    """
    return serial([("inner", dense(width)), ("swish", swish()), ("output", dense(outputs))])


def swish(beta: float = 1.0) -> Layer:
    """x times its own sigmoid."""
    return stateless(lambda x: x * jax.nn.sigmoid(beta * x))


def half_exploding() -> Layer:
    """Overflows for half of all seeds."""
    def init(key, x_shape):
        return {"w": jnp.where(jax.random.uniform(key) < 0.5, 1e38, 1.0)}, {}, x_shape
    return Layer(init, lambda params, stats, x, key, weight: (x * params["w"] * params["w"], stats))


def adam(learning_rate: float = 1e-3, b1: float = 0.9) -> optax.GradientTransformation:
    """Somebody else's Adam."""
    return optax.chain(optax.scale_by_adam(b1=b1), optax.scale(-1.0 * learning_rate))


def signs(learning_rate: float = 1e-3, b: float = 0.9) -> optax.GradientTransformation:
    """The sign of the averaged gradient."""
    def rule(g, t, m):
        m = b * m + (1 - b) * g
        return -learning_rate * jnp.sign(m), {"m": m}
    return elementwise(rule, m=0.0)


def quadrants(n: int = 400) -> Source:
    """Points of a square, by whether their coordinates have one sign."""
    x = np.random.default_rng(0).uniform(-1, 1, (n, 2)).astype(np.float32)
    return Source(Examples(x, (x[:, 0] * x[:, 1] > 0).astype(np.int32)), None, ("no", "yes"), "feature")


def misspelt(outputs: int) -> Layer:
    return undefined_name


def leaves(outputs: int) -> Layer:
    sys.exit(3)


def clashing(examples: int = 3) -> Source:
    return quadrants(examples)


def no_data() -> Source:
    raise ValueError("not today")
'''
SPEC = """
data: {name: mine:quadrants, n: 300, batch_size: 32}
model: {name: mine:net, width: 16}
optimizer: {name: mine:adam, learning_rate: 0.03}
train: {duration: 30 epochs}
checkpoint: {every: 1 epoch}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a spec and the module that it names."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "mine.py").write_text(MODULE)
    (folder / "spec.yaml").write_text(SPEC)
    return folder


def test_model_data_and_any_optax_transform(home: Path, warm: Callable[..., Any]) -> None:
    """From another folder than the spec's: names are looked up beside the spec."""
    done = warm("train", "home/spec.yaml", "--run-dir", "run", "--json", folder=home.parent)
    assert (done.code, done.err) == (0, "")
    assert done.json["metrics"]["best"]["test/accuracy"] > 0.9
    (folder,) = [max((home.parent / "run/checkpoints").iterdir())]
    assert load_file(folder / "arrays.safetensors")["params/inner/kernel"].shape == (2, 16)
    code = json.loads((home.parent / "run/run.json").read_text())["code"]
    assert list(code) == [str(home / "mine.py")]


def test_an_elementwise_optimizer_and_a_layer_in_a_list(home: Path, warm: Callable[..., Any]) -> None:
    layers = "[{name: dense, units: 16}, {name: mine:swish, beta: 2.0}]"
    changes = [
        f"model={{name: sequential, layers: {layers}}}",
        "optimizer={name: mine:signs, learning_rate: 0.01, b: 0.8}",
    ]
    done = warm("train", "spec.yaml", *changes, "--json", "--run-dir", "run", folder=home)
    assert (done.code, done.err) == (0, "")
    assert done.json["metrics"]["best"]["test/accuracy"] > 0.9
    (folder,) = [max((home / "run/checkpoints").iterdir())]
    memory = {name for name in load_file(folder / "arrays.safetensors") if name.startswith("opt_state/")}
    assert any(name.endswith("m/layer_1/kernel") for name in memory), memory


@pytest.mark.slow
def test_a_group_of_which_some_diverge(home: Path, warm: Callable[..., Any]) -> None:
    model = "model={name: sequential, layers: [mine:half_exploding]}"
    done = warm("train", "spec.yaml", model, "train.seeds=4", "--json", "--run-dir", "run", folder=home)
    assert (done.code, done.err) == (0, "")
    states = [one["status"] for one in done.json["runs"]]
    assert {*states} == {"done", "diverged"}, "half of the seeds, on average"
    good = [one for one in done.json["runs"] if one["status"] == "done"]
    losses = [one["metrics"]["best"]["test/loss"] for one in good]
    assert done.json["mean"]["best"]["test/loss"] == pytest.approx(sum(losses) / len(losses))
    count = f"{len(good)} of 4 seeds"
    assert f"done ({count})" in warm("ls", ".", folder=home).out
    assert f"mean ± 95% interval of {count}" in warm("show", "run", folder=home).out
    evaluated = warm("evaluate", "run", "--json", folder=home)
    assert evaluated.code == 0
    assert evaluated.json["mean"]["test/loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert evaluated.err.startswith("nnrun: warning: left out because they diverged: run/seed_")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("model={name: mine:misspelt}", "NameError: name 'undefined_name' is not defined"),
        ("model={name: mine:leaves}", "SystemExit: 3"),
        ("data={name: mine:no_data}", "ValueError: not today"),
    ],
)
def test_a_mistake_in_it_is_the_users(override: str, told: str, home: Path, warm: Callable[..., Any]) -> None:
    before = sorted(home.iterdir())
    done = warm("train", "spec.yaml", override, "--run-dir", "run", folder=home)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert str(home / "mine.py") in done.err
    assert told in done.err
    assert "bug in nnrun" not in done.err
    assert [path for path in sorted(home.iterdir()) if path.name != "__pycache__"] == before


@pytest.fixture
def interrupted(home: Path, warm: Callable[..., Any]) -> Path:
    """A run of the user's code that has not come to its end, moved elsewhere."""
    done = warm("train", "spec.yaml", "train.duration=10 epochs", "-q", "--run-dir", "run", folder=home)
    assert done.code == 0, done.err
    moved = home.parent / "elsewhere" / "run"
    moved.parent.mkdir()
    (home / "run").rename(moved)
    for name, text in (("resolved.yaml", None), ("state.json", '{"status": "interrupted", "step": 70}')):
        file = moved / name
        file.write_text(text or file.read_text())
    (moved / "summary.json").unlink()
    newest = max((moved / "checkpoints").iterdir())
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    return moved


def test_an_option_of_a_loader_with_the_name_of_a_key_of_all(home: Path, warm: Callable[..., Any]) -> None:
    done = warm("train", "spec.yaml", "data={name: mine:clashing}", folder=home)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "every data block has the key examples, so its option needs another name; fix its sig" in done.err


@pytest.mark.slow
def test_resume_from_another_folder(interrupted: Path, warm: Callable[..., Any]) -> None:
    done = warm("resume", "run", "--exact", "--runs-root", ".", "--json", folder=interrupted.parent)
    assert (done.code, done.err) == (0, "")
    assert (done.json["status"], done.json["steps"]) == ("done", 70)


def test_changed_code_is_told(interrupted: Path, home: Path, warm: Callable[..., Any]) -> None:
    (home / "mine.py").write_text(MODULE + "\n# changed\n")
    refused = warm("resume", "run", "--exact", folder=interrupted.parent)
    assert (refused.code, refused.err.count("\n")) == (4, 1)
    assert "code" in refused.err
    assert "without --exact" in refused.err
    done = warm("resume", "run", "-q", folder=interrupted.parent)
    assert done.code == 0
    assert done.err.startswith("nnrun: warning: run: ")
    assert "code" in done.err
    assert done.err.count("\n") == 1


def test_code_that_is_gone(interrupted: Path, home: Path, warm: Callable[..., Any]) -> None:
    (home / "mine.py").unlink()
    done = warm("resume", "run", folder=interrupted.parent)
    assert done.code == 2
    assert "there is no file mine.py beside the spec" in done.err
