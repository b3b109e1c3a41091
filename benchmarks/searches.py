"""How often a sweep calls methods different that are the same, and how often it finds a difference.

    python benchmarks/searches.py [--samples N]       (ten minutes for the 100 of docs/statistics.md)
    python benchmarks/searches.py --pool FOLDER       searches drawn from real runs: see searches_pool.yaml
    python benchmarks/searches.py --studies           searches that are repeated (ten minutes for 500 of each kind)

Two or six methods whose metric has a known surface are searched independently, at random, with three seeds a trial;
the best trial of each is trained on fresh seeds.  The verdicts come from the function that makes those of `nnrun
sweep` (`report.sweep.searches.comparisons`).  A column says of how many of 100 sweeps:
    seeds alone   the test over fresh seeds alone calls two of the methods different, though all are the same
    both          two are called different by both tests, as a sweep says it, though all are the same; in the last
                  table: though searches find equally good settings
    +1 sd, +2 sd  a method that is better by one or two standard deviations of the best of a search is found
    covered       the interval over other searches holds the true difference of two methods with different surfaces
    different     two are called different over studies, though all are the same; in the last table of --studies:
                  though searches find equally good settings
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from nnrun.report.sweep.folder import (
    AlternativeRecord,
    DimensionRecord,
    FinalRecord,
    SweepRecord,
    TrialRecord,
    read_sweep,
)
from nnrun.report.sweep.rows import rows_of
from nnrun.report.sweep.searches import FreshRuns, comparisons
from nnrun.report.sweep.studies import compared_over_studies
from nnrun.search.halton import halton
from nnrun.search.halving import halving
from nnrun.search.population import population
from nnrun.search.random import random as random_search
from nnrun.search.tpe import tpe
from nnrun.space import Dimension, Observation
from nnrun.statistics.comparison import PairComparison
from nnrun.statistics.factors import Cell, factor_effects
from nnrun.statistics.metric import Metric
from nnrun.statistics.searches import Searched

SURFACES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bowl": lambda u: 98 - 10.8 * (u[:, 0] - 0.55) ** 2 - 2 * (u[:, 1] - 0.2) ** 2,
    "cliff": lambda u: np.where(
        u[:, 0] > 0.8, 90 - 40 * (u[:, 0] - 0.8), 98 - 6 * (0.8 - u[:, 0]).clip(0) ** 1.5 - 0.6 * u[:, 1]
    ),
    "cone": lambda u: 98 - 4 * np.sqrt(((u - 0.5) ** 2).sum(axis=1)),
    "tail": lambda u: 98 + 0.3 * np.maximum(np.log(1 - u[:, 0]), -9),
}
SPREADS = {"narrow": lambda u: 98 + 0.1 * ndtri(u[:, 0]), "wide": lambda u: 98 + 0.5 * ndtri(u[:, 0])}
SETTINGS = {"bowl": 2, "cliff": 2, "cone": 5, "tail": 1, "narrow": 1, "wide": 1}
SEED, PART = 0.05, 0.04  # standard deviations: of a seed, and of each part of the data beside it
JUDGE = Metric("val/accuracy", True)
TESTED = JUDGE._replace(name="test/accuracy")
RATE = DimensionRecord("optimizer.learning_rate", "log", 1e-4, 1.0, ())
TRIALS, POOL = 20, 600  # of a study; studies of each kind that are made


def points(random: np.random.Generator, count: int, settings: int, search: str) -> np.ndarray:
    """(count, settings) in [0, 1): where a search looks.

    Two grids of one space are the same; these have ranges that begin elsewhere, as those of two methods have.
    """
    if search == "random":
        return random.random((count, settings))
    if search == "halton":
        return qmc.Halton(settings, scramble=True, rng=int(random.integers(2**32))).random(count)
    side = round(count ** (1 / settings))
    axes = [(np.arange(side) + random.random()) / side for _ in range(settings)]
    return np.stack([axis.ravel() for axis in np.meshgrid(*axes)], axis=1)


def trials(
    random: np.random.Generator, surface: str, label: str, count: int, ahead: float, search: str = "random"
) -> list[TrialRecord]:
    """A search; the true quality of a trial stands in its settings."""
    u = points(random, count, SETTINGS[surface], search)
    quality, count = {**SURFACES, **SPREADS}[surface](u) + ahead, len(u)
    seeds = random.normal(0, SEED, (count, 3))
    values, tests = (quality[:, None] + seeds + random.normal(0, PART, (count, 3)) for _ in range(2))
    return [
        TrialRecord(
            f"{label}-{i:03d}", "base", label, i, "", {"quality": float(quality[i])}, "done", float(values[i].mean()),
            tuple(values[i]), 1, 0.0, None, 0, {TESTED.name: tuple(tests[i])},
        )
        for i in range(count)
    ]  # fmt: skip


def compared(
    random: np.random.Generator,
    surfaces: Sequence[str],
    count: int,
    seeds: int,
    ahead: float = 0.0,
    search: str = "random",
) -> list[PairComparison]:
    """The verdicts of a sweep over methods with these surfaces, the first better by `ahead`."""
    labels = [f"m{i}" for i in range(len(surfaces))]
    tried = {
        label: trials(random, surface, label, count, ahead if label == "m0" else 0.0, search)
        for label, surface in zip(labels, surfaces, strict=True)
    }
    fresh: dict[str, FreshRuns] = {}
    for label, of_label in tried.items():
        chosen = max(of_label, key=lambda trial: trial.value or 0.0)
        noise = random.normal(0, SEED, seeds) + random.normal(0, PART, seeds)
        values = float(str(chosen.settings["quality"])) + noise
        fresh[label] = FreshRuns(chosen.trial, dict(enumerate(map(float, values))))
    alternatives = tuple(AlternativeRecord(label, {}, (RATE,)) for label in labels)
    sweep = SweepRecord(
        Path(), "simulated", JUDGE, "random", False, count, 3, seeds, None, ("base",), alternatives,
        tuple(trial for of_label in tried.values() for trial in of_label), (),
    )  # fmt: skip
    return comparisons(sweep, tried, fresh, TESTED)


def effects_of(
    random: np.random.Generator, surface: str, count: int, ahead: float = 0.0
) -> list[PairComparison]:
    """The main effects of a sweep over two optimizers × two schedules, the first optimizer better by `ahead`."""
    cells = {}
    for optimizer in "ab":
        for schedule in "cd":
            tried = trials(random, surface, "m", count, ahead if optimizer == "a" else 0.0)
            ordered = sorted(tried, key=lambda trial: -(trial.value or 0.0))
            values = float(str(ordered[0].settings["quality"])) + random.normal(0, SEED, 10)
            tests = [np.array(trial.metrics[TESTED.name]) for trial in ordered]
            ranks = np.array([trial.value for trial in ordered])
            cells[optimizer, schedule] = Cell(dict(enumerate(values.tolist())), Searched(ranks, tests))
    factors = factor_effects(["optimizer", "schedule"], cells)
    assert factors
    return [effect.pair for effect in factors.effects]


def from_pool(
    random: np.random.Generator, pool: SweepRecord, methods: int, count: int, seeds: int, ahead: float = 0.0
) -> list[PairComparison]:
    """The verdicts of a sweep whose methods are one and the same: each is given other trials of a pool of real runs.

    The first three seeds of a run are those of its trial, the others are fresh.  The first is better by `ahead`.
    """
    drawn = random.permutation(len(pool.trials))[: methods * count].reshape(methods, count)
    tried: dict[str, list[TrialRecord]] = {}
    fresh: dict[str, FreshRuns] = {}
    for method, rows in enumerate(drawn):
        label, better = f"m{method}", 0.0 if method else ahead
        tried[label] = [_first_seeds(pool.trials[row], label, better) for row in rows]
        chosen = max(range(count), key=lambda i: tried[label][i].value or -np.inf)
        values = pool.trials[rows[chosen]].metrics[TESTED.name][3 : 3 + seeds]
        known = {seed: value + better for seed, value in enumerate(values) if value is not None}
        fresh[label] = FreshRuns(tried[label][chosen].trial, known, seeds - len(known))
    alternatives = tuple(pool.alternatives[0]._replace(label=label) for label in tried)
    every = tuple(trial for of_label in tried.values() for trial in of_label)
    return comparisons(pool._replace(alternatives=alternatives, trials=every), tried, fresh, TESTED)


def _first_seeds(trial: TrialRecord, label: str, better: float) -> TrialRecord:
    """The trial as if it had had three seeds."""
    values, tests = (
        tuple(None if value is None else value + better for value in trial.metrics[name][:3])
        for name in (JUDGE.name, TESTED.name)
    )
    known = [value for value in values if value is not None]
    mean = float(np.mean(known)) if len(known) == 3 else None
    status = "done" if mean is not None else "diverged"
    metrics = {JUDGE.name: values, TESTED.name: tests}
    return trial._replace(alternative=label, status=status, value=mean, values=values, metrics=metrics)


def pool_claims(folder: Path, samples: int) -> None:
    """How often runs of one method are called two, and how often a better one is found."""
    pool = read_sweep(folder)
    print(f"{len(pool.trials)} settings of {pool.name}, {pool.seeds} seeds each")
    print("methods  seeds  trials  seeds alone         both       +1 sd       +2 sd")
    for methods, seeds in ((2, 10), (6, 10), (2, 6)):
        for count in (8, 12, 20, 50):
            random = np.random.default_rng([methods, seeds, count, 5])
            chosen = [_best_of_pool(random, pool, count) for _ in range(1000)]
            spread = float(np.std(chosen))
            same = [from_pool(random, pool, methods, count, seeds) for _ in range(samples)]
            line = f"{methods:7d}  {seeds:5d}  {count:6d}"
            line += "  " + share([any(pair.significant for pair in pairs) for pairs in same])
            line += "  " + share([any(pair.decided for pair in pairs) for pairs in same])
            for k in (1, 2) if methods == 2 else ():
                found = [from_pool(random, pool, 2, count, seeds, k * spread)[0] for _ in range(samples)]
                line += " " + share([pair.decided and pair.difference > 0 for pair in found])
            print(line, flush=True)


def _best_of_pool(random: np.random.Generator, pool: SweepRecord, count: int) -> float:
    """The test value, mean over all its seeds, of the setting that a search of so many trials chooses."""
    rows = random.permutation(len(pool.trials))[:count]
    trials = [_first_seeds(pool.trials[row], "m", 0.0) for row in rows]
    chosen = max(range(count), key=lambda i: trials[i].value or -np.inf)
    return float(np.mean([v for v in pool.trials[rows[chosen]].metrics[TESTED.name] if v is not None]))


def best(random: np.random.Generator, surface: str, count: int) -> np.ndarray:
    """(2000,) true qualities of the settings that searches choose."""
    return np.array(
        [
            float(
                str(
                    max(trials(random, surface, "m", count, 0.0), key=lambda t: t.value or 0.0).settings[
                        "quality"
                    ]
                )
            )
            for _ in range(2000)
        ]
    )


def share(hits: Sequence[bool]) -> str:
    return f"{100 * np.mean(hits):.1f}".rjust(11)


def false_claims(samples: int) -> None:
    print("surface  methods  seeds  trials  seeds alone         both       +1 sd       +2 sd")
    for surface in SURFACES:
        for methods, seeds in ((2, 10), (6, 10), *([(2, 6)] if surface == "bowl" else [])):
            for count in (8, 12, 20, 50) if methods == 2 else (8, 12, 20):
                random = np.random.default_rng([methods, seeds, count])
                spread = float(best(random, surface, count).std())
                same = [compared(random, [surface] * methods, count, seeds) for _ in range(samples)]
                line = f"{surface:7s}  {methods:7d}  {seeds:5d}  {count:6d}"
                line += "  " + share([any(pair.significant for pair in pairs) for pairs in same])
                line += "  " + share([any(pair.decided for pair in pairs) for pairs in same])
                for k in (1, 2) if methods == 2 else ():
                    found = [
                        compared(random, [surface] * 2, count, seeds, k * spread)[0] for _ in range(samples)
                    ]
                    line += " " + share([pair.decided and pair.difference > 0 for pair in found])
                print(line, flush=True)


def other_searches(samples: int) -> None:
    """Halton sequences and grids: their trials are not independent, but evenly spread."""
    print("\nsearch  surface  trials  seeds alone         both")
    for search, counts in (("halton", (8, 12, 20, 50)), ("grid", (9, 16, 49))):
        for surface in ("bowl", "cliff"):
            for count in counts:
                random = np.random.default_rng([count, 4])
                same = [compared(random, [surface] * 2, count, 10, search=search) for _ in range(samples)]
                line = f"{search:6s}  {surface:7s}  {count:6d}"
                line += "  " + share([any(pair.significant for pair in pairs) for pairs in same])
                line += "  " + share([any(pair.decided for pair in pairs) for pairs in same])
                print(line, flush=True)


def coverage(samples: int) -> None:
    print("\nfirst    second   trials      covered")
    for first, second in (
        ("bowl", "bowl"),
        ("bowl", "cliff"),
        ("tail", "bowl"),
        ("cone", "cone"),
        ("tail", "cone"),
    ):
        for count in (8, 12, 20, 50):
            random = np.random.default_rng([count, 1])
            true = float(best(random, first, count).mean() - best(random, second, count).mean())
            pairs = [compared(random, [first, second], count, 10)[0].searches for _ in range(samples)]
            covered = share([pair is not None and pair.low <= true <= pair.high for pair in pairs])
            print(f"{first:7s}  {second:7s}  {count:6d}  {covered}", flush=True)


def unlike(samples: int) -> None:
    """Methods whose searches find equally good settings on average, but whose other trials are not alike."""
    print("\nfirst    second   trials         both")
    for first, second in (("cone", "bowl"), ("narrow", "wide")):
        for count in (8, 12, 20):
            random = np.random.default_rng([count, 2])
            gap = float(best(random, second, count).mean() - best(random, first, count).mean())
            pairs = [compared(random, [first, second], count, 10, gap)[0] for _ in range(samples)]
            print(
                f"{first:7s}  {second:7s}  {count:6d}  {share([pair.decided for pair in pairs])}", flush=True
            )


def factors(samples: int) -> None:
    """Two optimizers × two schedules: how often any effect is false, and how often the optimizer's is found."""
    print("\nsurface  trials  seeds alone         both       +1 sd       +2 sd")
    for surface in SURFACES:
        for count in (8, 12):
            random = np.random.default_rng([count, 3])
            spread = float(best(random, surface, count).std())
            same = [effects_of(random, surface, count) for _ in range(samples)]
            line = f"{surface:7s}  {count:6d}  " + share(
                [any(pair.significant for pair in pairs) for pairs in same]
            )
            line += "  " + share([any(pair.decided for pair in pairs) for pairs in same])
            for k in (1, 2):
                found = [effects_of(random, surface, count, k * spread)[0] for _ in range(samples)]
                line += " " + share([pair.decided and pair.difference > 0 for pair in found])
            print(line, flush=True)


