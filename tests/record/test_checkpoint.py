"""Checkpoints: what is saved comes back to the bit, and no damage passes unnoticed."""

from __future__ import annotations

import json
import random
import shutil

import ml_dtypes
import numpy as np
import pytest

from nnrun.errors import DivergedError, RunError
from nnrun.record import checkpoint, pack

KINDS = [*pack.STORABLE]


def some_arrays(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "params/kernel": rng.standard_normal((3, 4)).astype(np.float32),
        "params/scale": rng.standard_normal(5).astype(ml_dtypes.bfloat16),
        "opt_state/count": np.array(seed, np.int32),
        "key": rng.integers(0, 2**32, 2, np.uint32),
    }


def same(a, b):
    return a.keys() == b.keys() and all(
        a[p].dtype == b[p].dtype and a[p].shape == b[p].shape and a[p].tobytes() == b[p].tobytes() for p in a
    )


def fill(folder, last=3):
    for step in range(1, last + 1):
        checkpoint.save(folder, step, some_arrays(step), {"best": step}, 10 * step)


def names(folder):
    return sorted(child.name for child in folder.iterdir())


def unexpected(message):
    raise AssertionError(message)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(), (0, 3), (3,), (2, 3, 4)])
def test_every_type_and_shape_comes_back_to_the_bit(kind, shape, tmp_path):
    array = np.random.default_rng(1).integers(0, 2, shape).astype(pack.dtype(kind))
    found = checkpoint.load(checkpoint.save(tmp_path, 1, {"a": array, "b": np.uint8([1])}, {}, 0))
    assert same(found.arrays, {"a": array, "b": np.uint8([1])})


def test_special_numbers_and_bytes_survive(tmp_path):
    tiny = np.array([-0.0, np.finfo(np.float32).smallest_subnormal, np.finfo(np.float32).max], np.float32)
    progress = {"best": 0.1, "at": None, "name": "é\u2028", "list": [1, 2.0], "nested": {"a": True}}
    path = checkpoint.save(tmp_path, 123, {"tiny": tiny}, progress, 2**40)
    found = checkpoint.load(path)
    assert path.name == "step_00000123"
    assert (found.step, found.progress, found.metrics_offset) == (123, progress, 2**40)
    assert same(found.arrays, {"tiny": tiny})


