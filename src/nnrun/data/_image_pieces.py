"""New images for a trained model, piece by piece: files, or a column of a saved data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from nnrun.data._images import undecoded
from nnrun.data._labelled import check_columns, labels_of_folders, names_of_targets
from nnrun.data._new_images import decoded, images_in
from nnrun.data._piece import Extras, Inputs, rows_of_piece
from nnrun.data._saved_images import saved_images
from nnrun.data._saved_set import images_of, is_chosen, only_split, saved_pieces
from nnrun.data._targets import targets_in
from nnrun.errors import DataError, Warn, one_line
from nnrun.preprocessing import Preprocessing

__all__ = ["image_files", "saved_set_images"]

Block = Mapping[str, Any]  # name and options of the data block that the model was trained with


def image_files(
    path: Path, place: str, block: Block, fitted: Preprocessing, warn: Warn, extras: Extras
) -> Iterator[Inputs]:
    """Images as training makes them, each with its path in the folder."""
    del place
    folder, files = (path, images_in(path, block, warn)) if path.is_dir() else (path.parent, [path.name])
    labels = labels_of_folders(folder, files, fitted.classes) if extras.targets else None
    step = rows_of_piece(1, fitted)
    for start in range(0, len(files), step):
        rows = slice(start, start + step)
        x = decoded([undecoded(folder / name) for name in files[rows]], block, fitted.shape)
        yield Inputs(x, files[rows], [], None if labels is None else labels[rows])


def saved_set_images(
    path: Path, place: str, block: Block, fitted: Preprocessing, warn: Warn, extras: Extras
) -> Iterator[Inputs]:
    """The images in the rows of a data set, with what its other columns say of them."""
    del place, warn
    folder, step, names = only_split(path), rows_of_piece(1, fitted), ()
    column = _image_column(folder, block)
    images = None
    for table in saved_pieces(path, lambda columns: step):
        cells = table.columns[column]
        if images is None:
            if extras.targets:
                names = names_of_targets(table, block.get("target"), extras.target, [column], fitted.targets)
            check_columns(table, [], extras.keep, names)
            images = saved_images([folder], table.place, column, cells.position, 0).images()
        kept = [(name, table.columns[name].cells) for name in dict.fromkeys(extras.keep)]
        goals = [table.columns[name] for name in names]
        targets = targets_in(goals, fitted.classes, fitted.label_classes) if goals else None
        x = decoded([*islice(images, len(cells.cells))], block, fitted.shape)
        yield Inputs(x, [], kept, targets)
    if images is not None:
        images.close()


def _image_column(folder: Path, block: Block) -> str:
    """The column of images that the options of the run choose; of other loaders the only one.  Raises DataError."""
    images, ours = images_of(folder), block["name"] == "hf_folder"
    features, exclude = (block.get("features"), block.get("exclude") or ()) if ours else (None, ())
    chosen = [name for name in images if is_chosen(name, features, exclude)]
    if len(chosen) == 1:
        return chosen[0]
    held = one_line(", ".join(images), 80) or "none"
    asked = f"; the run was trained on '{one_line(features[0], 40)}'" if features else ""
    raise DataError(
        f"{one_line(folder)}: needed: one column of images; there are {held}{asked}; rename it "
        "(Dataset.rename_column), or remove the others (Dataset.remove_columns)"
    )
