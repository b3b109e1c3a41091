"""What `nnrun explain` shows, part by part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nnrun.errors import counted
from nnrun.report import explained

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nnrun.probe.explain import Explanation

__all__ = ["content"]

_FLOPS = "FLOPs: forwards for one example, counted by XLA's cost analysis of each layer."
_TIME = "Time: each layer alone, forwards and backwards, in share of their sum."


def content(meaning: Explanation) -> Iterator[RenderableType]:
    """Data, model, optimizer, schedule, steps and cost."""
    course = meaning.course
    schedule = (
        ["this optimizer has no learning rate"] if course is None else list(explained.course_lines(*course))
    )
    rules = [line for rule in meaning.rules for line in explained.rule_lines(*rule)]
    data = explained.data_lines(meaning.about, meaning.notes, meaning.examples, meaning.inputs)
    yield from explained.sections(
        [
            ("data", list(data)),
            (f"model: {meaning.plan.model}", list(_layers(meaning))),
            ("optimizer", rules),
            ("learning rate", schedule),
            ("steps", list(explained.folded(_steps(meaning)))),
            ("cost on this machine", list(explained.folded(_cost(meaning)))),
        ]
    )


def _layers(meaning: Explanation) -> Iterator[RenderableType]:
    if not meaning.layers:
        words = (
            f"{meaning.parameters:,} parameters; the layers of another library's module cannot be looked into"
        )
        yield from explained.folded([words])
        return
    yield explained.layer_sheet([explained.LayerCost(*row) for row in meaning.layers])
    yield from explained.folded([_FLOPS, _TIME])


def _steps(meaning: Explanation) -> Iterator[str]:
    plan = meaning.plan
    yield from explained.plan_lines(
        plan.steps, plan.steps_per_epoch, plan.batch_size, meaning.examples["train"], plan.evaluate_every,
        plan.log_every, plan.judge,
    )  # fmt: skip
    every = (
        f"every {counted(plan.checkpoint_every, 'step', ',')}"
        if plan.checkpoint_every
        else f"every {plan.checkpoint_seconds:g} s"
    )
    best = ", and the best" if plan.judge else ""
    yield f"a checkpoint {every} and at the end; the newest {plan.keep} are kept{best}"
    if plan.patience:
        patience = counted(plan.patience, "step", ",")
        yield f"it may stop early, after {patience} without an improvement of {plan.patience_metric}"
    if plan.accumulate > 1:
        yield f"each batch goes through the model in {plan.accumulate} parts"


def _cost(meaning: Explanation) -> Iterator[str]:
    seeds = len(meaning.plan.seeds)
    runs = f" for {seeds} seeds" if seeds > 1 else f" for {meaning.folds} folds" if meaning.folds else ""
    yield from explained.cost_lines(
        meaning.seconds,
        meaning.step_seconds,
        meaning.compile_seconds,
        meaning.memory,
        meaning.state_bytes,
        runs,
    )
    if seeds > 1:
        yield f"the {seeds} seeds are lanes of one program"
    else:
        yield meaning.sharing
    if meaning.plan.fsdp or meaning.plan.devices not in (1, "auto"):
        return  # which sweeps refuse, and several seeds
    if seeds == 1:
        yield "one seed; train.seeds=5 would train five as lanes of one program"
    options = ", ".join(meaning.knobs)
    yield (
        f"a sweep would put up to {meaning.width} runs into one program here, if they differ only in the seed"
        f"{' and in ' if options else ''}{options}"
    )
