"""The kernels under the sanitizers of the compiler, on a few shapes; `sanitized.py` takes as many as it is given."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

PLACE = Path(__file__).with_name("sanitized.py")


@pytest.mark.slow
@pytest.mark.skipif(
    not shutil.which("g++") or sys.platform != "linux", reason="needs g++ with its sanitizers"
)
@pytest.mark.parametrize("part", ["conv", "norm"])
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
def test_no_sanitizer_reports_anything(sanitizer: str, part: str, tmp_path: Path) -> None:
    """No access beyond an array, no race; and one thread computes the bits of four."""
    spec = importlib.util.spec_from_file_location("sanitized", PLACE)
    assert spec is not None and spec.loader is not None
    sanitized = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sanitized)
    done = sanitized.run(sanitizer, part, 10, tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout == "0 results differ between one thread and four\n"
