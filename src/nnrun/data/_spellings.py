"""Names of classes or categories that may be one name, written in several ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from nnrun.errors import one_line

__all__ = ["either", "groups_in_case", "groups_of_names", "note_of_groups", "with_counts"]

_MOST = 200  # characters of a list of them


def groups_of_names(names: Iterable[str], key: Callable[[str], str]) -> list[list[str]]:
    """The names that are one by `key`, those of each in their order, without those that are alone."""
    by_key: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        by_key.setdefault(key(name), []).append(name)
    return [group for group in by_key.values() if len(group) > 1]


def groups_in_case(names: Iterable[str]) -> list[list[str]]:
    """The names that differ in upper and lower case only; single letters, such as alleles, are none."""
    return groups_of_names((name for name in names if len(name) > 1), str.lower)


def note_of_groups(groups: Sequence[Sequence[str]], of_two: str, of_more: str) -> list[str]:
    """A note on names that are one by some rule, all of them; [] where there are none."""
    if not groups:
        return []
    if len(groups) == 1 and len(groups[0]) == 2:
        return [f"{either(groups[0], ' and ')} {of_two}"]
    return [f"{of_more}: {one_line('; '.join(either(group, ' and ') for group in groups), _MOST)}"]


def with_counts(groups: Sequence[Sequence[str]], counts: Mapping[str, int]) -> str:
    """All groups, each name with how often it is there, the most frequent first: 'yes' (20), 'Yes' (3); 'no' ..."""
    ranked = [sorted(group, key=lambda name: -counts[name]) for group in groups]
    shown = (", ".join(f"{either([name])} ({counts[name]})" for name in group) for group in ranked)
    return one_line("; ".join(shown), _MOST)


def either(names: Sequence[str], last: str = " or ") -> str:
    """Names in quotes: 'a', 'b' and 'c'."""
    shown = [f"'{one_line(name, 40)}'" for name in names]
    return last.join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
