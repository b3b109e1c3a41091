"""Runs of models from Flax and Equinox through the command line: trained, resumed, in populations, refused."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "your_own_code.md").read_text()
LIBRARIES = {"linen": 1, "nnx": 2, "equinox": 3}  # the number of the block that has its example
SPEC = """
data: {{name: digits, batch_size: 100}}
model: {{name: "my_{library}:net", dropout: 0.3}}
optimizer: {{name: adam, learning_rate: 1e-2, weight_decay: 1e-3, max_norm: 4}}
average: {{name: ema, decay: 0.9}}
train: {{duration: 4 epochs, log_every: 7 steps}}
checkpoint: {{every: 11 steps, keep: 2, best: val/loss}}
"""


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A library, its example of the docs and a spec that names it in the test's folder."""
    name = request.param
    pytest.importorskip("equinox" if name == "equinox" else "flax")
    code = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[LIBRARIES[name]]
    (tmp_path / f"my_{name}.py").write_text(code)
    (tmp_path / "spec.yaml").write_text(SPEC.format(library=name))
    return name


@pytest.mark.quick("nnx")
def test_it_trains_and_resumes_to_the_same_bytes(
    library: str, warm: Callable[..., Any], same: Callable[..., None], tmp_path: Path
) -> None:
    done = warm("train", "spec.yaml", "--json", "--run-dir", "whole", folder=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.json["metrics"]["best"]["test/accuracy"] > 0.85
    assert done.json["metrics"]["best"]["test/ema/accuracy"] > 0.85
    shutil.copytree(tmp_path / "whole", tmp_path / "again")
    (tmp_path / "again/state.json").write_text('{"status": "interrupted", "step": 52}')
    (tmp_path / "again/summary.json").unlink()
    newest = max((tmp_path / "again/checkpoints").iterdir())
    assert newest.name == "step_00000052"
    shutil.rmtree(newest)
    resumed = warm("resume", "again", "--exact", "--runs-root", ".", "-q", folder=tmp_path)
    assert (resumed.code, resumed.err) == (0, "")
    same(tmp_path / "whole", tmp_path / "again")
    arrays = load_file(newest.parent.parent.parent / "whole/checkpoints" / newest.name / "arrays.safetensors")
    known = {"linen": "Dense_0/kernel", "nnx": "hidden/kernel", "equinox": "layers/1/weight"}
    assert arrays[f"params/{known[library]}"].shape in ((64, 32), (32, 64))
    assert any(name.startswith("stats/") for name in arrays)


ONE = (
    pytest.mark.parametrize(  # the others differ from it in how the model is read, which the first test tries
        "library",
        [name if name == "nnx" else pytest.param(name, marks=pytest.mark.slow) for name in LIBRARIES],
        indirect=True,
    )
)


@pytest.mark.slow
@ONE
def test_a_population_in_double_precision(library: str, warm: Callable[..., Any], tmp_path: Path) -> None:
    """A member is the run of its seed alone, with the noise of dropout and a short batch at the end."""
    changes = ["train.precision=float64", "train.duration=2 epochs", "train.log_every=1 epoch"]
    group = warm(
        "train", "spec.yaml", *changes, "train.seeds=2", "--json", "--run-dir", "pair", folder=tmp_path
    )
    assert (group.code, group.err) == (0, "")
    solo = warm(
        "train", "spec.yaml", *changes, "train.seed=1", "--json", "--run-dir", "solo", folder=tmp_path
    )
    assert solo.code == 0
    zero, one = (run["metrics"]["last"] for run in group.json["runs"])
    assert one == pytest.approx(solo.json["metrics"]["last"], rel=1e-7)
    assert zero["train/loss"] != pytest.approx(one["train/loss"], rel=1e-3)
    file = max((tmp_path / "solo/checkpoints").iterdir()) / "arrays.safetensors"
    assert {array.dtype.name for name, array in load_file(file).items() if name.startswith("params/")} == {
        "float64"
    }


@pytest.mark.slow
@ONE
def test_monte_carlo_dropout(library: str, warm: Callable[..., Any], tmp_path: Path) -> None:
    short = ["train.duration=1 epoch", "average=null"]
    assert warm("train", "spec.yaml", *short, "-q", "--run-dir", "run", folder=tmp_path).code == 0
    found = warm("evaluate", "run", "--samples", "5", "--json", folder=tmp_path)
    assert (found.code, found.err) == (0, "")
    assert found.json["metrics"]["test/mutual_information"] > 1e-3


MISTAKES = {
    "nnx without key": (
        "from flax import nnx\ndef net(outputs: int):\n    return nnx.Linear(64, outputs, rngs=nnx.Rngs(0))",
        "model: mine:net returned a Flax NNX module without a key, so all seeds would begin with the same weights; "
        "let nnrun fill in a key: def my_model(outputs, key)",
    ),
    "linen with key": (
        "import flax.linen as nn\ndef net(outputs: int, key: object):\n    return nn.Dense(outputs)",
        "model: mine:net asks for a key, but a Flax Linen module is given one for its weights in init; leave key out",
    ),
    "a Layer with key": (
        "from nnrun.layer.dense import dense\ndef net(outputs: int, key: object):\n    return dense(outputs)",
        "model: mine:net asks for a key, but a Layer is given one for its weights in init; leave key out",
    ),
    "a class": (
        "import flax.linen as nn\ndef net(outputs: int):\n    return nn.Dense",
        "mine:net returned type; it must return a Layer (nnrun.types.Layer), or a Flax or Equinox module",
    ),
    "too many outputs": (
        "import flax.linen as nn\ndef net(outputs: int):\n    return nn.Dense(7)",
        "model: mine:net puts out shape (8, 8, 7) per example, the data needs (10,); end with 10 outputs",
    ),
    "two results": (
        "import flax.linen as nn\nclass Net(nn.Module):\n    def __call__(self, x):\n        return x, x\n"
        "def net(outputs: int):\n    return Net()",
        "model: mine:net on inputs of shape (8, 8, 1): it returned a tuple; return one array of shape (n, outputs)",
    ),
    "a wrong option": (
        "import flax.linen as nn\ndef net(outputs: int, key: object = None):\n    return nn.Dense(outputs)",
        "model.key: ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_in_one_line(case: str, warm: Callable[..., Any], tmp_path: Path) -> None:
    pytest.importorskip("flax")
    code, told = MISTAKES[case]
    (tmp_path / "mine.py").write_text(code + "\n")
    option = ", key: 3" if case == "a wrong option" else ""
    (tmp_path / "spec.yaml").write_text(
        f"data: digits\nmodel: {{name: 'mine:net'{option}}}\noptimizer: adam\ntrain: {{duration: 1 epoch}}\n"
    )
    done = warm("train", "spec.yaml", "--run-dir", "run", folder=tmp_path)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert told in done.err
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_nothing_of_these_libraries_is_imported_for_what_is_not_theirs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from nnrun.layer import serial\nfrom nnrun.layer.dense import dense\n"
        "def net(outputs: int):\n    return serial([('output', dense(outputs))])\n"
    )
    (tmp_path / "spec.yaml").write_text(
        "data: iris\nmodel: 'mine:net'\noptimizer: adam\ntrain: {duration: 3 steps}\n"
    )
    program = """if True:
        import sys
        import nnrun
        nnrun.train("spec.yaml", run_dir="run")
        assert not {"flax", "equinox"} & set(sys.modules)
    """
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
