"""The end of runs that train together: tests, summaries and their last states."""

from __future__ import annotations

from nnrun.record.names import SUMMARY
from nnrun.record.summary import RunSummary
from nnrun.runner.recorder import Arrays, Recorder
from nnrun.runner.restore import ENDED
from nnrun.runner.status import Group, StateFiles, by_group, is_over
from nnrun.runner.summary import about_data, divergence, group_summary, run_summary
from nnrun.storage import fsio
from nnrun.storage.many import for_each
from nnrun.training.baseline import constant_loss
from nnrun.training.shards import Compiled

__all__ = ["finish"]


def finish(compiled: Compiled, recorders: list[Recorder], state_files: StateFiles) -> None:
    """Tests the last and the best state of the lanes that end now and writes the summaries of their runs.

    A run that was over before keeps its summary: its checkpoints may be gone.
    """
    over = {path for group in state_files.groups if is_over(group.folder) for path in group.members}
    ended = [recorder.status in ENDED and recorder.folder not in over for recorder in recorders]
    last = [recorder.final if ends else None for recorder, ends in zip(recorders, ended, strict=True)]
    best = [recorder.best_arrays() if ends else None for recorder, ends in zip(recorders, ended, strict=True)]
    tested_last = _test(compiled, last)
    same = all(a is b for a, b in zip(last, best, strict=True))
    tested_best = tested_last if same else _test(compiled, best)
    data, constant = about_data(compiled.experiment), constant_loss(compiled.experiment)
    summaries = [
        run_summary(recorder, of_last, of_best, data, constant)
        for recorder, of_last, of_best in zip(recorders, tested_last, tested_best, strict=True)
    ]
    pairs_of_groups = by_group(state_files.groups, list(zip(recorders, summaries, strict=True)))
    ending = [(group, pairs) for group, pairs in pairs_of_groups if group.members[0] not in over]
    for_each(lambda pair: _close(*pair, state_files), ending)


def _close(group: Group, pairs: list[tuple[Recorder, RunSummary]], state_files: StateFiles) -> None:
    """The summaries of a group and its runs, and their last states; where some have not ended, they are resumable."""
    recorders = [recorder for recorder, _ in pairs]
    if not all(recorder.status in ENDED for recorder in recorders):
        return state_files.write_group(group, "interrupted", recorders)
    for recorder, summary in pairs:
        fsio.write_json(recorder.folder / SUMMARY, summary)
    if not group.single:
        fsio.write_json(group.folder / SUMMARY, group_summary(group.folder, recorders))
    if any(recorder.status == "done" for recorder in recorders):
        return state_files.write_group(group, "done", recorders)
    return state_files.write_group(group, "diverged", recorders, reason=divergence(recorders))


def _test(compiled: Compiled, arrays: list[Arrays | None]) -> list[dict[str, float]]:
    """Test metrics of each lane's arrays; {} for a lane that has none, and where there is no test part."""
    filler = next((lane_arrays for lane_arrays in arrays if lane_arrays), None)
    if filler is None or not len(compiled.experiment.dataset.test.y):
        return [{} for _ in arrays]
    state = compiled.pack([lane_arrays or filler for lane_arrays in arrays])
    tested = compiled.evaluate(state, "test")
    return [metrics if lane_arrays else {} for lane_arrays, metrics in zip(arrays, tested, strict=True)]
