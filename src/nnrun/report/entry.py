"""What the folder of a run or group says for a comparison with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from nnrun.errors import RunError, one_line
from nnrun.record import run
from nnrun.record.names import ENSEMBLE, RESOLVED, SPEC
from nnrun.record.summary import Division, MemberSummary, RunSummary, Summary, SweepSummary
from nnrun.record.weights_from import setting
from nnrun.report.content import origin_of
from nnrun.report.summary import read_summary
from nnrun.spec import yaml12
from nnrun.statistics.metric import Bounds, all_bounds
from nnrun.storage import fsio

__all__ = ["Entry", "ModelAverage", "entry_of", "flat", "read_entry"]


class ModelAverage(NamedTuple):
    """What an ensemble, or an average of parameters, is made of.

    how       one of the averages
    models    how many
    members   the SHA-256 of the arrays of each
    runs      the folders that they were in
    """

    how: str
    models: int
    members: frozenset[str]
    runs: frozenset[Path]


class Entry(NamedTuple):
    """A run, a group of seeds, or runs that differ in nothing but the seed.

    runs      their folders, one or more
    settings  key of the spec -> value
    metrics   name -> seed -> value at the best step, of the seeds that finished
    written   the keys that the spec or the command line gave, not the defaults
    rising    the metrics of which more is better, without the part of the data
    bounds    the least and the most that metrics can be, likewise by name
    judged    the validation metric that picked the best step, None where there is none
    data      what two runs must have in common to be tested on the same examples
    code      the version of nnrun, and name and digest of each file of the user
    sweep     the folder of the sweep that chose its settings; None where none did
    folds     of a cross-validation, whose seeds are its folds, and whose values are of the last step: how its examples
              are divided; None of another run
    undefined the metrics that have no value in a run that finished
    average   what an ensemble is made of, which has no seeds of its own; None of another run
    """

    name: str
    runs: tuple[Path, ...]
    status: str
    settings: dict[str, object]
    metrics: dict[str, dict[int, float]]
    seeds: tuple[int, ...]
    written: frozenset[str]
    rising: frozenset[str]
    bounds: dict[str, Bounds]
    judged: str | None
    data: tuple[object, ...]
    code: tuple[tuple[str, str], ...]
    sweep: Path | None = None
    folds: Division | None = None
    undefined: frozenset[str] = frozenset()
    average: ModelAverage | None = None

    @property
    def unit(self) -> str:
        """What there are several of."""
        return "seeds" if self.folds is None else "folds"


def entry_of(name: str, folder: Path) -> Entry:
    """What a run folder says.  Raises RunError if it is damaged."""
    file = folder / RESOLVED
    if not file.is_file():
        raise RunError(f"{one_line(file)}: missing; restore it or start a new run")
    tree = yaml12.parse(fsio.read_file(file), str(file))
    if tree.problems or not isinstance(tree.value, dict):
        raise RunError(f"{one_line(file)}: damaged; restore it or start a new run")
    spec = folder / SPEC
    given = yaml12.parse(fsio.read_file(spec), str(spec)).value if spec.is_file() else {}
    return read_entry(name, folder, tree.value, given if isinstance(given, dict) else {})


def read_entry(name: str, folder: Path, resolved: Mapping[str, object], given: Mapping[str, object]) -> Entry:
    """What a run folder says.

    resolved, given   the content of its resolved.yaml and spec.yaml
    Raises RunError if it is damaged.
    """
    summary = read_summary(folder)
    settings = flat(resolved)
    first = settings.get("train.seed")
    runs = list(_runs(summary, first if isinstance(first, int) else 0))
    folds = summary.get("folds") if "mean" in summary else None
    # The best step of a fold was chosen by the examples that measure it.
    section = "best" if folds is None else "last"
    done = [(seed, seed_summary) for seed, seed_summary in runs if seed_summary.get("status") == "done"]
    values: dict[str, dict[int, float]] = {}
    for seed, seed_summary in done:
        for metric, number in seed_summary.get("metrics", {}).get(section, {}).items():
            if isinstance(number, int | float):
                values.setdefault(metric, {})[seed] = float(number)
    undefined = frozenset(
        name
        for _, seed_summary in done
        for name in seed_summary.get("undefined", {})
        if name in seed_summary.get("metrics", {}).get(section, {})
    )
    judged = next((best["metric"] for _, seed_summary in runs if (best := seed_summary.get("best"))), None)
    rising = frozenset(name for _, seed_summary in runs for name in seed_summary.get("rising", ()))
    bounds = {
        name: ends
        for _, seed_summary in runs
        for name, ends in all_bounds(seed_summary.get("bounds", {})).items()
    }
    seeds = tuple(seed for seed, _ in runs)
    origin = origin_of(folder)
    if weights := origin.get("weights_from"):
        settings["weights_from"] = setting(weights)
    if average := _average(folder):
        settings["ensemble"] = f"{average.how} of {average.models}"
    changes = [str(argument) for argument in origin.get("argv") or [] if "=" in str(argument)]
    written = frozenset([*flat(given), *(text.partition("=")[0] for text in changes)])
    # An equal digest says more than an equal name.
    examples = origin.get("data_digest") or (settings.get("data.name"), settings.get("data.path"))
    data: tuple[object, ...] = examples, settings.get("data.split_seed"), settings.get("data.test")
    if folds is not None:
        data = ("folds", folds["partition"])
    files = sorted((Path(file).name, sha) for file, sha in origin.get("code", {}).items())
    code = (("nnrun", str(origin.get("versions", {}).get("nnrun"))), *files)
    status = run.status(folder)
    return Entry(
        name, (folder,), status, settings, values, seeds, written, rising, bounds, judged, data, code,
        folds=folds, undefined=undefined, average=average,
    )  # fmt: skip


def _average(folder: Path) -> ModelAverage | None:
    """What an ensemble is made of, by its record; None of another run.  Raises RunError if the record is damaged."""
    if not (folder / ENSEMBLE).is_file():
        return None
    record = run.read_json(folder / ENSEMBLE)
    try:
        members = [(str(member["sha256"]), Path(member["run"]).resolve()) for member in record["members"]]
        digests, runs = zip(*members, strict=True)
        return ModelAverage(str(record["average"]), len(members), frozenset(digests), frozenset(runs))
    except (KeyError, TypeError, ValueError):
        raise RunError(f"{one_line(folder / ENSEMBLE)}: damaged; make the ensemble again") from None


def _runs(summary: Summary, first: int) -> Iterator[tuple[int, RunSummary | MemberSummary | SweepSummary]]:
    """Each seed or fold of a run or group with its summary."""
    if "runs" not in summary:
        if "status" in summary:
            yield first, summary
        return
    for i, seed_summary in enumerate(summary["runs"]):
        number = str(seed_summary.get("run", "")).rpartition("_")[2]
        yield int(number) if number.isdecimal() else first + i, seed_summary


def flat(tree: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """A spec as key -> value; lists are values."""
    settings: dict[str, object] = {}
    for key, inner in tree.items():
        path = f"{prefix}{key}"
        settings |= flat(inner, f"{path}.") if isinstance(inner, Mapping) else {path: inner}
    return settings
