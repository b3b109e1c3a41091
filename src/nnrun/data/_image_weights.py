"""How much each image counts: a table beside the images."""

from __future__ import annotations

import numpy as np

from nnrun.data._image_tree import ImagePart
from nnrun.data._request import RowColumns
from nnrun.data._row_columns import weights_of
from nnrun.data._table import read_table
from nnrun.errors import DataError, one_line

__all__ = ["weights_of_images"]

_FILE, _WEIGHT = "file", "weight"  # the columns


def weights_of_images(path: str, part: ImagePart) -> np.ndarray:
    """(n,) float64 ≥ 0, not all of them 0: the weights of the images of a part, in its order.

    path   a CSV file with the columns file, a path below the folder of the part (cat/1.jpg), and weight
    Raises DataError naming FILE:ROW:COLUMN, also unless each image has exactly one row.
    """
    table = read_table(path, ",")
    files, weights = table.column(_FILE, "weights"), weights_of(table, RowColumns(_WEIGHT, None, None))
    assert weights is not None
    place = {file.path: row for row, file in enumerate(part.files)}
    ordered = np.full(len(part.files), np.nan)
    for row, name in enumerate(files.cells):
        if name not in place:
            files.refuse(row, f"is no image below {one_line(part.folder)} that is trained on; remove the row")
        if not np.isnan(ordered[place[name]]):
            files.refuse(row, "has a weight in a row above; leave one of them")
        ordered[place[name]] = weights[row]
    lacking = np.isnan(ordered)
    if lacking.any():
        first = part.files[int(lacking.argmax())].path
        count = int(lacking.sum())
        raise DataError(
            f"{one_line(path)}: {count} image{'s have' if count > 1 else ' has'} no weight, the first is "
            f"'{one_line(first, 80)}'; add a row for each image"
        )
    return ordered
