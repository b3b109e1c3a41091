"""A checkpoint's content as the bytes of two files, and back, with every bit accounted for.

    arrays.safetensors   the arrays; equal arrays give equal bytes
    manifest.json        format, step, metrics_offset, progress,
                         files   {name: {size, sha256}}
                         leaves  {path: {shape, dtype}}
                         sha256  of this object's canonical JSON without this field

A later format may change everything but the field `sha256` and its rule, so that damage and a newer format
are told apart for ever.
"""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NotRequired

import numpy as np
from numpy.typing import DTypeLike
from safetensors import SafetensorError, deserialize
from safetensors.numpy import save as serialize
from typing_extensions import TypedDict

from nnrun.errors import DivergedError, RunError, one_line

__all__ = [
    "ARRAYS", "FORMAT", "MANIFEST", "STORABLE", "WINDOW", "Checkpoint", "Manifest", "MarkEntry", "Marks",
    "OtherFormat", "Progress", "dtype", "is_finite", "is_float", "pack", "seal", "unpack", "unseal",
]  # fmt: skip

FORMAT = 2
ARRAYS = "arrays.safetensors"
MANIFEST = "manifest.json"
WINDOW = "log/window"  # the logged rows since the last line of metrics, beside the arrays of the state

_WHOLE = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64")
STORABLE = (*_WHOLE, *_FLOATS)  # names of the types that a checkpoint can hold
_RESTORE = "restore it from a copy or use another checkpoint"


class MarkEntry(TypedDict):
    """A step that was the best so far."""

    step: int
    value: float
    loss: float | None  # on validation; None: not finite


class Marks(TypedDict):
    """The best step of a run so far."""

    best: MarkEntry | None  # by the metric that judges
    improved: MarkEntry | None  # by the metric of early stopping
    best_metrics: dict[str, float | str]  # at the best step; of one that is undefined, why


class Progress(Marks):
    """What a resumed run needs beside its arrays."""

    latest: dict[str, float | str]  # metrics, likewise
    regular: list[int]  # the newest steps that were saved because it was time
    complete: bool  # whether the run ends here
    kept: NotRequired[Sequence[int]]  # steps whose checkpoints are kept for good


class _FileEntry(TypedDict):
    size: int
    sha256: str


class _LeafEntry(TypedDict):
    shape: list[int]
    dtype: str


class Manifest(TypedDict):
    """The content of manifest.json."""

    format: int
    step: int
    metrics_offset: int
    progress: Progress
    files: dict[str, _FileEntry]
    leaves: dict[str, _LeafEntry]
    sha256: NotRequired[str]  # of the rest; added when it is written


class Checkpoint(NamedTuple):
    """What a checkpoint holds."""

    step: int  # steps done
    arrays: dict[str, np.ndarray]  # path -> array
    progress: Progress
    metrics_offset: int  # bytes of metrics.jsonl that belong to this state

    @property
    def state(self) -> dict[str, np.ndarray]:
        """The arrays of the state alone."""
        return {name: array for name, array in self.arrays.items() if name != WINDOW}


class OtherFormat(RunError):
    """An undamaged checkpoint of a format that this program does not know."""


def dtype(kind: DTypeLike) -> np.dtype:
    """The numpy dtype of a name, a type or a dtype.  Raises TypeError for a name that is none."""
    if kind == "bfloat16":
        import ml_dtypes  # it comes with jax; numpy alone does not know this type

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(kind)


