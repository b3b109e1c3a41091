"""What a cross-validation says about itself: summary.json, the mean over its folds and the interval of that."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Sequence
from pathlib import Path

from nnrun.record import preprocessing, run
from nnrun.record.names import SUMMARY
from nnrun.record.summary import Baseline, Division, GroupSummary, RunSummary
from nnrun.runner.group import folds_of_partition
from nnrun.runner.summary import average
from nnrun.statistics.metric import all_bounds

__all__ = ["division", "folds_summary", "mean_baseline"]


def division(folds: Sequence[Path]) -> Division:
    """How the examples were divided.

    folds   the run folders, all of them
    With `data.examples` a fold trains on few of those that it may train on, and the ratio is still that to all of
    them: Nadeau & Bengio's n_val/n_train stands for how much the values of two folds vary together, and folds that
    draw their examples separately have fewer in common, not more.
    Raises RunError where the record of one is missing or damaged.
    """
    parts = [preprocessing.read(fold).parts for fold in folds]
    validated, trained = (sum(part[name].examples for part in parts) for name in ("val", "train"))
    if divided := folds_of_partition(folds[0]):
        trained = validated * (divided - 1)  # each example validates in one fold of a partition
    chosen = "".join(part["val"].chosen for part in parts)
    return {
        "count": len(folds),
        "ratio": validated / trained,
        "partition": hashlib.sha256(chosen.encode()).hexdigest(),
    }


def folds_summary(folder: Path, folds: Sequence[Path]) -> GroupSummary:
    """The content of a cross-validation's summary.json, from those of its folds, which have all ended.

    Of the best steps there are no validation metrics: they were chosen by these.
    """
    summaries: list[RunSummary] = [run.read_json(fold / SUMMARY) for fold in folds]
    done = [summary for summary in summaries if summary["status"] == "done"]
    divided = division(folds)
    content: GroupSummary = {
        "status": "done" if done else "diverged",
        "steps": max(summary["steps"] for summary in summaries),
        "folds": divided,
        "runs": [
            {"run": fold.relative_to(folder).as_posix(), **summary}
            for fold, summary in zip(folds, summaries, strict=True)
        ],
        **average(
            [
                {
                    "last": summary["metrics"]["last"],
                    "best": {
                        name: value
                        for name, value in summary["metrics"]["best"].items()
                        if name.startswith("test/")
                    },
                }
                for summary in done
            ],
            all_bounds(summaries[0].get("bounds", {})),
            ratio=divided["ratio"] if len(done) == len(folds) else None,
            independent=False,
        ),
    }
    baselines = [summary["baseline"] for summary in summaries if "baseline" in summary]
    if baselines:
        content["baseline"] = mean_baseline(baselines)
    if "targets" in summaries[0]:
        content["targets"] = summaries[0]["targets"]
    if few := _fewest(summaries):
        content["few"] = few
    return content


def mean_baseline(baselines: Sequence[Baseline]) -> Baseline:
    """The metrics of the constant predictions of all folds, on average."""
    names = set.intersection(*(set(baseline["metrics"]) for baseline in baselines))
    return {
        "prediction": baselines[0]["prediction"],
        "metrics": {
            name: statistics.fmean(baseline["metrics"][name] for baseline in baselines)
            for name in baselines[0]["metrics"]
            if name in names
        },
    }


def _fewest(summaries: Sequence[RunSummary]) -> dict[str, dict[str, int]]:
    """Class -> part -> its examples there in the fold that has the fewest, where they are few."""
    few: dict[str, dict[str, int]] = {}
    for summary in summaries:
        for name, parts in summary.get("few", {}).items():
            fewest = few.setdefault(name, {})
            for part, count in parts.items():
                fewest[part] = min(count, fewest.get(part, count))
    return few
