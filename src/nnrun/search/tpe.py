from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnrun.options import Count
from nnrun.space import Dimension, Observation, Point, Search, Space, draws

__all__ = ["tpe"]


def tpe(startup: Count = 10, batch: Count = 8) -> Search:
    """Tree-structured Parzen estimator: tries more where good trials were dense and bad ones rare.

    Good trials and bad ones each get a density, l(u) and g(u); the next trial maximises l(u) / g(u).

    startup  trials at random before it begins
    batch    trials that are proposed at a time, a population of them; each counts what the others of its batch
             were given as poor, so that they spread
    Needs Optuna: pip install "nnrun[search]".
    Source: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; Optuna's `TPESampler`.
    """
    _optuna()

    def ask(space: Space, seed: int, first: int, count: int, seen: Sequence[Observation]) -> list[Point]:
        if not space:
            return [()] * count
        known = [observation for observation in seen if observation.value is not None]
        if first < startup or not known:
            return [draws(seed, number, len(space)) for number in range(first, first + count)]
        return _proposals(space, int(draws(seed, first, 1, stream=1)[0] * 2**32), count, seen)

    return Search(ask, batch=batch)


def _optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError:
        raise ValueError('it needs Optuna; pip install "nnrun[search]", or write random or halton') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _proposals(space: Space, seed: int, count: int, seen: Sequence[Observation]) -> list[Point]:
    optuna = _optuna()
    shapes = {str(i): _distribution(optuna, dimension) for i, dimension in enumerate(space)}
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    worst = max((observation.value for observation in seen if observation.value is not None), default=0.0)
    for observation in seen:  # what diverged is as bad as the worst
        coordinates = {str(i): _inside(space[i], u) for i, u in enumerate(observation.point)}
        value = worst if observation.value is None else observation.value
        study.add_trial(optuna.create_trial(params=coordinates, distributions=shapes, value=value))
    asked = [study.ask(shapes) for _ in range(count)]
    return [
        tuple(_outside(dimension, proposal.params[str(i)]) for i, dimension in enumerate(space))
        for proposal in asked
    ]


def _distribution(optuna: Any, dimension: Dimension) -> Any:
    if dimension.ordered:
        return optuna.distributions.FloatDistribution(0.0, 1.0)
    return optuna.distributions.CategoricalDistribution(list(range(len(dimension.values))))


def _inside(dimension: Dimension, u: float) -> float | int:
    """A coordinate as Optuna sees it: of a choice, the place of its value."""
    return u if dimension.ordered else min(int(u * len(dimension.values)), len(dimension.values) - 1)


def _outside(dimension: Dimension, value: float) -> float:
    return min(float(value), 1 - 2.0**-53) if dimension.ordered else (value + 0.5) / len(dimension.values)
