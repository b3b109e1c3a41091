"""Sections about the size of steps: AdaGrad's dying rate, Adam's bias correction, decay schedules."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from optimizers_parts import (
    COLOURS,
    EPOCH,
    band,
    curve,
    figure,
    picture,
    plain_ticks,
    plus_minus,
    save,
    table,
    train,
)

from nnrun.build import schedule
from nnrun.duration import Clock

__all__ = ["bias_correction", "decay", "dying_rate"]

_CONFIG = "mnist_optimizers"
_SEEDS = "train.seeds=5"
_SLOWING = {"adagrad": 0.02, "rmsprop": 0.001}  # rates
_RATES = (0.001, 0.01)  # of Adam with and without correction
_FIRST = 200  # steps
_SCHEDULES = {
    "constant": "constant",
    "step_decay": "{name: step_decay, every: 1 epoch}",
    "exponential": "{name: exponential, every: 1 epoch}",
    "inverse_time": "{name: inverse_time, every: 1 epoch}",
    "cosine": "cosine",
}


def dying_rate() -> str:
    """‖update‖ and the training loss of AdaGrad and RMSProp over five epochs of MNIST."""
    made, (left, right) = figure(2)
    rows = []
    for (name, rate), colour in zip(_SLOWING.items(), COLOURS[:2], strict=True):
        runs = train(_CONFIG, f"optimizer={{name: {name}, learning_rate: {rate}}}", _SEEDS)
        steps, update = curve(runs, "update/norm")
        _, loss = curve(runs, "train/loss")
        gradient = curve(runs, "grad/norm")[1]
        band(left, *_binned(steps / EPOCH, update), f"{name}  rate {rate:g}", colour)
        band(right, *_binned(steps / EPOCH, loss), name, colour)
        slope = [np.polyfit(np.log(steps), np.log(one), 1)[0] for one in update]
        fell = [np.mean(one[-20:]) / np.mean(one[:20]) for one in update]
        slack = [np.mean(one[-20:]) / np.mean(one[:20]) for one in gradient]
        ends = [plus_minus(loss[:, -20:].mean(1), ".4f")]
        rows.append(
            [name, plus_minus(slope, ".2f"), plus_minus(fell, ".2f"), plus_minus(slack, ".2f"), *ends]
        )
    for panel, name in ((left, "‖update‖"), (right, "training loss")):
        panel.set(xscale="log", yscale="log", xlabel="epoch", ylabel=name)
        plain_ticks(panel, 0.1, 0.2, 0.5, 1)
    left.legend()
    save(made, "dying_rate.png")
    head = ["optimizer", "p in ‖update‖ ∝ stepᵖ", "‖update‖, last epoch / first"]
    head += ["‖gradient‖, last epoch / first", "training loss, last epoch"]
    shown = picture("dying_rate.png", "AdaGrad's steps shrink from the first to the last, RMSProp's do not")
    return f"{shown}\n\n{table(head, rows)}"


def _binned(x: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over ever longer stretches of x (n,) and values (runs, n), for a logarithmic axis."""
    edges = np.unique(np.geomspace(1, len(x) + 1, 16).round().astype(int)) - 1
    parts = [slice(a, b) for a, b in pairwise(edges.tolist())]
    return np.array([x[part].mean() for part in parts]), np.stack(
        [values[:, part].mean(1) for part in parts], 1
    )


def bias_correction() -> str:
    """The first steps of Adam with and without the correction, at two rates."""
    made, (sizes, *panels) = figure(3)
    rows = []
    for rate, panel in zip(_RATES, panels, strict=True):
        for correct, colour in zip((True, False), COLOURS[:2], strict=True):
            options = f"learning_rate: {rate}, bias_correction: {str(correct).lower()}"
            runs = train(
                _CONFIG, f"optimizer={{name: adam, {options}}}", _SEEDS,
                f"train.duration={_FIRST} steps", "train.log_every=1 step",
            )  # fmt: skip
            steps, update = curve(runs, "update/norm")
            loss = curve(runs, "train/loss")[1]
            word = "with correction" if correct else "without"
            band(panel, steps, loss, word, colour)
            worst = plus_minus(loss.max(1), ".2f")
            early = [plus_minus(update[:, i], ".2f") for i in (0, 9)]
            rows.append([f"{rate:g}, {word}", *early, worst, plus_minus(loss[:, -20:].mean(1))])
            if rate == _RATES[0]:
                band(sizes, steps, update, word, colour)
        panel.set(title=f"rate {rate:g}", yscale="log", xlabel="step", ylabel="training loss of the batch")
    sizes.set(title=f"rate {_RATES[0]:g}", yscale="log", xlabel="step", ylabel="‖update‖")
    sizes.legend()
    save(made, "bias_correction.png")
    head = ["rate", "‖update‖ of step 1", "of step 10", "highest loss", f"loss, last 20 of {_FIRST} steps"]
    shown = picture(
        "bias_correction.png", "Adam's first steps and their loss, with and without bias correction"
    )
    return f"{shown}\n\n{table(head, rows)}"


def decay() -> str:
    """Five schedules: their factors, and what they do to a run."""
    made, (left, right) = figure(2)
    clock = Clock(128, EPOCH, 5 * EPOCH)
    rows = []
    for (name, block), colour in zip(_SCHEDULES.items(), COLOURS, strict=False):
        factors = schedule.factors(block, Path.cwd(), clock, clock.total)
        left.plot(np.arange(clock.total) / EPOCH, factors, lw=1.5, color=colour, label=name)
        optimizer = "optimizer={name: momentum, learning_rate: 0.1}"
        runs = train(_CONFIG, optimizer, f"schedule={block}", _SEEDS)
        steps, loss = curve(runs, "train/loss")
        epochs, smooth = (
            (steps[9::10] - 105) / EPOCH,
            loss[:, : len(steps) // 10 * 10].reshape(5, -1, 10).mean(2),
        )
        band(right, epochs, smooth, name, colour)
        accuracy = [run.summary["metrics"]["last"]["test/accuracy"] for run in runs]
        ends = [plus_minus(loss[:, -20:].mean(1), ".4f"), plus_minus(accuracy, ".2f", 100)]
        rows.append([f"`{block}`", f"{factors[-1]:.2g}", *ends])
    left.set(xlabel="epoch", ylabel="factor of the learning rate", ylim=(0, 1.05))
    right.set(yscale="log", xlabel="epoch", ylabel="training loss, mean of half an epoch")
    plain_ticks(right, 0.02, 0.05, 0.1, 0.2)
    left.legend()
    save(made, "decay.png")
    head = ["schedule", "factor at the end", "training loss, last epoch", "test accuracy, %"]
    shown = picture("decay.png", "Left the factors of five schedules, right the training loss under them")
    return f"{shown}\n\n{table(head, rows)}"
