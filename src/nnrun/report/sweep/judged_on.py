"""Whether the settings of a sweep were judged on the same examples."""

from __future__ import annotations

from collections.abc import Iterator

from nnrun.report.side_by_side import flat
from nnrun.report.sweep.folder import SweepRecord

__all__ = ["other_examples"]

_KEYS = ("name", "path", "test_path", "x", "y", "target", "validation", "test", "split_seed")


def other_examples(sweep: SweepRecord, base: str) -> Iterator[str]:
    """A warning if trials on a base had different validation or test parts."""
    if keys := _differing(sweep, base):
        yield (
            f"{', '.join(keys)} differ{'s' if len(keys) == 1 else ''} between trials, so they were not judged on the "
            "same examples: the chosen one may only have the easier parts, and no test of a difference holds"
        )


def _differing(sweep: SweepRecord, base: str) -> list[str]:
    """The keys of `data` that decide which examples validate and test, and that differ between trials of a base."""
    fixed = {alternative.label: flat(alternative.settings) for alternative in sweep.alternatives}
    settings = [
        fixed[trial.alternative] | flat(trial.settings) for trial in sweep.trials if trial.base == base
    ]
    keys = (f"data.{key}" for key in _KEYS)
    return [key for key in keys if len({repr(trial.get(key)) for trial in settings}) > 1]
