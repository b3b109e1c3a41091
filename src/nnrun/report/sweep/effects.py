"""What the factors of a sweep do, in words and as tables: optimizers × schedules are two questions, not six methods."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nnrun.report.sweep.pairs import pair_cells
from nnrun.report.values import level
from nnrun.report.words import chance, ends_of, gap, pair_sentence, short_chance, with_ends
from nnrun.statistics.factors import Factors, Interaction
from nnrun.statistics.metric import Metric

__all__ = ["as_data", "effect_cells", "effect_sentences", "mean_tables"]


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
        yield _together(metric, interaction, factors)


def _together(metric: Metric, interaction: Interaction, factors: Factors) -> str:
    first, second = interaction.factors
    searched = any(effect.pair.searched for effect in factors.effects) and not factors.studies
    unit = "studies" if factors.studies else "seeds"
    seeds = f"{chance(interaction.adjusted)}, {interaction.seeds} {unit}"
    if not interaction.significant:
        return f"{first} and {second} show no significant interaction ({seeds})"
    ends = ends_of(metric, interaction.excess, *(interaction.ends or (None, None)))
    where = "above" if interaction.excess > 0 else "below"
    unknown = "other searches and other examples are" if searched else "other examples are"
    here = "what" if factors.studies else "at these settings what"
    return (
        f"{here} {first} does depends on {second}: {' with '.join(interaction.levels)} is "
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


def effect_cells(metric: Metric, factors: Factors) -> list[dict[str, str]]:
    """For each pair of levels and each interaction: head of a column -> what stands in it, as `pair_cells` has it."""
    effects = [{"factor": effect.factor, **pair_cells(metric, effect.pair)} for effect in factors.effects]
    blank = dict.fromkeys(effects[0], "–")
    interactions = [
        {
            **blank,
            "factor": " × ".join(interaction.factors),
            "first": interaction.levels[0],
            "second": interaction.levels[1],
            "difference": with_ends(metric, interaction.excess, interaction.ends),
            "studies" if factors.studies else "seeds": str(interaction.seeds),
            "p": short_chance(interaction.p),
            "p (Holm)": short_chance(interaction.adjusted),
            "verdict": "they interact" if interaction.significant else "no significant interaction",
        }
        for interaction in factors.interactions
    ]
    return [*effects, *interactions]


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
