"""`nnrun check` is quiet on every spec in configs/ whose data are here."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = [path for path in sorted((ROOT / "configs").glob("*.yaml")) if "\nsweep:" not in path.read_text()]
SMALL = {"cifar10_94": ["data.examples=4000", "data.batch_size=200"]}  # as its head says for two cores


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CIFAR-10 images, unpacked; the test is skipped where there is no archive of them."""
    tops = [Path(top) for top in (os.environ.get("NNRUN_DATA_DIR"), ROOT / "../shared/data") if top]
    archives = [path for top in tops if (path := top / "cifar10-jpeg.tar.gz").exists()]
    if not archives:
        pytest.skip("cifar10-jpeg.tar.gz is not here; set NNRUN_DATA_DIR to the folder that holds it")
    folder = tmp_path_factory.mktemp("cifar10")
    with tarfile.open(archives[0]) as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_a_config_is_not_warned_of(
    config: Path, request: pytest.FixtureRequest, tmp_path: Path, warm: Callable[..., Any]
) -> None:
    """No warning and no failure."""
    data = re.search(r"^data: +{name: (\w+)", config.read_text(), re.MULTILINE)
    assert data
    fixture = {"mnist": "mnist_folder", "image_folder": "images"}.get(data[1])
    settings = {} if fixture is None else {"NNRUN_DATA_DIR": str(request.getfixturevalue(fixture))}
    done = warm("check", config, *SMALL.get(config.stem, []), "--json", folder=tmp_path, **settings)
    assert done.code in (0, 5), done.err
    loud = [entry for entry in done.json["checks"] if entry["verdict"] in ("warn", "fail")]
    assert (loud, done.code) == ([], 0)
