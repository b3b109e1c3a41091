"""Image folders: which files are taken, in which order, and what is cached and when it is not believed."""

from __future__ import annotations

import fcntl
import io
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nnrun import machine
from nnrun.data import _image_batches, _image_cache, _image_tree
from nnrun.data._prepare import prepare
from nnrun.data._undecoded import Undecoded
from nnrun.data.image_folder import image_folder
from nnrun.errors import DataError, MachineError
from nnrun.storage import disk
from nnrun.types import Source


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("NNRUN_DATA_DIR", raising=False)
    return tmp_path / "cache" / "nnrun"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names: list[str] = []
    original = _image_batches.decode_bytes

    def count(image: Undecoded, form: Any) -> np.ndarray:
        names.append(Path(image.place).name)
        return original(image, form)

    monkeypatch.setattr(_image_batches, "decode_bytes", count)
    return names


def put(path: Path, value: int = 0, shape: tuple[int, ...] = (4, 5, 3)) -> Path:
    """A PNG of one value."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path, "PNG")
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes: dog with images of value 10 and 11, cat with 20, 21, 22."""
    top = tmp_path / "pets"
    for value, name in (
        (10, "dog/b.png"),
        (11, "dog/c.jpg"),
        (20, "cat/1"),
        (21, "cat/10"),
        (22, "cat/in/2"),
    ):
        put(top / name, value)
    return top


def content(source: Source) -> list[tuple[int, str]]:
    """(value, class) of each training image, in order."""
    assert (source.train.x == source.train.x[:, :1, :1, :1]).all()
    return [(int(x[0, 0, 0]), source.classes[y]) for x, y in zip(source.train.x, source.train.y, strict=True)]


PETS = [(20, "cat"), (21, "cat"), (22, "cat"), (10, "dog"), (11, "dog")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Dog", r"pets/dog: differs from Dog only in upper and lower case, and would be two classes"),
        (
            "a\u0308",
            "looks like .*, contains another way to write .*, and would be two classes; put their images",
        ),
        ("d", None),
        ("D", None),
    ],
)
def test_folders_that_look_the_same_are_not_two_classes(tree: Path, name: str, message: str | None):
    put(tree / name / "1.png")
    put(tree / "d/2.png")
    put(tree / "\u00e4/2.png")
    if message is None:  # two letters
        assert set(image_folder(str(tree)).classes) == {"cat", "d", "dog", "\u00e4", name}
        return
    with pytest.raises(DataError, match=message):
        image_folder(str(tree))


def test_classes_and_images_are_sorted_whatever_their_suffix(tree: Path):
    source = image_folder(str(tree))
    assert source.classes == ("cat", "dog")
    assert content(source) == PETS
    assert source.train.x.shape == (5, 4, 5, 3)
    assert source.train.y.dtype == np.int32
    assert source.test is None
    assert source.standardize == "image"


def test_the_images_stay_on_disk_read_only(tree: Path):
    x = image_folder(str(tree)).train.x
    assert isinstance(x, np.memmap)
    assert not x.flags.writeable


@pytest.mark.parametrize("name", ["__MACOSX", "@eaDir", "__pycache__"])
def test_what_programs_leave_behind_is_no_class(name: str, tree: Path):
    put(tree / name / "a.png", 3)
    assert _image_tree.subfolders(tree) == ["cat", "dog"]


def test_hidden_files_and_files_beside_the_classes_do_not_count(tree: Path):
    (tree / "README.md").write_text("pets")
    (tree / ".git").mkdir()
    (tree / "dog" / ".DS_Store").write_bytes(b"x")
    (tree / "dog" / ".thumbs").mkdir()
    (tree / "dog" / ".thumbs" / "b.png").write_bytes(b"x")
    assert content(image_folder(str(tree))) == PETS


@pytest.mark.parametrize("test", ["test", "val"])
def test_train_and_test_folders_are_the_two_parts(test: str, tmp_path: Path):
    put(tmp_path / "set/train/a/1", 1)
    put(tmp_path / "set/train/b/1", 2)
    put(tmp_path / f"set/{test}/b/1", 3)
    source = image_folder(str(tmp_path / "set"))
    assert content(source) == [(1, "a"), (2, "b")]
    assert source.test is not None
    assert source.test.x[:, 0, 0, 0].tolist() == [3]
    assert source.test.y.tolist() == [1]  # the training part's b, though it is the only class there


