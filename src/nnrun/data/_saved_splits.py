"""Which splits of a saved data set are trained on, which is the test part, and what is said of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from nnrun.data._saved_set import splits_of
from nnrun.errors import DataError, one_line

__all__ = ["Parts", "parts_of"]


class Parts(NamedTuple):
    """What is read of a folder.

    folders   place -> its folders: of what is trained on and, where there is one, of the test part
    """

    folders: Mapping[str, Sequence[Path]]
    notes: tuple[str, ...] = ()


def parts_of(folder: Path, asked: str | Sequence[str] | None, asked_test: str | None) -> Parts:
    """The splits that are trained on and tested with.  Raises DataError where one would be left out unsaid.

    asked, asked_test   what the spec says
    """
    place, splits = one_line(folder), splits_of(folder)
    if not splits:
        if asked is not None or asked_test is not None:
            option = "splits" if asked is not None else "test_split"
            raise DataError(f"{place}: is one data set without splits; leave data.{option} out")
        return Parts({place: [folder]})
    trained = _trained(splits, [asked] if isinstance(asked, str) else asked, place)
    test = asked_test or ("test" if "test" in splits and "test" not in trained else None)
    if test is not None:
        _check_known(test, splits, "test_split", place)
        if test in trained:
            raise DataError(
                f"{place}: data.test_split: '{one_line(test, 40)}' is trained on; write another one"
            )
    rest = [name for name in splits if name not in (*trained, test)]
    if rest and asked is None:
        raise DataError(f"{place}: {_unsaid(splits, trained, test, rest)}")
    folders = {f"{place}/{'+'.join(map(one_line, trained))}": [splits[name] for name in trained]}
    folders |= {one_line(splits[test]): [splits[test]]} if test is not None else {}
    return Parts(folders, (f"splits left out: {one_line(', '.join(rest), 120)}",) if rest else ())


def _trained(splits: Mapping[str, Path], asked: Sequence[str] | None, place: str) -> list[str]:
    if asked is None:
        if "train" not in splits and len(splits) > 1:
            raise DataError(
                f"{place}: holds the splits {one_line(', '.join(splits), 120)}, and none is called train; write "
                "data.splits: what to train on"
            )
        return ["train"] if "train" in splits else [*splits]
    if not asked or len(set(asked)) < len(asked):
        raise DataError(f"{place}: data.splits: needed: at least one split, each once")
    for name in asked:
        _check_known(name, splits, "splits", place)
    return [*asked]


def _check_known(name: str, splits: Mapping[str, Path], option: str, place: str) -> None:
    if name not in splits:
        near = get_close_matches(name, splits, n=1)
        hint = f"did you mean '{one_line(near[0], 40)}'?" if near else f"there are {', '.join(splits)}"
        raise DataError(
            f"{place}: data.{option}: there is no split '{one_line(name, 40)}'; {one_line(hint, 120)}"
        )


def _unsaid(splits: Mapping[str, Path], trained: list[str], test: str | None, rest: list[str]) -> str:
    """What to write about splits that would be left out."""
    names, it = one_line(", ".join(rest), 80), "it" if len(rest) == 1 else "them"
    both = one_line(", ".join([*trained, *rest]), 80)
    ways = [f"data.splits: [{both}] to train on {it} too"]
    ways += (
        [f"data.test_split: {one_line(rest[0], 40)} to test on it"] if test is None and len(rest) == 1 else []
    )
    ways += [f"data.splits: {one_line(trained[0], 40)} to leave {it} out"]
    return (
        f"holds the splits {one_line(', '.join(splits), 120)}, and the spec does not say what becomes of {names}: the "
        f"validation part is cut from what is trained on (data.validation); write {', '.join(ways[:-1])}, or {ways[-1]}"
    )
