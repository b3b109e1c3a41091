"""A population of convolutional nets: how `vmap` may compute a convolution whose kernels differ between its members.

nnrun leaves it to XLA off the CPU, which makes a grouped convolution of it.  The other ways are what `custom_vmap` puts
in its place: a loop over the members (what nnrun does on a CPU), or a convolution for each written one after another.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

import gpu_steps
import jax
import jax.numpy as jnp
from gpu_check import Check, in_turns, say
from gpu_command import write_images
from gpu_speed import SHAPES, built
from jax import Array, lax
from jax.custom_batching import custom_vmap

from nnrun.layer import conv
from nnrun.layer._canonical import LABELS

NET, SMALL_NET = "conv32-conv64", "conv4-conv8"
LANES, SMALL_LANES = (8, 32), (2, 3)
SMALL_SHAPE = (8, 8, 1)

Convolution = Callable[[Array, Array], Array]  # of two arrays, linear in both
Members = Callable[
    [Convolution, int, Array, Array], Array
]  # for so many members, whose arrays lie along axis 0


def mapped(function: Convolution, members: int, a: Array, b: Array) -> Array:
    """A loop over the members."""
    del members
    return lax.map(lambda pair: function(*pair), (a, b))


def unrolled(function: Convolution, members: int, a: Array, b: Array) -> Array:
    """One operation for each member."""
    return jnp.stack([function(a[i], b[i]) for i in range(members)])


def plain(x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """What `convolve` is off the CPU; under vmap XLA gets a grouped convolution."""
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, padding.upper(), dimension_numbers=LABELS)


def by_member(members: Members, x: Array, kernel: Array, stride: int, padding: str) -> Array:
    """The same, but under vmap, forwards and backwards, what `members` makes of it."""
    return _derived(members, x.shape, kernel.shape, stride, padding)(x, kernel)


@lru_cache
def _derived(
    members: Members, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], stride: int, padding: str
) -> Convolution:
    forward = partial(plain, stride=stride, padding=padding)

    def to_x(dy: Array, kernel: Array) -> Array:
        return jax.vjp(lambda x: forward(x, kernel), jnp.zeros(x_shape, dy.dtype))[1](dy)[0]

    def to_kernel(x: Array, dy: Array) -> Array:
        return jax.vjp(lambda kernel: forward(x, kernel), jnp.zeros(kernel_shape, dy.dtype))[1](dy)[0]

    y_of, dx_of, dk_of = (_under_vmap(members, function) for function in (forward, to_x, to_kernel))
    convolution = jax.custom_vjp(y_of)
    convolution.defvjp(
        lambda x, kernel: (y_of(x, kernel), (x, kernel)),
        lambda saved, dy: (dx_of(dy, saved[1]), dk_of(saved[0], dy)),
    )
    return convolution


def _under_vmap(members: Members, function: Convolution) -> Convolution:
    batched = custom_vmap(function)

    @batched.def_vmap
    def each(axis_size, in_batched, a, b):
        a = a if in_batched[0] else jnp.broadcast_to(a, (axis_size, *a.shape))
        b = b if in_batched[1] else jnp.broadcast_to(b, (axis_size, *b.shape))
        return members(batched, axis_size, a, b), True

    return batched


WAYS: dict[str, Callable[..., Array]] = {
    "grouped": plain,
    "a loop over members": partial(by_member, mapped),
    "one after another": partial(by_member, unrolled),
}


def compiled_with(check: Check, way: str, lanes: int, batch: int) -> gpu_steps.Steps:
    """The population, its convolutions computed in that way."""
    model = gpu_steps.MODELS[NET]
    if check.small:
        model = model.replace("filters: 32", "filters: 4").replace("filters: 64", "filters: 8")
    text = gpu_steps.CONV.replace("MODEL", model).replace("BATCH", str(batch))
    before, conv.convolve = conv.convolve, WAYS[way]
    try:
        return gpu_steps.Steps(text.replace(" epochs}", f" epochs, seeds: {lanes}}}"), check.folder)
    finally:
        conv.convolve = before


def grouped(check: Check) -> None:
    """Section: conv32-conv64, 8 and 32 nets in one program, in three ways; and one net alone."""
    batch, steps, rounds = (4, 3, 1) if check.small else (128, 100, 3)
    if check.small:
        gpu_steps.compile_quickly()
    examples, shape = (400, SMALL_SHAPE) if check.small else (10_000, SHAPES[NET])
    write_images(check.folder / "images.npz", examples, shape)
    alone = built(check, "one net", partial(compiled_with, check, "grouped", 1, batch))
    for lanes in SMALL_LANES if check.small else LANES:
        timers = {"one net": partial(alone.device, steps)} if alone else {}
        for way in WAYS:
            net = built(check, f"{lanes} nets, {way}", partial(compiled_with, check, way, lanes, batch), 20)
            if net:
                timers[way] = partial(net.device, steps)
        times = in_turns(check, timers, rounds)
        check.note(f"{lanes} nets, ms a step", times)
        for way, ms in times.items():
            nets = 1 if way == "one net" else lanes
            beside = (
                f", {times['one net'] * nets / ms:.2f} times the speed of one net"
                if nets > 1 and alone
                else ""
            )
            label = way if nets == 1 else f"{nets} nets, {way}"
            line = f"{SMALL_NET if check.small else NET}, batch {batch}, {label}"
            check.conclude(f"{line}: {ms:.3f} ms a step, {ms / nets:.3f} a net{beside}")
        timers.clear()
        say()
