"""Convolutions and the sums of batch norm on a CPU, compiled with nnrun.

    load() -> Kernels      which of them there are here, or why there are none
    serve(dtype)           whether they compute in this type; `noticing` keeps the answers
    forward, input_gradient, kernel_gradient     as in nnrun.layer._canonical, which is the way without them
    moments, slopes                              as in nnrun.layer._moments, likewise

They are built where there is a C++ compiler (conv.cc, norm.cc), run on XLA's threads, and give the same bits on
any number of them.  `NNRUN_KERNELS=off` leaves them out.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextvars import ContextVar
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from nnrun.kernels._divided import by_example

__all__ = [
    "WITHOUT",
    "Geometry",
    "Kernels",
    "Pads",
    "forward",
    "input_gradient",
    "kernel_gradient",
    "left_out",
    "load",
    "moments",
    "noticing",
    "serve",
    "slopes",
]

WITHOUT = "jax"  # what computes convolutions where the kernels do not

VERSION = 2  # as in conv.cc
_FUNCTIONS = (
    "nnrun_forward",
    "nnrun_input_gradient",
    "nnrun_kernel_gradient",
    "nnrun_moments",
    "nnrun_slopes",
)
_PROCESSORS = ("plain", "AVX2", "AVX-512")

_noticed: ContextVar[set[str] | None] = ContextVar("noticed", default=None)
_left_out: ContextVar[bool] = ContextVar("left_out", default=False)

Pads = tuple[tuple[int, int], ...]  # (before, after) of height and width; a negative one cuts


class Geometry(NamedTuple):
    """What is static about a convolution."""

    stride: int
    pads: Pads
    size: tuple[int, ...]  # height and width of the input
    kernel: tuple[int, ...]


class Kernels(NamedTuple):
    """What was found.

    processor   the instructions that are computed with: plain, AVX2 or AVX-512; "" where there are no kernels
    reason      why there are none; "" where there are some
    """

    processor: str
    reason: str


@cache
def load() -> Kernels:
    """Loads the compiled kernels and registers them with jax, once; they are left out where they do not fit."""
    if os.environ.get("NNRUN_KERNELS") == "off":
        return Kernels("", "NNRUN_KERNELS=off")
    files = [Path(__file__).with_name(f"_conv{suffix}") for suffix in EXTENSION_SUFFIXES]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return Kernels("", "they were not built; `pip install` builds them where there is a C++ compiler")
    try:
        library = ctypes.CDLL(str(file))
        if library.nnrun_kernels_version() != VERSION:
            return Kernels("", "they are of another version of nnrun; install nnrun again")
        for name in _FUNCTIONS:
            jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
    except (OSError, AttributeError, ValueError, RuntimeError) as error:
        return Kernels("", f"they cannot be loaded ({type(error).__name__}); install nnrun again")
    return Kernels(_PROCESSORS[library.nnrun_kernels_processor()], "")


def serve(dtype: np.dtype) -> bool:
    """Whether the kernels compute convolutions of this type."""
    fits = dtype in (np.float32, np.float64) and not _left_out.get()
    processor = load().processor if fits else ""
    noticed = _noticed.get()
    if noticed is not None:
        noticed.add(processor or WITHOUT)
    return bool(processor)


@contextlib.contextmanager
def left_out() -> Iterator[None]:
    """A context in which the kernels serve nothing: for programs that run where there are none."""
    token = _left_out.set(True)
    try:
        yield
    finally:
        _left_out.reset(token)


@contextlib.contextmanager
def noticing() -> Iterator[set[str]]:
    """A context and a set that fills with what computes the convolutions that are asked for inside: AVX2, jax."""
    noticed: set[str] = set()
    token = _noticed.set(noticed)
    try:
        yield noticed
    finally:
        _noticed.reset(token)


def forward(geometry: Geometry, x: Array, kernel: Array) -> Array:
    """x (n, h, w, c), kernel (kh, kw, c, o) -> y (n, h', w', o); float32 or float64."""
    size = [
        (entries + sum(pads) - window) // geometry.stride + 1
        for entries, pads, window in zip(geometry.size, geometry.pads, geometry.kernel, strict=True)
    ]

    def call(x: Array, kernel: Array) -> Array:
        return _call("nnrun_forward", geometry, (x.shape[0], *size, kernel.shape[3]), x, kernel)

    return by_example(call, "ni -> n")(x, kernel)


def input_gradient(geometry: Geometry, dy: Array, kernel: Array) -> Array:
    """dy (n, h', w', o), kernel (kh, kw, c, o) -> dx (n, h, w, c)."""

    def call(dy: Array, kernel: Array) -> Array:
        shape = (dy.shape[0], *geometry.size, kernel.shape[2])
        return _call("nnrun_input_gradient", geometry, shape, dy, kernel)

    return by_example(call, "ni -> n")(dy, kernel)


def kernel_gradient(geometry: Geometry, x: Array, dy: Array) -> Array:
    """x (n, h, w, c), dy (n, h', w', o) -> dk (kh, kw, c, o)."""

    def call(x: Array, dy: Array) -> Array:
        return _call("nnrun_kernel_gradient", geometry, (*geometry.kernel, x.shape[3], dy.shape[3]), x, dy)

    return by_example(call, "nn -> i")(x, dy)


def moments(x: Array) -> Array:
    """x (n, ..., c) -> (n, 2, c): of each example the mean, and the sum of squared deviations from it."""

    def call(x: Array) -> Array:
        return jax.ffi.ffi_call("nnrun_moments", _two_for_each(x))(x)

    return by_example(call, "n -> n")(x)


def slopes(dy: Array, x: Array, mean: Array) -> Array:
    """dy, x (n, ..., c), mean (n, c) -> (n, 2, c): of each example Σ dy and Σ dy (x − mean)."""

    def call(dy: Array, x: Array, mean: Array) -> Array:
        return jax.ffi.ffi_call("nnrun_slopes", _two_for_each(x))(dy, x, mean)

    return by_example(call, "nnn -> n")(dy, x, mean)


def _two_for_each(x: Array) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((x.shape[0], 2, x.shape[-1]), x.dtype)


def _call(name: str, geometry: Geometry, shape: tuple[int, ...], first: Array, second: Array) -> Array:
    (top, _), (left, _) = geometry.pads
    call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(shape, first.dtype))
    return call(first, second, stride=np.int64(geometry.stride), top=np.int64(top), left=np.int64(left))
