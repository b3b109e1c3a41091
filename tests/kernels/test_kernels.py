"""What is compiled against NumPy in float64, for many geometries and each kind of processor there is here."""

from __future__ import annotations

import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from nnrun import kernels
from nnrun.kernels import Geometry
from nnrun.layer import _moments
from nnrun.layer._convolution import convolve

FOLDER = Path(kernels.__file__).parent
TOLERANCE = {"float32": 3e-6, "float64": 1e-14}
KINDS = ("plain", "AVX2", "AVX-512")

needed = pytest.mark.skipif(not kernels.load().processor, reason=f"no kernels: {kernels.load().reason}")


class Case(NamedTuple):
    """A convolution: images, window, channels out, stride, padding."""

    images: tuple[int, int, int, int]
    window: tuple[int, int]
    out: int
    stride: int
    padding: str

    @property
    def geometry(self) -> Geometry:
        size = self.images[1:3]
        pads = tuple(lax.padtype_to_pads(size, self.window, (self.stride, self.stride), self.padding))
        return Geometry(self.stride, pads, size, self.window)


def cases(count: int, seed: int) -> list[Case]:
    """Random ones: every size from 1, channels beside and at multiples of a vector."""
    rng = np.random.default_rng(seed)
    drawn: list[Case] = []
    while len(drawn) < count:
        n, h, w, kh, kw, stride = (int(rng.integers(1, most)) for most in (7, 20, 20, 6, 6, 4))
        c, out = (int(rng.choice([1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 48])) for _ in range(2))
        padding = str(rng.choice(["SAME", "VALID"]))
        if padding == "SAME" or (kh <= h and kw <= w):
            drawn.append(Case((n, h, w, c), (kh, kw), out, stride, padding))
    return drawn


FIXED = [  # what nets have
    Case((2, 32, 32, 3), (3, 3), 16, 1, "SAME"),
    Case((2, 32, 32, 16), (3, 3), 16, 1, "SAME"),
    Case((2, 32, 32, 16), (3, 3), 32, 2, "SAME"),
    Case((2, 32, 32, 16), (1, 1), 32, 2, "SAME"),
    Case((3, 28, 28, 1), (5, 5), 6, 1, "VALID"),
    Case((1, 8, 8, 64), (3, 3), 64, 1, "SAME"),
    Case((9, 7, 5, 3), (7, 7), 4, 3, "SAME"),
    Case((1, 4, 4, 260), (3, 3), 250, 1, "SAME"),
    Case((1, 1, 1, 1), (1, 1), 1, 1, "VALID"),
    Case((2, 5, 5, 2), (2, 2), 3, 3, "VALID"),  # rows and columns that no window meets
    Case((2, 6, 6, 2), (1, 1), 3, 3, "VALID"),
]


class Sums(NamedTuple):
    """A convolution's result and both gradients."""

    y: np.ndarray
    dx: np.ndarray
    dk: np.ndarray


