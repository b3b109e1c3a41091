"""The comparison of the lecture's six on MNIST: rates chosen, five seeds, and which statements hold."""

from __future__ import annotations

from collections.abc import Mapping

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

from nnrun.statistics.mean import mean_and_interval

__all__ = ["mnist"]

_CONFIG = "mnist_optimizers"
_GRIDS = {
    "sgd": (0.05, 0.1, 0.2, 0.5),
    "momentum": (0.01, 0.02, 0.05, 0.1),
    "nesterov": (0.01, 0.02, 0.05, 0.1),
    "adagrad": (0.005, 0.01, 0.02, 0.05),
    "rmsprop": (0.0005, 0.001, 0.002, 0.005),
    "adam": (0.001, 0.002, 0.005, 0.01),
}
_LINE = 21  # steps between two lines of metrics, a twentieth of an epoch
_TIMES = ("after ¼ epoch", "after 1 epoch", "last epoch")
_NEAR = 1.1  # a loss at most this many times the lowest is near it

Losses = Mapping[str, np.ndarray]  # optimizer -> (seeds, times)


def mnist() -> str:
    """Chooses the rates, trains five seeds of each, draws and judges."""
    rates = {name: _chosen(name) for name in _GRIDS}
    made, panels = figure(2, height=4.2)
    losses, rows = {}, []
    for (name, (rate, shown)), colour in zip(rates.items(), COLOURS, strict=False):
        runs = train(_CONFIG, _block(name, rate), "train.seeds=5")
        steps, loss = curve(runs, "train/loss")
        # A line at the end of an epoch is the mean of the few steps since the line before, and as noisy as they are.
        whole = np.diff(steps, prepend=0) > _LINE // 2
        steps, loss = steps[whole], loss[:, whole]
        _draw(panels, steps, loss, f"{name}  rate {rate:g}", colour)
        losses[name] = _at_times(steps, loss)
        accuracy = [run.summary["metrics"]["last"]["test/accuracy"] for run in runs]
        cells = [plus_minus(column, ".4f") for column in losses[name].T]
        rows.append([name, shown, *cells, plus_minus(accuracy, ".2f", 100)])
    panels[0].set(xlabel="epoch", ylabel="training loss", yscale="log", xlim=(0, 1), ylim=(0.1, 1))
    panels[1].set(xlabel="epoch", yscale="log", xlim=(0, 5))
    for panel in panels:
        plain_ticks(panel, 0.05, 0.1, 0.2, 0.5)
    panels[0].legend()
    save(made, "mnist.png")
    head = ["optimizer", "rate, and those tried", *(f"loss {time}" for time in _TIMES), "test accuracy, %"]
    shown = picture("mnist.png", "Training loss of the six on MNIST, means of five seeds with 95% bands")
    return f"{shown}\n\n{table(head, rows)}\n\n{_judged(losses)}"


def _block(name: str, rate: float) -> str:
    return f"optimizer={{name: {name}, learning_rate: {rate}}}"


def _chosen(name: str) -> tuple[float, str]:
    """The rate with the lowest validation loss after an epoch, on a seed of its own; and the grid as text."""
    short = ("train.duration=1 epoch", "train.seed=100")
    found = {}
    for rate in _GRIDS[name]:
        [run] = train(_CONFIG, _block(name, rate), *short)
        found[rate] = float(run.metrics["val/loss"][1][-1]) if run.status == "done" else np.inf
    best = min(found, key=lambda rate: found[rate])
    return best, ", ".join(f"**{rate:g}**" if rate == best else f"{rate:g}" for rate in found)


def _draw(panels: np.ndarray, steps: np.ndarray, loss: np.ndarray, label: str, colour: str) -> None:
    """The first epoch line by line, then all of them in means of a quarter of an epoch."""
    band(panels[0], (steps - _LINE / 2) / EPOCH, loss, label, colour)
    lines = len(steps) // 5 * 5
    middles = steps[:lines].reshape(-1, 5).mean(1) - _LINE / 2
    band(panels[1], middles / EPOCH, loss[:, :lines].reshape(len(loss), -1, 5).mean(2), label, colour)


def _at_times(steps: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """The loss of a tenth of an epoch before ¼ epoch and before 1 epoch, and of the last epoch; (seeds, 3)."""
    ends = [int(np.searchsorted(steps, when * EPOCH, side="right")) for when in (0.25, 1)]
    parts = [loss[:, end - 2 : end] for end in ends] + [loss[:, -20:]]
    return np.stack([part.mean(1) for part in parts], axis=1)


def _judged(losses: Losses) -> str:
    """The statements of the lecture and of Adam's paper, and whether the differences between seeds bear them out."""
    rows = []
    for better, worse in (("momentum", "sgd"), ("nesterov", "sgd"), ("nesterov", "momentum")):
        pairs = losses[better] - losses[worse]
        rows.append([f"{better} before {worse}", *map(_verdict, pairs.T)])
    for factor, words in ((1.0, "Adam first"), (_NEAR, "Adam at most a tenth above the best of the others")):
        others = [losses["adam"] - factor * losses[name] for name in losses if name != "adam"]
        rows.append([words, *(_all([_verdict(one[:, i]) for one in others]) for i in range(len(_TIMES)))])
    for rival in ("rmsprop", "adam"):
        ratio = np.log(losses["adagrad"] / losses[rival])
        slower = [_verdict(ratio[:, 0] - ratio[:, i]) for i in (1, 2)]
        rows.append([f"AdaGrad falls back against {rival}, since ¼ epoch", "", *slower])
    return table(["statement", *_TIMES], rows)


def _verdict(differences: np.ndarray) -> str:
    """Whether they are below 0, one for each seed, by their 95% interval."""
    mean, half = mean_and_interval(differences.tolist())
    if half is None or abs(mean) <= half:
        return "not decided"
    return "holds" if mean < 0 else "does not hold"


def _all(verdicts: list[str]) -> str:
    """Whether all of them hold."""
    for word in ("does not hold", "not decided"):
        if word in verdicts:
            return word
    return "holds"
