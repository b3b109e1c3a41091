"""What a spec means, what checks found and what a range test says, line by line."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console, RenderableType

from nnrun.preprocessing import About
from nnrun.report import rates
from nnrun.report.explained import (
    LayerCost,
    cost_lines,
    course_lines,
    data_lines,
    folded,
    grouped,
    layer_sheet,
    plan_lines,
    rule_lines,
    sections,
)
from nnrun.report.findings import findings_table, verdict_line
from nnrun.report.rates import curve_of_rates, rate_lines
from nnrun.report.speed import speed_lines


def printed(content: list[RenderableType], width: int = 78) -> list[str]:
    """What a terminal of this width shows."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for part in content:
        console.print(part, markup=False, emoji=False, soft_wrap=isinstance(part, str))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def cost(path: str, shape: tuple[int, ...] = (8,), parameters: int = 10, seconds: float = 1.0) -> LayerCost:
    return LayerCost(tuple(path.split("/")), shape, parameters, 2_000.0, seconds)


def test_few_layers_stay_as_they_are_and_many_become_blocks() -> None:
    """24 rows fit; of more, those below one name are added up, and the shape is that of the last."""
    few = [cost(f"block_{i % 2}/layer_{i}") for i in range(24)]
    assert grouped(few) == few
    many = [cost(f"{'ab'[i % 2]}/layer_{i}", (i,), i, 0.5) for i in range(25)]
    first, second = grouped(many)
    assert (first.path, first.shape, first.layers) == (("a",), (24,), 13)
    assert (first.parameters, first.flops, first.seconds) == (sum(range(0, 25, 2)), 13 * 2_000.0, 6.5)
    assert (second.path, second.shape, second.layers) == (("b",), (23,), 12)


def test_the_table_of_layers_ends_with_all_of_them() -> None:
    table = layer_sheet([cost("hidden", (3, 4), 1_200, 3.0), cost("output", (), 34, 1.0)])
    rows = list(zip(*([cell.plain for cell in column.cells] for column in table.columns), strict=True))
    assert rows == [
        ("hidden", "3 x 4", "1,200", "2k", "75%"),
        ("output", "1", "34", "2k", "25%"),
        ("all", "", "1,234", "4k", ""),
    ]
    assert "a (13 layers)" in [c.plain for c in layer_sheet([cost(f"a/{i}") for i in range(13)] + [
        cost(f"b/{i}") for i in range(12)]).columns[0].cells]  # fmt: skip


def test_layers_without_a_time_divide_by_nothing() -> None:
    table = layer_sheet([cost("hidden", seconds=0.0)])
    assert [cell.plain for cell in table.columns[-1].cells] == ["0%", ""]


def test_an_optimizer_has_its_equations_and_the_values_of_its_symbols() -> None:
    options = [("learning_rate", 1e-3, "the step size"), ("nesterov", True, "x " * 60), ("mask", [1], "")]
    content = list(rule_lines("adam", "Adam.", ["m = b m,  " + "v = c v,  " * 8 + "p = p - m"], options))
    lines = printed(content)
    assert lines[0] == "Adam." and lines[-1] == "more: nnrun list optimizer adam"
    equations = [line for line in lines if line.startswith("    ") and "=" in line and "," in line]
    assert len(equations) == 2 and all(len(line) <= 78 for line in equations)
    assert equations[0].startswith("    m = b m,  v = c v,") and equations[1].endswith("p = p - m")
    assert "  learning_rate = 0.001" + " " * 6 + "the step size" in lines
    long = [line for line in lines if line.rstrip().endswith("x")]
    assert long[0].startswith("  nesterov      = true") and long[1].startswith(" " * 29 + "x")
    assert sum(line.count("x ") + line.endswith("x") for line in long) == 60
    assert any(line.strip() == "mask          = [1]" for line in lines)
    assert max(map(len, lines)) <= 78
    for width in (60, 120):
        assert width - 12 < max(map(len, printed(content, width))) <= width
    assert len(printed(content, 1000)) == 6  # as where nobody looks: each on a line of its own


def test_sentences_are_folded_with_a_margin() -> None:
    first, second = printed([*folded(["word " * 20])])
    assert len(first) <= 78 and not first.startswith(" ") and second.startswith("    word")


def test_the_course_of_the_learning_rate() -> None:
    *rows, words, fall = printed(
        [*course_lines("cosine", 0.0, 0.1, 99, 1e-4, [0.0, 1.0, 0.5], reacts=True)], 90
    )
    assert rows[0] == "0.1 │ █" and rows[9] == "  0 │ ██" and rows[5] == "    │ ██"
    assert words == "cosine: 0 at the first step, 0.1 at step 100, 0.0001 at the last"
    assert fall.startswith("it falls when an evaluation finds no improvement")
    assert len(list(course_lines("constant", 1, 1, 0, 1, [1.0], reacts=False))) == 2
    shares = [i / 59 for i in range(60)]
    narrow = printed([*course_lines("linear", 0, 0.1, 59, 0.1, shares, reacts=False)], 40)
    assert max(map(len, narrow)) == 40 and narrow[0].endswith("█") and narrow[11].endswith("last step")