def repeated(
    random: np.random.Generator, surface: str, search: str, count: int = TRIALS
) -> tuple[float, TrialRecord, FinalRecord]:
    """One study: the quality of the setting that it chose, the trial, and its runs on three fresh seeds."""
    if search == "halving":
        quality, ended = halved(random, surface, count)
    elif search == "population":
        quality, ended = trained_together(random, surface, count)
    else:
        quality, ended = np.array([]), np.array([])
        u = np.zeros((0, SETTINGS[surface]))
        rule = {"tpe": tpe, "random": random_search, "halton": halton}[search]()
        seed = int(random.integers(2**31))
        space = tuple(Dimension(str(i), "uniform") for i in range(SETTINGS[surface]))
        while len(u) < count:
            seen = [Observation(tuple(point), -value) for point, value in zip(u, ended, strict=True)]
            asked = np.array(rule.ask(space, seed, len(u), min(rule.batch or count, count - len(u)), seen))
            found = {**SURFACES, **SPREADS}[surface](asked)
            u, quality = np.vstack([u, asked]), np.concatenate([quality, found])
            ended = np.concatenate([ended, found + noise(random, len(asked))])
    chosen = int(np.nanargmax(ended))
    seeds = random.normal(0, SEED, 3)
    fresh = [quality[chosen] + seeds + random.normal(0, PART, 3) for _ in range(2)]
    trial = TrialRecord("", "base", "", chosen, "", {}, "done", float(ended[chosen]), (), 1, 0.0, None)
    metrics = {
        name: tuple(values.tolist()) for name, values in zip((JUDGE.name, TESTED.name), fresh, strict=True)
    }
    final = FinalRecord("base", "", "", "nowhere", {}, (0, 1, 2), "done", metrics, 1, 0.0)
    return float(quality[chosen]), trial, final


