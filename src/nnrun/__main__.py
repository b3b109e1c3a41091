"""`nnrun` and `python -m nnrun`."""

from __future__ import annotations

from nnrun import signals


def main() -> None:
    """The console script.  Signals are looked after before anything slow is imported."""
    signals.install()
    from nnrun import cli

    cli.main()


if __name__ == "__main__":
    main()
