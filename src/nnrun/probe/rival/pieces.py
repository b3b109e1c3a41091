"""A model block as a sequence of plain layers, which another library can build too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from nnrun.catalog import Spec
from nnrun.catalog.bound import Bound

__all__ = ["ACTIVATIONS", "MODELS", "Piece", "pieces_of"]

ACTIVATIONS = ("relu", "tanh", "gelu", "leaky_relu", "elu", "silu", "mish", "softplus", "sigmoid")
MODELS = ("linear", "mlp", "lenet", "convnet", "vgg", "sequential")
_LAYERS = (
    "dense", "conv", "max_pool", "global_average_pool", "flatten", "dropout", "batch_norm", "layer_norm", "group_norm",
    *ACTIVATIONS,
)  # fmt: skip
_VGG = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}

Options = Mapping[str, Any]  # of a block, checked


class Piece(NamedTuple):
    """A layer of the catalogue.

    path     of its parameters in the model: stage_1/conv_1
    layer    its name in the catalogue
    options  those that are not at their defaults
    """

    path: str
    layer: str
    options: Mapping[str, Any] = {}


def pieces_of(spec: Spec, outputs: int) -> list[Piece]:
    """The layers of the spec's model, in order.

    Raises SpecError naming what there is no counterpart for.
    """
    block = spec.model
    if block.name not in MODELS:
        message = f"--vs torch knows no counterpart of {block.name}; it translates {', '.join(MODELS)}"
        raise spec.fail(("model", "name"), message)
    pieces = [*_EXPANSIONS[block.name](block.options), Piece("output", "dense", {"units": outputs})]
    if block.name == "lenet":
        pieces[-1] = pieces[-1]._replace(path="dense/output")
    for piece in pieces:
        if problem := _untranslated(piece):
            raise spec.fail(("model",), f"--vs torch: {piece.path}: {problem}")
    return pieces


def _untranslated(piece: Piece) -> str:
    """Why a layer has no counterpart; "" where it has one."""
    options = piece.options
    if piece.layer not in _LAYERS:
        return f"the layer {piece.layer} has no counterpart in torch; compare with another layer"
    if (
        piece.layer == "dropout"
        and options.get("rate", 0.5)
        and options.get("scaling", "training") != "training"
    ):
        return "dropout with scaling: test has no counterpart in torch; write scaling: training"
    if piece.layer == "dropout" and options.get("mask", "element") == "example":
        return "dropout with mask: example has no counterpart in torch; write mask: element"
    if piece.layer == "group_norm" and options.get("scale", True) != options.get("bias", True):
        return "group_norm with one of scale and bias has no counterpart in torch; write both or none"
    return ""


def _linear(options: Options) -> Iterator[Piece]:
    del options
    yield Piece("flatten", "flatten")


def _mlp(options: Options) -> Iterator[Piece]:
    yield Piece("flatten", "flatten")
    yield from _dropout("input_dropout", options.get("input_dropout", 0.0), options)
    yield from _hidden(options)


def _lenet(options: Options) -> Iterator[Piece]:
    norm = options["norm"]
    for i, filters in enumerate(options["filters"], start=1):
        window = {"filters": filters, "kernel": options["kernel"], "bias": norm.name == "none"}
        yield Piece(f"conv_{i}", "conv", window)
        yield from _norm(f"conv_norm_{i}", norm)
        yield Piece(f"conv_activation_{i}", options["activation"])
        yield Piece(f"pool_{i}", "max_pool")
    for piece in _mlp(options):
        yield piece._replace(path=f"dense/{piece.path}")


def _convnet(options: Options) -> Iterator[Piece]:
    stages = [(filters, options["convs"]) for filters in options["filters"]]
    yield from _stages(stages, options, options["kernel"], options["activation"])


def _vgg(options: Options) -> Iterator[Piece]:
    widths = [options["width"] * factor for factor in (1, 2, 4, 8, 8)]
    yield from _stages(list(zip(widths, _VGG[options["depth"]], strict=True)), options, 3, "relu")


def _stages(stages: list[tuple[int, int]], options: Options, kernel: int, activation: str) -> Iterator[Piece]:
    """Convolutions with pooling, then dense layers.  A side of 1 is not pooled, which who builds them sees."""
    norm = options["norm"]
    pool = "max_pool" if options["pooling"].name == "max" else "fractional_max_pool"
    yield from _dropout("input_dropout", options["input_dropout"], options)
    for i, (filters, convs) in enumerate(stages, start=1):
        for j in range(1, convs + 1):
            window = {"filters": filters, "kernel": kernel, "bias": norm.name == "none"}
            yield Piece(f"stage_{i}/conv_{j}", "conv", window)
            yield from _norm(f"stage_{i}/norm_{j}", norm)
            yield Piece(f"stage_{i}/activation_{j}", activation)
        yield Piece(f"stage_{i}/pool", pool, {"where_it_fits": True})
        yield from _dropout(f"stage_{i}/dropout", options["channel_dropout"], options, "channel")
    yield Piece("flatten", "flatten")
    yield from _hidden({"activation": activation, **options})


def _sequential(options: Options) -> Iterator[Piece]:
    layers: list[Bound] = options["layers"]
    for i, layer in enumerate(layers, start=1):
        yield Piece(f"layer_{i}", layer.name, layer.options)


_EXPANSIONS = {
    "linear": _linear, "mlp": _mlp, "lenet": _lenet, "convnet": _convnet, "vgg": _vgg, "sequential": _sequential,
}  # fmt: skip


def _hidden(options: Options) -> Iterator[Piece]:
    """For each width: dense → norm → activation → dropout."""
    norm, drop = options["norm"], options.get("dropconnect")
    for i, units in enumerate(options["hidden"], start=1):
        if drop is not None and drop.rate:
            yield Piece(f"hidden_{i}", "dropconnect")
        yield Piece(f"hidden_{i}", "dense", {"units": units, "bias": norm.name == "none"})
        yield from _norm(f"norm_{i}", norm)
        yield Piece(f"activation_{i}", options["activation"])
        yield from _dropout(f"dropout_{i}", options["dropout"], options)


def _norm(path: str, norm: Any) -> Iterator[Piece]:
    if norm.name != "none":
        yield Piece(path, f"{norm.name}_norm", {"groups": norm.groups} if norm.name == "group" else {})


def _dropout(path: str, rate: float, options: Options, mask: str = "element") -> Iterator[Piece]:
    if rate:
        yield Piece(path, "dropout", {"rate": rate, "scaling": options["dropout_scaling"], "mask": mask})
