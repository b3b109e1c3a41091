"""Decoding many images in order, on several threads: pillow lets go of Python's lock while it decodes."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from nnrun import machine
from nnrun.data._images import Form, decode, only_errors
from nnrun.errors import DataError, one_line

if TYPE_CHECKING:
    from collections.abc import Generator

    from nnrun.data._image_tree import ImageFile, Part

__all__ = ["batches", "first_shape"]

_BATCH_BYTES = 4 << 20
_MOST_AT_ONCE = 256  # images; small ones are not worth a task each
_AHEAD = 3  # batches for each thread that wait to be taken, so that memory stays bounded


def first_shape(part: Part, form: Form) -> tuple[int, int, int]:
    """The shape of the first image, which all others must have: height, width, channels."""
    with only_errors():
        height, width, channels = decode(part.folder / part.files[0].path, form).shape
    return height, width, channels


def batches(
    part: Part, form: Form, shape: tuple[int, int, int], first: str
) -> Generator[np.ndarray, None, None]:
    """The images of `part` in its order, as arrays (b, *shape) uint8, each of some images.

    first  the path of the image that has `shape`, for the message about one that differs
    Raises DataError or MachineError for the first image that cannot be had; see `decode`.
    """
    size = max(1, min(_MOST_AT_ONCE, _BATCH_BYTES // (shape[0] * shape[1] * shape[2])))
    groups = (part.files[start : start + size] for start in range(0, len(part.files), size))
    threads = len(machine.cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    waiting: deque[Future[np.ndarray]] = deque()
    try:
        with only_errors():
            for group in groups:
                waiting.append(pool.submit(_decode_all, part, group, form, shape, first))
                if len(waiting) > _AHEAD * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _decode_all(
    part: Part, group: list[ImageFile], form: Form, shape: tuple[int, int, int], first: str
) -> np.ndarray:
    pixels = np.empty((len(group), *shape), np.uint8)
    for index, file in enumerate(group):
        image = decode(part.folder / file.path, form)
        if image.shape != shape:
            height, width, _ = shape
            raise DataError(
                f"{one_line(part.folder / file.path)}: is {image.shape[1]} wide and {image.shape[0]} high, "
                f"{one_line(first)} is {width} wide and {height} high; set data.size: [{height}, {width}] "
                "(height, width) or another size to have all images brought to it"
            )
        pixels[index] = image
    return pixels
