"""The account of an ensemble as tables for a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from nnrun.amounts import figure
from nnrun.record.run import natural
from nnrun.report.ensemble.account import Account, Gain, MemberEntry
from nnrun.report.sheet import Sheet, SheetColumn
from nnrun.report.values import level, number, with_gaps
from nnrun.report.words import gap
from nnrun.statistics.metric import SHARE, Metric, all_bounds, metric_of, without_targets

__all__ = [
    "answer_line", "gain_line", "gain_lines", "head_of", "in_order", "member_table", "metric_in", "names_of",
    "notes", "view",
]  # fmt: skip

_SHOWN = {"calibration_error": "calibration error"}
_CALIBRATION = Metric("calibration_error", False, SHARE)
_ROUNDING = 2.0**-23  # predictions are float32


def view(account: Account) -> list[RenderableType]:
    """What `nnrun ensemble` prints: members and ensemble, gains, notes on diversity, calibration, soup and barrier."""
    cautions = [Text(caution, "bold yellow") for caution in account.get("cautions", [])]
    shown = [Text(note, "dim") for note in notes(account)]
    best = account["best"]  # its name would make the first column too wide for a narrow terminal
    chosen = [Text(f"best member, by val/{best['by']}: {best['name']}")] if best else []
    return [member_table(account), *chosen, *gain_lines(account), *cautions, *shown]


def in_order(account: Account) -> list[MemberEntry]:
    """The members in the order of their names, numbers in them by size; in the account it is that of their arrays."""
    return sorted(account["members"], key=lambda member: natural(member["name"]))


def head_of(name: str) -> str:
    """What the column of a metric is called."""
    return _SHOWN.get(name, name)


def metric_in(account: Account, name: str) -> Metric:
    """The metric of this name."""
    return metric_of(name, account["rising"], all_bounds(account["bounds"]))


def names_of(account: Account) -> list[str]:
    """The metrics of an account in the order of their columns: the one that judges, the loss, the others."""
    first = [account["judge"], "loss"]
    return sorted(
        without_targets(account["ensemble"]),
        key=lambda name: (first.index(name) if name in first else len(first), name),
    )


def member_table(account: Account) -> Sheet:
    """Metrics of each member, their mean, the best of them and the ensemble."""
    columns = [
        SheetColumn(name, [Text(cell) for cell in cells]) for name, cells in _member_columns(account).items()
    ]
    return Sheet([SheetColumn(account["split"], _member_rows(account), "name"), *columns])


def _member_rows(account: Account) -> list[Text]:
    """What the rows of the table are called."""
    labels = [Text(member["name"]) for member in in_order(account)]
    labels.append(Text("mean member", "bold"))
    if account["best"]:
        labels.append(Text("best member", "bold"))
    if reference := account.get("baseline"):
        labels.append(Text(reference["prediction"], "bold"))
    return [*labels, Text(f"ensemble of {len(account['members'])}, {account['average']}", "bold green")]


def _member_columns(account: Account) -> dict[str, list[str]]:
    """Head -> cells, as many as there are rows; the weights last, where they differ."""
    members = in_order(account)
    metrics = [member["metrics"] for member in members] + [account["mean"]]
    if account["best"]:
        metrics.append(account["best"]["metrics"])
    reference = account.get("baseline")
    columns = {}
    metrics = [with_gaps(of_row) for of_row in metrics]
    together = with_gaps(account["ensemble"], account.get("undefined", {}))
    for name in names_of(account):
        metric = metric_in(account, name)
        cells = [number(of_row[name], metric) for of_row in metrics]
        if reference:
            value = reference["metrics"].get(name)
            cells.append("" if value is None else number(value, metric))
        columns[head_of(name)] = [*cells, number(together[name], metric)]
    weights = [f"{member['weight']:.3f}" for member in members]
    if len({member["weight"] for member in members}) > 1:
        rows = len(metrics) + bool(reference) + 1
        columns["weight"] = weights + [""] * (rows - len(weights))
    return columns


def answer_line(account: Account) -> str:
    """The ensemble beside its members in the metric that judges, and whether that is more than chance; "" for none."""
    name, gains = account["judge"], account["gain"].get("over_mean") or {}
    together, alone = account["ensemble"].get(name), account["mean"].get(name)
    if (
        name not in gains
        or isinstance(together, str)
        or isinstance(alone, str)
        or together is None
        or alone is None
    ):
        return ""
    gain = gains[name]
    if isinstance(gain["value"], str):  # "nan"
        return ""
    metric = metric_in(account, name)
    low, high = gain["both"] or gain["examples"]
    chance = "which may be chance" if low <= 0 <= high else "which is more than chance"
    of_members = f"of its members alone {level(metric, alone)} on average"
    answer = f"{account['split']}/{name} is {level(metric, together)}, {of_members}"
    if gap(metric, gain["value"]) == gap(metric, 0.0):
        return f"{answer}: no gain"
    than = "better" if gain["value"] >= 0 else "worse"
    return f"{answer}: {than} by {gap(metric, gain['value'])}, {chance}"


def gain_lines(account: Account) -> list[Text]:
    """What the ensemble gained in each metric, with its 95% intervals."""
    lines = []
    gains = account["gain"]
    for over, reference in (
        (gains.get("over_mean"), "the mean member"),
        (gains.get("over_best"), "the best member"),
    ):
        for name in [name for name in names_of(account) if name in (over or {})]:
            gain = (over or {})[name]
            if not isinstance(gain["value"], str):  # "nan"
                metric = metric_in(account, name)
                size = _size(account["mean"][name])
                lines.append(Text(f"gain over {reference}: {gain_line(metric, gain, size)}"))
    return lines


def _size(value: float | str) -> float:
    """The magnitude of a metric, 0 where it is not finite."""
    return 0.0 if isinstance(value, str) else abs(value)


def gain_line(metric: Metric, gain: Gain, size: float = 1.0) -> str:
    """`accuracy +1.93 points [+1.5, +2.4]` or `loss 0.016 lower [0.014, 0.019]`: the widest interval that is known.

    size   the magnitude of the metric; what float32 cannot resolve beside it is rounding error and shown as 0
    """
    kind, span = ("both", gain["both"]) if gain["both"] else ("examples", gain["examples"])
    covers = "examples and members" if kind == "both" else "examples"
    scale, unit = (100.0, " points") if metric.share else (1.0, "")
    value, low, high = (
        0.0 if abs(end) <= _ROUNDING * size else scale * end for end in (gain["value"], *span)
    )
    if metric.rising:
        shown = f"{figure(value, 3, '+')}{unit}  [{figure(low, 3, '+')}, {figure(high, 3, '+')}]"
    elif value >= 0:
        shown = f"{figure(value, 3)} lower  [{figure(low, 3)}, {figure(high, 3)}]"
    else:
        shown = f"{figure(-value, 3)} higher  [{figure(-high, 3)}, {figure(-low, 3)}]"
    return f"{metric.name} {shown}, 95% over {covers}"


def notes(account: Account) -> list[str]:
    """What is known of the diversity of the members, calibration, soup and barrier, a sentence each."""
    lines = []
    if diversity := account.get("diversity"):
        lines.append(
            f"members disagree on {_share(account, diversity['disagreement'])} on average; "
            f"correlation of their errors {diversity['error_correlation']:.2f}"
            if "accuracy" in account["ensemble"]
            else f"members differ by {number(diversity['disagreement'])} on average; "
            f"correlation of their errors {diversity['error_correlation']:.2f}"
        )
    if (
        (calibration := account.get("calibration"))
        and "after" in calibration
        and "temperature" in calibration
    ):
        lines.append(
            f"calibration error {number(calibration['before']['error'], _CALIBRATION)}, "
            f"{number(calibration['after']['error'], _CALIBRATION)} at the "
            f"temperature {calibration['temperature']:.3f} fitted on validation"
        )
    if steps := account.get("soup"):
        entered = sum(bool(step["entered"]) for step in steps)
        lines.append(f"greedy soup: {entered} of {len(steps)} members entered")
    if barrier := account.get("barrier"):
        lines.append(
            f"along the line from {barrier['between'][0]} to {barrier['between'][1]} the loss "
            + (
                f"rises by up to {number(barrier['height'])} above"
                if barrier["height"] > 0
                else "does not rise above"
            )
            + " the straight line between its ends"
        )
    return lines


def _share(account: Account, value: float) -> str:
    """A share with what it is a share of: the examples or, where each has several labels, their labels."""
    counted = "labels of the examples" if "exact_match" in account["ensemble"] else "examples"
    return f"{100 * value:.1f}% of the {counted}"