def windows(case: Case, x: np.ndarray) -> np.ndarray:
    """(n, h', w', c, kh, kw): what each entry of the result sees."""
    padded = np.pad(x, ((0, 0), *case.geometry.pads, (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, case.window, (1, 2))
    return seen[:, :: case.stride, :: case.stride]


def by_numpy(case: Case, x: np.ndarray, kernel: np.ndarray, dy: np.ndarray) -> Sums:
    """From the definition."""
    seen, s = windows(case, x), case.stride
    y = np.einsum("nhwcij,ijco->nhwo", seen, kernel, optimize=True)
    dk = np.einsum("nhwcij,nhwo->ijco", seen, dy, optimize=True)
    (top, bottom), (left, right) = case.geometry.pads
    n, h, w, c = x.shape
    dx = np.zeros((n, h + top + bottom, w + left + right, c))
    for i in range(case.window[0]):
        for j in range(case.window[1]):
            reached = dx[:, i : i + s * dy.shape[1] : s, j : j + s * dy.shape[2] : s]
            reached[:, : dy.shape[1], : dy.shape[2]] += dy @ kernel[i, j].T
    return Sums(y, dx[:, top : top + h, left : left + w], dk)


def operands(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, kernel and dy in float64."""
    rng = np.random.default_rng(1)
    x, kernel = rng.normal(size=case.images), rng.normal(size=(*case.window, case.images[3], case.out))
    return x, kernel, rng.normal(size=(*windows(case, x).shape[:3], case.out))


def compare(case: Case, dtype: str) -> None:
    """All three functions in a type, relative to the largest entry."""
    x, kernel, dy = operands(case)
    right = by_numpy(case, x, kernel, dy)
    x, kernel, dy = (jnp.asarray(array, dtype) for array in (x, kernel, dy))
    geometry = case.geometry
    computed = Sums(
        np.asarray(kernels.forward(geometry, x, kernel)),
        np.asarray(kernels.input_gradient(geometry, dy, kernel)),
        np.asarray(kernels.kernel_gradient(geometry, x, dy)),
    )
    for name, value, expected in zip(Sums._fields, computed, right, strict=True):
        assert value.dtype == dtype and value.shape == expected.shape, (case, name)
        error = np.abs(value - expected).max() / max(np.abs(expected).max(), 1e-9)
        assert error <= TOLERANCE[dtype], (case, name, error)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Computes for this kind of processor, if it can be done here."""
    library = ctypes.CDLL(str(next(FOLDER.glob("_conv*.so"))))
    if not library.nnrun_kernels_choose(KINDS.index(request.param)):
        pytest.skip("this processor has no such instructions")
    yield request.param
    library.nnrun_kernels_choose(-1)


@needed
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_they_are_the_convolutions_of_the_definition(kind: str, dtype: str, float64: None) -> None:
    for case in [*FIXED, *cases(20, seed=0)]:
        compare(case, dtype)


@needed
@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_they_are_so_for_many_geometries(kind: str, dtype: str, float64: None) -> None:
    for case in cases(320, seed=1):
        compare(case, dtype)


@needed
def test_derivatives_of_every_order(float64: None) -> None:
    """Those of a sum of squares of a convolution, against jax's own convolution."""
    case = Case((2, 5, 6, 3), (3, 2), 4, 2, "SAME")
    x, kernel, _ = (jnp.asarray(array) for array in operands(case))

    def ours(kernel: jax.Array, x: jax.Array) -> jax.Array:
        return (convolve(x, kernel, case.stride, "same") ** 2).sum()

    def plain(kernel: jax.Array, x: jax.Array) -> jax.Array:
        y = lax.conv_general_dilated(
            x, kernel, (2, 2), case.geometry.pads, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return (y**2).sum()

    for argument in (0, 1):

        def curvature(function, argument=argument):
            """Of the gradient's norm: it needs the second derivatives of every kind."""
            norm = lambda *at: (jax.grad(function, argument)(*at) ** 2).sum()  # noqa: E731
            return jax.grad(norm, (0, 1))(kernel, x)

        for value, expected in zip(curvature(ours), curvature(plain), strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-11)


SHAPES = [
    (2, 32, 32, 16),
    (3, 8, 8, 64),
    (1, 1, 1),
    (4, 1, 1, 3),
    (2, 7, 5, 33),
    (1, 3, 260),
    (5, 2, 3, 4, 129),
]


@needed
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_sums_of_batch_norm_are_those_of_the_definition(kind: str, dtype: str, float64: None) -> None:
    rng = np.random.default_rng(0)
    drawn = [tuple(int(size) for size in rng.integers(1, 40, rng.integers(3, 5))) for _ in range(8)]
    for shape in [*SHAPES, *drawn]:
        x, dy = rng.normal(2, 1, shape), rng.normal(size=shape)
        mean = rng.normal(size=(shape[0], shape[-1]))
        flat, slopes = (array.reshape(shape[0], -1, shape[-1]) for array in (x, dy))
        moments = np.stack([flat.mean(1), flat.var(1) * flat.shape[1]], 1)
        sums = np.stack([slopes.sum(1), (slopes * (flat - mean[:, None])).sum(1)], 1)
        x, dy, mean = (jnp.asarray(array, dtype) for array in (x, dy, mean))
        size = np.abs(slopes).sum(1).max() * 4  # of what is added up: sums of both signs cancel
        for computed, expected, scale in (
            (kernels.moments(x), moments, np.abs(moments).max()),
            (kernels.slopes(dy, x, mean), sums, size),
        ):
            assert computed.dtype == dtype and computed.shape == expected.shape
            assert np.abs(np.asarray(computed) - expected).max() <= TOLERANCE[dtype] * scale, shape


@needed
def test_sums_of_batch_norm_under_vmap_and_alone_have_the_same_bits() -> None:
    x = jax.random.normal(jax.random.key(0), (3, 4, 5, 6, 7))
    together = jax.vmap(_moments._compiled_moments())(x)
    for member in range(3):
        alone = _moments._compiled_moments()(x[member])
        for a, b in zip(together, alone, strict=True):
            np.testing.assert_array_equal(a[member], b)


@pytest.mark.parametrize("compiled", [pytest.param(True, marks=needed), False])
def test_derivatives_of_batch_norm_of_every_order(compiled: bool, float64: None) -> None:
    """Those of a sum of cubes, against the definition as jax derives it; one example is padding."""
    rng = np.random.default_rng(0)
    x, scale = jnp.asarray(rng.normal(1, 2, (4, 3, 2, 5))), jnp.asarray(rng.normal(size=5))
    weight = jnp.asarray([1.0, 1.0, 0.0, 1.0])

    def ours(x: jax.Array, scale: jax.Array) -> jax.Array:
        mean, var = _moments.moments(x, weight)
        y = _moments.scale_shift(x, mean, scale * lax.rsqrt(var + 1e-5), scale)
        return (weight[:, None, None, None] * y**3).sum()

    def plain(x: jax.Array, scale: jax.Array) -> jax.Array:
        counted = x[jnp.array([0, 1, 3])]
        mean, var = (function(counted, (0, 1, 2), keepdims=True) for function in (jnp.mean, jnp.var))
        factors = jnp.reshape(scale, (1, 1, 1, 5))
        return (((counted - mean) * lax.rsqrt(var + 1e-5) * factors + factors) ** 3).sum()

    def curvature(function: Callable[..., jax.Array]) -> tuple[jax.Array, ...]:
        norm = lambda *at: sum((g**2).sum() for g in jax.grad(function, (0, 1))(*at))  # noqa: E731
        return jax.grad(norm, (0, 1))(x, scale)

    with contextlib.nullcontext() if compiled else kernels.left_out():
        np.testing.assert_allclose(ours(x, scale), plain(x, scale), rtol=1e-12)
        for derived in (lambda f: jax.grad(f, (0, 1))(x, scale), curvature):
            for value, expected in zip(derived(ours), derived(plain), strict=True):
                np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)


@needed
def test_bits_do_not_depend_on_threads() -> None:
    """In processes that see one core and all of them."""
    program = (
        "import os, sys, hashlib, numpy as np\n"
        "if sys.argv[1] == 'one': os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "import jax, jax.numpy as jnp\n"
        "from nnrun.layer._convolution import convolve\n"
        "rng = np.random.default_rng(0)\n"
        "x = jnp.asarray(rng.normal(size=(33, 16, 16, 5)), jnp.float32)\n"
        "k = jnp.asarray(rng.normal(size=(3, 3, 5, 20)), jnp.float32)\n"
        "from nnrun.layer.batch_norm import batch_norm\n"
        "layer = batch_norm()\n"
        "params, stats, _ = layer.init(None, (16, 16, 20))\n"
        "norm = lambda x: layer.apply(params, stats, x, None, jnp.ones(33))[0]\n"
        "y, gradients = jax.vjp(lambda x, k: norm(convolve(x, k, 1, 'same')), x, k)\n"
        "results = [y, *gradients(jnp.sin(y))]\n"
        "print(hashlib.sha256(b''.join(np.asarray(a).tobytes() for a in results)).hexdigest())\n"
    )
    digests = [
        subprocess.run(
            [sys.executable, "-c", program, cores], capture_output=True, text=True, check=True
        ).stdout
        for cores in ("one", "all")
    ]
    assert digests[0] == digests[1] != ""


@needed
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, "the shapes do not fit"),
        ({"top": -1}, "the shapes do not fit"),
        ({"shape": (2, 4, 4, 9)}, "the shapes do not fit"),
        ({"shape": (3, 4, 4, 5)}, "the shapes do not fit"),
        ({"shape": (2, 4, 4)}, "four dimensions are needed"),
        ({"dtype": jnp.int32}, "the types differ"),
    ],
)
def test_calls_that_make_no_sense_end_in_an_error(arguments: dict, message: str) -> None:
    call = jax.ffi.ffi_call(
        "nnrun_forward",
        jax.ShapeDtypeStruct(arguments.get("shape", (2, 4, 4, 5)), arguments.get("dtype", jnp.float32)),
    )
    attributes = {
        name: np.int64(arguments.get(name, value))
        for name, value in {"stride": 1, "top": 1, "left": 1}.items()
    }
    with pytest.raises(Exception, match=message):
        jax.block_until_ready(call(jnp.ones((2, 4, 4, 3)), jnp.ones((3, 3, 3, 5)), **attributes))


