"""What a timing says, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nnrun.amounts import short_number, time_text, with_digits
from nnrun.errors import counted, size_text

__all__ = ["LABEL", "speed_lines"]

LABEL = 13  # characters of a label with its blanks
_BUSY = 0.3  # of the load, above which figures are not to be quoted


def speed_lines(speed: Mapping[str, Any]) -> Iterator[str]:
    """The figures of `nnrun bench --json` in words."""
    step, lanes, batch = speed["step_seconds"], speed["lanes"], speed["batch_size"]
    low, high = speed["spread"]
    nets = f", {lanes} nets at once: {time_text(step / lanes)} a net" if lanes > 1 else ""
    yield f"device       {speed['device']}, {counted(speed['cores'], 'core')}"
    yield f"compiling    {time_text(speed['compile_seconds'])}, from nothing"
    yield f"a step       {time_text(step)} ({time_text(low)} to {time_text(high)}){nets}"
    yield f"speed        {with_digits(1 / step, 4)} steps/s, {with_digits(lanes * batch / step, 4)} examples/s"
    if speed["share"] is None:
        yield "operations   not known: the layers of another library's module cannot be looked into"
    else:
        rate, peak = speed["flops"] / step, speed["peak"]
        reached = (
            f"{with_digits(rate / 1e9)} GFLOP/s: {100 * rate / peak:.1f}% of the {with_digits(peak / 1e9)}"
        )
        yield f"operations   {short_number(speed['flops'])} a step, {reached}"
        yield "             that large products of matrices reach here"
    state, memory = size_text(speed["state_bytes"]), size_text(speed["memory"])
    yield f"memory       {state} a state; {memory} with data, without activations"
    if speed["versus"] is not None:
        yield from _versus_lines(speed["versus"])
    if speed["load"] is not None and speed["load"] > _BUSY:
        yield f"the machine was busy (load {speed['load']:.1f}), so it can do better than this"
        if speed["versus"] is not None:
            yield "threads of torch then wait for each other, which flatters nnrun: do not quote it"


def _versus_lines(versus: Mapping[str, Any]) -> Iterator[str]:
    """The comparison: nnrun, and the other library in each configuration."""
    lanes = versus["lanes"]
    yield ""
    yield f"beside {versus['rival']}, eager: the same net ({versus['parameters']:,} parameters) and weights,"
    rounds = f"{counted(versus['rounds'], 'round')} of {counted(versus['steps'], 'step')} in turn"
    yield f"batch {versus['batch_size']}, {versus['optimizer']}; {rounds}, without evaluations"
    rows = [("nnrun", versus["step_seconds"], None)]
    for rival in versus["configurations"]:
        threads = counted(rival["threads"], "thread")
        order = ", channels last" if rival["channels_last"] else ""
        rows.append((f"torch, {threads}{order}", rival["step_seconds"], rival["ratio"]))
    width = max(len(name) for name, _, _ in rows)
    for name, seconds, ratio in rows:
        beside = "" if ratio is None else f"   {ratio:.2f} times as long"
        yield f"  {name:<{width}}   {time_text(seconds)}{beside}"
    best = min(rival["ratio"] for rival in versus["configurations"])
    nets = (
        f" Each of {lanes} nets counts alone: torch would train them one after another." if lanes > 1 else ""
    )
    yield f"nnrun is {best:.2f} times as fast as torch in its best configuration here.{nets}"
