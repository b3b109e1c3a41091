"""What the factors of a sweep do, in words and as tables: optimizers × schedules are two questions, not six methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnrun.report.words import (
    chance,
    difference,
    ends_of,
    gap,
    level,
    other_searches,
    pair_sentence,
    pair_verdict,
    short_chance,
    signed,
)
from nnrun.statistics.factors import Factors, Interaction
from nnrun.statistics.metric import Metric

__all__ = ["EFFECT_HEAD", "as_data", "effect_cells", "effect_sentences", "mean_tables"]

EFFECT_HEAD = [
    "factor",
    "first",
    "second",
    "difference",
    "seeds",
    "p (Holm)",
    "other searches",
    "p (both)",
    "verdict",
]


def effect_sentences(metric: Metric, factors: Factors) -> Iterator[str]:
    """Of each factor its best level against the others, then what two factors do together."""
    for factor, levels in factors.levels.items():
        rest = " and ".join(name for name in factors.levels if name != factor)
        means = dict(zip(levels, _mean_over(factors, factor), strict=True))
        best = metric.best(levels, means.__getitem__)
        for effect in factors.effects:
            if effect.factor == factor and best in (effect.pair.first, effect.pair.second):
                yield f"{factor}, mean over {rest}: {pair_sentence(metric, effect.pair, averaged=True)}"
    for interaction in factors.interactions:
        yield _together(metric, interaction, any(effect.pair.searched for effect in factors.effects))


def _together(metric: Metric, interaction: Interaction, searched: bool) -> str:
    first, second = interaction.factors
    seeds = f"{chance(interaction.adjusted)}, {interaction.seeds} seeds"
    if not interaction.significant:
        return f"{first} and {second} show no significant interaction ({seeds})"
    ends = ends_of(metric, interaction.excess, interaction.low, interaction.high)
    where = "above" if interaction.excess > 0 else "below"
    unknown = "other searches and other examples are" if searched else "other examples are"
    return (
        f"at these settings what {first} does depends on {second}: {' with '.join(interaction.levels)} is "
        f"{gap(metric, interaction.excess)}{ends} {where} the sum of both effects ({seeds}; {unknown} not looked at)"
    )


def _mean_over(factors: Factors, *names: str) -> np.ndarray:
    """Means of the levels of some factors, over all levels of the others."""
    shape = [len(levels) for levels in factors.levels.values()]
    table = np.array(list(factors.means.values())).reshape(shape)
    others = tuple(axis for axis, name in enumerate(factors.levels) if name not in names)
    return table.mean(axis=others)


def mean_tables(metric: Metric, factors: Factors) -> Iterator[tuple[list[str], list[list[str]]]]:
    """Of each two factors: a head and rows, with the means over each of them at the ends."""
    for rows, columns in itertools.combinations(factors.levels, 2):
        means = _mean_over(factors, rows, columns)
        body = [
            [name, *(level(metric, mean) for mean in line), level(metric, line.mean())]
            for name, line in zip(factors.levels[rows], means, strict=True)
        ]
        last = ["mean", *(level(metric, mean) for mean in means.mean(axis=0)), level(metric, means.mean())]
        yield [f"{rows} × {columns}", *factors.levels[columns], "mean"], [*body, last]


def effect_cells(metric: Metric, factors: Factors) -> list[list[str]]:
    """One row for each pair of levels and each interaction, as `EFFECT_HEAD` says."""
    effects = [
        [
            effect.factor,
            effect.pair.first,
            effect.pair.second,
            difference(metric, effect.pair),
            str(effect.pair.seeds),
            short_chance(effect.pair.adjusted),
            other_searches(metric, effect.pair),
            short_chance(effect.pair.claim),
            pair_verdict(effect.pair),
        ]
        for effect in factors.effects
    ]
    interactions = [
        [
            " × ".join(interaction.factors),
            *interaction.levels,
            _excess(metric, interaction),
            str(interaction.seeds),
            short_chance(interaction.adjusted),
            "–",
            "–",
            "they interact" if interaction.significant else "no significant interaction",
        ]
        for interaction in factors.interactions
    ]
    return [*effects, *interactions]


def _excess(metric: Metric, interaction: Interaction) -> str:
    scale, form = (100.0, "+.2f") if metric.share else (1.0, "+.3g")
    middle = format(scale * interaction.excess, form)
    if interaction.low is None or interaction.high is None:
        return middle
    return f"{middle} {signed(metric, interaction.low, interaction.high)}"


def as_data(factors: Factors) -> Mapping[str, Sequence[object] | Mapping[str, object]]:
    """All of it as plain data."""
    return {
        "levels": {factor: list(levels) for factor, levels in factors.levels.items()},
        "means": [{"levels": list(levels), "mean": mean} for levels, mean in factors.means.items()],
        "effects": [{"factor": effect.factor, **effect.pair.as_data()} for effect in factors.effects],
        "interactions": [
            {**interaction._asdict(), "significant": interaction.significant}
            for interaction in factors.interactions
        ],
    }