@needed
@pytest.mark.parametrize(
    ("name", "shapes", "result", "message"),
    [
        ("nnrun_moments", [(2, 3)], (2, 2, 3), "three dimensions are needed"),
        ("nnrun_moments", [(2, 4, 3)], (2, 3), "the shapes do not fit"),
        ("nnrun_moments", [(2, 4, 3)], (2, 2, 4), "the shapes do not fit"),
        ("nnrun_moments", [(2, 0, 3)], (2, 2, 3), "the shapes do not fit"),
        ("nnrun_slopes", [(2, 4, 3), (2, 4, 3), (1, 3)], (2, 2, 3), "the shapes do not fit"),
        ("nnrun_slopes", [(2, 5, 3), (2, 4, 3), (2, 3)], (2, 2, 3), "the shapes do not fit"),
    ],
)
def test_sums_of_what_does_not_fit_end_in_an_error(
    name: str, shapes: list[tuple[int, ...]], result: tuple[int, ...], message: str
) -> None:
    call = jax.ffi.ffi_call(name, jax.ShapeDtypeStruct(result, jnp.float32))
    with pytest.raises(Exception, match=message):
        jax.block_until_ready(call(*map(jnp.ones, shapes)))


def test_a_file_that_is_none_or_of_another_version_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix = next(iter(kernels.EXTENSION_SUFFIXES))
    monkeypatch.delenv("NNRUN_KERNELS", raising=False)
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "__init__.py"))
    load = kernels.load.__wrapped__
    assert "were not built" in load().reason
    (tmp_path / f"_conv{suffix}").write_bytes(b"not a library")
    assert load() == kernels.Kernels("", "they cannot be loaded (OSError); install nnrun again")
    monkeypatch.setenv("NNRUN_KERNELS", "off")
    assert load().reason == "NNRUN_KERNELS=off"


@needed
def test_a_library_of_another_version_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "VERSION", kernels.VERSION + 1)
    assert "another version" in kernels.load.__wrapped__().reason


def test_both_sources_have_the_same_version() -> None:
    assert f"constexpr int VERSION = {kernels.VERSION};" in (FOLDER / "conv.cc").read_text()


def test_what_computes_convolutions_is_noticed() -> None:
    with kernels.noticing() as computed_by:
        assert kernels.serve(np.dtype(np.int32)) is False
        kernels.serve(np.dtype(np.float32))
    assert computed_by == {kernels.WITHOUT, kernels.load().processor or kernels.WITHOUT}
    kernels.serve(np.dtype(np.float64))  # outside nobody notices
    assert len(computed_by) <= 2
