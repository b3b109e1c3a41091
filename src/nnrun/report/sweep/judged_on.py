"""Whether the settings of a sweep were judged on the same examples."""

from __future__ import annotations

from collections.abc import Iterator

from nnrun.report.entry import flat
from nnrun.report.sweep.folder import SweepRecord
from nnrun.report.sweep.searches import judged_alike

__all__ = ["other_examples"]


def other_examples(sweep: SweepRecord, base: str) -> Iterator[str]:
    """A warning if trials on a base had different validation or test parts, by their digests."""
    trials = [trial for trial in sweep.trials if trial.base == base]
    if judged_alike(trials):
        return
    fixed = {alternative.label: flat(alternative.settings) for alternative in sweep.alternatives}
    settings = [fixed[trial.alternative] | flat(trial.settings) for trial in trials]
    keys = dict.fromkeys(key for trial in settings for key in trial if key.startswith("data."))
    varied = [key for key in keys if len({repr(trial.get(key)) for trial in settings}) > 1]
    differ = "differs" if len(varied) == 1 else "differ"
    why = f"{', '.join(varied)} {differ} between trials, and so do" if varied else "there are different"
    yield (
        f"{why} validation or test examples: trials were not judged on the same examples, the chosen one may only have "
        "the easier ones, and no difference is tested"
    )
