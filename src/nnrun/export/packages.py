"""What an exported model brings along, so that it needs jax and nothing beside it."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from nnrun.errors import RunError

__all__ = ["flatbuffers_zip"]

_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same bytes at any time


def flatbuffers_zip() -> bytes:
    """The package flatbuffers as a zip that Python imports from: jax.export reads its files with it.

    jax does not install it.  It is Python alone, under the Apache License 2.0, which its files name.
    Raises RunError where it is not installed.
    """
    try:
        import flatbuffers
    except ImportError as error:
        raise RunError(f"export: {error}; pip install flatbuffers") from None
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(Path(flatbuffers.__file__).parent.glob("*.py")):
            archive.writestr(
                zipfile.ZipInfo(f"flatbuffers/{file.name}", _LONG_AGO),
                file.read_bytes(),
                zipfile.ZIP_DEFLATED,
            )
    return content.getvalue()
