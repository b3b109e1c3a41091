"""What the state.json files of runs that train together say, and what they say when it ends in an error."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar, Unpack

from typing_extensions import TypedDict

from nnrun.errors import DivergedError, Interrupted, MachineError, NnrunError
from nnrun.record import run
from nnrun.record.early_stop import stops_in_words
from nnrun.record.names import CRASH, SUMMARY
from nnrun.record.run import StateFields
from nnrun.runner.recorder import Recorder
from nnrun.runner.restore import ENDED
from nnrun.runner.summary import early_stop
from nnrun.storage import fsio
from nnrun.storage.many import for_each
from nnrun.training.memory import sharing_advice
from nnrun.types import Plan

__all__ = ["Group", "StateFiles", "by_group", "compiling", "ending", "group_of", "is_over"]


Item = TypeVar("Item")


class _Reason(TypedDict, total=False):
    reason: str


class Group(NamedTuple):
    """A run folder, and the folders of its seeds; of a run with one seed that is the folder itself."""

    folder: Path
    members: list[Path]

    @property
    def single(self) -> bool:
        return self.members == [self.folder]


def group_of(folder: Path, seeds: Sequence[int]) -> Group:
    """The run in `folder`, which has these seeds."""
    return Group(folder, [folder / f"seed_{seed}" for seed in seeds] if len(seeds) > 1 else [folder])


def is_over(folder: Path) -> bool:
    """Whether a run has ended and its summary is written."""
    return run.read_state(folder)["status"] in ENDED and (folder / SUMMARY).is_file()


def by_group(groups: Sequence[Group], recorders: Sequence[Item]) -> list[tuple[Group, list[Item]]]:
    """Each group with what there is of each of its lanes; all lanes stand in the order of the groups."""
    result: list[tuple[Group, list[Item]]] = []
    first = 0
    for group in groups:
        result.append((group, list(recorders[first : first + len(group.members)])))
        first += len(group.members)
    return result


class StateFiles(NamedTuple):
    """The state.json files of one or several groups."""

    groups: list[Group]

    @property
    def folders(self) -> list[Path]:
        """The folders of all lanes."""
        return [member for group in self.groups for member in group.members]

    def write_member(self, index: int, recorder: Recorder) -> None:
        """The state of one member that ended before the others."""
        run.write_state(self.folders[index], recorder.status, step=recorder.step, **_reason([recorder]))

    def write(self, status: str, recorders: Sequence[Recorder] = (), **more: Unpack[_Reason]) -> None:
        """The state of every group that has not ended, and of its members; what lanes know counts for them."""
        shared: Sequence[Recorder | None] = recorders or [None] * len(self.folders)

        def write(pair: tuple[Group, list[Recorder | None]]) -> None:
            group, members = pair
            if run.read_state(group.folder)["status"] not in ENDED:
                self.write_group(group, status, [recorder for recorder in members if recorder], **more)

        for_each(write, by_group(self.groups, shared))

    def write_group(
        self, group: Group, status: str, recorders: Sequence[Recorder] = (), **more: Unpack[_Reason]
    ) -> None:
        """The state of one group and its members."""
        for path, recorder in zip(group.members, recorders or [None] * len(group.members), strict=True):
            if recorder:
                reached = status if recorder.live else recorder.status
                fields: StateFields = {"step": recorder.step, **more, **_reason([recorder])}
                run.write_state(path, reached, **fields)
            elif (state := run.read_state(path))["status"] not in ENDED:
                reached_before: StateFields = {"step": state["step"]} if "step" in state else {}
                run.write_state(path, status, **{**reached_before, **more})
        if not group.single:
            why: _Reason = _reason(recorders) if status == "done" else {}
            run.write_state(group.folder, status, **{**more, **why})


def _reason(recorders: Sequence[Recorder]) -> _Reason:
    """Why runs that are done did not reach their last step; {} where all of them did."""
    words = stops_in_words([early_stop(recorder) for recorder in recorders])
    return {"reason": words} if words else {}


@contextlib.contextmanager
def compiling(state_files: StateFiles) -> Iterator[None]:
    """Leaves runs resumable when a signal arrives while their program is compiled: nothing of them has changed."""
    try:
        yield
    except Interrupted as error:
        state_files.write("interrupted")
        folder = state_files.groups[0].folder
        raise Interrupted(error.signum, f"{error}; `nnrun resume {folder}` continues") from None


@contextlib.contextmanager
def ending(state_files: StateFiles, plan: Plan) -> Iterator[None]:
    """Writes down the reason when runs end in an error that they did not record themselves."""
    try:
        yield
    except (Interrupted, DivergedError, GeneratorExit):
        raise
    except NnrunError as error:
        with contextlib.suppress(NnrunError):
            state_files.write("failed", reason=str(error))
        raise
    except MemoryError:
        raise _out_of_memory(state_files, plan) from None
    except Exception as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            raise _out_of_memory(state_files, plan) from error
        with contextlib.suppress(NnrunError):
            fsio.write_file(state_files.groups[0].folder / CRASH, traceback.format_exc().encode())
            state_files.write("failed", reason=f"{type(error).__name__}; see crash.log")
        raise


def _smaller(plan: Plan) -> str:
    """What needs less memory: first what leaves the result as it is."""
    rows = plan.batch_size // plan.accumulate
    ways = [f"train.accumulate={2 * plan.accumulate}"] if rows > 1 else []
    ways += [f"data.batch_size={plan.batch_size // 2}"] if plan.batch_size > 1 else []
    ways += ["fewer train.seeds"] if len(plan.seeds) > 1 else []
    return f"try {' or '.join(ways)}" if ways else "try a smaller model"


def _out_of_memory(state_files: StateFiles, plan: Plan) -> MachineError:
    message = f"out of memory; {_smaller(plan)}{sharing_advice()}"
    with contextlib.suppress(NnrunError):
        state_files.write("failed", reason=message)
    return MachineError(message)
