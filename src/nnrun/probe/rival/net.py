"""The layers of a model as a torch module, and the weights of a run in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nnrun.probe.rival.pieces import Piece
from nnrun.types import Tree

__all__ = ["Module", "Net", "Optimizer", "Tensor", "Torch", "net_of", "with_weights"]

Torch = Any  # the module torch, which nnrun does not depend on
Module = Any  # a torch.nn.Module
Tensor = Any  # a torch.Tensor
Optimizer = Any  # a torch.optim.Optimizer

_ACTIVATIONS = {
    "relu": "ReLU", "tanh": "Tanh", "gelu": "GELU", "silu": "SiLU", "mish": "Mish", "softplus": "Softplus",
    "sigmoid": "Sigmoid",
}  # fmt: skip


class Net(NamedTuple):
    """A torch net that takes images with their channels first.

    module   one layer of the catalogue after another
    parts    path -> the layer of torch that has its parameters
    shapes   path -> (c, h, w) of what a dense layer sees before it was flattened; (inputs,) of vectors
    """

    module: Module
    parts: dict[str, Module]
    shapes: dict[str, tuple[int, ...]]


class _Built(NamedTuple):
    """A layer: torch's modules, that of them which has the parameters, and the shape (c, h, w) or (c,) behind it."""

    modules: list[Module]
    part: Module | None
    shape: tuple[int, ...]


def net_of(torch: Torch, pieces: Sequence[Piece], shape: Sequence[int]) -> Net:
    """Builds the layers for inputs (h, w, c), or (d,); initial weights are torch's."""
    seen = (shape[-1], *shape[:-1])
    flat: tuple[int, ...] | None = None  # what the vector was before it was flattened
    modules, parts, shapes = [], {}, {}
    for piece in pieces:
        if piece.layer == "flatten":
            flat = seen
        built = _BUILDERS.get(piece.layer, _activation)(torch, piece, seen)
        modules += built.modules
        if built.part is not None:
            parts[piece.path] = built.part
        if piece.layer == "dense":
            shapes[piece.path], flat = flat or seen, None
        seen = built.shape
    return Net(torch.nn.Sequential(*modules), parts, shapes)


def _dense(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    units = piece.options["units"]
    layer = torch.nn.Linear(shape[0], units, bias=piece.options.get("bias", True))
    return _Built([layer], layer, (units,))


def _conv(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    """Zeros around, as XLA puts them where a stride does not divide: more of them below and to the right."""
    options, sides = piece.options, shape[1:]
    filters, kernel, stride = options["filters"], options.get("kernel", 3), options.get("stride", 1)
    outputs = [-(-side // stride) for side in sides]
    zeros = [max((count - 1) * stride + kernel - side, 0) for count, side in zip(outputs, sides, strict=True)]
    if options.get("padding", "same") == "valid":
        outputs, zeros = [(side - kernel) // stride + 1 for side in sides], [0, 0]
    before = [count // 2 for count in zeros]
    after = [count - first for count, first in zip(zeros, before, strict=True)]
    inside = before if before == after else [0, 0]
    layer = torch.nn.Conv2d(shape[0], filters, kernel, stride, inside, bias=options.get("bias", True))
    outside = [torch.nn.ZeroPad2d((before[1], after[1], before[0], after[0]))] if before != after else []
    return _Built([*outside, layer], layer, (filters, *outputs))


def _max_pool(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    size = piece.options.get("size", 2)
    stride = piece.options.get("stride") or size
    if piece.options.get("where_it_fits") and min(shape[1:]) < size:
        return _Built([], None, shape)
    sides = ((side - size) // stride + 1 for side in shape[1:])
    return _Built([torch.nn.MaxPool2d(size, stride)], None, (shape[0], *sides))


def _global_average_pool(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    return _Built([torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()], None, shape[:1])


def _flatten(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    return _Built([torch.nn.Flatten()], None, (math.prod(shape),))


def _dropout(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    of_channels = piece.options.get("mask", "element") == "channel" and len(shape) == 3
    kind = torch.nn.Dropout2d if of_channels else torch.nn.Dropout
    return _Built([kind(piece.options.get("rate", 0.5))], None, shape)


def _batch_norm(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    kind = torch.nn.BatchNorm2d if len(shape) == 3 else torch.nn.BatchNorm1d
    options = piece.options
    layer = kind(shape[0], eps=options.get("eps", 1e-5), momentum=1 - options.get("momentum", 0.9))
    return _Built([layer], layer, shape)


def _layer_norm(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    """Over the channels of each place."""
    options = piece.options
    scale = options.get("scale", True)
    layer = torch.nn.LayerNorm(
        shape[0], eps=options.get("eps", 1e-5), elementwise_affine=scale, bias=options.get("bias", True)
    )
    if len(shape) == 1:
        return _Built([layer], layer, shape)
    first = _calling(torch, lambda x: x.permute(0, 2, 3, 1))
    last = _calling(torch, lambda x: x.permute(0, 3, 1, 2))
    return _Built([first, layer, last], layer, shape)


def _group_norm(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    options = piece.options
    layer = torch.nn.GroupNorm(
        options["groups"], shape[0], eps=options.get("eps", 1e-5), affine=options.get("scale", True)
    )
    return _Built([layer], layer, shape)


def _activation(torch: Torch, piece: Piece, shape: tuple[int, ...]) -> _Built:
    options = piece.options
    if piece.layer == "leaky_relu":
        module = torch.nn.LeakyReLU(options.get("slope", 0.01))
    elif piece.layer == "elu":
        module = torch.nn.ELU(options.get("alpha", 1.0))
    else:
        module = getattr(torch.nn, _ACTIVATIONS[piece.layer])()
    return _Built([module], None, shape)


_BUILDERS: Mapping[str, Callable[[Torch, Piece, tuple[int, ...]], _Built]] = {
    "dense": _dense, "conv": _conv, "max_pool": _max_pool, "global_average_pool": _global_average_pool,
    "flatten": _flatten, "dropout": _dropout, "batch_norm": _batch_norm, "layer_norm": _layer_norm,
    "group_norm": _group_norm,
}  # fmt: skip


def _calling(torch: Torch, function: Callable) -> Module:
    """A module without parameters."""
    module = torch.nn.Identity()
    module.forward = function
    return module


def with_weights(torch: Torch, net: Net, params: Tree, stats: Tree) -> Net:
    """The net with the weights of a model, in whose dense layers a flattened image has its channels last."""
    for path, part in net.parts.items():
        arrays = _at(params, path)
        if "kernel" in arrays:
            kernel = np.asarray(arrays["kernel"])
            if kernel.ndim == 2 and len(shape := net.shapes[path]) == 3:
                last = kernel.reshape(*shape[1:], shape[0], -1)
                kernel = last.transpose(2, 0, 1, 3).reshape(kernel.shape)
            moved = kernel.T if kernel.ndim == 2 else kernel.transpose(3, 2, 0, 1)
            _fill(torch, part.weight, moved)
        if "scale" in arrays:
            _fill(torch, part.weight, arrays["scale"])
        if "bias" in arrays:
            _fill(torch, part.bias, arrays["bias"])
        for name, theirs in (("mean", "running_mean"), ("var", "running_var")):
            if name in (remembered := _at(stats, path)):
                _fill(torch, getattr(part, theirs), remembered[name])
    return net


def _at(tree: Tree, path: str) -> Mapping[str, Any]:
    for name in path.split("/"):
        tree = tree.get(name, {})
    return tree


def _fill(torch: Torch, tensor: Tensor, array: np.ndarray) -> None:
    with torch.no_grad():
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(array).copy()))
