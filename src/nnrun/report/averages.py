"""Averages of models among what is compared: which runs they are made of, and why seeds say nothing of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnrun.errors import counted, one_line
from nnrun.record import checkpoint, run
from nnrun.report.entry import Entry, ModelAverage
from nnrun.statistics.metric import Metric

__all__ = ["average_sentences"]


def average_sentences(entries: Sequence[Entry], metric: Metric) -> Iterator[str]:
    """Why no average is tested against the others: it is made of them, or has no seeds to be paired by."""
    averages = [(entry, entry.average) for entry in entries if entry.average]
    runs = [entry for entry in entries if not entry.average]
    for i, (entry, average) in enumerate(averages):
        count = counted(average.models, "model")
        if not entry.metrics.get(metric.name):
            measure = f"`nnrun evaluate {one_line(entry.runs[0])}` measures it"
            yield f"{entry.name} is an average of {count} that has no {metric}; {measure}"
            continue
        members = [other.name for other in runs if _is_made_of(average, other)]
        if members:
            yield (
                f"{entry.name} is an average of models of {', '.join(members)}, not another setting beside "
                f"{'it' if len(members) == 1 else 'them'}; what averaging gains, and how sure that is, says "
                f"`nnrun show {one_line(entry.runs[0])}`"
            )
        for other, other_average in averages[i + 1 :]:
            if shared := average.members & other_average.members:
                yield f"{entry.name} and {other.name} have {counted(len(shared), 'member')} in common"
        rest = [other.name for other in runs if other.name not in members]
        rest += [other.name for other, _ in averages[i + 1 :]]
        if rest:
            yield (
                f"{entry.name} is one average of {count}, which has no seeds of its own, so its difference from "
                f"{', '.join(rest)} is not tested"
            )


def _is_made_of(average: ModelAverage, entry: Entry) -> bool:
    """Whether any run of an entry is among the members: by its folder or, where that was moved, by its checkpoints."""
    folders = [folder for place in entry.runs for folder in (run.members(place) or [place])]
    return any(
        folder.resolve() in average.runs
        or not average.members.isdisjoint(checkpoint.recorded_digests(folder))
        for folder in folders
    )