def test_a_test_folder_elsewhere(tree: Path, tmp_path: Path):
    put(tmp_path / "more/dog/1", 7)
    source = image_folder(str(tree), test_path=str(tmp_path / "more"))
    assert content(source) == PETS
    assert source.test is not None
    assert source.test.y.tolist() == [1]


def test_only_the_training_folder_of_three(tmp_path: Path):
    for part in ("train", "test", "val"):
        put(tmp_path / f"set/{part}/a/1")
        put(tmp_path / f"set/{part}/b/1")
    with pytest.raises(DataError, match=r"holds train/, test/ and val/.*data.path: .*data.test_path: .*test"):
        image_folder(str(tmp_path / "set"))
    source = image_folder(str(tmp_path / "set"), test_path=str(tmp_path / "set/val"))
    assert len(source.train.y) == 2


def test_train_can_be_a_class_among_others(tmp_path: Path):
    put(tmp_path / "vehicles/train/1", 1)
    put(tmp_path / "vehicles/bus/1", 2)
    assert content(image_folder(str(tmp_path / "vehicles"))) == [(2, "bus"), (1, "train")]
    put(tmp_path / "two/train/1", 1)
    put(tmp_path / "two/test/1", 2)
    assert content(image_folder(str(tmp_path / "two"))) == [(2, "test"), (1, "train")]


@pytest.mark.parametrize(
    "names",
    [
        ("train", "valid"),
        ("train", "validation"),
        ("Train", "Test"),
        ("train", "test", "valid"),
        ("training", "dev"),
    ],
)
def test_parts_under_other_names_are_not_two_classes(names: tuple[str, ...], tmp_path: Path):
    for part in names:
        put(tmp_path / f"set/{part}/a/1")
        put(tmp_path / f"set/{part}/b/1")
    with pytest.raises(DataError) as caught:
        image_folder(str(tmp_path / "set"))
    assert f"set: holds {'/, '.join(sorted(names))}/, which look like parts" in str(caught.value)
    assert f"rename them to train/ and test/, or write data.path: {tmp_path}/set/{names[0]} " in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    source = image_folder(str(tmp_path / "set" / names[0]), test_path=str(tmp_path / "set" / names[-1]))
    assert source.classes == ("a", "b") and source.test is not None


