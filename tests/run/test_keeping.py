"""`nnrun tag`, `nnrun rm` and `nnrun ls` through the real command line."""

from __future__ import annotations

import os
import pty
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with runs/one, runs/two and a group runs/three of one seed."""
    for name in ("one", "two", "three", "three/seed_0"):
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "state.json").write_text('{"status": "interrupted"}')
    return tmp_path


def left(runs: Path) -> list[str]:
    return sorted(path.name for path in (runs / "runs").iterdir())


def test_a_run_goes_whole_and_what_a_link_leads_to_stays(runs: Path, warm: Callable[..., Any]) -> None:
    (runs / "kept").mkdir()
    (runs / "kept" / "table.csv").write_text("a,b\n")
    (runs / "runs/one/data").symlink_to(runs / "kept")
    done = warm("rm", "one", "three", "--yes", folder=runs)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "deleted: 2 runs"
    assert left(runs) == ["two"]
    assert (runs / "kept" / "table.csv").read_text() == "a,b\n"


def test_tags_and_what_was_deleted_as_json(
    runs: Path, warm: Callable[..., Any], keeps_contract: Callable[..., None]
) -> None:
    tagged = warm("tag", "one", "good", "best", "--json", folder=runs).json
    assert tagged == {"run": "runs/one", "tags": ["best", "good"]}
    (runs / "runs/one/notes.txt").write_text("mine")
    asked = warm("rm", "one", "--json", folder=runs)
    assert (asked.code, asked.out) == (2, "") and "--json does not ask; write --yes" in asked.err
    size = sum(file.stat().st_size for file in (runs / "runs/one").rglob("*"))
    deleted = warm("rm", "one", "two", "--yes", "--json", folder=runs).json
    one, two = deleted["deleted"]
    assert one == {"run": "runs/one", "status": "interrupted", "bytes": size, "kept": ["runs/one/notes.txt"]}
    assert two["kept"] == [] and left(runs) == ["one", "three"]
    keeps_contract("tag", tagged)
    keeps_contract("rm", deleted)


def test_files_of_others_stay_and_are_named(runs: Path, warm: Callable[..., Any]) -> None:
    kept = {
        "notes.txt": "a",
        "mine/summary.json": "b",
        "plots/mine.txt": "c",
        "checkpoints/summary.json": "d",
    }
    ours = ["metrics.jsonl", "plots/curves.png", "checkpoints/step_00000001/manifest.json", ".tmp_x/a"]
    for name in (*kept, *ours):
        file = runs / "runs/three/seed_0" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(kept.get(name, "ours"))
    done = warm("rm", "three", "one", "--yes", folder=runs)
    assert (done.code, done.err) == (0, "")
    assert (
        "these stay, because nnrun did not write them: seed_0/checkpoints/summary.json, seed_0/mine/summ"
        in done.out
    )
    found = {path for path in (runs / "runs/three").rglob("*") if path.is_file()}
    assert {
        path.relative_to(runs / "runs/three/seed_0").as_posix(): path.read_text() for path in found
    } == kept
    assert left(runs) == ["three", "two"]
    assert warm("ls", folder=runs).out.count("interrupted") == 1, "it is no run any more"


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (["one"], 2, "there is nobody to ask; write --yes"),
        (["link", "-y"], 4, "a link to "),
        (["three/seed_0", "-y"], 4, "seed_0 is part of "),
        (["one", "runs/./one", "../{here}/runs/one", "-y"], 4, "named twice"),
        (["four", "-y"], 4, "no such run"),
    ],
)
def test_what_is_not_deleted(
    names: list[str], code: int, message: str, runs: Path, warm: Callable[..., Any]
) -> None:
    (runs / "runs/link").symlink_to(runs / "runs/one")
    done = warm("rm", *(name.format(here=runs.name) for name in names), folder=runs)
    assert done.code == code
    assert message in done.err and len(done.err.splitlines()) == 1
    assert left(runs) == ["link", "one", "three", "two"]


@pytest.mark.parametrize(("answer", "gone"), [(b"y\n", True), (b"n\n", False), (b"\n", False)])
def test_it_asks(answer: bytes, gone: bool, runs: Path, begun: Callable[..., Any]) -> None:
    master, slave = pty.openpty()
    command = begun("rm", "two", folder=runs, terminal=os.ttyname(slave))
    os.write(master, answer)
    assert command.wait() == (0 if gone else 2)
    assert left(runs) == (["one", "three"] if gone else ["one", "three", "two"])
    os.close(master)
    os.close(slave)


def test_a_run_in_use_stays(runs: Path, warm: Callable[..., Any]) -> None:
    from nnrun.storage.lock import lock

    with lock(runs / "runs/one"):
        done = warm("rm", "one", "-y", folder=runs)
    assert done.code != 0 and "one" in left(runs)


def test_tags_are_given_found_and_taken(runs: Path, warm: Callable[..., Any]) -> None:
    assert warm("tag", "one", "best", "v1.2", folder=runs).out == "runs/one: best, v1.2\n"
    assert warm("tag", "one", folder=runs).out == "runs/one: best, v1.2\n"
    listed = warm("ls", "--filter", "tags=best", "--columns", "status,tags", folder=runs).out
    assert [line.split() for line in listed.splitlines()] == [
        ["run", "status", "tags"],
        ["runs/one", "interrupted", "best", "v1.2"],
    ]
    assert "tags     best, v1.2" in warm("show", "one", folder=runs).out
    assert warm("ls", "--filter", "tags=none", folder=runs).out.startswith(
        "none of the 3 runs in runs satisfies"
    )
    wrong = warm("tag", "one", "worst", "--remove", folder=runs)
    assert (wrong.code, wrong.err) == (2, "nnrun: runs/one has no tag worst; it has best, v1.2\n")
    assert warm("tag", "one", "--remove", folder=runs).out == "runs/one: no tags\n"
    bad = warm("tag", "one", "two words", folder=runs)
    assert bad.code == 2 and "cannot be a tag" in bad.err