@pytest.mark.parametrize(
    ("steps", "per_epoch", "batch", "examples", "every", "lines"),
    [
        (
            1500, 15, 64, 900, 15,
            [
                "1,500 steps are 100 epochs of 15; batches of 64, the last of an epoch 4",
                "100 evaluations, every 15 steps; the best step is the best by val/accuracy",
                "metrics are logged every 10 steps",
            ],
        ),
        (
            1, 4, 25, 100, 500,
            [
                "1 step is 0.25 epochs of 4; batches of 25",
                "1 evaluation, every 500 steps; the best step is the best by val/accuracy",
                "metrics are logged every 10 steps",
            ],
        ),
    ],
)  # fmt: skip
def test_the_plan(
    steps: int, per_epoch: int, batch: int, examples: int, every: int, lines: list[str]
) -> None:
    assert list(plan_lines(steps, per_epoch, batch, examples, every, 10, "val/accuracy")) == lines


def test_an_evaluation_that_is_due_behind_the_end_is_made_there() -> None:
    """31 steps, every 15: after 15, 30 and 31."""
    assert [*plan_lines(31, 15, 64, 900, 15, 1, "val/loss")][1].startswith("3 evaluations,")
    assert [*plan_lines(31, 15, 64, 900, 15, 1, None)][1].startswith("nothing is held out for validation")


def test_the_data() -> None:
    about = [About("age", "feature", "number", "", "1 input", "")]
    lines = printed([*data_lines(about, ["a note"], {"train": 1200, "val": 30}, (3, 8, 8))])
    assert lines == [
        "feature    number     age: 1 input",
        "a note",
        "examples: 1,200 in train, 30 in val; 3 x 8 x 8 inputs each",
    ]
    assert printed([*data_lines([], [], {"train": 1}, (1,))]) == ["examples: 1 in train; 1 input each"]


def test_time_and_memory() -> None:
    lines = list(cost_lines(3725.4, 0.0125, 2.25, 3_000_000, 19_300, " for 3 seeds"))
    assert lines == [
        "about 1:02:05 for 3 seeds: 12.5 ms a step, 2.2 s to compile",
        "about 3 MB of memory for data, parameters and optimizer",
        "a checkpoint has about 19.3 kB",
    ]
    assert "1.5 s a step" in next(iter(cost_lines(9, 1.5, 1, 0, 0, "")))  # not 1.5e+03 ms


def test_titles_are_apart_by_an_empty_line() -> None:
    assert list(sections([("data", ["a", "b"]), ("plan", ["c"])])) == ["DATA", "a", "b", "", "PLAN", "c"]


class Finding(NamedTuple):
    check: str
    verdict: str
    evidence: str
    remedy: str = ""


FINDINGS = [
    Finding("labels", "pass", "all [red] are there"),
    Finding("rate", "warn", "it may be too high", "nnrun lr-find SPEC"),
    Finding("copies", "fail", "3 examples"),
    Finding("speed", "skip", "no time"),
    Finding("units", "pass", "fine"),
]


def test_a_finding_has_its_evidence_and_its_remedy_below() -> None:
    console = Console(file=io.StringIO(), width=60)
    console.print(findings_table(FINDINGS[:2]))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == [
        "pass  labels  all [red] are there",
        "warn  rate    it may be too high",
        "              → nnrun lr-find SPEC",
    ]


def test_verdicts_are_counted_the_worst_first() -> None:
    assert verdict_line(FINDINGS) == "1 failed, 1 to look at, 2 passed, 1 not made"
    assert verdict_line(FINDINGS[:1]) == "1 passed"


RATES = np.array([0.001, 0.01, 0.1, 1.0])
LOSSES = np.array([[1.8, 2.0], [1.0, 1.2], [0.4, 0.6], [np.nan, 9.0]])


def said(
    written: float = 0.01, suggestion: float | None = 0.1, stable: float | None = 0.1, **changes: object
) -> list[str]:
    rates, losses = changes.get("rates", RATES), changes.get("losses", LOSSES)
    assert isinstance(rates, np.ndarray) and isinstance(losses, np.ndarray)
    return list(
        rate_lines(
            "optimizer.learning_rate",
            written,
            rates,
            losses,
            2.3,
            100,
            suggestion,
            stable,
            ["my spec.yaml", "a=1"],
        )
    )


