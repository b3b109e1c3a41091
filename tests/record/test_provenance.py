"""Provenance: complete, unable to fail, and silent about what cannot change a result."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from nnrun.record import provenance


@pytest.fixture
def made(monkeypatch):
    monkeypatch.delenv("JAX_DISABLE_MOST_OPTIMIZATIONS")
    monkeypatch.delenv("NNRUN_KERNELS", raising=False)
    monkeypatch.setenv("XLA_FLAGS", "--a=1")
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("NNRUN_DATA_DIR", "/data")
    return provenance.collect({"kind": "cpu", "count": 1}, {"data_digest": "d", "spec_hash": "s"})


def test_collect_says_what_the_run_was_made_with(made):
    assert json.loads(json.dumps(made)) == made
    assert made["versions"]["numpy"] == np.__version__
    assert made["versions"]["python"] == sys.version.split()[0]
    assert made["environment"] == {"JAX_ENABLE_X64": "1", "NNRUN_DATA_DIR": "/data", "XLA_FLAGS": "--a=1"}
    assert (made["data_digest"], made["device"]["kind"]) == ("d", "cpu")


def change(tree, path, value):
    tree = copy.deepcopy(tree)
    *folders, name = path.split(".")
    place = tree
    for folder in folders:
        place = place[folder]
    place[name] = value
    return tree


@pytest.mark.parametrize(
    "path",
    [
        "versions.jax",
        "versions.python",
        "platform",
        "cpu.model",
        "cpu.flags",
        "device.kind",
        "environment.XLA_FLAGS",
    ],
)
def test_what_may_change_bits_is_one_line(path, made):
    assert provenance.differences(change(made, path, "old"), change(made, path, "new\n")) == [
        f"{path}: was old, is new\\n"
    ]


def test_contents_that_changed_are_named_without_their_digests(made):
    assert provenance.differences(made, change(made, "data_digest", "new")) == ["the data have changed"]
    assert provenance.differences(made, change(made, "spec_hash", "new")) == ["resolved.yaml has changed"]
    with_code = {**made, "code": {"/a/mine.py": "x"}}
    assert provenance.differences(with_code, {**made, "code": {"/a/mine.py": "y"}}) == [
        "/a/mine.py has changed"
    ]


@pytest.mark.parametrize("path", ["argv", "hostname", "started", "git", "environment.NNRUN_DATA_DIR"])
def test_what_cannot_change_bits_is_not_told(path, made):
    assert provenance.differences(made, change(made, path, "new")) == []


def test_absence_is_a_difference_and_the_unknown_is_not(made):
    less = copy.deepcopy(made)
    del less["environment"]["XLA_FLAGS"]
    assert provenance.differences(made, less) == ["environment.XLA_FLAGS: was --a=1, is absent"]
    assert provenance.differences(change(made, "cpu.flags", None), change(made, "cpu.flags", None)) == []


def test_git_tells_commit_and_changes_and_never_fails(tmp_path, monkeypatch):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert provenance.collect({}, {})["git"] is None
    git("init", "-q")
    assert provenance.collect({}, {})["git"] is None  # nothing committed yet
    (tmp_path / "a").write_text("1")
    git("add", "a")
    git("commit", "-q", "-m", "a")
    commit = git("rev-parse", "HEAD")
    assert provenance.collect({}, {})["git"] == {"commit": commit, "dirty": False}
    (tmp_path / "a").write_text("2")
    assert provenance.collect({}, {})["git"] == {"commit": commit, "dirty": True}
    monkeypatch.setenv("PATH", "")
    assert provenance.collect({}, {})["git"] is None
