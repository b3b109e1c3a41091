"""What `--json` prints and the files of a run folder hold, as JSON Schema.

Each is the type beside what writes it, so the schema cannot say something else than the code; `version` rises where a
name goes away or changes its meaning.  New names may come at any time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nnrun.errors import SpecError, one_line

__all__ = ["Contract", "contracts", "schema_of"]

_VERSION = 1


class Contract(NamedTuple):
    """A kind of JSON: where it comes from, and how its type is found, which may take an import of jax."""

    source: str
    type_of: Callable[[], object]


def _summary() -> object:
    from nnrun.record.summary import GroupSummary, NoSummary, RunSummary, SweepSummary

    return GroupSummary | RunSummary | SweepSummary | NoSummary


def _run() -> object:
    from nnrun.record.provenance import Provenance

    return Provenance


def _state() -> object:
    from nnrun.record.run import RunState

    return RunState


def _metrics() -> object:
    return dict[str, float | str]


def _ls() -> object:
    from nnrun.report.overview import OverviewRow

    return list[OverviewRow]


def _evaluate() -> object:
    from nnrun.runner.evaluation import EnsembleEvaluation, GroupEvaluation, RunEvaluation

    return EnsembleEvaluation | GroupEvaluation | RunEvaluation


def _account() -> object:
    from nnrun.report.ensemble.account import Account

    return Account


def _leaderboard() -> object:
    from nnrun.report.sweep.answer import Leaderboard

    return Leaderboard


def _report() -> object:
    from nnrun.report.run.looked import ReportReport

    return ReportReport


def _check() -> object:
    from nnrun.probe.finding import CheckReport

    return CheckReport


def _bench() -> object:
    from nnrun.probe.speed import SpeedReport

    return SpeedReport


def _rates() -> object:
    from nnrun.probe.rates import RatesReport

    return RatesReport


def _race() -> object:
    from nnrun.race.report import RaceReport

    return RaceReport


def _dry_run() -> object:
    from nnrun.sweep.dry_run import DryRunReport

    return DryRunReport


def _export() -> object:
    from nnrun.export.folder import ExportReport

    return ExportReport


def _reproduce() -> object:
    from nnrun.runner.again import ReproductionReport

    return ReproductionReport


def _train() -> object:
    from nnrun.record.summary import EndedGroup, EndedRun

    return EndedGroup | EndedRun


def _train_dry_run() -> object:
    from nnrun.commands._data import DataReport

    return DataReport


def _sweep() -> object:
    from nnrun.report.sweep.answer import LeaderboardReport

    return LeaderboardReport


def _show() -> object:
    from nnrun.report.described import Description
    from nnrun.report.sweep.answer import LeaderboardReport

    return LeaderboardReport | Description


def _ensemble() -> object:
    from nnrun.report.ensemble.account import AccountReport

    return AccountReport


def _predict() -> object:
    from nnrun.prediction.inquiry import PredictionReport

    return PredictionReport


def _compare() -> object:
    from nnrun.report.side_by_side_text import ComparisonReport

    return ComparisonReport


def _explain() -> object:
    from nnrun.probe.explanation import ExplanationReport

    return ExplanationReport


def _list() -> object:
    from nnrun.catalog.listing import CatalogueEntry

    return CatalogueEntry | dict[str, dict[str, CatalogueEntry]]


def _track() -> object:
    from nnrun.track.state import SentReport

    return SentReport


def _tracking() -> object:
    from nnrun.track.state import Sent

    return dict[str, dict[str, Sent]]


def _tag() -> object:
    from nnrun.commands.keeping import TagReport

    return TagReport


def _rm() -> object:
    from nnrun.commands.keeping import RemovalReport

    return RemovalReport


_CONTRACTS = {
    "summary": Contract("summary.json of a run, a group or a sweep", _summary),
    "run": Contract("run.json: where a run came from", _run),
    "state": Contract("state.json: where a run is", _state),
    "metrics": Contract(
        "a line of metrics.jsonl: step and epoch, then numbers by name; what JSON does not have is a text",
        _metrics,
    ),
    "tracking": Contract("tracking.json: what trackers have of a run", _tracking),
    "ls": Contract("nnrun ls --json", _ls),
    "evaluate": Contract(
        "nnrun evaluate --json; --per-class adds `per_class` or `per_label`, as of `report`", _evaluate
    ),
    "train": Contract("nnrun train --json, nnrun resume --json", _train),
    "train-dry-run": Contract("nnrun train --dry-run --json", _train_dry_run),
    "sweep": Contract("nnrun sweep --json", _sweep),
    "ensemble": Contract("nnrun ensemble --json", _ensemble),
    "predict": Contract("nnrun predict --json", _predict),
    "show": Contract("nnrun show --json", _show),
    "compare": Contract("nnrun compare --json", _compare),
    "explain": Contract("nnrun explain --json", _explain),
    "list": Contract(
        "nnrun list --json: kind -> name -> an entry with its options; with KIND and NAME that entry", _list
    ),
    "track": Contract("nnrun track --json", _track),
    "check": Contract("nnrun check --json", _check),
    "bench": Contract("nnrun bench --json", _bench),
    "lr-find": Contract("nnrun lr-find --json", _rates),
    "race": Contract("nnrun race --json", _race),
    "sweep-dry-run": Contract("nnrun sweep --dry-run --json", _dry_run),
    "export": Contract("nnrun export --json", _export),
    "reproduce": Contract("nnrun reproduce --json", _reproduce),
    "tag": Contract("nnrun tag --json", _tag),
    "rm": Contract("nnrun rm --json", _rm),
    "account": Contract("account.json of an ensemble", _account),
    "leaderboard": Contract("leaderboard.json of a sweep", _leaderboard),
    "report": Contract("nnrun report --json", _report),
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
