"""Single images: what is decoded and how, what is refused, and that damage never leaves as anything else."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnrun.data import _images
from nnrun.data._images import ImageForm, decode, only_errors
from nnrun.errors import DataError, MachineError

AS_IT_IS = ImageForm("rgb", None, "crop")
GREY = ImageForm("grey", None, "crop")
RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)
SMOOTH = (np.add.outer(np.arange(24), np.arange(16))[..., None] * [3, 4, 5]).astype(np.uint8)

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """save(pixels or image, kind, **options): the file, under a name that says nothing."""

    def write(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> Path:
        made = image if isinstance(image, Image.Image) else Image.fromarray(image)
        made.save(tmp_path / "picture.bin", kind, **options)
        return tmp_path / "picture.bin"

    return write


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """A PNG by its specification: header, chunks, compressed rows, end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + body + chunk(b"IEND", b"")


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601: Y = 0.299 R + 0.587 G + 0.114 B."""
    return rgb @ np.array([0.299, 0.587, 0.114])


def test_png_pixels_are_those_of_the_file(save: Save):
    np.testing.assert_array_equal(decode(save(COLOURS), AS_IT_IS), COLOURS)


def test_a_png_written_by_hand(tmp_path: Path):
    rows = b"".join(b"\0" + row.tobytes() for row in COLOURS)
    (tmp_path / "a").write_bytes(png(9, 6, 8, 2, rows))
    np.testing.assert_array_equal(decode(tmp_path / "a", AS_IT_IS), COLOURS)


def test_jpeg_pixels_are_those_saved_up_to_compression(save: Save):
    found = decode(save(SMOOTH, "JPEG", quality=95, subsampling=0), AS_IT_IS)
    assert found.shape == (24, 16, 3)
    assert np.abs(found.astype(int) - SMOOTH).max() <= 6


def test_grey_becomes_three_equal_channels_or_one(save: Save):
    grey = COLOURS[..., 0]
    path = save(grey)
    np.testing.assert_array_equal(decode(path, AS_IT_IS), np.stack([grey] * 3, axis=-1))
    np.testing.assert_array_equal(decode(path, GREY), grey[..., None])


def test_colour_becomes_grey_by_luma(save: Save):
    np.testing.assert_allclose(decode(save(COLOURS), GREY)[..., 0], luma(COLOURS), atol=1)


def test_what_can_become_rgb_without_loss_does(save: Save):
    opaque = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(decode(save(opaque), AS_IT_IS), COLOURS)
    bits = Image.fromarray(COLOURS[..., 0] > 127)
    np.testing.assert_array_equal(decode(save(bits), GREY)[..., 0], (COLOURS[..., 0] > 127) * np.uint8(255))
    few = Image.fromarray(COLOURS // 128 * 128).quantize(8)
    np.testing.assert_array_equal(decode(save(few), AS_IT_IS), np.asarray(few.convert("RGB")))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_as_the_camera_noted(orientation: int, save: Save):
    """EXIF 2.3, tag 0x0112: where the stored row 0 and column 0 lie in the picture."""
    upright = {
        1: lambda a: a,  # row 0 on top, column 0 left
        2: lambda a: a[:, ::-1],  # top, right
        3: lambda a: a[::-1, ::-1],  # bottom, right
        4: lambda a: a[::-1],  # bottom, left
        5: lambda a: a.swapaxes(0, 1),  # left, top
        6: lambda a: a.swapaxes(0, 1)[:, ::-1],  # right, top
        7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],  # right, bottom
        8: lambda a: a.swapaxes(0, 1)[::-1],  # left, bottom
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = decode(save(SMOOTH, "JPEG", quality=95), AS_IT_IS)
    np.testing.assert_array_equal(
        decode(save(SMOOTH, "JPEG", quality=95, exif=exif), AS_IT_IS), upright(stored)
    )


def test_damaged_notes_of_a_camera_do_not_matter(save: Save):
    with only_errors():
        found = decode(save(SMOOTH, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\xff"), AS_IT_IS)
    np.testing.assert_array_equal(found, decode(save(SMOOTH, "JPEG", quality=95), AS_IT_IS))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_stretch_crop_and_pad(kind: str, save: Save):
    """Left half black, right half white, 40 high and 80 wide, brought to 20 x 20."""
    image = np.zeros((40, 80), np.uint8)
    image[:, 40:] = 255
    path = save(image, kind)
    columns = {
        how: decode(path, ImageForm("grey", (20, 20), how))[10, :, 0] for how in ("stretch", "crop", "pad")
    }
    for found in columns.values():
        assert (found[:8] < 30).all()
        assert (found[12:] > 225).all()
    rows = {
        how: decode(path, ImageForm("grey", (20, 20), how))[:, 18, 0] for how in ("stretch", "crop", "pad")
    }
    assert (rows["stretch"] > 225).all()
    assert (rows["crop"] > 225).all()
    assert (rows["pad"][:4] < 30).all()  # scaled to 10 x 20, five rows of black above and below
    assert (rows["pad"][6:14] > 225).all()
    assert (rows["pad"][16:] < 30).all()


@pytest.mark.parametrize("how", ["stretch", "crop", "pad"])
def test_the_thinnest_image_has_a_place(how: str, save: Save):
    image = np.full((1, 3000), 200, np.uint8)
    for pixels in (image, image.T):
        found = decode(save(pixels), ImageForm("grey", (6, 6), how))
        assert found.shape == (6, 6, 1)
        assert found.max() == 200


def test_a_photo_with_a_second_one_inside_is_the_first(tmp_path: Path):
    """As telephones write them: JPEG, then another JPEG that only a note in the first points to."""
    first, second = (Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (50, 200))
    first.save(tmp_path / "x", "MPO", save_all=True, append_images=[second])
    for form in (AS_IT_IS, ImageForm("rgb", (4, 4), "crop")):
        assert np.abs(decode(tmp_path / "x", form).astype(int) - 50).max() <= 2


def test_making_smaller_averages(save: Save):
    """A checkerboard of single pixels becomes grey, not black or white as picking pixels would."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    found = decode(save(board), ImageForm("grey", (8, 8), "stretch"))
    np.testing.assert_allclose(found, 127.5, atol=2)


