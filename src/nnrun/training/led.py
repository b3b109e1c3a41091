"""The programs of a run in several processes: the first has all of them do what it does, the others follow.

One process decides: how many steps a chunk has, when to evaluate, what is best, when to stop.  Each program has all of
them at work, so that all begin the same ones in the same order.  What comes back is the same everywhere; only the first
looks at it.
"""

from __future__ import annotations

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, ParamSpec, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from nnrun.hosts import Party
from nnrun.training import flat
from nnrun.training.mesh import everywhere, jit_on, put, shared
from nnrun.training.programs import Programs, Sums, compile_programs
from nnrun.training.start import one_like
from nnrun.types import Experiment, State

__all__ = ["Leader", "follow"]

_REMEMBERED = 2  # states: while a checkpoint of one is made, the next chunk is under way

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Arrays = dict[str, np.ndarray]


def _with_the_others(method: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """What fails in jax failed most likely because another process is lost, which is what is raised then."""

    @functools.wraps(method)
    def guarded(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        leader: Any = arguments[0]
        with _blaming(leader.party):
            return method(*arguments, **named)

    return guarded


@contextlib.contextmanager
def _blaming(party: Party) -> Iterator[None]:
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # NumPy makes a ValueError of what a sum failed with.
        other = isinstance(error, ValueError) and "Gloo" not in str(error)
        if other or "RESOURCE_EXHAUSTED" in str(error):
            raise
        raise party.failure(error) from None


class Leader:
    """The interface of Programs in process 0; what needs the other processes, they are told to do as well.

    A state is one of the two newest: the others remember no older one.
    """

    def __init__(self, programs: Programs, party: Party) -> None:
        self.programs, self.party = programs, party
        self._states: deque[State] = deque(maxlen=_REMEMBERED)
        with _blaming(party):
            _meet(programs.experiment)

    @property
    def experiment(self) -> Experiment:
        """What is trained."""
        return self.programs.experiment

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the logged numbers."""
        return self.programs.names

    @property
    def capacity(self) -> int:
        """Most steps that one call of `advance` can do."""
        return self.programs.capacity

    @property
    def stride(self) -> int:
        """Steps that are best done in a row."""
        return self.programs.stride

    def reach(self, step: int) -> int:
        """Most steps that one call of `advance` can do from there."""
        return self.programs.reach(step)

    def prepare(self) -> None:
        """Nothing: all processes compile it when the first asks for the state."""

    @_with_the_others
    def initial(self) -> State:
        """The state before the first step."""
        self.party.order("initial")
        return self._now(self.programs.initial())

    @_with_the_others
    def advance(self, state: State, first: int, count: int) -> tuple[State, Any]:
        """Begins to train steps first .. first + count − 1; returns at once, `rows` waits for the log."""
        self.party.order("advance", self._age(state), first, count)
        state, log = self.programs.advance(state, first, count)
        return self._now(state), log

    @_with_the_others
    def rows(self, log: Any, count: int) -> np.ndarray:
        """The logged numbers of a chunk, (1, count, names) float64."""
        return self.programs.rows(log, count)

    @_with_the_others
    def measure(self, state: State, split: str) -> Sums:
        """Begins to evaluate the validation or test part; `metrics` waits."""
        self.party.order("measure", self._age(state), split)
        return self.programs.measure(state, split)

    @_with_the_others
    def metrics(self, sums: Sums, split: str) -> list[dict[str, float]]:
        """The metrics from what `measure` returned."""
        return self.programs.metrics(sums, split)

    def evaluate(self, state: State, split: str) -> list[dict[str, float]]:
        """Metrics on the validation or test part."""
        return self.metrics(self.measure(state, split), split)

    @_with_the_others
    def reacted(self, state: State, metrics: list[dict[str, float]]) -> State:
        """The state after its schedule has seen what an evaluation found."""
        values = [{name: float(value) for name, value in row.items()} for row in metrics]
        self.party.order("reacted", self._age(state), values)
        return self._now(self.programs.reacted(state, metrics))

    @_with_the_others
    def unpack(self, state: State) -> list[Arrays]:
        """The arrays of the run, copied to the host."""
        if self.experiment.plan.fsdp:
            self.party.order("unpack", self._age(state))
        return self.programs.unpack(state)

    @_with_the_others
    def pack(self, lanes: list[Arrays]) -> State:
        """The state from its arrays, which the others get from here."""
        self.party.order("pack")
        return self._now(self.programs.pack([_from_process_0(lanes[0])]))

    def for_lanes(self, experiment: Experiment) -> NoReturn:
        """A run in several processes has one lane."""
        raise AssertionError("several processes train no population")

    def _now(self, state: State) -> State:
        self._states.appendleft(state)
        return state

    def _age(self, state: State) -> int:
        """How many states are newer: the name of a state for the others."""
        return next(age for age, remembered in enumerate(self._states) if remembered is state)


def follow(experiment: Experiment, party: Party) -> None:
    """Does what process 0 says until it says that the run is over, which ends this process.

    Raises MachineError where process 0 is lost.
    """
    with _blaming(party):
        programs = compile_programs(experiment)
        _meet(experiment)
        shapes = flat.shapes(one_like(experiment))
        states: deque[State] = deque(maxlen=_REMEMBERED)
        for what, *arguments in party.orders():
            if what == "initial":
                states.appendleft(programs.initial())
            elif what == "pack":
                blank = {name: np.zeros(shape, kind) for name, (shape, kind) in shapes.items()}
                states.appendleft(programs.pack([_from_process_0(blank)]))
            else:
                _do(programs, states, what, *arguments)


def _do(programs: Programs, states: deque[State], what: str, age: int, *arguments: Any) -> None:
    """Does what process 0 does with the state that is this many behind the newest."""
    state = states[age]
    if what == "advance":
        states.appendleft(programs.advance(state, *arguments)[0])
    elif what == "measure":
        programs.measure(state, *arguments)
    elif what == "reacted":
        states.appendleft(programs.reacted(state, *arguments))
    elif what == "unpack":
        programs.unpack(state)
    else:
        raise AssertionError(f"process 0 asks for {what!r}")


def _from_process_0(arrays: Arrays) -> Arrays:
    """The arrays of process 0 in all processes, bit for bit: they travel as bytes, of which no sum changes any."""
    plain = {name: np.ascontiguousarray(array).reshape(-1).view(np.uint8) for name, array in arrays.items()}
    received = {  # one after another, since a device may have no room for all; in one order everywhere
        name: np.array(multihost_utils.broadcast_one_to_all(plain[name])) for name in sorted(plain)
    }
    return {name: received[name].view(array.dtype).reshape(array.shape) for name, array in arrays.items()}


def _meet(experiment: Experiment) -> None:
    """A first sum over all devices: who cannot be reached is missed here, not in the middle of a step."""
    place = everywhere(experiment.plan)
    if place is None:
        return
    total = jit_on(place, lambda x: shared(place, x).sum())
    ones = put(np.ones(place.mesh.size, np.float32), place)
    assert float(total(ones)) == place.mesh.size
