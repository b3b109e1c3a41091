"""What messages are made of."""

from __future__ import annotations

import pytest

from nnrun.errors import size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (999.6, "1 kB"), (12_345, "12.3 kB"), (999_600, "1 MB"),
        (49_700, "49.7 kB"), (1_048_576, "1.05 MB"), (21.2e9, "21.2 GB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits_and_none_is_0_mb(count: float, text: str) -> None:
    assert size_text(count) == text
