"""A table of which one column holds images: these are the inputs, and its other columns say what they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nnrun.data._check import check
from nnrun.data._column import Table
from nnrun.data._faults import Faults
from nnrun.data._image_cache import pixels
from nnrun.data._images import ImageForm
from nnrun.data._kinds import kind_of
from nnrun.data._request import TableRequest
from nnrun.data._roles import roles_of
from nnrun.data._saved_images import saved_images
from nnrun.data._saved_set import SavedTable
from nnrun.data._shown import shown
from nnrun.data._tabular import facts_of, goals_in
from nnrun.data._yaml_name import quoted
from nnrun.errors import DataError, one_line
from nnrun.preprocessing import About
from nnrun.types import Examples, Source

__all__ = ["image_column", "source_of_images"]


def image_column(part: SavedTable, features: Sequence[str]) -> str | None:
    """Which of the features holds images; None: none of them.  Raises DataError where others would be beside it."""
    images = [name for name in features if part.foreign.get(name) == "images"]
    if not images:
        return None
    place, name = part.table.place, images[0]
    if len(features) > 1:
        others = one_line(", ".join(f"'{feature}'" for feature in features if feature != name), 80)
        no_cells = ", ".join(quoted(feature) for feature in features if feature in part.foreign)
        raise DataError(
            f"{place}: column '{one_line(name, 40)}' holds images, and would be an input beside {others}; write "
            f"data.features: [{quoted(name)}] to learn from these images alone, or data.exclude: [{no_cells}] to learn "
            "from the cells"
        )
    return name


def source_of_images(
    parts: Sequence[SavedTable],
    folders: Mapping[str, Sequence[Path]],
    column: str,
    request: TableRequest,
    form: ImageForm,
    task: str,
    standardize: str,
    classifies: bool | None,
    binary: bool,
    notes: tuple[str, ...],
) -> Source:
    """The source that the images of a column are, and perhaps those of another table that is its test part.

    folders   place -> its folders, of each part
    The rest is as in `source_of`.  Raises DataError naming FOLDER:ROW:COLUMN.
    """
    tables = [part.table for part in parts]
    table, test = tables[0], next(iter(tables[1:]), None)
    faults = Faults()
    roles = faults.tried(lambda: roles_of(table, request._replace(features=[column])))
    goals, targets = goals_in(tables, request, task, classifies, binary, faults)
    facts = faults.tried(lambda: facts_of(table, test, request))
    faults.refuse()
    assert roles is not None and goals is not None and facts is not None
    sets = [
        saved_images(places, part.place, column, part.column(column, "features").position, len(y))
        for places, part, y in zip(folders.values(), tables, targets, strict=True)
    ]
    train, *held = [Examples(x, y) for x, y in zip(pixels(sets, form), targets, strict=True)]
    kinds = {name: kind_of(cells) for name, cells in table.columns.items() if name != column}
    cells = Table(table.place, {name: table.columns[name] for name in kinds})
    about = shown(cells, kinds, (), {}, goals.by_target, roles.beside)
    height, width, channels = train.x.shape[1:]
    colours = "grey" if channels == 1 else "RGB"
    image = About(
        column,
        "feature",
        "images",
        f"{len(train.y)} of them",
        f"{width} pixels wide, {height} high, {colours}",
    )
    facts = facts._replace(about=(image, *about), notes=notes)
    source = Source(
        train, next(iter(held), None), goals.classes, standardize, (), facts, goals.several, goals.pairs
    )
    return check(source, " with ".join(part.place for part in tables))