def test_a_range_test_in_sentences() -> None:
    assert said() == [
        "training loss after 100 steps at a constant rate, the mean of 2 seeds; it begins at 2.3",
        "lowest: 0.5 (seeds 0.4 to 0.6) at optimizer.learning_rate=0.1",
        "stable up to 0.1: above, a seed diverges or ends higher than it begins",
        "the spec's 0.01 reaches 1.1",
        "a long run at a constant rate may need a lower one than a short run; a schedule that falls may begin here",
        "use it: nnrun train 'my spec.yaml' a=1 optimizer.learning_rate=0.1",
    ]


def test_a_range_test_without_a_result() -> None:
    lines = said(suggestion=None)
    assert len(lines) == 2 and lines[1].startswith("no rate brings the loss below where it begins")


@pytest.mark.parametrize(
    ("suggestion", "stable", "line"),
    [
        (1.0, 1.0, "that is the end of the range; look further with --to"),
        (0.001, 0.1, "that is the end of the range; look further with --from"),
        (0.1, None, "even the lowest rate diverges; look further down with --from"),
    ],
)
def test_the_ends_of_the_range(suggestion: float, stable: float | None, line: str) -> None:
    assert line in said(suggestion=suggestion, stable=stable)


def test_the_rate_of_the_spec() -> None:
    """The nearest on the logarithmic axis: 0.04 is nearer to 0.1 than to 0.01."""
    assert "the spec's 0.04 reaches 0.5" in said(written=0.04)
    assert "the spec's 0.9 diverges" in said(written=0.9)
    assert not [line for line in said(written=5.0) if line.startswith("the spec's")]  # beyond the range


def test_one_seed_has_no_spread() -> None:
    lines = said(losses=LOSSES[:, :1])
    assert (
        lines[0].endswith("at a constant rate; it begins at 2.3")
        and lines[1] == "lowest: 0.4 at optimizer.learning_rate=0.1"
    )


def test_the_curve_of_a_range_test() -> None:
    """The means 1.9, 1.1 and 0.5 between 0.5 and the 2.3 of the beginning: 80%, 36% and 3% of the height."""
    rows = printed([curve_of_rates(RATES, LOSSES, 2.3)])
    columns = ["".join(row[5 + i : 6 + i] for row in rows[:10]) for i in range(4)]
    full = [column.count("█") + (bool(column.strip()) and column.strip()[0] != "█") for column in columns]
    assert full == [8, 4, 1, 0]
    assert rows[0].startswith("2.3") and rows[9].startswith("0.5")
    assert rows[-1].split() == ["0.0011"]  # both ends of four columns


def test_the_picture_has_each_seed_their_mean_and_the_marks(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(rates, "png", lambda figure, dpi: drawn.append(figure) or b"png")
    assert rates.picture("a $spec$", RATES, LOSSES, 2.3, 0.01, 0.1) == b"png"
    [axes] = drawn[0].axes
    first, second, mean, start, spec, lowest = ([*map(float, line.get_ydata())] for line in axes.lines)  # type: ignore[arg-type]
    assert (first[:3], second, mean[:3]) == (
        [1.8, 1.0, 0.4],
        [2.0, 1.2, 0.6, 9.0],
        pytest.approx([1.9, 1.1, 0.5]),
    )
    assert (
        start == [2.3, 2.3] and axes.get_ylim()[1] == pytest.approx(1.3 * 2.3) and axes.get_xscale() == "log"
    )
    assert [line.get_xdata()[0] for line in axes.lines[4:]] == [0.01, 0.1]  # type: ignore[index]
    assert axes.get_title() == r"a \$spec\$" and len(spec) == len(lowest) == 2
    rates.picture("a", RATES, LOSSES, 2.3, 0.01, None)
    assert len(drawn[1].axes[0].lines) == 5  # no lowest rate


SPEED = {
    "device": "cpu", "cores": 1, "lanes": 1, "batch_size": 64, "compile_seconds": 0.9999, "step_seconds": 5e-4,
    "spread": (4e-4, 6e-4), "flops": 3e9, "peak": 6e13, "state_bytes": 999_999, "memory": 12, "load": None,
    "share": 0.1, "versus": None,
}  # fmt: skip


def test_fast_machines_are_described_without_exponents() -> None:
    """3 GFLOP in half a millisecond are 6 TFLOP/s, a tenth of 60; 64 examples 2000 times a second are 128,000."""
    assert list(speed_lines(SPEED)) == [
        "device       cpu, 1 core",
        "compiling    1 s, from nothing",
        "a step       500 µs (400 µs to 600 µs)",
        "speed        2,000 steps/s, 128,000 examples/s",
        "operations   3G a step, 6,000 GFLOP/s: 10.0% of the 60,000",
        "             that large products of matrices reach here",
        "memory       1 MB a state; 12 B with data, without activations",
    ]
