"""Reading one JPEG or PNG image without trusting it.

What kind of file it is is decided by its content.  Whatever pillow's decoders raise is a DataError that names
the file; so is an image that cannot become grey or RGB without a choice that changes what it shows, unless the spec
makes that choice.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from annotated_types import Len
from PIL import Image, ImageOps

from nnrun.data._files import open_file
from nnrun.data._image_modes import Alpha, Depth, RefusedImage, in_16_bits, plain, refuse, refuse_depth
from nnrun.data._undecoded import Undecoded
from nnrun.errors import DataError, one_line
from nnrun.options import Count

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = [
    "MOST_PIXELS",
    "Channels",
    "ImageForm",
    "Resize",
    "Size",
    "decode",
    "decode_bytes",
    "form_from",
    "form_of",
    "is_image",
    "only_errors",
    "undecoded",
]

MOST_PIXELS = 1 << 26  # 67 million: larger than what cameras take, smaller than what pillow warns about
_MOST_BYTES = 256 << 20  # of a file
_MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}
_SUFFIXES = {
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".bmp",
    ".tif",
    ".tiff",
    ".webp",
    ".heic",
    ".avif",
}  # meant as images
_PNG_DEPTH, _PNG_COLOUR = 24, 25  # where a PNG says how many bits a channel has, and which channels
_WHITE = np.float32(65535)  # of 16 bits
_ORIENTATION = 0x0112  # the EXIF tag
_UPRIGHT = {  # what a camera noted, and what puts it right
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Channels = Literal["rgb", "grey"]
Resize = Literal["crop", "pad", "stretch"]
Size = Annotated[list[Count], Len(2, 2)]  # height, width


class ImageForm(NamedTuple):
    """What images are made into."""

    channels: Channels
    size: tuple[int, int] | None  # height, width; None: as they are
    resize: Resize
    alpha: Alpha = "refuse"  # what becomes of transparent pixels
    depth: Depth = 8  # 16: floats from 0 to 1, of grey images

    @property
    def dtype(self) -> np.dtype:
        """The type of the pixels."""
        return np.dtype(np.uint8 if self.depth == 8 else np.float32)


def form_from(channels: Channels, size: Size | None, resize: Resize, alpha: Alpha, depth: Depth) -> ImageForm:
    """What images are made into, by the options of a loader.  Raises DataError for what cannot be had."""
    if depth == 16 and channels != "grey":
        raise DataError(
            "data.depth: 16 bits a channel are read of grey images; write data.channels: grey too"
        )
    if size and size[0] * size[1] > MOST_PIXELS:
        raise DataError(
            f"data.size: {size[0]}x{size[1]} is more than {MOST_PIXELS} pixels; write a smaller size"
        )
    return ImageForm(channels, (size[0], size[1]) if size else None, resize, alpha, depth)


def form_of(block: Mapping[str, Any]) -> ImageForm:
    """What the images of a run are made into, by the options of its data block."""
    size = block["size"]
    return ImageForm(
        block["channels"],
        (size[0], size[1]) if size else None,
        block["resize"],
        block.get("alpha", "refuse"),
        block.get("depth", 8),
    )


@contextmanager
def only_errors() -> Iterator[None]:
    """Inside, pillow warns of nothing: of an image too large it raises, of damaged EXIF data it is silent.

    For the thread that starts the ones that decode: Python's filters of warnings belong to the whole process.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def is_image(path: Path) -> bool:
    """Whether a file is meant as an image, by its name or its first bytes.  Errors as of `open_file`."""
    if path.suffix.lower() in _SUFFIXES:
        return True
    with open_file(path) as (stream, _):
        return stream.read(8).startswith(tuple(_MAGIC.values()))


def decode(path: Path, form: ImageForm) -> np.ndarray:
    """The image in a file, as `decode_bytes` has it.  Raises also MachineError if the machine cannot read it."""
    return decode_bytes(undecoded(path), form)


def undecoded(path: Path) -> Undecoded:
    """The image in a file."""

    def read() -> bytes:
        with open_file(path, _MOST_BYTES) as (stream, _):
            return stream.read()

    return Undecoded(one_line(path), read, "take it out of the folder")


