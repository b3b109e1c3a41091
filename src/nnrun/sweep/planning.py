"""What a sweep file means: its search, its lines with their plans, its metric, its budgets."""

from __future__ import annotations

from nnrun import catalog
from nnrun.catalog import bound
from nnrun.duration import Clock
from nnrun.errors import SpecError
from nnrun.runner.session import Prepared
from nnrun.space import Search
from nnrun.spec.problem import error_at
from nnrun.statistics.metric import Metric, is_of_loss, metric_of
from nnrun.statistics.studies import least_studies
from nnrun.sweep.engine import Engine
from nnrun.sweep.file import SweepFile
from nnrun.sweep.plan import SweepPlan
from nnrun.sweep.stages import losers_among, rung_steps
from nnrun.sweep.studies import check_studies, tests_of, too_few_studies
from nnrun.sweep.trials import Arm, arms, check, final_seeds, seeds_of, trial_at, trial_spec, values_at
from nnrun.types import Plan

__all__ = ["make_plan"]

_TRIALS = 20
_TRIED = 3  # trials of a line that may be impossible before all are taken to be


def make_plan(file: SweepFile, engine: Engine) -> SweepPlan:
    """Checks everything that a sweep will need; nothing is created.

    Raises SpecError, DataError, MachineError.
    """
    for warning in file.warnings:
        engine.warn(warning)
    search, name = _search(file)
    check(file)
    all_arms = arms(file)
    in_study = [arm for arm in all_arms if arm.study == 1]  # the specs of the others have other seeds
    firsts = [_first(file, arm, search, engine) for arm in in_study]
    _refuse_copies(file, in_study, firsts)
    plans = [prepared.experiment.plan for prepared in firsts] * file.sweep.studies
    metric = _metric(file, plans)
    if is_of_loss(metric.name):
        _refuse_losses(file, metric, in_study, firsts)
    sweep_plan = SweepPlan(
        file, search, name, all_arms, [_budget(file, arm, search) for arm in all_arms], plans, metric
    )
    check_studies(sweep_plan)
    _check_search(sweep_plan)
    if warning := too_few_studies(file):
        engine.warn(warning)
    return sweep_plan


def _search(file: SweepFile) -> tuple[Search, str]:
    path = file.path_of("search")
    block = catalog.bind_block(
        "search", file.sweep.search, path, file.places, file.bases[0].path.parent.absolute()
    )
    try:
        return bound.call(block, {}, Clock(1, 1, 0)), block.name
    except (ValueError, bound.WrongResultError) as error:
        raise file.fail("search", f"{block.name}: {error}") from None


def _first(file: SweepFile, arm: Arm, search: Search, engine: Engine) -> Prepared:
    """The first trial of a line that can be built; raises what is wrong with the first, if none can."""
    reason: SpecError | None = None
    for number, point in enumerate(search.ask(arm.alternative.space, arm.seed, 0, _TRIED, [])):
        name = trial_at(arm, number, point).name
        try:
            checked = trial_spec(file, arm, values_at(arm, point), seeds_of(file, arm.base), name)
            return Prepared(checked, engine.experiment(checked))
        except SpecError as error:
            reason = reason or error
    assert reason is not None
    raise reason


def _refuse_copies(file: SweepFile, all_arms: list[Arm], firsts: list[Prepared]) -> None:
    """Raises SpecError where two alternatives are the same: they would be compared with each other."""
    from nnrun import build

    known: dict[str, Arm] = {}
    for arm, prepared in zip(all_arms, firsts, strict=True):
        resolved = {k: v for k, v in build.resolved(*prepared).items() if k != "name"}
        earlier = known.setdefault(repr((arm.base.label, resolved, arm.alternative.space)), arm)
        if earlier is not arm:
            label, path = arm.alternative.label, next(iter(arm.alternative.places.values()))
            message = f"{label} is the same as {earlier.alternative.label}; write each once"
            raise error_at(path, message, file.places)


def _budget(file: SweepFile, arm: Arm, search: Search) -> int:
    if not arm.alternative.space:
        return 1  # nothing varies: further trials would be the same runs again
    most = search.most(arm.alternative.space) if search.most else None
    trials = file.sweep.trials or most or _TRIALS
    return trials if most is None else min(trials, most)


