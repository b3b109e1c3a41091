"""A spec timed beside the same net in torch, on this machine's CPU."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import jax
import numpy as np
from typing_extensions import TypedDict

from nnrun import machine
from nnrun.catalog import Spec
from nnrun.errors import MachineError, SpecError
from nnrun.probe.objective import beginning
from nnrun.probe.rival.learning import Rival, refuse_other
from nnrun.probe.rival.net import Torch, net_of, with_weights
from nnrun.probe.rival.pieces import Piece, pieces_of
from nnrun.probe.sample import looked_at
from nnrun.runner import session
from nnrun.training import shards
from nnrun.training.step import normalise
from nnrun.types import Batch, Examples, Experiment, State

__all__ = ["Rivalry", "Versus", "torch_or_error", "versus"]

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[], None]]]

_ROUNDS = 5
_SECONDS = 0.5  # of each side in a round
_FEWEST = 3  # steps of a round
_AGREES = 1e-3  # relative difference of outputs from the same weights


class Rivalry(TypedDict):
    """Torch in one configuration.

    step_seconds   of one step of one net: the median over rounds
    ratio          its time by nnrun's for a net: the median over rounds; above 1 nnrun is faster
    """

    threads: int
    channels_last: bool
    step_seconds: float
    ratio: float


class Versus(TypedDict):
    """nnrun and torch in turn: the same net from the same weights, batch and family of optimizers.

    step_seconds   of nnrun, of one step of one net: the median over rounds
    load           of the machine before it began; above 0.3 something else was running
    """

    rival: str
    parameters: int
    batch_size: int
    optimizer: str
    lanes: int
    rounds: int
    steps: int
    step_seconds: float
    configurations: list[Rivalry]
    load: float | None


def torch_or_error() -> Torch:
    """The module torch.  Raises MachineError where it is not installed or cannot be imported."""
    try:
        return importlib.import_module("torch")
    except ImportError as error:
        remedy = "pip install torch --index-url https://download.pytorch.org/whl/cpu"
        raise MachineError(f"--vs torch: torch cannot be imported ({error}); write {remedy}") from None


def versus(path: Path, overrides: Sequence[str], show: Counting) -> Versus:
    """Trains a spec for some seconds in turn with torch, in one thread and in all; writes nothing.

    Both sides have the examples in memory and look at the loss as often; neither evaluates.  nnrun also computes what
    it logs, and torch gets its inputs standardised.  Compilation is left out.
    Raises SpecError naming what has no counterpart, MachineError without torch, DataError.
    """
    torch = torch_or_error()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    prepared = session.prepare(path, overrides)
    spec, experiment = prepared.spec, prepared.experiment
    _refuse_elsewhere(experiment)
    refuse_other(spec)
    pieces = pieces_of(spec, experiment.dataset.fitted.outputs)
    with (
        session.precision(experiment.plan.precision),
        _threads_kept(torch),
        show("timing", _ROUNDS + 1) as tick,
    ):
        state = beginning(experiment)
        rivals = _rivals(torch, spec, experiment, pieces, state)
        ours = _Ours(experiment)
        steps = ours.steps_in(_SECONDS)
        for rival in rivals:
            rival.train(_FEWEST)  # what is made at the first step
        tick()
        rounds = []
        for _ in range(_ROUNDS):
            rounds.append([_timed(side, steps) for side in (ours.train, *(rival.train for rival in rivals))])
            tick()
    seconds = np.array(rounds) / steps  # (rounds, sides)
    lanes = len(experiment.plan.seeds)
    seconds[:, 0] /= lanes
    return {
        "rival": f"torch {torch.__version__}", "parameters": sum(a.size for a in jax.tree.leaves(state.params)),
        "batch_size": experiment.plan.batch_size, "optimizer": spec.optimizer.name, "lanes": lanes,
        "rounds": _ROUNDS, "steps": steps, "step_seconds": float(np.median(seconds[:, 0])),
        "configurations": [
            {
                "threads": rival.threads, "channels_last": rival.channels_last,
                "step_seconds": float(np.median(column)), "ratio": float(np.median(column / seconds[:, 0])),
            }
            for rival, column in zip(rivals, seconds.T[1:], strict=True)
        ],
        "load": load,
    }  # fmt: skip


def _refuse_elsewhere(experiment: Experiment) -> None:
    """What is not timed in the same way on both sides."""
    if jax.default_backend() != "cpu":
        raise SpecError("--vs torch compares on a CPU; write --device cpu")
    if not isinstance(experiment.dataset.train.x, np.ndarray):
        raise SpecError(
            "--vs torch needs the data in memory; write data.stream=false, or data.examples=10000"
        )


@contextmanager
def _threads_kept(torch: Torch) -> Iterator[None]:
    """A context after which torch has as many threads as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _rivals(
    torch: Torch, spec: Spec, experiment: Experiment, pieces: Sequence[Piece], state: State
) -> list[Rival]:
    """Torch in one thread and in all, of images with their channels first and last.

    Raises RuntimeError where the net is not the same: a fault of nnrun.
    """
    shape = experiment.dataset.fitted.shape
    has_convolutions = any(piece.layer == "conv" for piece in pieces)
    rivals = []
    for threads in sorted({1, len(machine.cores())}):
        for channels_last in (False, True) if has_convolutions else (False,):
            net = net_of(torch, pieces, shape)
            if experiment.plan.precision == "float64":
                net.module.double()
            with_weights(torch, net, state.params, state.stats)
            rivals.append(Rival(torch, spec, experiment, net.module, threads, channels_last))
    _compare(experiment, state, rivals[0])
    return rivals


