"""The folder for what can be made again, with and without a home."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

import pytest

from nnrun.machine import user_cache


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No cache that the environment names; home and temporary folder lie in tmp_path."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_environment_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/nowhere/at/all")
    assert user_cache() == Path("/nowhere/at/all")


def test_a_relative_path_is_ignored(places: Path, monkeypatch: pytest.MonkeyPatch):
    """As the specification of these variables says; else each folder that nnrun is used in would get a cache."""
    monkeypatch.chdir(places)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert user_cache() == places / "home" / ".cache"


def test_it_lies_in_the_home(places: Path):
    assert user_cache() == places / "home" / ".cache"
    assert user_cache().is_dir()


@pytest.mark.parametrize("home", ["/proc/nowhere", None])
def test_without_a_home_it_is_a_private_folder_in_the_temporary_one(
    home: str | None, places: Path, monkeypatch: pytest.MonkeyPatch
):
    if home is None:  # an unknown user: neither HOME nor an entry in the list of users

        def unknown() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", unknown)
    else:
        monkeypatch.setenv("HOME", home)
    folder = user_cache()
    assert folder.parent == places
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert user_cache() == folder


def test_a_folder_that_others_can_write_to_is_not_taken(places: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/proc/nowhere")
    taken = user_cache()
    taken.chmod(0o777)
    other = user_cache()
    assert other != taken and stat.S_IMODE(other.stat().st_mode) == 0o700
