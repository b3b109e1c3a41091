"""Which report a folder has, and its content."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnrun.errors import RunError, SpecError, one_line
from nnrun.record import preprocessing, run
from nnrun.record.names import ACCOUNT
from nnrun.report import drawing
from nnrun.report.content import origin_of
from nnrun.report.ensemble.account import Account
from nnrun.report.named_runs import compare_runs, short_names
from nnrun.report.provenance import page_lines
from nnrun.report.run.charts import charts_of, logged_names
from nnrun.report.run.looked import Looked
from nnrun.report.run.page import page
from nnrun.report.run.remarks import remarks
from nnrun.report.run.subject import Subject, read_subject
from nnrun.report.sweep.folder import is_sweep, read_sweep
from nnrun.report.sweep.rows import rows_of
from nnrun.storage import fsio

__all__ = [
    "best_runs", "example_run", "kind_of", "labelled", "page_of", "remarks_of", "subjects_of", "sweep_page", "write",
    "write_picture",
]  # fmt: skip

_DPI = 160
_FORMATS = (".png", ".svg", ".pdf")


def kind_of(folders: Sequence[Path]) -> str:
    """runs, sweep or ensemble.  Raises SpecError where a sweep or an ensemble is named together with others."""
    kinds = [
        "sweep" if is_sweep(path) else "ensemble" if (path / ACCOUNT).is_file() else "runs"
        for path in folders
    ]
    if len(folders) > 1 and set(kinds) != {"runs"}:
        i = next(i for i, kind in enumerate(kinds) if kind != "runs")
        raise SpecError(f"{one_line(folders[i])}: has a report of its own; name it alone, or name runs only")
    return kinds[0]


def labelled(folders: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each folder with the shortest end of its path that distinguishes it."""
    return short_names([*folders])


def subjects_of(folders: Sequence[Path]) -> list[Subject]:
    """What the folders of runs and groups have logged.  Raises RunError where one of them is damaged."""
    return [read_subject(label, folder) for label, folder in labelled(folders)]


def remarks_of(folders: Sequence[Path]) -> dict[str, list[dict[str, object]]]:
    """What the curves of each run say: label -> [{about, sentence, fine}]; {} for a sweep or an ensemble."""
    if kind_of(folders) != "runs":
        return {}
    return {
        subject.label: [remark._asdict() for remark in remarks(subject)] for subject in subjects_of(folders)
    }


def page_of(
    names: Sequence[str],
    folders: Sequence[Path],
    root: Path,
    looked: Mapping[str, Looked],
    reload_after: int = 0,
) -> str:
    """The report of runs, or of one ensemble.

    names         of the runs as they were asked for, below `root`
    looked        by label, what was looked at in the data
    reload_after  seconds until a browser reads the file again; 0: never
    """
    if kind_of(folders) == "ensemble":
        return _ensemble_page(folders[0], looked)
    comparison = compare_runs(names, root) if len(folders) > 1 else None
    return page(subjects_of(folders), looked, comparison, reload_after)


def sweep_page(folder: Path, looked: Mapping[str, Looked]) -> str:
    """The report of a sweep, from its records as they are now.

    looked   by name of the run, what was looked at in the data
    """
    from nnrun.report.sweep import page as sweep
    from nnrun.report.sweep import plots
    from nnrun.report.sweep.answer import answer

    sweep_answer = answer(read_sweep(folder))
    return sweep.page(sweep_answer, plots.pictures(sweep_answer), looked)


def _ensemble_page(folder: Path, looked: Mapping[str, Looked]) -> str:
    from nnrun.report.ensemble import page as ensemble

    account: Account = run.read_json(folder / ACCOUNT)
    lines = page_lines(folder, origin_of(folder))
    return ensemble.page(account, ensemble.pictures(account), looked.values(), lines)


def example_run(folder: Path, split: str | None) -> tuple[Path, str]:
    """The run whose examples are shown, of a group the first that did not diverge; and the part that they are of.

    split   the part that was asked for; None: val if anything was held out for it, else train: test examples that
            somebody has looked at are no longer a test
    Raises RunError where there is no run with a checkpoint.
    """
    run_folder = folder if (folder / ACCOUNT).is_file() else _first_sound(folder)
    if split is not None:
        return run_folder, split
    parts = (
        preprocessing.read(run_folder).parts if (run_folder / preprocessing.PREPROCESSING).is_file() else {}
    )
    return run_folder, next(
        (name for name in ("val", "train") if name in parts and parts[name].examples), "val"
    )


def _first_sound(folder: Path) -> Path:
    """The run, or of a group the first that did not diverge.  Raises RunError where there is none."""
    members = run.members(folder) or [folder]
    run_folder = next((path for path in members if run.status(path) != "diverged"), None)
    if run_folder is None:
        raise RunError(f"{one_line(folder)}: all its runs diverged")
    return run_folder


def best_runs(folder: Path) -> list[tuple[str, Path]]:
    """Of the best setting on each base of a sweep, the first run on fresh seeds that did not diverge, by its name.

    Raises RunError where no base has one.
    """
    sweep = read_sweep(folder)
    best = [rows[0] for base in sweep.bases if (rows := rows_of(sweep, base).rows)]
    groups = [row.run for row in best if row.fresh and row.run is not None and row.values]
    if not groups:
        reason = (
            "no setting has finished on fresh seeds yet" if sweep.final_seeds else "it has no fresh seeds"
        )
        raise RunError(
            f"{one_line(folder)}: {reason}; `nnrun report` of a run below trials/ shows its examples"
        )
    runs = [_first_sound(group) for group in groups]
    return [(path.relative_to(folder).as_posix(), path) for path in runs]


def write(target: Path, content: str) -> None:
    """Writes the file, whole or not at all.  Raises MachineError."""
    fsio.write_file(target, content.encode())


def write_picture(target: Path, subjects: Sequence[Subject], names: Sequence[str]) -> None:
    """Draws curves into a picture.

    names   logged names; []: what judges, and the loss
    Raises SpecError for a name that none of them has logged, or a format that is not written.
    """
    from nnrun.report.drawn import figure_of_all

    if target.suffix not in _FORMATS:
        raise SpecError(
            f"-o {one_line(target)}: write a name that ends in {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]}"
        )
    charts = charts_of(_with_lines(subjects, names), of_targets=bool(names))
    if not names:
        charts = charts[:2]
    figure = figure_of_all(charts)
    if target.suffix == ".png":
        return fsio.write_file(target, drawing.png(figure, _DPI))
    content = io.BytesIO()
    without: dict[str, Any] = {"Date": None} if target.suffix == ".svg" else {"CreationDate": None}
    import matplotlib as mpl

    with mpl.rc_context({"svg.hashsalt": "nnrun", "svg.fonttype": "none"}):
        figure.savefig(content, format=target.suffix[1:], metadata=without)
    return fsio.write_file(target, content.getvalue())


def _with_lines(subjects: Sequence[Subject], names: Sequence[str]) -> list[Subject]:
    """The subjects with the lines of these names only; all lines where no name is given."""
    known = logged_names(subjects)
    if not known:
        raise RunError(f"{one_line(subjects[0].folder)}: has logged nothing yet; wait until it trains")
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"write one of {', '.join(known)}"
            raise SpecError(f"--metric {one_line(name, 40)}: was not logged; {hint}")
    if not names:
        return [*subjects]
    return [
        subject._replace(lines={name: line for name, line in subject.lines.items() if name in names})
        for subject in subjects
    ]