def test_the_right_size_is_left_alone(save: Save):
    for how in ("crop", "pad", "stretch"):
        np.testing.assert_array_equal(decode(save(COLOURS), ImageForm("rgb", (6, 9), how)), COLOURS)


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3)).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


BOMB = png(60_000, 60_000, 8, 0, b"\0")
LARGE = png(9000, 9000, 8, 0, b"\0")  # 81 million pixels, of which pillow does not warn
JPEG, PNG = encoded(noise(32, 32), "JPEG"), encoded(noise(32, 32), "PNG")
TRANSPARENT = np.dstack([COLOURS, np.full(COLOURS.shape[:2], 254, np.uint8)])
HOSTILE = {
    "empty": (b"", "is empty, not a JPEG or PNG image"),
    "text": (b"this is not a picture", "starts with 74 68 69 73 .*, not a JPEG or PNG image; convert it"),
    "a GIF": (encoded(noise(4, 4), "GIF"), "not a JPEG or PNG image"),
    "a truncated JPEG": (JPEG[: len(JPEG) // 2], "damaged or truncated JPEG image"),
    "a JPEG's first bytes": (JPEG[:3], "damaged or truncated JPEG image"),
    "a truncated PNG": (PNG[: len(PNG) // 2], "damaged or truncated PNG image"),
    "a PNG without its end": (PNG[:-12], "damaged or truncated PNG image"),
    "a PNG's first bytes": (PNG[:8], "damaged or truncated PNG image"),
    "a flipped bit in a PNG": (PNG[:-40] + bytes([PNG[-40] ^ 1]) + PNG[-39:], "damaged or truncated PNG"),
    "a bomb": (BOMB, "has more than 67108864 pixels; make it smaller"),
    "a large one": (LARGE, "has 9000x9000 pixels, at most 67108864 are read"),
    "16 bits": (
        png(1, 1, 16, 0, b"\0\1\2"),
        "16 bits a channel; write data.depth: 16 and .*or save it with 8",
    ),
    "16 bits in colour": (png(1, 1, 16, 2, b"\0" + bytes(6)), "16 bits a channel"),
    "CMYK": (encoded(noise(8, 8).convert("CMYK"), "JPEG"), "has colours in CMYK; save it in RGB or grey"),
    "transparent": (
        encoded(Image.fromarray(TRANSPARENT), "PNG"),
        "transparent pixels, .*; write data.alpha: .*or save it on a back",
    ),
    "a transparent grey": (png(1, 1, 8, 0, b"\0\7", chunk(b"tRNS", b"\0\7")), "transparent pixels"),
    "an animation": (
        encoded(noise(4, 4), "PNG", save_all=True, append_images=[noise(4, 4)]),
        "is an animation; save one frame",
    ),
    "a text that unpacks to much": (
        png(1, 1, 8, 0, b"\0\7", chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(80 << 20), 1))),
        "damaged or truncated PNG",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_a_data_error_that_names_it(case: str, tmp_path: Path):
    data, message = HOSTILE[case]
    (tmp_path / "x.jpg").write_bytes(data)
    with only_errors(), pytest.raises(DataError, match=f"{tmp_path}/x.jpg: .*{message}") as caught:
        decode(tmp_path / "x.jpg", AS_IT_IS)
    assert "\n" not in str(caught.value)


def test_a_colour_that_is_named_transparent_and_does_not_occur_is_fine(tmp_path: Path):
    (tmp_path / "x").write_bytes(png(1, 1, 8, 0, b"\0\7", chunk(b"tRNS", b"\0\x08")))
    assert decode(tmp_path / "x", GREY).tolist() == [[[7]]]


def test_files_that_are_not_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=f"{tmp_path}: is not a regular file"):
        decode(tmp_path, AS_IT_IS)
    with pytest.raises(DataError, match="there is no such file"):
        decode(tmp_path / "absent", AS_IT_IS)
    (tmp_path / "large").write_bytes(b"\xff\xd8\xff" + bytes(100))
    monkeypatch.setattr(_images, "_MOST_BYTES", 100)
    with pytest.raises(DataError, match="holds 103 bytes, at most 100 are read"):
        decode(tmp_path / "large", AS_IT_IS)


def test_what_the_machine_cannot_read_is_its_fault(save: Save, monkeypatch: pytest.MonkeyPatch):
    path = save(COLOURS)

    def refuse(self: Path, *args: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MachineError, match=f"{path}: cannot be read: Permission denied"):
        decode(path, AS_IT_IS)


def test_a_decoder_out_of_memory_is_not_a_damaged_file(save: Save, monkeypatch: pytest.MonkeyPatch):
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr(_images, "_pixels", fail)
    with pytest.raises(MemoryError):
        decode(save(COLOURS), AS_IT_IS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "progressive JPEG", "PNG with a palette"])
def test_mutated_images_decode_or_are_data_errors(kind: str, tmp_path: Path):
    """300 files each with bytes changed, cut, doubled or moved: an array of bytes or a DataError, in no time."""
    rng, form = np.random.default_rng(7), ImageForm("rgb", (8, 8), "crop")
    image = noise(16, 16)
    if "palette" in kind:
        image = image.quantize(16)
    whole = encoded(image, kind.split()[-1] if "JPEG" in kind else "PNG", progressive="prog" in kind)
    path, errors = tmp_path / "mutant.png", 0
    for _ in range(300):
        path.write_bytes(mutant(whole, rng))
        try:
            with only_errors():
                found = decode(path, form)
            assert found.shape == (8, 8, 3)
            assert found.dtype == np.uint8
        except DataError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
            errors += 1
    assert errors > 50


def mutant(whole: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        at, how = int(rng.integers(len(data))), rng.integers(5)
        if how == 0:
            data[at] = int(rng.integers(256))
        elif how == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif how == 2:
            del data[max(1, at) :]
        elif how == 3:
            data[at:at] = data[at : at + int(rng.integers(64))]
        else:
            data[at : at + 4] = bytes(rng.choice([0, 255], 4).astype(np.uint8))
    return bytes(data)
