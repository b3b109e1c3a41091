"""The compiled part of nnrun: convolutions and the sums of batch norm for CPUs.

Where it cannot be built, nnrun does without (and says so).
"""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup

FOLDER = "src/nnrun/kernels"


def kernels() -> list[Extension]:
    """None where the compiler is not one that has vectors of its own (GCC, Clang)."""
    if sys.platform == "win32":
        return []
    import jaxlib

    return [
        Extension(
            "nnrun.kernels._conv",
            [f"{FOLDER}/{name}" for name in ("conv.cc", "norm.cc")],
            depends=[f"{FOLDER}/{name}" for name in ("common.h", "tiles.h", "sums.h")],
            include_dirs=[str(Path(jaxlib.__file__).parent / "include")],
            extra_compile_args=[
                "-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-DNDEBUG", "-g0", "-Wno-psabi"
            ],
            language="c++",
            optional=True,
        )
    ]  # fmt: skip


setup(ext_modules=kernels())
