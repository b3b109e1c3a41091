"""The loss and the optimizer of a spec in torch, and its training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nnrun.catalog import Spec
from nnrun.probe.rival.net import Module, Optimizer, Tensor, Torch
from nnrun.types import Experiment

__all__ = ["Rival", "refuse_other"]

_FUSED = ("SGD", "Adam", "AdamW", "Adagrad")  # what torch computes in one pass, on a CPU too
_OPTIMIZERS = {
    "sgd": "SGD", "momentum": "SGD", "nesterov": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop",
    "adagrad": "Adagrad", "adamax": "Adamax", "nadam": "NAdam",
}  # fmt: skip
_LOSSES = ("cross_entropy", "squared_error", "absolute_error", "huber", "binary_cross_entropy")
_CLIPS = ("clip_array", "clip_adaptive")


def refuse_other(spec: Spec) -> None:
    """Raises SpecError for what is not the model and has no counterpart in torch, or would be timed on one side."""
    lists = {"augment": spec.augment, "penalty": spec.penalty, "average": spec.average}
    for key, blocks in lists.items():
        if blocks:
            raise spec.fail(
                (key,), f"--vs torch leaves out {blocks[0].name}; write {key}=[] to compare without it"
            )
    for key, known in (("optimizer", tuple(_OPTIMIZERS)), ("loss", _LOSSES)):
        name = getattr(spec, key).name
        if name not in known:
            raise spec.fail(
                (key, "name"), f"--vs torch knows no counterpart of {name}; it has {', '.join(known)}"
            )
    if spec.loss.options.get("class_weight"):
        raise spec.fail(
            ("loss", "class_weight"), "--vs torch leaves out class_weight; write loss.class_weight=null"
        )
    for key in _CLIPS:
        if spec.optimizer.common.get(key):
            raise spec.fail(
                ("optimizer", key), f"--vs torch knows no counterpart of {key}; write optimizer.{key}=null"
            )
    if spec.train.precision not in ("float32", "float64"):
        message = f"--vs torch compares float32 and float64, not {spec.train.precision}"
        raise spec.fail(("train", "precision"), message)
    if spec.train.accumulate > 1:
        raise spec.fail(("train", "accumulate"), "--vs torch takes whole batches; write train.accumulate=1")


class Rival:
    """A torch net in training: as most people write it, one step after another."""

    def __init__(
        self,
        torch: Torch,
        spec: Spec,
        experiment: Experiment,
        module: Module,
        threads: int,
        channels_last: bool,
    ) -> None:
        self._torch, self._module, self.threads, self.channels_last = torch, module, threads, channels_last
        if channels_last:
            module.to(memory_format=torch.channels_last)
        self._loss = _loss(torch, spec)
        self._optimizer, self._clip = _optimizer(torch, spec, module)
        self._batch, self._log_every = experiment.plan.batch_size, experiment.plan.log_every
        self._x, self._y = _examples(torch, experiment)
        self._order, self._next = torch.randperm(len(self._x)), 0

    def train(self, steps: int) -> None:
        """So many steps, which begin a new epoch where one ends; the loss is looked at as often as by nnrun."""
        torch = self._torch
        torch.set_num_threads(self.threads)
        self._module.train()
        losses: list[Tensor] = []
        for step in range(1, steps + 1):
            losses.append(self._step().detach())
            if step % self._log_every == 0 or step == steps:
                torch.stack(losses).mean().item()
                losses = []

    def _step(self) -> Tensor:
        rows = self._order[self._next : self._next + self._batch]
        self._next += self._batch
        if self._next >= len(self._x):
            self._order, self._next = self._torch.randperm(len(self._x)), 0
        x = self._x[rows]
        if self.channels_last:
            x = x.contiguous(memory_format=self._torch.channels_last)
        loss = self._loss(self._module(x), self._y[rows])
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._clip()
        self._optimizer.step()
        return loss

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """What the net says without noise, (n, outputs), of standardised inputs (n, h, w, c) or (n, d)."""
        self._module.eval()
        with self._torch.no_grad():
            return self._module(_channels_first(self._torch, x)).numpy()


def _examples(torch: Torch, experiment: Experiment) -> tuple[Tensor, Tensor]:
    """The training part, standardised beforehand."""
    data = experiment.dataset
    kind = np.dtype("float64" if experiment.plan.precision == "float64" else "float32")
    x = (np.asarray(data.train.x[:]).astype(kind) - data.shift.astype(kind)) / data.scale.astype(kind)
    y = np.asarray(data.train.y)
    y = y.astype(np.int64) if data.classes else y.astype(kind).reshape(len(y), -1)
    return _channels_first(torch, x), torch.from_numpy(np.array(y))


def _channels_first(torch: Torch, x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x, order="C"))


def _loss(torch: Torch, spec: Spec) -> Callable[[Tensor, Tensor], Tensor]:
    functional, options = torch.nn.functional, spec.loss.options
    if spec.loss.name == "cross_entropy":
        smoothing = float(options.get("label_smoothing", 0.0))
        return lambda z, y: functional.cross_entropy(z, y, label_smoothing=smoothing)
    if spec.loss.name == "squared_error":
        return lambda z, y: functional.mse_loss(z, y) / 2
    if spec.loss.name == "huber":
        return lambda z, y: functional.huber_loss(z, y, delta=float(options.get("delta", 1.0)))
    if spec.loss.name == "absolute_error":
        return functional.l1_loss
    return functional.binary_cross_entropy_with_logits


def _optimizer(torch: Torch, spec: Spec, module: Module) -> tuple[Optimizer, Callable[[], None]]:
    """The optimizer of the same family at the rate of the spec, and what clips its gradients."""
    block = spec.optimizer
    name, common = _OPTIMIZERS[block.name], block.common
    decay = float(common.get("weight_decay") or block.options.get("weight_decay") or 0.0)
    if name == "Adam" and decay:
        name = "AdamW"
    options: dict[str, Any] = {"lr": float(block.options["learning_rate"]), "weight_decay": decay}
    if name == "SGD" and block.name != "sgd":
        options |= {"momentum": float(block.options["momentum"]), "nesterov": block.name == "nesterov"}
    if "b1" in block.options:
        options["betas"] = (float(block.options["b1"]), float(block.options["b2"]))
    if name == "RMSprop":
        options |= {"alpha": float(block.options["decay"]), "momentum": float(block.options["momentum"])}
        options["centered"] = bool(block.options["centered"])
    if name in _FUSED:
        options["fused"] = True
    optimizer = getattr(torch.optim, name)(module.parameters(), **options)

    def clip() -> None:
        if common.get("clip_value"):
            torch.nn.utils.clip_grad_value_(module.parameters(), float(common["clip_value"]))
        if common.get("clip_norm"):
            torch.nn.utils.clip_grad_norm_(module.parameters(), float(common["clip_norm"]))

    return optimizer, clip
