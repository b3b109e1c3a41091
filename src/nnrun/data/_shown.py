"""The columns of a table in words: what each is for, of which kind it is and why, and what it becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnrun.amounts import figure
from nnrun.data._column import Table
from nnrun.data._dates import as_iso, days_of
from nnrun.data._fit_columns import Rule
from nnrun.data._kinds import ColumnKind, in_case, note_of
from nnrun.errors import one_line
from nnrun.preprocessing import About, FittedColumn

__all__ = ["shown"]


def shown(
    table: Table,
    kinds: Mapping[str, ColumnKind],
    columns: Sequence[FittedColumn],
    rules: Mapping[str, Rule],
    targets: Mapping[str, Sequence[str]],
    beside: Mapping[str, str],
) -> tuple[About, ...]:
    """Every column of the table that has a role, and those that are used for nothing, in the order of the table.

    targets   with the classes of each; () of a number
    """
    features = {feature.name: feature for feature in columns}
    about = []
    for name, column in table.columns.items():
        kind = kinds[name]
        if name in features:
            rule, feature = rules[name], features[name]
            why = _listed(feature) or kind.name
            about.append(
                About(
                    name,
                    "feature",
                    why,
                    kind.why,
                    _becomes(feature, rule),
                    "; ".join(filter(None, [_beside(name, beside), note_of(column, kind, rule.is_category)])),
                )
            )
        elif name in targets:
            classes = targets[name]
            becomes = f"{len(classes)} classes" if classes else "a number"
            if classes and len(targets) > 1:
                becomes = f"a label, {' or '.join(one_line(label, 20) for label in classes)}"
            note = "; ".join(in_case(classes))
            about.append(About(name, "target", "category" if classes else "number", kind.why, becomes, note))
        else:
            role = beside.get(name, "unused")
            note = "; ".join(in_case(sorted(set(column.cells)))) if role == "group" else ""
            about.append(About(name, role, kind.name, kind.why, note=note))
    return tuple(about)


def _beside(name: str, beside: Mapping[str, str]) -> str:
    """What a feature is for beside that."""
    return f"the {beside[name]} of the split too" if name in beside else ""


def _listed(feature: FittedColumn) -> str:
    """The kind that the spec gives to a feature, "" where it gives none."""
    return "category" if feature.categories is not None else "date" if feature.date else ""


def _becomes(feature: FittedColumn, rule: Rule) -> str:
    """The inputs, and what stands for cells that hold nothing or an unknown name."""
    words = ["1 input" if feature.width == 1 else f"{feature.width} inputs"]
    if feature.date is not None:
        words[0] += f" ({', '.join(feature.date.parts)})"
        words += [f"days since {feature.date.origin}"] if "days" in feature.date.parts else []
    if feature.rare:
        words.append(f"{len(feature.rare)} names with fewer than {rule.rare} training examples as one")
    if feature.fill is not None:
        words.append(
            f"missing: {_fill(feature, rule)}{', and an input that tells' if feature.indicator else ''}"
        )
    if feature.unknown == "other" and feature.rare:
        words.append("unknown: as rare ones")
    elif feature.unknown != "refuse":
        words.append("unknown: zeros" + (", since no name is rare" if feature.unknown == "other" else ""))
    return "; ".join(words)


def _fill(feature: FittedColumn, rule: Rule) -> str:
    if feature.fill == "":
        return "a category"
    value = feature.fill
    if feature.date is not None:
        value = as_iso(float(feature.fill or 0) + (days_of(feature.date.origin, None) or 0.0))
    elif value is not None and not isinstance(value, str):
        value = figure(value, 6)
    return f"{value} ({rule.missing})"
