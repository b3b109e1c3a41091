"""Small files in the formats of the loaders, and where the real ones are."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """Array of uint8 -> the bytes of its IDX file."""

    def encode(array: np.ndarray) -> bytes:
        return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()

    return encode


@pytest.fixture
def small_set(idx_bytes: Callable[[np.ndarray], bytes]) -> dict[str, bytes]:
    """The four files of an MNIST-like set of 40 + 20 images of 3x2 pixels, decompressed."""
    rng = np.random.default_rng(0)
    content = {}
    for part, count in (("train", 40), ("t10k", 20)):
        content[f"{part}-images-idx3-ubyte"] = idx_bytes(rng.integers(0, 256, (count, 3, 2)).astype(np.uint8))
        content[f"{part}-labels-idx1-ubyte"] = idx_bytes((np.arange(count) % 10).astype(np.uint8))
    return content


@pytest.fixture
def write_set(tmp_path: Path) -> Callable[..., Path]:
    """Write {name: content} into a new folder, gzip or plain -> the folder."""

    def write(content: dict[str, bytes], folder: str = "set", level: int | None = 9) -> Path:
        target = tmp_path / folder
        target.mkdir(parents=True)
        for name, data in content.items():
            if level is None:
                (target / name).write_bytes(data)
            else:
                (target / f"{name}.gz").write_bytes(gzip.compress(data, level))
        return target

    return write


@pytest.fixture
def save_set() -> Callable[..., Path]:
    """(folder, columns, features, number of files = 1) -> the folder: what `Dataset.save_to_disk` writes."""
    pa = pytest.importorskip("pyarrow")

    def save(folder: Path, content: dict[str, Any], features: dict[str, Any], shards: int = 1) -> Path:
        folder.mkdir(parents=True)
        table = pa.table(content)
        names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
        size = -(-table.num_rows // shards)
        for i, name in enumerate(names):
            with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table.slice(i * size, size), max_chunksize=7)
        state = {"_data_files": [{"filename": name} for name in names], "_format_type": None, "_split": None}
        (folder / "state.json").write_text(json.dumps(state))
        (folder / "dataset_info.json").write_text(json.dumps({"description": "", "features": features}))
        return folder

    return save