def test_transposed_strided_and_big_endian_arrays_are_stored_by_value(tmp_path):
    base = np.arange(12.0).reshape(3, 4)
    given = {
        "t": base.T,
        "s": base[::2, ::-1],
        "b": base.astype(">f8"),
        "n": np.broadcast_to(base, (2, 3, 4)),
    }
    found = checkpoint.load(checkpoint.save(tmp_path, 1, given, {}, 0)).arrays
    for name, array in given.items():
        np.testing.assert_array_equal(found[name], array)


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    items = list(some_arrays().items())
    one = checkpoint.save(tmp_path / "a", 5, dict(items), {"x": 1, "y": 2}, 3)
    two = checkpoint.save(tmp_path / "b", 5, dict(items[::-1]), {"y": 2, "x": 1}, 3)
    assert [(one / n).read_bytes() for n in names(one)] == [(two / n).read_bytes() for n in names(two)]
    assert names(one) == ["arrays.safetensors", "manifest.json"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64", "complex64"])
def test_what_is_not_finite_is_not_saved(kind, bad, tmp_path):
    array = np.zeros((2, 2)).astype(pack.dtype(kind))
    array[1, 1] = bad
    with pytest.raises(DivergedError, match="step 7: params/b holds NaN or infinity"):
        checkpoint.save(tmp_path, 7, {"params/a": np.zeros(1), "params/b": array}, {}, 0)
    assert names(tmp_path) == []


def test_what_cannot_be_stored_is_refused_before_a_file_is_made(tmp_path):
    for array in (np.array([None]), np.array(["a"]), np.zeros(1, np.complex128)):
        with pytest.raises(TypeError, match="cannot be stored"):
            checkpoint.save(tmp_path, 1, {"a": array}, {}, 0)
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.save(tmp_path, 1, {}, {"best": float("inf")}, 0)
    assert names(tmp_path) == []


def test_saving_a_step_again(tmp_path):
    path = checkpoint.save(tmp_path, 1, some_arrays(1), {}, 5)
    inode = path.stat().st_ino
    checkpoint.save(tmp_path, 1, some_arrays(1), {}, 5)
    assert path.stat().st_ino == inode  # untouched
    for damage in (b"", (path / "arrays.safetensors").read_bytes()[:-1] + b"?"):
        (path / "arrays.safetensors").write_bytes(damage)
        checkpoint.save(tmp_path, 1, some_arrays(1), {}, 5)
        assert same(checkpoint.load(path).arrays, some_arrays(1))
    checkpoint.save(tmp_path, 1, some_arrays(1), {}, 6)  # a good one, but of another history
    assert checkpoint.load(path).metrics_offset == 6
    assert names(tmp_path) == ["step_00000001"]


def test_steps_are_ordered_as_numbers_and_leftovers_ignored(tmp_path):
    for step in (100_000_000, 99_999_999, 3):
        checkpoint.save(tmp_path, step, {}, {}, 0)
    for name in (".tmp_step_00000009", ".trash_step_00000008", "step_7", "notes"):
        (tmp_path / name).mkdir()
    assert checkpoint.steps(tmp_path) == [3, 99_999_999, 100_000_000]
    assert checkpoint.load_latest(tmp_path, unexpected).step == 100_000_000
    assert checkpoint.steps(tmp_path / "absent") == []


def test_load_latest_falls_back_and_says_so(tmp_path):
    assert checkpoint.load_latest(tmp_path, unexpected) is None
    fill(tmp_path)
    (tmp_path / "step_00000003" / "manifest.json").unlink()
    (tmp_path / "step_00000002" / "arrays.safetensors").write_bytes(b"")
    warnings = []
    assert checkpoint.load_latest(tmp_path, warnings.append).step == 1
    assert len(warnings) == 2 and "step_00000003/manifest.json" in warnings[0]
    assert all("\n" not in warning and "skipped" in warning for warning in warnings)
    shutil.rmtree(tmp_path / "step_00000001")
    with pytest.raises(RunError, match="none of 2 checkpoints is good"):
        checkpoint.load_latest(tmp_path, warnings.append)


@pytest.mark.parametrize("other", [1, pack.FORMAT + 1])
def test_another_format_is_neither_damage_nor_passed_over(other, tmp_path):
    fill(tmp_path, 2)
    path = tmp_path / "step_00000002" / "manifest.json"
    manifest = json.loads(path.read_bytes())
    del manifest["sha256"]
    path.write_bytes(pack.seal({**manifest, "format": other}))
    message = f"format {other}, this nnrun reads {pack.FORMAT}; use the nnrun that wrote it"
    with pytest.raises(RunError, match=message):
        checkpoint.load_latest(tmp_path, unexpected)
    with pytest.raises(RunError, match="use the nnrun that wrote it"):
        checkpoint.load_latest(tmp_path, unexpected)
    checkpoint.prune(tmp_path, 2)
    assert checkpoint.steps(tmp_path) == [1, 2]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"leaves": {"a": {"shape": [1], "dtype": "object"}}}, "different shapes"),
        ({"leaves": {}}, "different leaves"),
        ({"leaves": {"a": {"shape": [3], "dtype": "float32"}}}, "different shapes"),
        ({"leaves": {"a": {"shape": [2], "dtype": "float64"}}}, "different shapes"),
        ({"leaves": {"a": {"shape": [2], "dtype": "object"}}}, "different shapes|object"),
        ({"leaves": 3}, "leaves|keys"),
        ({"files": {}}, "KeyError"),
    ],
)
def test_a_forged_manifest_with_right_hashes_is_refused(changes, what, tmp_path):
    path = checkpoint.save(tmp_path, 1, {"a": np.float32([1, 2])}, {}, 0)
    manifest = json.loads((path / "manifest.json").read_bytes())
    del manifest["sha256"]
    (path / "manifest.json").write_bytes(pack.seal({**manifest, **changes}))
    with pytest.raises(RunError, match=what):
        checkpoint.load(path)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"3", b'{"sha256": 1}', b"[" * 100_000, b"\xff", b"null"])
def test_a_manifest_that_is_no_manifest(text, tmp_path):
    path = checkpoint.save(tmp_path, 1, {}, {}, 0)
    (path / "manifest.json").write_bytes(text)
    with pytest.raises(RunError, match=r"manifest\.json: its content and its own SHA-256 differ"):
        checkpoint.load(path)