def _metric(file: SweepFile, plans: list[Plan]) -> Metric:
    """The metric that judges."""
    judges = {plan.judge for plan in plans}
    if None in judges:
        raise file.fail("metric", "nothing is held out to judge by; write data.validation: 0.1 in the base")
    if len(judges) > 1:
        names = " and ".join(sorted(map(str, judges)))
        raise file.fail("metric", f"the trials would be judged by {names}; write sweep.metric")
    metric = metric_of(str(judges.pop()), plans[0].rising, plans[0].bounds)
    if file.sweep.goal not in (None, metric.goal):
        message = f"got {file.sweep.goal}, but of {metric.name} {metric.words} is better; leave it out"
        raise file.fail("goal", message)
    return metric


def _refuse_losses(file: SweepFile, metric: Metric, in_study: list[Arm], firsts: list[Prepared]) -> None:
    """Raises SpecError where trials of a base would be judged by their losses, and these differ."""
    from nnrun import build

    losses: dict[str, object] = {}
    for arm, prepared in zip(in_study, firsts, strict=True):
        loss = build.resolved(*prepared)["loss"]
        classifies = bool(prepared.experiment.dataset.classes)
        paths = [dimension.path for dimension in arm.alternative.space]
        varied = next((path for path in paths if f"{path}.".startswith("loss.")), "")
        if not classifies and "data.examples" in paths:  # targets are in units of their deviation there
            varied = varied or "data.examples"
        if varied or losses.setdefault(arm.base.label, loss) != loss:
            what = f"{varied} changes what it is" if varied else "their losses differ"
            message = f"the trials would be judged by {metric.name}, and {what}"
            raise file.fail(
                "metric", f"{message}; write sweep.metric: val/{'accuracy' if classifies else 'r2'}"
            )


def _check_search(sweep_plan: SweepPlan) -> None:
    """Refuses what the search cannot do with these spaces."""
    file, search = sweep_plan.file, sweep_plan.search
    if file.sweep.until and (search.rungs or search.adaptive) and file.sweep.studies == 1:
        message = (
            f"trials of {sweep_plan.search_name} depend on each other, so there is no verdict to wait for"
        )
        studies = least_studies(tests_of(file) * file.looks)
        remedy = f"write sweep.studies: {studies}, sweep.search: random, or leave it out"
        raise file.fail("until", f"{message}; {remedy}")
    fresh = final_seeds(file, file.bases[0])[1]
    if file.sweep.until and fresh < 2 and file.sweep.studies == 1:
        raise file.fail(
            "until", f"nothing is compared with sweep.final_seeds: {fresh}; leave one of the two out"
        )
    if search.rungs and not all(rung_steps(search, plan) for plan in sweep_plan.plans):
        message = (
            f"{sweep_plan.search_name} compares trials on the way, but they are evaluated only at their end"
        )
        raise file.fail("search", f"{message}; write a shorter train.evaluate_every or a longer run")
    if search.explore is None:
        return
    if any(plan.patience for plan in sweep_plan.plans):
        message = f"{sweep_plan.search_name} decides itself who continues; leave train.early_stopping out of the base"
        raise file.fail("search", message)
    for arm, budget in zip(sweep_plan.arms, sweep_plan.budgets, strict=True):
        if arm.alternative.space and not losers_among(budget, 1 - search.keep):
            message = f"of {budget} trials the share of losers is less than one"
            raise file.fail("trials", f"{message}; write more sweep.trials or larger losers")
        blocked = [
            dimension.path
            for dimension in arm.alternative.space
            if not _may_change(file, arm, dimension.path)
        ]
        if blocked:
            message = f"{sweep_plan.search_name} changes settings during a run, and {blocked[0]} cannot change there"
            raise file.fail("over", f"{message}; write another sweep.search, see `nnrun list search`")


def _may_change(file: SweepFile, arm: Arm, path: str) -> bool:
    """Whether a key is a knob: two specs that differ in it have one structure."""
    from nnrun.build import structure_of

    space = arm.alternative.space
    low, high = (
        trial_spec(
            file,
            arm,
            values_at(arm, tuple(u if dimension.path == path else 0.5 for dimension in space)),
            (0, 1),
            "trial",
        )
        for u in (0.3, 0.7)
    )
    return structure_of(low) == structure_of(high) and low is not high
