"""From the modes of pillow to grey or RGB: what becomes of transparent pixels and of 16 bits a channel."""

from __future__ import annotations

from typing import Literal, NoReturn

import numpy as np
from PIL import Image

__all__ = ["Alpha", "Depth", "RefusedImage", "in_16_bits", "plain", "refuse", "refuse_depth"]

Alpha = Literal["refuse", "drop", "white", "black"]
Depth = Literal[8, 16]

_GREY = 0  # the type of colour in a PNG: grey without alpha
_STEP = 257  # 65535 / 255: between two values of 8 bits in 16 bits


class RefusedImage(ValueError):
    """Why an image that can be decoded is not taken, and the remedy."""


def refuse(why: str) -> NoReturn:
    """Raises RefusedImage."""
    raise RefusedImage(why)


def refuse_depth(bits: int, colour: int, depth: Depth) -> None:
    """Refuses a PNG with this many bits a channel and this type of colour, where `depth` does not take it."""
    if bits <= 8 or (depth == 16 and colour == _GREY):
        return
    if colour == _GREY:
        refuse("has 16 bits a channel; write data.depth: 16 and data.channels: grey, or save it with 8")
    refuse("has 16 bits a channel, which are read in grey images without alpha only; save it with 8")


def plain(image: Image.Image, alpha: Alpha) -> Image.Image:
    """The image in mode L, RGB or, of 16 bits, I;16 or I, if it can be so without loss of meaning.

    alpha   what becomes of transparent pixels: refuse; drop: their colour as it is stored; white, black: on that
            background, each channel (c · a + b · (255 − a)) / 255 rounded to the nearest
    Raises RefusedImage.
    """
    if image.mode.startswith("I"):
        if "transparency" in image.info:
            refuse("has 16 bits a channel and a transparent value; save it without, or with 8 bits")
        image.load()
        return image
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return _opaque(image.convert("RGBA"), alpha)
    if image.mode in ("1", "P"):
        return image.convert("L" if image.mode == "1" else "RGB")
    if image.mode not in ("L", "RGB"):
        refuse(f"has colours in {image.mode}; save it in RGB or grey with 8 bits a channel")
    image.load()
    return image


def _opaque(image: Image.Image, alpha: Alpha) -> Image.Image:
    if image.getchannel("A").getextrema()[0] == 255 or alpha == "drop":
        return image.convert("RGB")
    if alpha == "refuse":
        refuse(
            "has transparent pixels, whose colour nobody knows; write data.alpha: white (or black, or drop), or save "
            "it on a background"
        )
    pixels = np.asarray(image).astype(np.uint32)
    share = pixels[..., 3:]
    behind = 255 if alpha == "white" else 0
    return Image.fromarray(((pixels[..., :3] * share + behind * (255 - share) + 127) // 255).astype(np.uint8))


def in_16_bits(image: Image.Image) -> Image.Image:
    """A plain image as grey floats from 0 to 65535, in which each value of 8 or 16 bits is exact."""
    if image.mode.startswith("I"):
        return Image.fromarray(np.asarray(image).astype(np.float32))
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.float32) * np.float32(_STEP))
