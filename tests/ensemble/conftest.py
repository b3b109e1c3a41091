"""Hand-made models, predictions and run folders: nothing here trains, and only the loss is compiled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nnrun.loss.cross_entropy import cross_entropy
from nnrun.loss.squared_error import squared_error
from nnrun.prediction.by_member import Predicted, store
from nnrun.prediction.models import SharedModel
from nnrun.preprocessing import Part, Preprocessing
from nnrun.record import checkpoint, preprocessing
from nnrun.types import Examples

CLASSES = ("a", "b", "c")
RESOLVED = """\
name: hand
data:
  name: digits
model:
  name: mlp
  hidden: [4]
  dropout: 0.1
loss:
  name: cross_entropy
train:
  precision: float32
"""
FITTED = Preprocessing(
    classes=CLASSES,
    columns=(),
    shape=(2,),
    dtype="float32",
    shift=np.array([0.1, -2.0]),
    scale=np.array([1.0, 1 / 3]),
    target_shift=0.0,
    target_scale=1.0,
    parts={"train": Part(70, "a", "t"), "val": Part(10, "b", "u"), "test": Part(20, "c", "v")},
)


def no_tick() -> None:
    """For code that counts its progress."""


@pytest.fixture
def counted() -> Callable[..., Any]:
    """counted(what, total): a progress display that collects what it is asked to show, in its `shown`."""

    @contextmanager
    def counting(what: str, total: int | None) -> Iterator[Callable[[], None]]:
        ticks: list[None] = []
        yield lambda: ticks.append(None)
        counting.shown.append((what, total, len(ticks)))  # type: ignore[attr-defined]

    counting.shown = []  # type: ignore[attr-defined]
    return counting


@pytest.fixture
def make_model() -> Callable[..., SharedModel]:
    """make_model(y={part: targets}, ...): a model whose outputs are its inputs, or what `outputs` says."""

    def make(
        y: Mapping[str, np.ndarray],
        x: Mapping[str, np.ndarray] | None = None,
        classes: tuple[str, ...] = CLASSES,
        target_scale: float = 1.0,
        target_shift: float = 0.0,
        judge: str | None = None,
        steps_per_epoch: int = 10,
        outputs: Callable[..., np.ndarray] | None = None,
    ) -> SharedModel:
        kind = np.int32 if classes else np.float32
        empty = Examples(np.zeros((0, 2), np.float32), np.zeros(0, kind))
        ready = {
            part: t if classes else ((t - target_shift) / target_scale).astype(kind) for part, t in y.items()
        }
        parts = {
            part: Examples((x or {}).get(part, np.zeros((len(targets), 2), np.float32)), targets)
            for part, targets in ready.items()
        }
        dataset = SimpleNamespace(
            **{"train": empty, "val": empty, "test": empty, **parts},
            classes=classes,
            targets={} if classes else dict(y),
            fitted=FITTED._replace(classes=classes, target_scale=target_scale, target_shift=target_shift),
            rows={},
        )
        loss = cross_entropy() if classes else squared_error(target_scale)
        experiment = SimpleNamespace(
            dataset=dataset,
            plan=SimpleNamespace(judge=judge, steps_per_epoch=steps_per_epoch),
            loss=lambda knobs: loss,
            knobs={},
        )
        default = lambda state, x, tick: np.asarray(x, np.float32) + state  # noqa: E731
        return SharedModel({"name": "hand"}, experiment, "float32", None, outputs or default)  # type: ignore[arg-type]

    return make


@pytest.fixture
def make_predicted(tmp_path: Path, make_model: Callable[..., SharedModel]) -> Callable[..., Predicted]:
    """make_predicted({part: outputs (members, n, k)}, {part: targets}, ...): predictions as files."""

    def make(outputs: Mapping[str, np.ndarray], y: Mapping[str, np.ndarray], **options: Any) -> Predicted:
        folder = tmp_path / "predictions"
        folder.mkdir(exist_ok=True)
        for part, z in outputs.items():
            for i, outputs_of_member in enumerate(z):
                store(folder / f"member_{i + 1:02d}_{part}.npy", outputs_of_member)
        count = len(next(iter(outputs.values())))
        return Predicted(
            folder, count, make_model(y, **options), [float(i) for i in range(count)], list(outputs)
        )

    return make


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """make_run(name, ...): the folder of a run as training leaves it, with made-up arrays."""

    def make(
        name: str,
        seed: int = 0,
        steps: tuple[int, ...] = (10, 20),
        status: str = "done",
        best: int | None = None,
        data: str = "d" * 64,
        kept: tuple[int, ...] = (),
        resolved: str = RESOLVED,
        spec_hash: str = "s",
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> Path:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        draw = np.random.default_rng(seed)
        for step in steps:
            content = {
                "step": np.int32(step),
                "key": np.array([0, seed], np.uint32),
                "params/kernel": draw.normal(size=(2, 3)).astype(np.float32),
                "opt_state/m": draw.normal(size=3).astype(np.float32),
                **(arrays or {}),
            }
            chosen = None if best is None else {"step": best, "value": 0.5}
            progress = {"best": chosen, "kept": list(kept), "latest": {"val/loss": 1.0}, "best_metrics": {}}
            checkpoint.save(folder / "checkpoints", step, content, progress, 0)
        (folder / "metrics.jsonl").write_text(
            '{"step": 10, "val/loss": 1.0}\n{"step": 20, "val/loss": 0.9}\n'
        )
        (folder / "run.json").write_text(
            json.dumps({"data_digest": data, "spec_hash": spec_hash, "cpu": "x"})
        )
        (folder / "state.json").write_text(json.dumps({"status": status, "step": max(steps, default=0)}))
        for file in ("resolved.yaml", "spec.yaml"):
            (folder / file).write_text(resolved)
        preprocessing.write(folder, FITTED)
        return folder

    return make
