"""What the tracker `aim` asks of its package, which is played here; `test_packages` has the real one."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from nnrun.tracker.aim import _nested, aim
from nnrun.tracking import Record


class PlayedRun:
    """A run that remembers what it is told."""

    runs: ClassVar[list[PlayedRun]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.content, self.tags, self.tracked = options, {}, [], []
        self.name, self.closed = "", False
        self.hash = options["run_hash"] or f"new-{len(self.runs)}"
        self.runs.append(self)

    def __setitem__(self, key: str, value: Any) -> None:
        self.content[key] = value

    def add_tag(self, tag: str) -> None:
        self.tags.append(tag)

    def track(self, value: Any, *, name: str, step: int) -> None:
        self.tracked.append((step, name, value))

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def runs(monkeypatch: pytest.MonkeyPatch) -> list[PlayedRun]:
    """The runs that are begun, with a package `aim` in place of the real one."""
    package, sdk, repo = ModuleType("aim"), ModuleType("aim.sdk"), ModuleType("aim.sdk.repo")
    package.__spec__ = importlib.machinery.ModuleSpec("aim", None)
    package.Run, package.Image = PlayedRun, lambda place: f"image {Path(place).name}"  # type: ignore[attr-defined]

    class Repo:
        @staticmethod
        def from_path(place: str, init: bool) -> tuple[str, bool]:
            return place, init

    repo.Repo = Repo  # type: ignore[attr-defined]
    for module in (package, sdk, repo):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(PlayedRun, "runs", [])
    return PlayedRun.runs


SEED = Record("five/seed_1", "five", {"optimizer.name": "adam", "train.seed": 1}, {"command": "nnrun train"})


def test_a_run_is_described_once(
    runs: list[PlayedRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What continues is found by its number, also where a killed process still holds it, and is not named again."""
    monkeypatch.chdir(tmp_path)
    session = aim().begin(SEED, None, tmp_path)
    [run] = runs
    assert (session.id, run.name, run.tags) == ("new-0", "five/seed_1", ["five"])
    assert run.content == {
        "optimizer": {"name": "adam"}, "train": {"seed": 1}, "about": {"command": "nnrun train"}, "group": "five",
    }  # fmt: skip
    assert (run.options["run_hash"], run.options["force_resume"]) == (None, False)
    assert run.options["repo"] == (str(tmp_path), True) and run.options["experiment"] == "nnrun"
    # Nothing of this process is sent: it is not the one that trains.
    assert run.options["system_tracking_interval"] is None and run.options["capture_terminal_logs"] is False

    again = aim().begin(SEED, "new-0", tmp_path)
    assert again.id == "new-0" and runs[1].content == {} and runs[1].tags == []
    assert (runs[1].options["run_hash"], runs[1].options["force_resume"]) == ("new-0", True)


def test_a_run_alone_has_no_group(runs: list[PlayedRun], tmp_path: Path) -> None:
    aim(experiment="digits").begin(SEED._replace(group=""), None, tmp_path)
    assert "group" not in runs[0].content and runs[0].tags == []
    assert runs[0].options["experiment"] == "digits"


@pytest.mark.parametrize(
    ("repo", "place"),
    [("aim://host:53800", "aim://host:53800"), ("/data/tracking", ("/data/tracking", True))],
)
def test_a_server_is_named_and_a_folder_is_made(
    repo: str, place: object, runs: list[PlayedRun], tmp_path: Path
) -> None:
    aim(repo).begin(SEED, None, tmp_path)
    assert runs[0].options["repo"] == place


def test_numbers_come_by_their_steps_and_of_files_the_picture(runs: list[PlayedRun], tmp_path: Path) -> None:
    session = aim().begin(SEED, None, tmp_path)
    session.log([(10, {"val/loss": 0.5, "rmse(height)": float("inf")}), (20, {"val/loss": 0.25})])
    session.log([(30, {"val/loss": 0.125})])
    session.file(tmp_path / "curves.png", "curves.png")
    session.file(tmp_path / "report.html", "report.html")
    assert runs[0].tracked == [
        (10, "val/loss", 0.5), (10, "rmse(height)", float("inf")), (20, "val/loss", 0.25), (30, "val/loss", 0.125),
        (30, "curves.png", "image curves.png"),
    ]  # fmt: skip
    assert not runs[0].closed
    session.end("diverged")
    assert runs[0].closed and runs[0].content["status"] == "diverged"


def test_settings_are_nested_as_queries_read_them() -> None:
    settings = {"name": "a", "model.hidden": [8], "model.norm.name": "group", "model.norm.groups": 2}
    assert _nested(settings) == {
        "name": "a",
        "model": {"hidden": [8], "norm": {"name": "group", "groups": 2}},
    }
    assert _nested({}) == {}
