"""How the answer of a sweep was computed, for its report."""

from __future__ import annotations

from html import escape

from nnrun.report.sweep.findings import Answer

__all__ = ["method"]

_CHOICE = """
<ul>
<li>Each alternative had the same number of trials, one where nothing in it varies. Its setting was chosen by the mean
of <code>{searched}</code> over {seeds} of each trial, at each one's best step; the test part was not looked at.</li>
<li>The chosen settings were trained again on fresh seeds that no trial had, and those runs are compared{on}. The best
alternative is the one with the best <code>{searched}</code> over the fresh seeds: test data choose nothing.</li>
"""
_INTERVALS = """\
<li>Intervals are Student's 95% intervals of the mean, cut to what the metric can be. For values of a strongly skewed
distribution they hold the mean less often, 87 to 92 times in 100.</li>
"""
_SEEDS = """\
<li>Tests are paired permutation tests: runs of one seed share the split of the data, and under chance alone each
difference is as likely with the other sign. p-values are corrected by Holm's method over all pairs{of_base}. The
interval of a difference is for that pair alone, before the correction. &ldquo;No significant difference&rdquo; does
not mean equal: it means that this many seeds cannot decide.</li>
<li>That test compares two settings. Another search would have found others, so &ldquo;different&rdquo; also needs the
exchange test over searches: if both searches drew alike, each trial could as well be the other's, and p is the share of
all ways to deal the trials in which the two bests differ as much. &ldquo;Other searches&rdquo; is the 95% interval of
the difference over other draws of the searches and other seeds. Of both p-values the worse counts, corrected by Holm's
method, so the chance of any false &ldquo;different&rdquo; among methods that draw alike is at most 5%. &ldquo;Only
these settings&rdquo; means that another search could turn it round, or that nothing is known of other searches.</li>
<li>Where alternatives are all combinations of several factors, the effect of a factor is the difference of two of its
levels, each averaged over the levels of the others; an interaction is how far a combination is from the sum of the
effects. Their p-values are corrected together, for themselves; the exchange test deals the trials again within each
combination of the other factors.</li>
<li>&ldquo;Middle half&rdquo; is the mean without the best and the worst quarter of the seeds; &ldquo;better&rdquo; is
how often a run of the first is better than a run of the second, over all pairs of runs.</li>
"""
_STUDIES = """\
<li>All of this was done {studies} times for each alternative, each time with other draws of the search and other seeds.
The value of such a study is the mean over the fresh seeds of the setting that it chose, and the value of an alternative
is the mean over its studies; the setting that stands beside it is that of its best study by <code>{searched}</code>.
</li>
<li>Tests are over studies, which have nothing in common: a permutation test (if two alternatives are alike, each study
could as well be the other's, and p is the share of all ways to deal the studies in which the means differ as much) and
Welch's t-test, which does not ask for equal spreads; the larger p counts. p-values are corrected by Holm's method over
all pairs{of_base}. The interval of a difference holds the shifts that these tests do not reject, for that pair alone.
It has the luck of searches and that of seeds in it. &ldquo;No significant difference&rdquo; does not mean equal: it
means that this many studies cannot decide.</li>
<li>Where alternatives are all combinations of several factors, the effect of a factor is the difference of two of its
levels, each averaged over the levels of the others within a study; an interaction is how far a combination is from the
sum of the effects, and its test flips the signs of whole studies. Their p-values are corrected together, for
themselves.</li>
<li>&ldquo;Middle half&rdquo; is the mean without the best and the worst quarter of the studies; &ldquo;better&rdquo; is
how often a study of the first is better than a study of the second, over all pairs of studies.</li>
"""
_EXAMPLES = """\
<li>Steps and seconds to a target are medians over the fresh seeds; the seconds are those of the program in which
these trained together.</li>
<li>&ldquo;Other examples&rdquo; is the 95% interval of the difference in 1,000 resamples of the examples that are
tested, the same ones for all; &ldquo;all&rdquo; is that over seeds, searches and examples together. Where examples are
known, &ldquo;different&rdquo; also needs an &ldquo;all&rdquo; without 0, corrected for all pairs.</li>
"""
_END_SEEDS = """\
<li>The intervals of an alternative by itself are over seeds. Another split of the data may give another order.</li>
</ul>
"""
_END_STUDIES = """\
<li>Intervals of an alternative by itself are over studies. Another split of the data may give another order.</li>
</ul>
"""


def method(answer: Answer) -> str:
    """A list of what was done, as HTML."""
    sweep = answer.sweep
    metrics = {part.metric.name for part in answer.bases if any(row.fresh for row in part.rows)}
    on = f" on <code>{escape(metrics.pop())}</code>" if len(metrics) == 1 else ""
    seeds = f"the {sweep.seeds} seed{'' if sweep.seeds == 1 else 's'}"
    of_base = " of a base" if len(answer.bases) > 1 else ""
    tests, end = (_SEEDS, _END_SEEDS) if sweep.studies == 1 else (_STUDIES, _END_STUDIES)
    text = _CHOICE + _INTERVALS + tests + _EXAMPLES + end
    return text.format(
        searched=escape(sweep.metric), seeds=seeds, on=on, of_base=of_base, studies=sweep.studies
    )
