"""An ensemble at work: its members have predicted, and their predictions or parameters are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nnrun.ensemble.account import Blend, mean_of
from nnrun.ensemble.average import Combiner, name_of, softmax
from nnrun.ensemble.member import Member
from nnrun.ensemble.parameters import ParameterAverager, independent, make_averager
from nnrun.ensemble.predict import Predicted
from nnrun.ensemble.scores import Judge, targets_of
from nnrun.ensemble.weights import mixture_weights, regression_weights
from nnrun.ensemble.write import write_average
from nnrun.errors import Warn

__all__ = ["Assembly", "Request"]

_MIDDLE = 3  # points of a line that tell whether there is a barrier


class Request(NamedTuple):
    """What is asked for."""

    how: str = "probabilities"
    checkpoints: str = "best"
    top: int | None = None
    split: str = "test"
    barrier: bool = False


class Assembly:
    """Everything that is known once the members have predicted."""

    def __init__(
        self,
        folder: Path,
        members: Sequence[Member],
        predicted: Predicted,
        judge: Judge,
        request: Request,
        order: list[int] | None,
        name: str,
        tick: Callable[[], None],
    ) -> None:
        self.folder, self.members, self.predicted, self.judge = folder, members, predicted, judge
        self.request, self.order, self.name, self.tick = request, order, name, tick
        self._kitchen: ParameterAverager | None = None

    def averager(self) -> ParameterAverager:
        """What averages of parameters need, compiled once."""
        self._kitchen = self._kitchen or make_averager(
            self.predicted.model, self.judge, self.members, self.tick
        )
        return self._kitchen

    def predictions(self) -> tuple[Blend, dict[str, Any]]:
        """The average of the members' predictions."""
        how, predicted = self.request.how, self.predicted
        average = Combiner(how, len(self.members), predicted.model.classifies)
        weights = self._fitted() if how == "weighted" else [1 / len(self.members)] * len(self.members)
        means = {part: mean_of(predicted, average, weights, part) for part in predicted.parts}
        return Blend(how, average, weights, means), {}

    def _fitted(self) -> list[float]:
        model, outputs = self.predicted.model, self.predicted.all("val")
        targets = targets_of(model, self.predicted.examples("val").y)
        if model.classifies:
            rows = np.arange(len(targets))
            return mixture_weights(
                np.stack([softmax(member_outputs)[rows, targets] for member_outputs in outputs])
            ).tolist()
        return regression_weights(
            np.stack([member_outputs[:, 0] for member_outputs in outputs]), targets
        ).tolist()

    def parameters(self) -> tuple[Blend, dict[str, Any]]:
        """The average of the members' parameters, as a checkpoint."""
        how, averager = self.request.how, self.averager()
        arrays, tried = averager.soup(how, self.order, self.name)
        entered = [step.member for step in tried if step.entered] or range(len(self.members))
        weights = [1 / len(entered) if i in entered else 0.0 for i in range(len(self.members))]
        write_average(self.folder, self.members, arrays)
        means = {part: averager.outputs(arrays, part) for part in self.predicted.parts}
        steps = [
            {"name": self.members[step.member].name, "entered": step.entered, self.name: step.value}
            for step in tried
        ]
        extras = {"soup": steps} if tried else {"curve": averager.curve(self.order, self.request.split)}
        return Blend(how, None, weights, means), extras

    def pair(self) -> tuple[int, int]:
        """The two members that a line is drawn between: the best two, independent ones if there are."""
        order = self.order or list(range(len(self.members)))
        first = self.members[order[0]].origin
        partner = next((i for i in order[1:] if self.members[i].origin != first), order[1])
        return order[0], partner

    def warn_of_basins(self, warn: Warn) -> None:
        """Independent runs lie in different basins: says so, with what lies between two of them."""
        if independent(self.members):
            line = self.averager().line(self.pair(), self.request.split, _MIDDLE)
            if line["height"] <= 0:
                return
            ends, middle = [line["line"][i]["loss"] for i in (0, -1)], line["line"][1]["loss"]
            a, b = line["between"]
            warn(
                f"--average {self.request.how}: these are independent runs, whose parameters lie in different basins: "
                f"{self.request.split}/loss is {ends[0]:.4g} at {a}, {ends[1]:.4g} at {b} and {middle:.4g} half-way; "
                + ("" if self.request.barrier else "--barrier shows the line, ")
                + "--average probabilities averages what they predict"
            )

    def described(
        self, blend: Blend, metrics_of: Mapping[str, list[dict[str, float]]], account: dict[str, Any]
    ) -> dict[str, Any]:
        """The account with the names of the members."""
        metrics = account.pop("metrics")
        members = [
            {
                "name": member.name,
                "run": str(member.folder.absolute()),
                "step": member.step,
                "parameters": member.average or "trained",
                "sha256": member.sha256,
                "weight": blend.weights[i],
                "epochs": self.predicted.epochs[i],
                "metrics": metrics["members"][i],
                "validation": metrics_of["val"][i] if "val" in metrics_of else None,
            }
            for i, member in enumerate(self.members)
        ]
        best = None
        if self.order is not None:
            chosen = self.order[0]
            best = {"name": self.members[chosen].name, "by": self.name, "metrics": metrics["best"]}
        means = {"mean": metrics["mean"], "best": best, "ensemble": metrics["ensemble"]}
        shown = name_of(self.request.how, self.predicted.model.classifies)
        head = {"average": shown, "split": self.request.split, "rising": list(self.judge.loss.rising)}
        return {**head, "members": members, **means, **account}

    def record(self, blend: Blend, result: Mapping[str, Any]) -> dict[str, Any]:
        """The content of ensemble.json."""
        kept = ("name", "run", "step", "parameters", "sha256", "weight")
        return {
            "format": 1,
            "kind": "parameters" if blend.average is None else "predictions",
            "average": self.request.how,
            "members": [{name: member[name] for name in kept} for member in result["members"]],
            "temperature": (result.get("calibration") or {}).get("temperature"),
        }
