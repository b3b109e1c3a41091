"""What `--json` prints and the files of a run folder hold, as JSON Schema.

Each is the type beside what writes it, so the schema cannot say something else than the code; `version` rises where a
name goes away or changes its meaning.  New names may come at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from nnrun.errors import SpecError, one_line

__all__ = ["Contract", "contracts", "schema_of"]

_VERSION = 1


class Contract(NamedTuple):
    """A kind of JSON: where it comes from, and how its type is found, which may take an import of jax."""

    source: str
    type_of: Callable[[], object]


def _named(module: str, name: str) -> Callable[[], object]:
    """The type of this name, whose module is imported when it is asked for."""
    return lambda: getattr(import_module(module), name)


def _summary() -> object:
    from nnrun.record.summary import GroupSummary, NoSummary, RunSummary, SweepSummary

    return GroupSummary | RunSummary | SweepSummary | NoSummary


def _metrics() -> object:
    return dict[str, float | str]


def _ls() -> object:
    from nnrun.report.overview import OverviewRow

    return list[OverviewRow]


def _evaluate() -> object:
    from nnrun.runner.evaluation import EnsembleEvaluation, GroupEvaluation, RunEvaluation

    return EnsembleEvaluation | GroupEvaluation | RunEvaluation


def _train() -> object:
    from nnrun.record.summary import EndedGroup, EndedRun

    return EndedGroup | EndedRun


def _show() -> object:
    from nnrun.report.described import Description
    from nnrun.report.sweep.answer import LeaderboardReport

    return LeaderboardReport | Description


def _list() -> object:
    from nnrun.catalog.listing import CatalogueEntry

    return CatalogueEntry | dict[str, dict[str, CatalogueEntry]]


def _tracking() -> object:
    from nnrun.track.state import Sent

    return dict[str, dict[str, Sent]]


def _batches() -> object:
    from nnrun.sweep.batches import CutMarker, DoneMarker
    from nnrun.sweep.engine import BatchFile
    from nnrun.sweep.rungs import ExploitMarker, RungFile

    return BatchFile | RungFile | ExploitMarker | DoneMarker | CutMarker


_CONTRACTS = {
    "summary": Contract("summary.json of a run, a group or a sweep", _summary),
    "run": Contract("run.json: where a run came from", _named("nnrun.record.provenance", "Provenance")),
    "state": Contract("state.json: where a run is", _named("nnrun.record.run", "RunState")),
    "metrics": Contract(
        "a line of metrics.jsonl: step and epoch, then numbers by name; what JSON does not have is a text",
        _metrics,
    ),
    "preprocessing": Contract(
        "preprocessing.json: what predictions need of the training data",
        _named("nnrun.record.preprocessing", "PreprocessingFile"),
    ),
    "columns": Contract(
        "columns.json: the data of a run in words", _named("nnrun.record.columns", "ColumnsFile")
    ),
    "timing": Contract("a line of timing.jsonl", _named("nnrun.record.timing", "TimingEntry")),
    "tags": Contract("tags.json of a run", _named("nnrun.record.tags", "TagsFile")),
    "manifest": Contract(
        "manifest.json beside the arrays of a checkpoint, or of the weights that a run began with",
        _named("nnrun.record.pack", "Manifest"),
    ),
    "sweep-file": Contract(
        "sweep.json: what a sweep was asked", _named("nnrun.report.sweep.entries", "SweepDescription")
    ),
    "trials": Contract(
        "a line of trials.jsonl of a sweep", _named("nnrun.report.sweep.entries", "TrialEntry")
    ),
    "final": Contract("a line of final.jsonl of a sweep", _named("nnrun.report.sweep.entries", "FinalEntry")),
    "rounds": Contract("a line of rounds.jsonl of a sweep", _named("nnrun.sweep.rounds", "RoundEntry")),
    "batches": Contract("a file in batches/ of a sweep", _batches),
    "examples": Contract(
        "examples.json of a run on fresh seeds", _named("nnrun.report.sweep.examples", "ExamplesFile")
    ),
    "ensemble-file": Contract(
        "ensemble.json: of what members an ensemble is", _named("nnrun.prediction.folder", "EnsembleRecord")
    ),
    "tracking": Contract("tracking.json: what trackers have of a run", _tracking),
    "ls": Contract("nnrun ls --json", _ls),
    "evaluate": Contract(
        "nnrun evaluate --json; --per-class adds `per_class` or `per_label`, as of `report`", _evaluate
    ),
    "train": Contract("nnrun train --json, nnrun resume --json", _train),
    "train-dry-run": Contract("nnrun train --dry-run --json", _named("nnrun.commands._data", "DataReport")),
    "sweep": Contract("nnrun sweep --json", _named("nnrun.report.sweep.answer", "LeaderboardReport")),
    "ensemble": Contract("nnrun ensemble --json", _named("nnrun.report.ensemble.account", "AccountReport")),
    "predict": Contract("nnrun predict --json", _named("nnrun.prediction.inquiry", "PredictionReport")),
    "show": Contract("nnrun show --json", _show),
    "compare": Contract("nnrun compare --json", _named("nnrun.report.side_by_side_text", "ComparisonReport")),
    "explain": Contract("nnrun explain --json", _named("nnrun.probe.explanation", "ExplanationReport")),
    "list": Contract(
        "nnrun list --json: kind -> name -> an entry with its options; with KIND and NAME that entry", _list
    ),
    "track": Contract("nnrun track --json", _named("nnrun.track.state", "SentReport")),
    "check": Contract("nnrun check --json", _named("nnrun.probe.finding", "CheckReport")),
    "bench": Contract("nnrun bench --json", _named("nnrun.probe.speed", "SpeedReport")),
    "lr-find": Contract("nnrun lr-find --json", _named("nnrun.probe.rates", "RatesReport")),
    "race": Contract("nnrun race --json", _named("nnrun.race.report", "RaceReport")),
    "sweep-dry-run": Contract("nnrun sweep --dry-run --json", _named("nnrun.sweep.dry_run", "DryRunReport")),
    "export": Contract("nnrun export --json", _named("nnrun.export.folder", "ExportReport")),
    "reproduce": Contract("nnrun reproduce --json", _named("nnrun.runner.again", "ReproductionReport")),
    "tag": Contract("nnrun tag --json", _named("nnrun.commands.keeping", "TagReport")),
    "rm": Contract("nnrun rm --json", _named("nnrun.commands.keeping", "RemovalReport")),
    "account": Contract("account.json of an ensemble", _named("nnrun.report.ensemble.account", "Account")),
    "leaderboard": Contract(
        "leaderboard.json of a sweep", _named("nnrun.report.sweep.answer", "Leaderboard")
    ),
    "report": Contract("nnrun report --json", _named("nnrun.report.run.looked", "ReportReport")),
}


def contracts() -> dict[str, str]:
    """What there are schemas of: name -> where it is found."""
    return {name: contract.source for name, contract in _CONTRACTS.items()}


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of one of them.  Raises SpecError for another name."""
    from pydantic import TypeAdapter

    if name not in _CONTRACTS:
        raise SpecError(f"schema --of {one_line(name, 40)!r}: write one of {', '.join(_CONTRACTS)}")
    contract = _CONTRACTS[name]
    written: Any = contract.type_of()
    content = TypeAdapter(written).json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"nnrun {name}",
        "description": contract.source,
        "version": _VERSION,
        **{key: value for key, value in content.items() if key not in ("title", "description")},
    }