def decode_bytes(image: Undecoded, form: ImageForm) -> np.ndarray:
    """The image as (h, w, c) uint8, c 3 or 1, turned upright where a camera noted how.

    With a depth of 16 it is (h, w, 1) float32, v / 65535 of each value v of 16 bits and v / 255 of 8 bits.
    Raises DataError if it is not a whole JPEG or PNG image of at most MOST_PIXELS, has CMYK colours, or transparent
    pixels or 16 bits a channel that the form does not take; and what reading it raises.
    """
    data, place = image.read(), image.place
    kind = next((kind for kind, magic in _MAGIC.items() if data.startswith(magic)), None)
    if kind is None:
        what = f"starts with {data[:8].hex(' ')}" if data else "is empty"
        raise DataError(f"{place}: {what}, not a JPEG or PNG image; convert it, or {image.away}")
    try:
        return _pixels(data, kind, form)
    except RefusedImage as refused:
        raise DataError(f"{place}: {refused}") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(f"{place}: has more than {MOST_PIXELS} pixels; make it smaller") from None
    except MemoryError:
        raise
    except Exception as error:  # pillow's decoders raise whatever their parsers met
        raise DataError(
            f"{place}: damaged or truncated {kind} image ({one_line(error, 120) or type(error).__name__}); "
            f"get it again, or {image.away}"
        ) from error


def _pixels(data: bytes, kind: str, form: ImageForm) -> np.ndarray:
    if kind == "PNG":
        _check_png(data, form.depth)
    with _open(data, kind) as image:
        turn = _UPRIGHT.get(_orientation(image))
        if form.size and kind == "JPEG":  # decoded at 1/2, 1/4 or 1/8 where that is still twice as large
            longest = 2 * max(form.size)
            image.draft(None, (longest, longest))
        ready = plain(image, form.alpha)
    if turn is not None:
        ready = ready.transpose(turn)
    ready = in_16_bits(ready) if form.depth == 16 else ready.convert("RGB" if form.channels == "rgb" else "L")
    if form.size:
        ready = _resized(ready, *form.size, form.resize)
    pixels = np.asarray(ready)
    if form.depth == 16:
        pixels = np.clip(pixels / _WHITE, 0, 1)  # bicubic may overshoot, which 8 bits cut off by themselves
    return pixels if pixels.ndim == 3 else pixels[..., None]


def _open(data: bytes, kind: str) -> Image.Image:
    """The image, its header read and its pixels not yet."""
    image = Image.open(io.BytesIO(data), formats=(kind,))
    if image.width * image.height > MOST_PIXELS:
        refuse(f"has {image.width}x{image.height} pixels, at most {MOST_PIXELS} are read; make it smaller")
    return image


def _check_png(data: bytes, depth: Depth) -> None:
    """Checks every checksum of a PNG, which pillow does not when it decodes, and that it is one image of this depth."""
    with _open(data, "PNG") as image:
        if getattr(image, "is_animated", False):
            refuse("is an animation; save one frame of it")
        refuse_depth(data[_PNG_DEPTH], data[_PNG_COLOUR], depth)
        image.verify()


def _orientation(image: Image.Image) -> int:
    """How the camera was held, 1: upright; EXIF data that cannot be read say nothing."""
    if "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # it is a parser's answer to arbitrary bytes, and the pixels do not depend on it
        return 1


def _resized(image: Image.Image, height: int, width: int, how: Resize) -> Image.Image:
    """(h, w) from any size: bicubic, and averaged over what a smaller pixel covers."""
    bicubic = Image.Resampling.BICUBIC
    if how == "crop":
        return ImageOps.fit(image, (width, height), bicubic)
    if how == "pad":
        scale = min(width / image.width, height / image.height)
        inside = max(1, round(scale * image.width)), max(1, round(scale * image.height))
        around = Image.new(image.mode, (width, height))
        around.paste(image.resize(inside, bicubic), ((width - inside[0]) // 2, (height - inside[1]) // 2))
        return around
    return image.resize((width, height), bicubic)