def is_finite(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether no array of a state holds NaN or infinity."""
    return all(np.isfinite(array).all() for array in arrays.values() if array.dtype.name in _FLOATS)


def is_float(kind: np.dtype) -> bool:
    """Whether a type is one of real numbers with a fraction; NumPy alone does not say so of bfloat16."""
    return kind.name in _FLOATS and kind.kind != "c"


def pack(
    step: int, arrays: Mapping[str, np.ndarray], progress: Progress, metrics_offset: int
) -> dict[str, bytes]:
    """The files of a checkpoint: name -> content.  Equal arguments give equal bytes.

    Raises DivergedError if an array holds NaN or infinity; ValueError or TypeError if an array's type or
    `progress` cannot be stored.
    """
    leaves = {path: _storable(path, array, step) for path, array in sorted(arrays.items())}
    content = serialize(leaves)
    manifest: Manifest = {
        "format": FORMAT,
        "step": operator.index(step),
        "metrics_offset": operator.index(metrics_offset),
        # through JSON at once: the hash must be that of what will be read
        "progress": json.loads(json.dumps(progress, allow_nan=False)),
        "files": {ARRAYS: {"size": len(content), "sha256": _sha256(content)}},
        "leaves": {p: {"shape": list(a.shape), "dtype": a.dtype.name} for p, a in leaves.items()},
    }
    return {ARRAYS: content, MANIFEST: seal(manifest)}


def unpack(files: Mapping[str, bytes], path: Path) -> Checkpoint:
    """The checkpoint in these files (name -> content); `path` is their folder, for messages.

    Raises RunError naming the file and what differs.
    """
    manifest: Manifest = unseal(files[MANIFEST], path / MANIFEST)
    place, content = one_line(path / ARRAYS), files[ARRAYS]
    try:
        promised = manifest["files"][ARRAYS]
        if len(content) != promised["size"]:
            raise RunError(f"{place}: has {len(content)} bytes instead of {promised['size']}; {_RESTORE}")
        if _sha256(content) != promised["sha256"]:
            raise RunError(f"{place}: its SHA-256 differs from the manifest's; {_RESTORE}")
        arrays = _arrays(content, manifest["leaves"])
        return Checkpoint(manifest["step"], arrays, manifest["progress"], manifest["metrics_offset"])
    except (KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        # All hashes are right, so this was never written by nnrun.
        problem = f"{type(error).__name__} {one_line(error, 80)}"
        raise RunError(f"{one_line(path)}: not a checkpoint of nnrun ({problem}); {_RESTORE}") from error


def seal(manifest: Mapping[str, object]) -> bytes:
    """The manifest's file: JSON with the manifest's own hash."""
    sealed = {**manifest, "sha256": _sha256(_canonical(manifest))}
    return json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def unseal(content: bytes, place: Path, form: int = FORMAT, remedy: str = _RESTORE) -> Any:
    """The manifest, a JSON object, in a file's content; `place` is its name in messages.

    form     number of the format that is known
    remedy   for a damaged one
    Raises RunError if it is damaged, OtherFormat if it is not and has a newer format.
    """
    try:
        manifest = json.loads(content)
        digest = manifest.pop("sha256")
        intact = digest == _sha256(_canonical(manifest))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        intact, manifest = False, {}
    if not intact:
        raise RunError(f"{one_line(place)}: its content and its own SHA-256 differ; {remedy}")
    if manifest.get("format") != form:
        raise OtherFormat(
            f"{one_line(place)}: format {one_line(manifest.get('format'), 20)}, this nnrun reads {form}; "
            "use the nnrun that wrote it"
        )
    return manifest


def _storable(path: str, array: np.ndarray, step: int) -> np.ndarray:
    # safetensors copies raw memory: it must be contiguous and little-endian.
    array = np.asarray(array, order="C")
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    if array.dtype.name not in STORABLE:
        raise TypeError(f"{path}: an array of {array.dtype} cannot be stored in a checkpoint")
    if array.dtype.name in _FLOATS and not np.isfinite(array).all():
        raise DivergedError(f"step {step}: {path} holds NaN or infinity, so no checkpoint is written")
    return array


def _arrays(content: bytes, leaves: Mapping[str, _LeafEntry]) -> dict[str, np.ndarray]:
    stored = dict(deserialize(content))
    if stored.keys() != leaves.keys():
        raise ValueError("manifest and arrays have different leaves")
    arrays = {}
    for path, leaf in leaves.items():
        shape, kind = tuple(leaf["shape"]), dtype(leaf["dtype"])
        if (
            tuple(stored[path]["shape"]) != shape
            or len(stored[path]["data"]) != math.prod(shape) * kind.itemsize
        ):
            raise ValueError(f"{path}: manifest and arrays have different shapes")
        arrays[path] = np.frombuffer(stored[path]["data"], kind).reshape(shape)
    return arrays


def _canonical(manifest: Mapping[str, object]) -> bytes:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
