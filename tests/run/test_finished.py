"""A finished run stands for itself: its data may change, move or go, and it predicts the same bytes or refuses."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

TABLE = """
data: {name: csv, path: table.csv, target: y, categorical: [kind], batch_size: 16}
model: {name: mlp, hidden: [4], dropout: 0.2, norm: batch}
optimizer: {name: adam, learning_rate: 1e-2}
average: {name: ema, decay: 0.9}
train: {duration: 3 epochs, seeds: 2}
checkpoint: {every: 5 steps, keep: 10}
"""
NUMBERS = """
data: {name: csv, path: numbers.csv, target: y, categorical: [kind], batch_size: 16}
model: {name: linear}
loss: squared_error
optimizer: {name: adam, learning_rate: 1e-1}
train: {duration: 3 epochs}
"""
ARRAYS = """
data: {name: npz, path: arrays.npz, batch_size: 16}
model: {name: linear}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
IMAGES = """
data: {name: image_folder, path: images, batch_size: 8, size: [8, 8]}
model: {name: linear}
optimizer: {name: adam, learning_rate: 1e-3}
train: {duration: 2 epochs}
"""
OWN = """
data: {name: "mine:load", batch_size: 16}
model: {name: linear}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs}
"""
LOADER = """
import numpy as np
from nnrun.preprocessing import FittedColumn
from nnrun.types import Examples, Source

def load(path: str = "own.npy", scale: float = 2.0) -> Source:
    x = np.load({place!r}) * scale
    return Source(Examples(x, (x[:, 0] > 0).astype(np.int32)), None, ("low", "high"), "feature",
                  (FittedColumn("a"), FittedColumn("b"), FittedColumn("c")))
"""

Table = list[list[str]]


def table(target: Callable[[str, float], str]) -> Table:
    draw = np.random.default_rng(0)
    rows = [("uv"[i % 2], draw.normal(i % 2, 1)) for i in range(80)]
    return [["a", "kind", "b", "y"], *([f"{a:.4f}", k, f"{a * a:.3f}", target(k, a)] for k, a in rows)]