def _compare(experiment: Experiment, state: State, rival: Rival) -> None:
    """Raises RuntimeError unless both nets say the same of some examples."""
    rows = looked_at(experiment.dataset)
    train = experiment.dataset.train
    x, _ = normalise(experiment, Batch(train.x[rows], train.y[rows], np.ones(len(rows))))  # type: ignore[arg-type]
    model = experiment.model(experiment.knobs)
    ours = np.asarray(jax.jit(lambda: model.apply(state.params, state.stats, x, None, None)[0])())
    theirs = rival.outputs(np.asarray(x))
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > _AGREES * max(1.0, np.abs(ours).max()):
        raise RuntimeError("--vs torch: the net was translated wrongly: its outputs differ")


class _Ours:
    """nnrun's training steps, without evaluations."""

    def __init__(self, experiment: Experiment) -> None:
        plan = experiment.plan
        nothing = Examples(experiment.dataset.train.x[:0], experiment.dataset.train.y[:0])
        dataset = experiment.dataset._replace(val=nothing, test=nothing)  # no evaluation to compile
        plan = plan._replace(judge=None, kept=(), reacts_to=None, patience=0, evaluate_every=plan.steps)
        self._compiled = shards.compile_shards(experiment._replace(plan=plan, dataset=dataset))
        self._state, self._next, self._end = self._compiled.initial(), 0, plan.steps

    def train(self, steps: int) -> None:
        """So many steps; of a short run it begins again."""
        while steps:
            count = min(steps, self._compiled.reach(self._next), self._end - self._next)
            self._state, log = self._compiled.advance(self._state, self._next, count)
            self._compiled.rows(log, count)
            steps -= count
            self._next = (self._next + count) % self._end

    def steps_in(self, seconds: float) -> int:
        """How many steps take about so long, at least some."""
        count = 1
        self.train(count)  # the first pays for what comes first
        while (spent := _timed(self.train, count)) < seconds / 4:
            count *= 2
        return max(_FEWEST, round(count * seconds / spent))


def _timed(train: Callable[[int], None], steps: int) -> float:
    began = time.perf_counter()
    train(steps)
    return time.perf_counter() - began