def damage(folder, rng):
    """Changes one file of a checkpoint among three; returns which and how."""
    path = folder / f"step_{rng.randint(1, 3):08d}" / rng.choice([pack.ARRAYS, pack.MANIFEST])
    data = bytearray(path.read_bytes())
    how = rng.choice(["flip", "flip", "flip", "zero", "truncate", "grow", "delete", "swap", "swap folders"])
    at = rng.randrange(len(data))
    if how == "flip":
        data[at] ^= 1 << rng.randrange(8)
    elif how == "zero":
        data[at : at + 512] = bytes(len(data[at : at + 512]))
    elif how == "truncate":
        del data[at:]
    elif how == "grow":
        data += bytes(rng.randint(1, 9))
    path.write_bytes(data)
    if how == "delete":
        path.unlink()
    elif how.startswith("swap"):
        step = rng.choice([s for s in (1, 2, 3) if f"{s:08d}" not in str(path)])
        one, two = path, folder / f"step_{step:08d}" / path.name
        if how == "swap folders":
            one, two = one.parent, two.parent
        one.rename(folder / "x")
        two.rename(one)
        (folder / "x").rename(two)
    return f"{how} {path.name} at {at}"


def silent_differences(folder, trials, seed):
    """Damages that `load` did not notice though what it gave was not what had been saved."""
    original, found = folder / "original", []
    original.mkdir()
    fill(original)
    for trial in range(trials):
        place = folder / "place"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(original, place)
        what = damage(place, random.Random(f"{seed} {trial}"))
        for step in (1, 2, 3):
            try:
                got = checkpoint.load(place / f"step_{step:08d}")
            except RunError as error:
                assert "\n" not in str(error)
                continue
            right = (got.step, got.progress, got.metrics_offset) == (step, {"best": step}, 10 * step)
            if not (right and same(got.arrays, some_arrays(step))):
                found.append(what)
    return found


def test_no_damage_is_silent(tmp_path):
    assert silent_differences(tmp_path, trials=1000, seed=1) == []


def test_without_the_hashes_damage_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(pack, "_sha256", lambda data: "same")
    assert silent_differences(tmp_path, trials=60, seed=1)


def test_prune_keeps_the_newest_and_the_protected(tmp_path):
    fill(tmp_path, 6)
    for name in (".tmp_step_00000009", ".trash_step_00000001"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    checkpoint.prune(tmp_path, keep=3, protect={2})
    assert names(tmp_path) == [f"step_{step:08d}" for step in (2, 4, 5, 6)]
    checkpoint.prune(tmp_path, keep=0)
    assert checkpoint.steps(tmp_path) == [5, 6]


def test_prune_does_not_count_the_damaged(tmp_path):
    fill(tmp_path, 5)
    (tmp_path / "step_00000005" / "manifest.json").write_bytes(b"{}")
    (tmp_path / "step_00000003" / "arrays.safetensors").write_bytes(b"short")
    checkpoint.prune(tmp_path, keep=2)
    assert checkpoint.steps(tmp_path) == [2, 3, 4, 5]
    for step in (2, 4):
        (tmp_path / f"step_{step:08d}" / "manifest.json").unlink()
    checkpoint.prune(tmp_path, keep=2)  # none is good: nothing is safe to remove
    assert checkpoint.steps(tmp_path) == [2, 3, 4, 5]


def test_check_structure_names_the_first_leaf_that_differs():
    arrays = {"a": np.zeros((2, 3), np.float32), "b": np.zeros(3, ml_dtypes.bfloat16)}
    good = {"a": ((2, 3), np.float32), "b": ((3,), "bfloat16")}
    checkpoint.check_structure(arrays, good, "runs/x")
    for change, message in [
        (
            {"a": ((2, 4), "float32")},
            r"runs/x: a is float32 \[2, 3\] in the checkpoint and float32 \[2, 4\] in",
        ),
        ({"b": ((3,), "float32")}, r"b is bfloat16 \[3\] in the checkpoint and float32 \[3\] in the model"),
        ({"c": ((), "int32")}, r"c is absent in the checkpoint and int32 \[\] in the model"),
    ]:
        with pytest.raises(RunError, match=message):
            checkpoint.check_structure(arrays, {**good, **change}, "runs/x")
    with pytest.raises(RunError, match=r"b is bfloat16 \[3\] in the checkpoint and absent in the model"):
        checkpoint.check_structure(arrays, {"a": good["a"]}, "runs/x")
