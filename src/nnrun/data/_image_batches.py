"""Decoding many images in order, on several threads: pillow lets go of Python's lock while it decodes."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np

from nnrun import machine
from nnrun.data._images import ImageForm, decode_bytes, only_errors
from nnrun.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from nnrun.data._undecoded import ImageSet, Undecoded

__all__ = ["batches", "first_shape"]

_BATCH_BYTES = 4 << 20
_MOST_AT_ONCE = 256  # images; small ones are not worth a task each
_MOST_PROBLEMS = 5  # images that one message names
_AHEAD = 3  # batches for each thread that wait to be taken, so that memory stays bounded


def first_shape(images: ImageSet, form: ImageForm) -> tuple[tuple[int, int, int], str]:
    """The shape of the first image, which all others must have: height, width, channels; and that image's place.

    Images before it that cannot be read are reported by `batches`.  Raises DataError if there is none.
    """
    problems: list[DataError] = []
    with only_errors(), closing(images.images()) as undecoded:
        for image in undecoded:
            try:
                height, width, channels = decode_bytes(image, form).shape
            except DataError as problem:
                problems.append(problem)
                if len(problems) > _MOST_PROBLEMS:
                    break
            else:
                return (height, width, channels), image.place
    raise _together(problems)


def batches(
    images: ImageSet, form: ImageForm, shape: tuple[int, int, int], first: str
) -> Generator[np.ndarray, None, None]:
    """The images in order, as arrays (b, *shape) in the type of `form`, each of some images.

    first  the place of the image that has `shape`, for the message about one that differs
    Raises DataError for all images that cannot be had, as far as they fit into one message, or MachineError; see
    `decode_bytes`.
    """
    size = max(1, min(_MOST_AT_ONCE, _BATCH_BYTES // (math.prod(shape) * form.dtype.itemsize)))
    threads = len(machine.cores())
    pool = ThreadPoolExecutor(threads, thread_name_prefix="images")
    waiting: deque[Future[tuple[np.ndarray, list[DataError]]]] = deque()
    problems: list[DataError] = []
    try:
        with only_errors(), closing(images.images()) as undecoded:
            for group in chain(_groups(undecoded, size), [None]):
                if group is not None:
                    waiting.append(pool.submit(_decode_all, group, form, shape, first))
                while waiting and (group is None or len(waiting) > _AHEAD * threads):
                    pixels, problems_of_group = waiting.popleft().result()
                    problems += problems_of_group
                    if len(problems) > _MOST_PROBLEMS:
                        raise _together(problems)
                    if not problems:
                        yield pixels
        if problems:
            raise _together(problems)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _groups(undecoded: Iterable[Undecoded], size: int) -> Iterator[list[Undecoded]]:
    images = iter(undecoded)
    while group := list(islice(images, size)):
        yield group


def _decode_all(
    group: list[Undecoded], form: ImageForm, shape: tuple[int, int, int], first: str
) -> tuple[np.ndarray, list[DataError]]:
    """The images of a group, and what is wrong with those that cannot be had."""
    pixels = np.empty((len(group), *shape), form.dtype)
    problems: list[DataError] = []
    for index, image in enumerate(group):
        try:
            pixels[index] = _decode(image, form, shape, first)
        except DataError as problem:
            problems.append(problem)
    return pixels, problems


def _decode(undecoded: Undecoded, form: ImageForm, shape: tuple[int, int, int], first: str) -> np.ndarray:
    image = decode_bytes(undecoded, form)
    if image.shape != shape:
        height, width, _ = shape
        raise DataError(
            f"{undecoded.place}: is {image.shape[1]} wide and {image.shape[0]} high, "
            f"{first} is {width} wide and {height} high; set data.size: [{height}, {width}] "
            "(height, width) or another size to have all images brought to it"
        )
    return image


def _together(problems: list[DataError]) -> DataError:
    """One error for all, a line each; only the first ones where there are many."""
    lines = [str(problem) for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append("and others; they are reported once these are corrected")
    return DataError("\n".join(lines))
