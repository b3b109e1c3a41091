"""Specs of iris with overrides, and the experiments that they stand for, which nothing compiles."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nnrun import build, catalog
from nnrun.catalog import Spec
from nnrun.types import Experiment

IRIS = """
name: mine
data: {name: iris, batch_size: 32}
model: {name: mlp, hidden: [8]}
optimizer: {name: sgd, learning_rate: 0.25}
train: {duration: 10 epochs}
"""


@pytest.fixture(scope="session")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Spec]:
    """iris("model.hidden=[4]", ...): the spec of a small net for iris, 105 examples to train on, with overrides."""
    path = tmp_path_factory.mktemp("build") / "iris.yaml"
    path.write_text(IRIS)
    return lambda *overrides: catalog.bind(catalog.read(path, overrides))


@pytest.fixture(scope="session")
def plain(iris: Callable[..., Spec]) -> Experiment:
    """The experiment of that spec as it is."""
    return build.build(iris())