def noise(random: np.random.Generator, count: int) -> np.ndarray:
    """(count,) what the mean of three seeds is off by on validation data."""
    return (random.normal(0, SEED, (count, 3)) + random.normal(0, PART, (count, 3))).mean(axis=1)


def halved(random: np.random.Generator, surface: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Halving: trials rise at a pace of their own, so that a rung may stop the one that would be best; NaN: stopped."""
    rule = halving()
    quality = {**SURFACES, **SPREADS}[surface](random.random((count, SETTINGS[surface])))
    pace, off = random.exponential(1.0, count), noise(random, count)
    going = np.arange(count)
    for share_of_run in rule.rungs:
        value = quality - pace * (1 - share_of_run) + noise(random, count)
        going = going[np.argsort(-value[going])[: max(1, int(np.ceil(len(going) * rule.keep - 1e-9)))]]
    ended = np.full(count, np.nan)
    ended[going] = (quality + off)[going]
    return quality, ended


def trained_together(random: np.random.Generator, surface: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A population: a member comes half of the way to what its setting is good for in each interval."""
    rule = population()
    space = tuple(Dimension(str(i), "uniform") for i in range(SETTINGS[surface]))
    assert rule.explore
    u = random.random((count, len(space)))
    state = np.full(count, 90.0)
    for interval in range(len(rule.rungs) + 1):
        quality = {**SURFACES, **SPREADS}[surface](u)
        state = state + (quality - state) / 2
        ranked = np.argsort(-(state + noise(random, count)))
        losers = int(count * (1 - rule.keep) + 1e-9)
        if interval == len(rule.rungs):
            break
        for loser, winner in zip(ranked[::-1][:losers], ranked[:losers], strict=True):
            state[loser] = state[winner]
            u[loser] = rule.explore(space, tuple(u[winner]), random.random(2 * len(space)).tolist())
    return quality, state + noise(random, count)


Studies = list[tuple[float, TrialRecord, FinalRecord]]


def over_studies(methods: Sequence[Studies], ahead: float = 0.0) -> list[PairComparison]:
    """The verdicts of a sweep whose methods have these studies, the first better by `ahead`."""
    labels = [f"m{i}" for i in range(len(methods))]
    chosen, finals = [], []
    for label, studies in zip(labels, methods, strict=True):
        better = ahead if label == "m0" else 0.0
        for number, (_, trial, final) in enumerate(studies, start=1):
            name = f"study-{number}/{label}"
            metrics = {
                key: tuple((v or 0.0) + better for v in values) for key, values in final.metrics.items()
            }
            value = (trial.value or 0.0) + better
            chosen.append(trial._replace(trial=name, alternative=label, value=value, study=number))
            finals.append(final._replace(trial=name, alternative=label, metrics=metrics, study=number))
    sweep = SweepRecord(
        Path(), "simulated", JUDGE, "tpe", True, TRIALS, 3, 3, None, ("base",),
        tuple(AlternativeRecord(label, {}, (RATE,)) for label in labels), tuple(chosen), tuple(finals),
        studies=len(methods[0]),
    )  # fmt: skip
    rows, metric, _, trials = rows_of(sweep, "base")
    assert metric == TESTED
    return compared_over_studies(sweep, trials, rows, metric).comparisons


def drawn(random: np.random.Generator, pools: Sequence[Studies], count: int) -> list[Studies]:
    """So many studies of each method, each taken once."""
    orders = {id(pool): iter(random.permutation(len(pool))) for pool in pools}
    return [[pool[next(orders[id(pool)])] for _ in range(count)] for pool in pools]


def study_claims(samples: int) -> None:
    """Searches that are repeated: 600 studies of each kind are made, and each sweep is given others of them."""
    print("search      surface  methods  studies    different       +1 sd       +2 sd")
    for search in ("random", "halton", "tpe", "halving", "population"):
        for surface in SURFACES if search in ("tpe", "halving", "population") else ("bowl", "cliff"):
            random = np.random.default_rng([TRIALS, 6])
            pool = [repeated(random, surface, search) for _ in range(POOL)]
            spread = float(np.std([quality for quality, _, _ in pool]))
            for methods, count in ((2, 4), (2, 5), (2, 6), (6, 6)):
                sweeps = [drawn(random, [pool] * methods, count) for _ in range(samples)]
                same = [over_studies(studies) for studies in sweeps]
                line = f"{search:10s}  {surface:7s}  {methods:7d}  {count:7d}  "
                line += share([any(pair.decided for pair in pairs) for pairs in same])
                for k in (1, 2) if methods == 2 else ():
                    found = [over_studies(studies, k * spread)[0] for studies in sweeps]
                    line += " " + share([pair.decided and pair.difference > 0 for pair in found])
                print(line, flush=True)
    print("\nfirst    second   studies    different")
    for first, second in (("cone", "bowl"), ("narrow", "wide")):
        random = np.random.default_rng([TRIALS, 7])
        pools = [[repeated(random, surface, "random") for _ in range(POOL)] for surface in (first, second)]
        gap = float(np.mean([s[0] for s in pools[1]]) - np.mean([s[0] for s in pools[0]]))
        for count in (4, 5, 6):
            pairs = [over_studies(drawn(random, pools, count), gap)[0] for _ in range(samples)]
            print(
                f"{first:7s}  {second:7s}  {count:7d}  {share([pair.decided for pair in pairs])}", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--samples", type=int, help="simulated sweeps of each kind; 100, with --studies 500")
    parser.add_argument("--pool", type=Path, help="the folder of a sweep to draw searches from")
    parser.add_argument("--studies", action="store_true", help="of searches that are repeated")
    arguments = parser.parse_args()
    samples = arguments.samples or (500 if arguments.studies else 100)
    print(f"{samples} simulated sweeps of each kind; load {os.getloadavg()[0]:.1f}")
    if arguments.pool:
        return pool_claims(arguments.pool, samples)
    if arguments.studies:
        return study_claims(samples)
    false_claims(samples)
    other_searches(samples)
    coverage(samples)
    unlike(samples)
    factors(samples)
    return None


if __name__ == "__main__":
    main()
