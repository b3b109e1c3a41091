"""What is known of the difference of two alternatives: intervals and p-values over seeds, searches and examples."""

from __future__ import annotations

import math
from typing import NamedTuple

from nnrun.statistics.searches import OverSearches
from nnrun.statistics.sign_flips import ALPHA

__all__ = ["PairComparison"]

_NORMAL = 1.959964  # standard deviations on either side of the middle 95%


class PairComparison(NamedTuple):
    """Two alternatives over the seeds that both finished, and over other draws of their searches.

    difference  mean of first − second
    low, high   its 95% interval at these settings, for this pair alone; None for fewer than two seeds
    p           of the test over seeds, or over studies; `adjusted`: after Holm's correction over all pairs
    seeds_needed  how many seeds would tell the two apart in four of five experiments, if the difference and the
                spread are what they seem; None: more than 10,000, or nothing to go by
    searched    whether a setting of the two was searched for, so that another search could have found another one
    searches    what is known of other searches; None if nothing was searched for, or nothing is known
    unknown     why nothing is known of them
    verdict     the same with the test over all that is left to chance, examples too, where these are known
    higher      how often a run of the first has a higher value than a run of the second, over all pairs of runs; equal
                ones count half (Mann-Whitney; the probability of improvement of Agarwal et al. 2021, where more is
                better)
    examples    95% interval of the difference of these runs over other examples of the part that is tested; None where
                nothing is known of them
    claim       p-value of "one method is better": of the worse of both tests, after Holm's correction over the pairs
                of which it can be said; None where it cannot
    studies     how many searches of each were made, where whole searches were repeated: then they are what is counted
                in place of seeds, and `low`, `high` and `p` are over searches and seeds together; None elsewhere
    unit        what `seeds` counts: seeds, or the folds of a cross-validation
    """

    first: str
    second: str
    difference: float
    low: float | None
    high: float | None
    p: float
    adjusted: float
    seeds: int
    seeds_needed: int | None
    searched: bool = False
    searches: OverSearches | None = None
    unknown: str = ""
    claim: float | None = None
    verdict: float | None = None
    higher: float = 0.5
    examples: tuple[float, float] | None = None
    studies: int | None = None
    unit: str = "seeds"

    @property
    def units(self) -> str:
        """What its test counts, in words: `10 seeds`, `6 studies`."""
        return f"{self.seeds} {self.unit}" if self.studies is None else f"{self.studies} studies"

    @property
    def significant(self) -> bool:
        """Whether the difference at these settings is more than chance, at 5% over all pairs together."""
        return self.adjusted <= ALPHA

    @property
    def overall(self) -> tuple[float, float] | None:
        """95% interval of the difference over all that is left to chance: seeds, searches and examples.

        The half widths of the interval over seeds, or over searches and seeds, and of that over examples, added in
        quadrature on each side.  None where one of them is not known; without examples it is of the other two.
        """
        if self.searched:
            ends = (self.searches.low, self.searches.high) if self.searches else None
        else:
            ends = None if self.low is None or self.high is None else (self.low, self.high)
        if ends is None or self.examples is None:
            return ends
        below, above = (
            math.hypot(ends[side] - self.difference, self.examples[side] - self.difference) for side in (0, 1)
        )
        return self.difference - below, self.difference + above

    @property
    def over_searches(self) -> bool:
        """Whether another search would have found the difference too, or there was none."""
        if not self.searched:
            return True
        if self.searches is None or self.claim is None:
            return False
        ends = self.searches.low * self.difference, self.searches.high * self.difference
        return self.claim <= ALPHA and min(ends) > 0

    @property
    def decided(self) -> bool:
        """Whether one method is better, at 5% over all pairs together: for seeds, other searches and other examples."""
        return self.significant and self.over_searches and self.over_examples

    @property
    def over_examples(self) -> bool:
        """Whether the difference holds over all sources together, or nothing is known of other examples."""
        if self.examples is None:
            return True
        ends = self.overall
        held = ends is not None and min(end * self.difference for end in ends) > 0
        return held and self.verdict is not None and self.verdict <= ALPHA

    @property
    def overall_p(self) -> float:
        """p-value of "no difference" over all sources: normal, with the half width of `overall` on the side of 0."""
        ends = self.overall
        if ends is None or not self.difference:
            return 1.0
        half = abs(self.difference - (ends[0] if self.difference > 0 else ends[1]))
        return math.erfc(_NORMAL * abs(self.difference) / half / math.sqrt(2)) if half else 0.0

    def as_data(self) -> dict[str, object]:
        """All of it as plain data; `studies` only where searches were repeated, `unit` only where it is not seeds."""
        searches = self.searches and self.searches._asdict()
        verdicts = {"significant": self.significant, "decided": self.decided, "overall": self.overall}
        content = {**self._asdict(), "searches": searches, **verdicts}
        usual = {"studies": None, "unit": "seeds"}
        return {name: value for name, value in content.items() if name not in usual or value != usual[name]}
