"""Studies: the whole search of every alternative repeated, each time with draws and seeds of its own."""

from __future__ import annotations

import math

from nnrun.statistics.sign_flips import ALPHA
from nnrun.statistics.studies import least_studies
from nnrun.sweep.file import SweepFile
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.trials import final_seeds, study_folder

__all__ = ["check_studies", "searched_together", "tests_of", "too_few_studies"]

_LOOKED_AT = 3  # trials of two studies that would be the same if the search draws nothing


def searched_together(sweep_plan: SweepPlan) -> list[list[int]]:
    """The places of the lines whose trials go through rounds together.

    Where trials are compared on the way a round ranks all of its trials at once, so each study has a round of its own,
    and a sweep can be given further studies later.  Elsewhere all studies share the programs of a round.
    """
    places = list(range(len(sweep_plan.arms)))
    if not sweep_plan.search.rungs:
        return [places]
    studies = range(1, sweep_plan.file.sweep.studies + 1)
    return [[i for i in places if sweep_plan.arms[i].study == study] for study in studies]


def tests_of(file: SweepFile) -> int:
    """How many tests are corrected together: of pairs of alternatives, or of the factors that these combine."""
    factors = file.alternatives[0].factors
    if len(factors) < 2:
        return max(1, math.comb(len(file.alternatives), 2))
    levels = [len({alternative.factors[key] for alternative in file.alternatives}) for key in factors]
    return sum(math.comb(count, 2) for count in levels) + math.comb(len(levels), 2)


def too_few_studies(file: SweepFile) -> str | None:
    """A warning where so few studies can tell no difference from chance, with how many could."""
    studies, tests = file.sweep.studies, tests_of(file) * file.looks
    least = least_studies(tests)
    if studies == 1 or len(file.alternatives) < 2 or studies >= least:
        return None
    p = min(1.0, 2 * tests / math.comb(2 * studies, studies))
    of_tests = "" if tests == 1 else f" of {tests}"
    in_round = " in this round" if file.sweep.until else ""
    return (
        f"sweep.studies: with {studies} studies no verdict is possible{in_round}: the best p-value that one comparison"
        f"{of_tests} can have is {p:.2g}, and it takes {ALPHA:g}; write sweep.studies: {least} or more"
    )


def check_studies(sweep_plan: SweepPlan) -> None:
    """Refuses what cannot be repeated.  Raises SpecError."""
    file = sweep_plan.file
    if file.sweep.studies == 1:
        return
    if not final_seeds(file, file.bases[0])[1]:
        message = "the value of a study is measured on fresh seeds, and sweep.final_seeds is 0"
        raise file.fail("studies", f"{message}; leave one of the two out")
    varied = [arm for arm in sweep_plan.arms if arm.alternative.space]
    if not varied:
        message = "nothing varies, so there is no search to repeat"
        raise file.fail("studies", f"{message}; leave it out, and write sweep.final_seeds for more seeds")
    first = varied[0]
    again = next(arm for arm in varied if (arm.study, arm.label) == (2, first.label))
    space = first.alternative.space
    points = [sweep_plan.search.ask(space, arm.seed, 0, _LOOKED_AT, []) for arm in (first, again)]
    if points[0] == points[1]:
        name = sweep_plan.search_name
        message = f"{name} draws nothing, so every study would try the same settings"
        raise file.fail("studies", f"{message}; leave it out, or write sweep.search: random")
    folders = {study_folder(study) for study in range(2, file.sweep.studies + 1)}
    for alternative in file.alternatives:
        if alternative.label in folders:
            message = f"an alternative is called {alternative.label}, as the folder of a study is"
            raise file.fail("studies", f"{message}; give its function another name")
