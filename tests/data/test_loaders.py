"""Every loader in the folder, found by listing it: interface, content, determinism."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from PIL import Image

import nnrun.data
from nnrun.data._check import check
from nnrun.data._prepare import prepare
from nnrun.options import Standardize
from nnrun.spec.docstring import arguments
from nnrun.spec.sections import DataCommon
from nnrun.types import Source

ELSEWHERE = {"fashion_mnist": "test_mnist.py", "cifar10": "test_cifar.py", "cifar100": "test_cifar.py"}
NAMES = [m.name for m in pkgutil.iter_modules(nnrun.data.__path__) if not m.name.startswith("_")]


def find(name: str) -> Callable[..., Source]:
    return getattr(importlib.import_module(f"nnrun.data.{name}"), name)


@pytest.fixture
def options(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], dict[str, Any]]:
    """Name of a loader -> options with which it runs here, without a network."""

    def choose(name: str) -> dict[str, Any]:
        if name == "csv":
            path = tmp_path / "t.csv"
            path.write_text("a,kind\n" + "".join(f"{i},{'pqr'[i % 3]}\n" for i in range(30)))
            return {"path": str(path), "target": "kind"}
        if name == "parquet":
            arrow = pytest.importorskip("pyarrow")
            columns = {"a": list(range(30)), "kind": ["pqr"[i % 3] for i in range(30)]}
            importlib.import_module("pyarrow.parquet").write_table(
                arrow.table(columns), tmp_path / "t.parquet"
            )
            return {"path": str(tmp_path / "t.parquet"), "target": "kind"}
        if name == "hf_folder":
            save = request.getfixturevalue("save_set")
            content = {"a": [float(i) for i in range(30)], "kind": [i % 3 for i in range(30)]}
            features = {"a": {"_type": "Value"}, "kind": {"names": ["p", "q", "r"], "_type": "ClassLabel"}}
            return {"path": str(save(tmp_path / "set", content, features)), "target": "kind"}
        if name == "npz":
            np.savez(tmp_path / "t.npz", x=np.arange(60.0).reshape(30, 2), y=np.arange(30) % 3)
            return {"path": str(tmp_path / "t.npz")}
        if name == "mnist":
            return {"root": str(request.getfixturevalue("mnist_folder"))}
        if name == "image_folder":
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
            for i in range(30):
                path = tmp_path / "images" / "pqr"[i % 3] / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 5, 3), 8 * i, np.uint8)).save(path)
            return {"path": str(tmp_path / "images")}
        if name in ELSEWHERE:
            pytest.skip(f"the files of {name} are not here; their reading is tested in {ELSEWHERE[name]}")
        return {}

    return choose


def test_the_folder_holds_loaders():
    assert {"digits", "mnist", "csv", "npz", "image_folder", "cifar10"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_a_schema(name: str):
    loader = find(name)
    parameters = inspect.signature(loader).parameters
    hints = get_type_hints(loader, include_extras=True)
    assert hints["return"] is Source
    assert set(parameters) < set(hints)
    assert all(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters.values())
    assert hints["standardize"] in (Standardize, Standardize | None)  # None: as fits what is read
    assert parameters["standardize"].default in (*get_args(Standardize), None)
    assert not {"name", *DataCommon.model_fields} & set(parameters)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_says_what_it_is(name: str):
    lines = (find(name).__doc__ or "").splitlines()
    assert 20 <= len(lines[0]) <= 90
    assert lines[0].endswith(".")
    options = [*inspect.signature(find(name)).parameters]
    assert [*arguments(find(name).__doc__, options)] == options


@pytest.mark.parametrize("name", NAMES)
def test_it_loads_the_same_every_time_and_can_be_split(name: str, options):
    loader, given = find(name), options(name)
    first, second = loader(**given), loader(**given, standardize="none")
    assert check(first, name) is first
    assert second.standardize == "none"
    assert inspect.signature(loader).parameters["standardize"].default in (first.standardize, None)
    one, two = (prepare(source, validation=0.2, test=0.2, split_seed=1) for source in (first, second))
    assert one.fitted.digest == two.fitted.digest
    scaled = (one.train.x[:500] - one.shift) / one.scale
    assert np.isfinite(scaled).all()
    if one.train.x.ndim == 2:
        np.testing.assert_allclose((((one.train.x - one.shift) / one.scale).mean(axis=0)), 0, atol=1e-4)