def test_the_environment_names_the_folder(tree: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(DataError, match=r"data.path: which folder .* or set NNRUN_DATA_DIR"):
        image_folder()
    monkeypatch.setenv("NNRUN_DATA_DIR", str(tree))
    assert content(image_folder()) == PETS


def test_size_and_channels(tree: Path):
    put(tree / "cat/large", 30, (40, 50))
    source = image_folder(str(tree), size=[2, 3], channels="grey")
    assert source.train.x.shape == (6, 2, 3, 1)
    assert content(source) == [*PETS[:2], (22, "cat"), (30, "cat"), *PETS[3:]]


def test_images_of_different_sizes_are_named_with_the_remedy(tree: Path):
    put(tree / "dog/d", 30, (40, 50, 3))
    with pytest.raises(DataError) as caught:
        image_folder(str(tree))
    assert str(caught.value) == (
        f"{tree}/dog/d: is 50 wide and 40 high, {tree}/cat/1 is 5 wide and 4 high; set data.size: [4, 5] "
        "(height, width) or another size to have all images brought to it"
    )


def test_all_bad_images_are_named_at_once(tree: Path, monkeypatch: pytest.MonkeyPatch, cache: Path):
    """Also the first, from which the shape would be read, and across groups; of many, the first five."""
    monkeypatch.setattr(_image_batches, "_MOST_AT_ONCE", 1)
    (tree / "cat" / "0").write_bytes(b"no image")
    put(tree / "cat" / "2", 30, (4, 6, 3))
    (tree / "dog" / "z.png").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        image_folder(str(tree))
    lines = str(caught.value).split("\n")
    assert [line.partition(": ")[0] for line in lines] == [
        str(tree / name) for name in ("cat/0", "cat/2", "dog/z.png")
    ]
    assert "is 6 wide and 4 high" in lines[1] and "cat/1 is 5 wide" in lines[1]
    assert leftovers(cache) == []
    for i in range(9):
        (tree / "dog" / f"bad-{i}").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        image_folder(str(tree))
    lines = str(caught.value).split("\n")
    assert len(lines) == 6 and lines[-1].startswith("and others")


def hostile(tree: Path, outside: Path) -> dict[str, tuple[Callable[[], object], str]]:
    """What is done to the tree, and the message that must follow."""
    return {
        "no folders": (
            lambda: (tree.rename(tree.with_name("x")) and None) or put(tree / "a.png"),
            "holds no folders",
        ),
        "no tree": (lambda: tree.rename(tree.with_name("x")), "pets: there is no such folder"),
        "a file for a tree": (
            lambda: (tree.rename(tree.with_name("x")) and None) or tree.write_bytes(b""),
            "pets: is not a folder",
        ),
        "one class": (lambda: (tree / "cat").rename(tree / ".cat"), "pets: holds one class only, dog"),
        "an empty class": (lambda: (tree / "cow").mkdir(), "pets/cow: this class has no images"),
        "a class with hidden files": (
            lambda: (tree / "cow").mkdir() or (tree / "cow/.x").write_text(""),
            "pets/cow: this class has no images",
        ),
        "a link out of the tree": (
            lambda: (tree / "dog/z").symlink_to(put(outside / "a.png")),
            f"pets/dog/z: is a link that leads out of {tree}, to {outside}/a.png",
        ),
        "a folder linked from outside": (
            lambda: put(outside / "a.png") and (tree / "cow").symlink_to(outside),
            "pets/cow: is a link that leads out",
        ),
        "a circle": (lambda: (tree / "dog/up").symlink_to(tree / "dog"), "dog/up: is a link to a folder"),
        "a link to itself": (lambda: (tree / "dog/up").symlink_to("up"), "dog/up: leads to no file"),
        "a link to nothing": (lambda: (tree / "dog/z").symlink_to("gone"), "dog/z: leads to no file"),
        "a pipe": (lambda: os.mkfifo(tree / "dog/pipe"), "dog/pipe: is not a regular file"),
        "a text": (lambda: (tree / "dog/a.jpg").write_text("hello"), "dog/a.jpg: starts with 68 65"),
        "a deep tree": (lambda: put(tree / "dog" / "/".join("x" * 20) / "1"), "16 folders below its class"),
        "control characters": (
            lambda: put(tree / "do\n\x1b[31mg" / "1"),
            r"pets/do\\n\\x1b\[31mg: this name",
        ),
        "not Unicode": (
            lambda: put(tree / os.fsdecode(b"\xff") / "1"),
            "this name of a class cannot be printed",
        ),
    }


@pytest.mark.parametrize("case", hostile(Path(), Path()))
def test_a_hostile_tree_is_a_data_error_on_one_line(case: str, tree: Path, tmp_path: Path, cache: Path):
    harm, message = hostile(tree, tmp_path / "outside")[case]
    harm()
    with pytest.raises(DataError, match=message) as caught:
        image_folder(str(tree))
    assert "\n" not in str(caught.value)
    assert leftovers(cache) == []


def leftovers(cache: Path) -> list[str]:
    """What a failed decoding left behind, but for the lock."""
    return [path.name for path in cache.glob("images-*/*") if path.name != "lock"]


@pytest.mark.parametrize("part", ["train", "test", "val"])
@pytest.mark.parametrize("outside", [True, False])
def test_a_linked_part_is_refused(part: str, outside: bool, tmp_path: Path):
    """As a linked class is: one that leads out of the tree, and one to a folder in it."""
    place = tmp_path / ("elsewhere" if outside else "top/train/in")
    for name in ("a", "b"):
        put(place / name / "1.png")
        put(tmp_path / "top/train" / name / "1.png")
    if part == "train":
        (tmp_path / "top/train").rename(tmp_path / "top/test")
        place = tmp_path / "top/test/in" if not outside else place
    (tmp_path / f"top/{part}").symlink_to(place)
    message = "is a link that leads out of" if outside else "is a link to a folder, which is not followed"
    with pytest.raises(DataError, match=f"top/{part}: {message}"):
        image_folder(str(tmp_path / "top"))


def test_a_link_inside_the_tree_is_an_image(tree: Path):
    (tree / "dog/z").symlink_to(tree / "cat/1")
    assert content(image_folder(str(tree))) == [*PETS, (20, "dog")]


def test_a_class_of_the_test_part_that_is_not_trained_on(tree: Path, tmp_path: Path):
    put(tmp_path / "more/cow/1")
    with pytest.raises(DataError, match=r"more/cow: there is no such class in .*pets, which has cat, dog"):
        image_folder(str(tree), test_path=str(tmp_path / "more"))


def test_a_size_beyond_reason(tree: Path):
    with pytest.raises(DataError, match=r"data.size: 100000x100000 is more than 67108864 pixels"):
        image_folder(str(tree), size=[100_000, 100_000])


def test_a_folder_that_cannot_be_listed_is_the_machines_fault(tree: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(path: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_image_tree.os, "scandir", refuse)
    with pytest.raises(MachineError, match="pets: cannot be listed: Permission denied"):
        image_folder(str(tree))


# The cache


def test_the_second_time_nothing_is_decoded(tree: Path, decoded: list[str], cache: Path):
    first = image_folder(str(tree))
    assert sorted(decoded) == ["1", "1", "10", "2", "b.png", "c.jpg"]  # the first of all gives the shape
    decoded.clear()
    second = image_folder(str(tree))
    assert decoded == []
    np.testing.assert_array_equal(first.train.x, second.train.x)
    [folder] = cache.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "manifest.json", "pixels-0"]


CHANGES: dict[str, Callable[[Path], object]] = {
    "new pixels": lambda top: put(top / "cat/1", 99),
    "an image more": lambda top: put(top / "cat/3", 99),
    "an image less": lambda top: (top / "cat/1").unlink(),
    "another name": lambda top: (top / "cat/1").rename(top / "cat/9"),
    "another class": lambda top: (top / "cat/1").rename(top / "dog/1"),
    "another time": lambda top: os.utime(top / "cat/1", ns=(0, 0)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_tree_is_decoded_anew_in_the_same_place(
    change: str, tree: Path, decoded: list[str], cache: Path
):
    before = image_folder(str(tree)).train.x
    held = before.copy()
    CHANGES[change](tree)
    decoded.clear()
    after = image_folder(str(tree))
    assert len(decoded) == len(after.train.y) + 1
    values = {path.name: np.asarray(Image.open(path))[0, 0, 0] for path in tree.rglob("*") if path.is_file()}
    assert sorted(after.train.x[:, 0, 0, 0].tolist()) == sorted(map(int, values.values()))
    assert len(list(cache.iterdir())) == 1
    np.testing.assert_array_equal(before, held)  # who has mapped the old images keeps them


def test_same_size_and_time_do_not_hide_new_pixels(tree: Path, decoded: list[str]):
    """As after an exchange that sets the time back: the time of the change of the entry cannot be set."""
    image_folder(str(tree))
    path, found = tree / "cat/1", (tree / "cat/1").stat()
    put(path, 99)
    data = path.read_bytes()
    assert len(data) <= found.st_size + 8
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert content(image_folder(str(tree)))[0] == (99, "cat")


def test_other_options_have_a_cache_of_their_own(tree: Path, decoded: list[str], cache: Path):
    forms: list[dict[str, Any]] = [
        {},
        {"size": [4, 5]},
        {"channels": "grey"},
        {"size": [4, 5], "resize": "pad"},
    ]
    for options in forms:
        image_folder(str(tree), **options)
    decoded.clear()
    for options in forms:
        image_folder(str(tree), **options)
    assert decoded == []
    assert len(list(cache.iterdir())) == len(forms)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


SHAPE = {"name": "pixels-0", "shape": [5, 5, 4, 3], "sha256": ""}
DAMAGE: dict[str, Callable[[Path], object]] = {
    "the first bit": lambda c: flip(c / "pixels-0", 0),
    "the last bit": lambda c: flip(c / "pixels-0", -1),
    "a byte less": lambda c: (c / "pixels-0").write_bytes((c / "pixels-0").read_bytes()[:-1]),
    "a byte more": lambda c: (c / "pixels-0").write_bytes((c / "pixels-0").read_bytes() + b"x"),
    "no pixels": lambda c: (c / "pixels-0").unlink(),
    "no manifest": lambda c: (c / "manifest.json").unlink(),
    "an empty manifest": lambda c: (c / "manifest.json").write_text(""),
    "a manifest that is a list": lambda c: (c / "manifest.json").write_text("[]"),
    "a manifest without pixels": lambda c: edit(c / "manifest.json", pixels=None),
    "no files": lambda c: edit(c / "manifest.json", pixels=[]),
    "another shape": lambda c: edit(c / "manifest.json", pixels=[SHAPE]),
    "a name elsewhere": lambda c: edit(c / "manifest.json", pixels=[{**SHAPE, "name": "/etc/passwd"}]),
    "a deep manifest": lambda c: (c / "manifest.json").write_text("[" * 60_000),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_noticed_and_decoded_anew(
    damage: str, tree: Path, decoded: list[str], cache: Path
):
    image_folder(str(tree))
    [folder] = cache.iterdir()
    DAMAGE[damage](folder)
    decoded.clear()
    assert content(image_folder(str(tree))) == PETS
    assert len(decoded) == 6
    decoded.clear()
    assert content(image_folder(str(tree))) == PETS
    assert decoded == []


def test_the_shape_is_part_of_the_digest(tree: Path, decoded: list[str], cache: Path):
    image_folder(str(tree))
    [manifest] = cache.glob("*/manifest.json")
    [file] = json.loads(manifest.read_text())["pixels"]
    edit(manifest, pixels=[{**file, "shape": [5, 5, 4, 3]}])
    assert image_folder(str(tree)).train.x.shape == (5, 4, 5, 3)


def test_what_others_could_write_to_is_not_used(tree: Path, cache: Path):
    image_folder(str(tree))
    [folder] = cache.iterdir()
    folder.chmod(0o770)
    with pytest.raises(
        MachineError,
        match=f"{folder}: this cache of images belongs to another user or is open to others; remove it",
    ):
        image_folder(str(tree))


def test_a_cache_that_cannot_be_written_is_the_machines_fault(tree: Path, cache: Path):
    cache.parent.mkdir()
    cache.write_bytes(b"a file where the folder should be")
    with pytest.raises(MachineError, match=r"cache of decoded images cannot be written: .*XDG_CACHE_HOME"):
        image_folder(str(tree))


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_failing_disk_leaves_nothing_that_looks_whole(
    call: str, tree: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(disk.System, call, staticmethod(fail))
        with pytest.raises(MachineError, match="No space left on device; set XDG_CACHE_HOME"):
            image_folder(str(tree))
    assert leftovers(cache) == []
    assert content(image_folder(str(tree))) == PETS


def test_too_little_space_is_found_before_anything_is_decoded(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_image_cache.shutil, "disk_usage", lambda path: Free)
    with pytest.raises(MachineError, match=r"the decoded images need .* GiB here, .* free; .*data.size"):
        image_folder(str(tree))


class Free:
    free = 299  # bytes; the five images need 300


def test_an_interruption_leaves_nothing_half_written(
    tree: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(self: object, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_image_cache.ProgressLine, "show", interrupt)
        with pytest.raises(KeyboardInterrupt):
            image_folder(str(tree))
    assert leftovers(cache) == []


KILLED = """
    import os, signal, sys
    from nnrun.data import _image_cache
    from nnrun.data.image_folder import image_folder
    from nnrun.storage import disk
    name = sys.argv[2]
    def die(*args): os.kill(os.getpid(), signal.SIGKILL)
    if name == "show": _image_cache.ProgressLine.show = die
    if name == "rename": disk.System.rename = staticmethod(die)
    if name == "sync": disk.sync_folder = die
    image_folder(sys.argv[1])
"""


@pytest.mark.quick("rename")
@pytest.mark.parametrize("at", ["show", "sync", "rename"])
def test_a_killed_decoding_is_begun_again(at: str, tree: Path, cache: Path, decoded: list[str]):
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tree), at], timeout=60)
    assert done.returncode == -9
    assert content(image_folder(str(tree))) == PETS
    assert len(decoded) == 6
    [folder] = cache.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "manifest.json", "pixels-0"]


def test_a_second_process_waits_for_the_first_and_decodes_nothing(
    tree: Path, cache: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
):
    image_folder(str(tree))
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    [folder] = cache.iterdir()
    manifest = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    decoded.clear()
    with (folder / "lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found: list[Source] = []
        thread = threading.Thread(target=lambda: found.append(image_folder(str(tree))))
        thread.start()
        end = time.monotonic() + 20
        while not terminal.getvalue().endswith("waiting for it\n") and time.monotonic() < end:
            time.sleep(0.005)
        assert not found
        (folder / "manifest.json").write_bytes(manifest)  # the first has finished
        fcntl.flock(held, fcntl.LOCK_UN)
        thread.join(timeout=20)
    assert content(found[0]) == PETS
    assert decoded == []
    assert terminal.getvalue().endswith("another nnrun is decoding these images: waiting for it\n")


def test_many_batches_keep_the_order_on_any_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for value in range(60):
        put(tmp_path / "set" / f"class{value % 2}" / f"{value:02}", value)
    monkeypatch.setattr(_image_batches, "_MOST_AT_ONCE", 4)
    wanted = [*range(0, 60, 2), *range(1, 60, 2)]
    for threads, form in ((1, "pad"), (3, "crop")):
        monkeypatch.setattr(machine, "cores", lambda threads=threads: list(range(threads)))
        found = image_folder(str(tmp_path / "set"), size=[4, 5], resize=form).train.x
        assert found[:, 0, 0, 0].tolist() == wanted


def test_progress_is_shown_on_a_terminal_only(tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any):
    image_folder(str(tree), channels="grey")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    image_folder(str(tree))
    assert capsys.readouterr().err == "\rdecoding 5 images: 100%\n"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Some of the real JPEG images of CIFAR-10, unpacked."""
    yield from unpacked(tmp_path_factory.mktemp("cifar10"))


def unpacked(folder: Path) -> Iterator[Path]:
    """The first 20 images of each class and part."""
    import tarfile

    root = Path(__file__).resolve().parents[2]
    tops = [Path(top) for top in (os.environ.get("NNRUN_DATA_DIR"), root / "../shared/data") if top]
    archive = next(
        (top / "cifar10-jpeg.tar.gz" for top in tops if (top / "cifar10-jpeg.tar.gz").exists()), None
    )
    if archive is None:
        pytest.skip("cifar10-jpeg.tar.gz is not here; set NNRUN_DATA_DIR to the folder that holds it")
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isreg() and int(Path(member.name).stem) < 20:
                target = folder / member.name
                target.parent.mkdir(parents=True, exist_ok=True)
                stream = tar.extractfile(member)
                assert stream is not None
                target.write_bytes(stream.read())
    yield folder


def test_real_jpeg_images(real: Path):
    source = image_folder(str(real))
    assert source.test is not None
    assert source.train.x.shape == source.test.x.shape == (200, 32, 32, 3)
    assert source.classes[:3] == ("airplane", "automobile", "bird")
    assert np.bincount(source.train.y).tolist() == [20] * 10
    with Image.open(real / "train" / "bird" / "0003.jpg") as image:
        np.testing.assert_array_equal(source.train.x[43], np.asarray(image))


def test_each_example_of_a_part_knows_its_file(tmp_path: Path) -> None:
    top = tmp_path / "sets"
    for value in range(12):
        put(top / f"train/{'ab'[value % 2]}/{value}.png", value)
    put(top / "test/b/other.png", 99)
    dataset = prepare(image_folder(str(top)), validation=0.25, test=0.2, split_seed=3)
    assert list(dataset.files["test"]) == ["b/other.png"]
    for name in ("train", "val"):
        part = getattr(dataset, name)
        assert len(dataset.files[name]) == len(part.y) > 0
        for file, x, y in zip(dataset.files[name], part.x[:], part.y, strict=True):
            assert file == f"{'ab'[y]}/{x.flat[0]}.png"
