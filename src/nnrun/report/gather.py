"""Runs that differ in nothing but the seed become one entry with as many seeds, wherever they lie."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence

from nnrun.report.entry import Entry
from nnrun.report.side_by_side import differing, setting_of

__all__ = ["gather"]


def gather(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """The settings that these runs tried, in the order of their first runs; and what to say of them.

    Runs belong together if their settings, their code and their data are the same.  A second run of a seed is not
    a further seed: it begins a setting of its own.
    """
    settings: dict[str, list[list[Entry]]] = {}
    for entry in entries:
        alike = settings.setdefault(setting_of(entry), [])
        home = next((runs for runs in alike if _fits(entry, runs)), None)
        if home is None:
            alike.append([entry])
        else:
            home.append(entry)
    groups = sorted(
        (runs for alike in settings.values() for runs in alike), key=lambda r: entries.index(r[0])
    )
    labels = _labels(groups)
    gathered = [_joined(label, runs) for label, runs in zip(labels, groups, strict=True)]
    return gathered, [
        *_members(gathered, groups),
        *_apart(settings, dict(zip(map(_first, groups), labels, strict=True))),
    ]


def _fits(entry: Entry, runs: Sequence[Entry]) -> bool:
    """Whether a run is a further seed of these, which an average of models never is."""
    if entry.average:
        return False
    seeds = {seed for run in runs for seed in run.seeds}
    return (entry.data, entry.code) == (runs[0].data, runs[0].code) and seeds.isdisjoint(entry.seeds)


def _joined(label: str, runs: Sequence[Entry]) -> Entry:
    """One entry of several runs; a single one stays as it is."""
    first = runs[0]
    if len(runs) == 1:
        return first
    metrics: dict[str, dict[int, float]] = {}
    for run in runs:
        for metric, values in run.metrics.items():
            metrics.setdefault(metric, {}).update(values)
    return first._replace(
        name=label,
        runs=tuple(folder for run in runs for folder in run.runs),
        status=", ".join(dict.fromkeys(run.status for run in runs)),
        metrics=metrics,
        seeds=tuple(seed for run in runs for seed in run.seeds),
        written=frozenset[str]().union(*(run.written for run in runs)),
        rising=frozenset[str]().union(*(run.rising for run in runs)),
        bounds={name: ends for run in runs for name, ends in run.bounds.items()},
        undefined=frozenset[str]().union(*(run.undefined for run in runs)),
        sweep=next((run.sweep for run in runs if run.sweep), None),
        judged=next((run.judged for run in runs if run.judged), None),
    )


def _labels(groups: Sequence[Sequence[Entry]]) -> list[str]:
    """What several runs are called: the beginning that their names share, if nothing else is called so.

    Else with the setting that tells them apart behind it or, where no single one does, by the first name.
    """
    names = [_shared(runs) for runs in groups]
    firsts = [runs[0] for runs in groups]
    rows = ([_shown(run, key) for run in firsts] for key in differing(firsts))
    values = next((row for row in rows if len(set(row)) == len(row)), [""] * len(firsts))
    return [
        name if name and names.count(name) == 1 else _distinct(name, runs, value)
        for name, runs, value in zip(names, groups, values, strict=True)
    ]


def _shared(runs: Sequence[Entry]) -> str:
    if len(runs) == 1:
        return runs[0].name
    shared = os.path.commonprefix([run.name for run in runs])  # noqa: RUF071 - of characters, not of folders
    return shared.rstrip("0123456789-_./ ")


def _shown(run: Entry, key: str) -> str:
    value = run.settings.get(key)
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _distinct(name: str, runs: Sequence[Entry], value: str) -> str:
    if len(runs) == 1:
        return runs[0].name
    return f"{name} ({value})" if name and value else f"{runs[0].name} +{len(runs) - 1}"


def _members(gathered: Sequence[Entry], groups: Sequence[Sequence[Entry]]) -> Iterator[str]:
    """Which runs stand behind a row of several."""
    for entry, runs in zip(gathered, groups, strict=True):
        if len(runs) > 1:
            yield f"{entry.name}: {len(runs)} runs that differ in nothing but the seed: {_listed(runs)}"


def _listed(runs: Sequence[Entry]) -> str:
    names = [run.name for run in runs]
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:2])}, ..., {names[-1]}"


def _first(runs: Sequence[Entry]) -> str:
    return runs[0].name


def _apart(settings: Mapping[str, list[list[Entry]]], labels: Mapping[str, str]) -> Iterator[str]:
    """Runs of the same settings that are not one setting, and why."""
    for alike in settings.values():
        first = alike[0]
        for runs in alike[1:]:
            if runs[0].average:
                continue
            pair = f"{labels[_first(first)]} and {labels[_first(runs)]} have the same settings"
            if runs[0].data != first[0].data:
                yield f"{pair}, but other data: they are not gathered"
            elif runs[0].code != first[0].code:
                yield f"{pair}, but {_other_code(first[0], runs[0])}: they are not gathered"
            elif first[0].folds:
                yield f"{pair} and the same folds: a second run of a fold is not counted as a further one"
            else:
                same = ", with the same values" if _same_values(first, runs) else ""
                yield f"{pair} and a seed in common{same}: a second run of a seed is not counted as a further seed"


def _same_values(first: Sequence[Entry], second: Sequence[Entry]) -> bool:
    """Whether two settings have the same value of every metric in each seed that both have."""
    sides: list[dict[tuple[str, int], float]] = [
        {
            (metric, seed): value
            for run in runs
            for metric, values in run.metrics.items()
            for seed, value in values.items()
        }
        for runs in (first, second)
    ]
    shared = sides[0].keys() & sides[1].keys()
    return bool(shared) and all(sides[0][key] == sides[1][key] for key in shared)


def _other_code(first: Entry, second: Entry) -> str:
    """What of the code differs: files of the user, or the version of nnrun."""
    names = sorted({name for name, _ in {*first.code} ^ {*second.code}})
    return f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"
