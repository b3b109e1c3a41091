"""What messages are made of."""

from __future__ import annotations

import pytest

from nnrun import cli
from nnrun.commands import console
from nnrun.errors import size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"), (1, "1 B"), (999, "999 B"), (999.6, "1 kB"), (12_345, "12.3 kB"), (999_600, "1 MB"),
        (49_700, "49.7 kB"), (1_048_576, "1.05 MB"), (21.2e9, "21.2 GB"), (2.5e12, "2.5 TB"), (1.234e15, "1,230 TB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits_and_none_is_0_mb(count: float, text: str) -> None:
    assert size_text(count) == text


def test_an_option_without_its_value_names_the_help_of_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["nnrun", "sweep", "--resume"])
    with pytest.raises(Exception, match="--resume") as caught:
        cli.app(["sweep", "--resume"], prog_name="nnrun", standalone_mode=False)
    assert console.explain(caught.value) == (
        2, "sweep: Option '--resume' requires an argument; see `nnrun sweep --help`"
    )  # fmt: skip
