"""Data that are streamed from their file: the run is that with the data in memory, to the last byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MODULE = '''
"""Digits in a file, in blocks so small that an epoch has several."""
import errno
import os
import threading

import numpy as np

from nnrun.data.digits import digits
from nnrun.options import FilePath
from nnrun.training import feed
from nnrun.types import Examples, Source

feed.BLOCK = 20_000


def mapped(path: FilePath) -> Source:
    """Digits, mapped from a file."""
    source = digits()
    return source._replace(train=Examples(np.load(path, mmap_mode="r"), source.train.y))


if "READS" in os.environ:  # after so many in the background the disk fails
    left, preadv = [int(os.environ["READS"])], os.preadv

    def failing(*arguments):
        left[0] -= threading.current_thread() is not threading.main_thread()
        if left[0] < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return preadv(*arguments)

    os.preadv = failing
'''
DATA = "data: {name: digits, batch_size: 64"
STREAMED = 'data: {name: "streamed_digits:mapped", path: digits.npy, batch_size: 64, stream: true'


@pytest.fixture
def streamed(spec: Path) -> Path:
    """Each kind of run with its data in a file."""
    import numpy as np

    from nnrun.data.digits import digits

    np.save(spec.parent / "digits.npy", digits().train.x)
    (spec.parent / "streamed_digits.py").write_text(MODULE)
    text = spec.read_text()
    assert DATA in text
    spec.write_text(text.replace(DATA, STREAMED))
    return spec


def stream_and_compare(
    streamed: Path, warm: Any, killed: Any, same: Callable[[Path, Path], None], kills: int
) -> None:
    """Populations are divided over the cores there are."""
    folder = streamed.parent
    whole = warm("train", streamed, "data.stream=false", "--run-dir", "memory", "--quiet", folder=folder)
    assert whole.code == 0, whole.err
    for run in killed(streamed, folder / "killed", kills, seed=1):
        same(folder / "memory", run)
    for split in ("train", "val", "test"):
        one, other = (
            warm("evaluate", run, "--split", split, "--json", folder=folder)
            for run in ("memory", "killed/run-0")
        )
        assert one.code == other.code == 0, (one.err, other.err)
        assert without_folders(one.json) == without_folders(other.json)


@pytest.mark.parametrize(  # the others below
    "spec", [pytest.param("lenet", marks=pytest.mark.slow), "population"], indirect=True
)
def test_it_is_the_run_in_memory_also_after_a_kill(
    streamed: Path, warm: Any, killed: Any, same: Callable[[Path, Path], None]
) -> None:
    stream_and_compare(streamed, warm, killed, same, kills=1)


@pytest.mark.slow
def test_it_is_the_run_in_memory_also_after_more_kills(
    streamed: Path, warm: Any, killed: Any, same: Callable[[Path, Path], None]
) -> None:
    stream_and_compare(streamed, warm, killed, same, kills=4)


def without_folders(found: Any) -> Any:
    if isinstance(found, list):
        return [without_folders(one) for one in found]
    if isinstance(found, dict):
        return {key: without_folders(one) for key, one in found.items() if key != "run_dir"}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["mlp"], indirect=True)
def test_a_disk_that_fails_ends_the_run_and_it_goes_on_later(
    streamed: Path, warm: Any, same: Callable[[Path, Path], None]
) -> None:
    folder = streamed.parent
    failed = warm("train", streamed, "--run-dir", "run", "--quiet", folder=folder, READS="40")
    assert failed.code == 6
    assert failed.err.splitlines()[-1].endswith("digits.npy: cannot be read: Input/output error")
    assert "Traceback" not in failed.err
    assert warm("resume", "run", "--quiet", folder=folder).code == 0
    command = ["train", streamed, "data.stream=false", "--run-dir", "memory", "--quiet"]
    assert warm(*command, folder=folder).code == 0
    same(folder / "memory", folder / "run")
