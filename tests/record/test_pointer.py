"""What stands behind the name of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnrun.record.pointer import split


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("runs/a", ("runs/a", None, None)),
        ("a:70", ("a", "70", None)),
        ("a:best", ("a", "best", None)),
        ("a:ema", ("a", None, "ema")),
        ("a:70:ema_2", ("a", "70", "ema_2")),
        ("runs/a:last:mine.mean", ("runs/a", "last", "mine.mean")),
        ("C:/runs/a", ("C:/runs/a", None, None)),
        ("a:", ("a:", None, None)),
        ("", ("", None, None)),
        ("a:ema:70", ("a:ema", "70", None)),  # the step comes first
        ("x" * 5000, ("x" * 5000, None, None)),
    ],
)
def test_parts(text, parts, tmp_path):
    assert split(text, tmp_path) == parts


def test_a_folder_of_that_name_is_meant_as_a_whole(tmp_path, monkeypatch):
    (tmp_path / "odd:70").mkdir()
    assert split("odd:70", tmp_path) == ("odd:70", None, None)
    monkeypatch.chdir(tmp_path)
    assert split("odd:70", Path("elsewhere")) == ("odd:70", None, None)
