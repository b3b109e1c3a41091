"""Small experiments that the tests of this folder share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nnrun.runner import session
from nnrun.types import Experiment

NETS = {
    "mlp": "{name: mlp, hidden: [16], dropout: 0.3, norm: batch}",
    "lenet": "{name: lenet, filters: [4, 6], kernel: 3, hidden: [12], norm: batch, dropout: 0.2}",
}


@pytest.fixture(scope="session")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Experiment]:
    """experiment(net, *overrides): a small net on the digits, 1,294 training examples in batches of 100."""

    def build(net: str = "mlp", *overrides: str) -> Experiment:
        return prepared(tmp_path_factory.mktemp("spec"), net, *overrides).experiment

    return build


def prepared(folder: Path, net: str, *overrides: str) -> session.Prepared:
    spec = folder / "spec.yaml"
    spec.write_text(
        "data: {name: digits, batch_size: 100}\n"
        f"model: {NETS[net]}\n"
        "optimizer: {name: adam, learning_rate: 3e-3, weight_decay: 1e-2, clip_norm: 1.0}\n"
        "schedule: {name: cosine, warmup: 3 steps}\n"
        "train: {duration: 3 epochs, log_every: 5 steps}\n"
    )
    return session.prepare(spec, overrides)
