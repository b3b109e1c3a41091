"""How many runs share one program.

On a CPU, lanes of a small dense net are nearly free up to some dozens for each core, since one net's matrices keep
no core busy; a net whose state does not fit the cache gains from two or so, and convolutions, which run lane by
lane, from none.  On a GPU a population is what keeps the device busy at all.  The rule is one of sizes, not a
measurement at hand: so a resumed sweep packs its trials as the one that was killed, and has its bits.
(benchmarks/sweep.py prints the time of a step at several widths.)
"""

from __future__ import annotations

import jax
import numpy as np

from nnrun import machine
from nnrun.build.checks import check_memory
from nnrun.errors import MachineError
from nnrun.training.memory import bytes_of
from nnrun.training.start import one_like
from nnrun.types import Experiment, State

__all__ = ["width_of"]

_CACHE = 16 << 20  # bytes of state that a core works through without waiting for memory
_MOST_CPU = 64  # lanes of a core: more gain nothing, and one that diverges early is carried along
_MOST = 512


def width_of(experiment: Experiment) -> int:
    """The most lanes of one program for this experiment on this machine, at least 1."""
    like = one_like(experiment)
    if jax.default_backend() == "cpu":
        cores = len(machine.cores())
        convolves = any(leaf.ndim == 4 for leaf in jax.tree.leaves(like.params))
        lanes = cores * (1 if convolves else int(np.clip(_CACHE // max(bytes_of(like), 1), 1, _MOST_CPU)))
    else:
        lanes = _MOST
    return _that_fit(experiment, like, lanes)


def _that_fit(experiment: Experiment, like: State, lanes: int) -> int:
    """As many of them as the memory holds."""
    while lanes > 1:
        plan = experiment.plan._replace(seeds=experiment.plan.seeds[:1] * lanes)
        try:
            check_memory(experiment._replace(plan=plan), like)
        except MachineError:
            lanes //= 2
        else:
            break
    return lanes
