"""`nnrun bench --vs torch`: the net in torch is the same net, and what has no counterpart is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from nnrun.errors import MachineError, SpecError
from nnrun.probe import versus
from nnrun.probe.objective import beginning
from nnrun.probe.rival.learning import refuse_other
from nnrun.probe.rival.net import net_of, with_weights
from nnrun.probe.rival.pieces import pieces_of
from nnrun.runner import session

SEQUENCE = (
    "{name: sequential, layers: [{name: conv, filters: 6, kernel: 4, stride: 2}, {name: layer_norm}, gelu, "
    "{name: max_pool, size: 2, stride: 1}, {name: conv, filters: 8, padding: valid, bias: false}, "
    "{name: group_norm, groups: 4}, {name: leaky_relu, slope: 0.2}, {name: dropout, rate: 0.2, mask: channel}, "
    "flatten, {name: dense, units: 9}, {name: elu, alpha: 0.5}, {name: group_norm, groups: 3}, "
    "{name: layer_norm, bias: false}]}"
)
MODELS = {
    "linear": "linear",
    "mlp": "{name: mlp, hidden: [12, 7], norm: batch, dropout: 0.3, activation: tanh}",
    "lenet": "{name: lenet, filters: [4, 6], kernel: 3, hidden: [9]}",
    "convnet": "{name: convnet, filters: [4, 6], convs: 1, hidden: [8], channel_dropout: 0.1, input_dropout: 0.1}",
    "vgg": "{name: vgg, width: 2, hidden: []}",
    "sequential": SEQUENCE,
}


def spec_of(folder: Path, model: str, rest: str = "") -> Path:
    path = folder / "spec.yaml"
    path.write_text(
        f"data: {{name: digits, batch_size: 50, examples: 120}}\nmodel: {model}\nloss: cross_entropy\n"
        f"optimizer: {{name: momentum, learning_rate: 0.01}}\ntrain: {{duration: 3 epochs}}\n{rest}"
    )
    return path


@contextmanager
def silent(what: str, total: int | None) -> Iterator[Any]:
    yield lambda: None


@pytest.mark.parametrize("model", MODELS.values(), ids=list(MODELS))
def test_the_net_in_torch_is_the_same(model: str, tmp_path: Path, torch_says: Callable[..., None]) -> None:
    """As many parameters, and with the same weights the same outputs; statistics of norms are copied too."""
    prepared = session.prepare(spec_of(tmp_path, model))
    experiment = prepared.experiment
    state = beginning(experiment)
    rng = np.random.default_rng(0)
    params, stats = jax.tree.map(
        lambda a: np.asarray(a + 0.1 * np.abs(rng.normal(size=a.shape)), np.float32),
        (state.params, state.stats),
    )
    x = rng.normal(size=(6, 8, 8, 1)).astype(np.float32)

    def theirs(torch: Any) -> np.ndarray:
        net = with_weights(torch, net_of(torch, pieces_of(prepared.spec, 10), (8, 8, 1)), params, stats)
        assert sum(a.numel() for a in net.module.parameters()) == sum(a.size for a in jax.tree.leaves(params))
        with torch.no_grad():
            return net.module.eval()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy()

    outputs = experiment.model(experiment.knobs).apply(params, stats, x, None, None)[0]
    torch_says(theirs, np.asarray(outputs), 2e-4)


def test_both_sides_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(versus, "_SECONDS", 0.02)
    made = versus.versus(spec_of(tmp_path, MODELS["lenet"]), [], silent)
    assert {(rival["threads"], rival["channels_last"]) for rival in made["configurations"]} >= {
        (1, False),
        (1, True),
    }
    assert all(rival["ratio"] > 0 and rival["step_seconds"] > 0 for rival in made["configurations"])
    assert made["parameters"] == 4 * 9 + 4 + 6 * 4 * 9 + 6 + 9 * 24 + 9 + 10 * 9 + 10


@pytest.mark.parametrize(
    ("model", "rest", "message"),
    [
        ("resnet", "", "--vs torch knows no counterpart of resnet; it translates linear, mlp"),
        ("{name: sequential, layers: [flatten, {name: swiglu, units: 4}]}", "",
         "layer_2: the layer swiglu has no counterpart in torch"),
        ("{name: mlp, hidden: [8], dropconnect: 0.5}", "", "hidden_1: the layer dropconnect has no counterpart"),
        ("{name: convnet, pooling: fractional}", "", "stage_1/pool: the layer fractional_max_pool has no"),
        ("{name: mlp, hidden: [8], dropout: 0.5, dropout_scaling: test}", "", "dropout_1: dropout with scaling: test"),
        ("{name: mlp, hidden: [8]}", "penalty: {name: l2, strength: 0.1}\n", "leaves out l2; write penalty=[]"),
        ("{name: mlp, hidden: [8]}", "average: {name: ema, decay: 0.9}\n", "leaves out ema; write average=[]"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart(model: str, rest: str, message: str, tmp_path: Path) -> None:
    spec = session.prepare(spec_of(tmp_path, model, rest)).spec
    with pytest.raises(SpecError) as caught:
        refuse_other(spec)
        pieces_of(spec, 10)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path / 'spec.yaml'}:")


def test_without_torch_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MachineError, match=r"^--vs torch: torch cannot be imported .*; write pip install torch"
    ):
        versus.torch_or_error()


def test_its_json_is_its_schema(keeps_contract: Callable[..., None]) -> None:
    """Without torch too: figures written by hand."""
    beside = {
        "rival": "torch 2.13.0", "parameters": 650, "batch_size": 64, "optimizer": "adam", "lanes": 1, "rounds": 5,
        "steps": 100, "step_seconds": 0.001, "load": None,
        "configurations": [{"threads": 1, "channels_last": False, "step_seconds": 0.002, "ratio": 2.0}],
    }  # fmt: skip
    speed = {
        "device": "cpu", "cores": 2, "lanes": 1, "batch_size": 64, "compile_seconds": 2.5, "step_seconds": 2e-3,
        "spread": [1.9e-3, 2.2e-3], "pieces": 9, "flops": 4e6, "peak": 8e10, "share": 0.025, "state_bytes": 1_200,
        "memory": 5_000, "load": 0.1,
    }  # fmt: skip
    keeps_contract("bench", json.loads(json.dumps({**speed, "versus": beside})))
    keeps_contract("bench", {**speed, "versus": None})