def write(file: Path, rows: Table) -> None:
    file.write_text("".join(",".join(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """Runs of every kind of data; `predict` needs nothing but their folders."""
    folder = tmp_path_factory.mktemp("finished")
    write(folder / "table.csv", table(lambda k, a: "yes" if a + (k == "u") > 0.8 else "no"))
    write(folder / "numbers.csv", table(lambda k, a: repr(1.7e9 + a + 3 * (k == "u"))))
    (folder / "new.csv").write_text("kind,b,a\nu,0.5,1.25\nv,-3,17\n")
    draw = np.random.default_rng(1)
    x = draw.normal(1e6, 1, (60, 3))
    np.savez(folder / "arrays.npz", x=x, y=(x[:, 0] > 1e6).astype(int))
    np.savez(folder / "new.npz", x=x[:5])
    np.save(folder / "own.npy", draw.normal(0, 1, (60, 3)))
    (folder / "mine.py").write_text(LOADER.format(place=str(folder / "own.npy")))
    for name, level in (("bright", 170), ("dark", 40)):
        (folder / "images" / name).mkdir(parents=True)
        for i in range(20):
            pixels = np.clip(draw.normal(level, 25, (8, 8, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / name / f"{i:02d}.png")
    (folder / "photos").mkdir()
    shutil.copy(folder / "images" / "dark" / "00.png", folder / "photos" / "new.png")
    specs = {"table": TABLE, "numbers": NUMBERS, "arrays": ARRAYS, "images": IMAGES, "own": OWN}
    for name, text in specs.items():
        (folder / f"{name}.yaml").write_text(text)
        done = warm("train", f"{name}.yaml", "--run-dir", f"runs/{name}", "--quiet", folder=folder)
        assert done.code == 0, done.err
    assert warm("ensemble", "table", "-o", "runs/both", "-q", folder=folder).code == 0
    return folder


@pytest.mark.slow
def test_a_lost_summary_is_written_again(
    home: Path, warm: Callable[..., Any], same: Callable[..., None], tmp_path
):
    """By `resume`, from the last checkpoint of each seed: the same bytes."""
    copied = shutil.copytree(home / "runs" / "table", tmp_path / "copied")
    for file in copied.rglob("summary.json"):
        file.unlink()
    done = warm("resume", copied, "-q", folder=home)
    assert (done.code, done.err) == (0, "")
    same(home / "runs" / "table", copied)


@pytest.fixture
def predicted(warm: Callable[..., Any], tmp_path: Path) -> Callable[..., bytes]:
    """predicted(folder, run, input): the bytes of the predictions."""

    def predict(folder: Path, run: str, source: str) -> bytes:
        output = tmp_path / "out.csv"
        output.unlink(missing_ok=True)
        done = warm("predict", run, source, "-o", str(output), "-q", folder=folder)
        assert (done.code, done.err) == (0, ""), done.err
        return output.read_bytes()

    return predict


def other(rows: Table) -> str:
    """A target that is not that of the last row."""
    return next(row[3] for row in rows[1:] if row[3] != rows[-1][3])


EDITS: dict[str, Callable[[Table, random.Random], Table]] = {
    "rows added": lambda rows, draw: rows + [["50", "u", "9", rows[1][3]]] * draw.randint(1, 30),
    "rows removed": lambda rows, draw: rows[: -draw.randint(1, 20)],
    "rows reordered": lambda rows, draw: [rows[0], *draw.sample(rows[1:], len(rows) - 1)],
    "category added": lambda rows, draw: [*rows, ["1", "a", "2", rows[1][3]]],
    "columns reordered": lambda rows, draw: [row[::-1] for row in rows],
    "column renamed": lambda rows, draw: [["a", "kind", "c", "y"], *rows[1:]],
    "columns exchanged": lambda rows, draw: [["b", "kind", "a", "y"], *rows[1:]],
    "a target for another": lambda rows, draw: [*rows[:-1], [*rows[-1][:3], other(rows)]],
}


def renamed(rows: Table, draw: random.Random) -> Table:
    names = draw.choice([{"yes": "aye"}, {"no": "zero"}, {"yes": "no", "no": "yes"}])
    return [rows[0], *([*row[:3], names.get(row[3], row[3])] for row in rows[1:])]


@pytest.mark.quick("rows added", "classes renamed")
@pytest.mark.parametrize("edit", [*EDITS, "classes renamed", "deleted"])
def test_a_changed_table_changes_no_prediction_and_is_no_other_test_part(
    edit: str, home: Path, predicted: Callable[..., bytes], warm: Callable[..., Any]
) -> None:
    runs = ["table/seed_0", "numbers", "both"]
    before = {run: predicted(home, run, "new.csv") for run in runs}
    kept = {name: (home / name).read_bytes() for name in ("table.csv", "numbers.csv")}
    draw = random.Random(edit)
    try:
        for name, content in kept.items():
            rows = [line.split(",") for line in content.decode().splitlines()]
            if edit == "deleted":
                (home / name).unlink()
            elif edit != "classes renamed":
                write(home / name, EDITS[edit](rows, draw))
            else:
                write(home / name, renamed(rows, draw))
        for run in runs:
            assert predicted(home, run, "new.csv") == before[run]
        done = warm("evaluate", "table", folder=home)
        assert done.code == (3 if edit == "deleted" else 4)
        [line] = done.err.splitlines()
        assert ("no such file" if edit == "deleted" else "changed") in line
    finally:
        for name, content in kept.items():
            (home / name).write_bytes(content)
    assert warm("evaluate", "table", folder=home).code == 0


def test_a_folder_alone_predicts_elsewhere(
    home: Path, predicted: Callable[..., bytes], tmp_path: Path
) -> None:
    """No data, no spec, no loader of the user's own: the folders under other names, and the inputs."""
    cases = [
        ("table/seed_1", "new.csv"), ("numbers", "new.csv"), ("arrays", "new.npz"), ("images", "photos"),
        ("own", "new.npz"), ("own", "own.csv"), ("both", "new.csv"),
    ]  # fmt: skip
    x = np.load(home / "new.npz")["x"]
    write(home / "own.csv", [["c", "b", "a"], *(list(map(repr, row[::-1].tolist())) for row in x)])
    before = {case: predicted(home, *case) for case in cases}
    assert before["own", "own.csv"] == before["own", "new.npz"]  # its loader names the columns
    elsewhere, away = tmp_path / "elsewhere", home.with_name("away")
    elsewhere.mkdir()
    for name in ("new.csv", "new.npz", "own.csv"):
        shutil.copy(home / name, elsewhere)
    shutil.copytree(home / "photos", elsewhere / "photos")
    shutil.copytree(home / "runs", elsewhere / "runs")
    home.rename(away)
    try:
        for case in cases:
            assert predicted(elsewhere, *case) == before[case]
    finally:
        away.rename(home)


def test_what_needs_data_refuses_those_that_have_changed(home: Path, warm: Callable[..., Any]) -> None:
    kept = (home / "table.csv").read_bytes()
    commands = [
        ("evaluate", "table"),
        ("evaluate", "table", "--samples", "3"),
        ("evaluate", "both"),
        ("predict", "table/seed_0", "--split", "val", "-o", "refused.csv"),
        (
            "predict",
            "table/seed_0:ema",
            "new.csv",
            "-o",
            "refused.csv",
        ),  # its statistics are measured on them
        ("ensemble", "table"),
        ("ensemble", "table:ema"),
        ("race", "adam", "--run", "table/seed_0", "--checkpoints", "5,10,12"),
    ]
    try:
        (home / "table.csv").write_bytes(kept + b"3,u,9,yes\n" * 5)
        for command in commands:
            done = warm(*command, folder=home)
            assert done.code == 4, (command, done.err)
            line = done.err.splitlines()[-1]
            assert "part has changed" in line and "bring the data back" in line
    finally:
        (home / "table.csv").write_bytes(kept)
    assert not (home / "refused.csv").exists()
    for command in commands[3:5]:
        assert warm(*command, "--force", folder=home).code == 0


@pytest.mark.slow
def test_class_folders_and_archives_that_have_changed(
    home: Path, predicted: Callable[..., bytes], warm: Callable[..., Any]
) -> None:
    before = predicted(home, "images", "photos"), predicted(home, "arrays", "new.npz")
    arrays = dict(np.load(home / "arrays.npz"))
    (home / "images" / "bright").rename(home / "images" / "light")
    np.savez(home / "arrays.npz", x=arrays["x"] * 2, y=arrays["y"])
    try:
        assert (predicted(home, "images", "photos"), predicted(home, "arrays", "new.npz")) == before
        done = warm("evaluate", "images", folder=home)
        assert (done.code, done.err.count("\n")) == (4, 1)
        assert "the classes of its data have changed (from bright, dark to dark, light)" in done.err
        done = warm("evaluate", "arrays", folder=home)
        assert done.code == 4 and "its test part has changed since it was trained" in done.err
    finally:
        (home / "images" / "light").rename(home / "images" / "bright")
        np.savez(home / "arrays.npz", **arrays)


def test_a_run_that_is_not_finished_does_not_go_on_with_other_data(
    home: Path, warm: Callable[..., Any], tmp_path: Path
) -> None:
    from nnrun.record import run

    folder = tmp_path / "run"
    shutil.copytree(home / "runs" / "numbers", folder)
    run.write_state(folder, "interrupted", step=0)
    shutil.rmtree(folder / "checkpoints")
    kept = (home / "numbers.csv").read_bytes()
    try:
        (home / "numbers.csv").write_bytes(kept + b"1,u,1,3.5\n")
        done = warm("resume", str(folder), folder=home)
        assert done.code == 4 and "its train part has changed" in done.err
    finally:
        (home / "numbers.csv").write_bytes(kept)
    assert warm("resume", str(folder), "-q", folder=home).code == 0


def test_a_folder_without_its_record_or_with_that_of_another_run(
    home: Path, warm: Callable[..., Any], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(home / "runs" / "numbers", folder)
    for content, reason in [
        ((home / "runs" / "table" / "preprocessing.json").read_bytes(), "of other data than run.json says"),
        (b"{}", "its content and its own SHA-256 differ"),
        (None, "missing, and predictions need it"),
    ]:
        if content is None:
            (folder / "preprocessing.json").unlink()
        else:
            (folder / "preprocessing.json").write_bytes(content)
        for command in (("predict", str(folder), "new.csv", "-o", "no.csv"), ("evaluate", str(folder))):
            done = warm(*command, folder=home)
            assert (done.code, done.err.count("\n")) == (4, 1)
            assert reason in done.err and "; " in done.err
