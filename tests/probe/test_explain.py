"""`nnrun explain`: numbers that follow from the spec by hand."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from nnrun.amounts import short_number
from nnrun.build.experiment import build
from nnrun.catalog import bind, read
from nnrun.probe.explain import course_of, rules_of
from nnrun.probe.layers import layer_rows
from nnrun.probe.objective import beginning
from nnrun.report.explained import LayerCost, grouped, layer_sheet, rule_lines
from nnrun.types import Experiment

SPEC = """
data: {name: digits, batch_size: 100}
model: {name: mlp, hidden: [30], dropout: 0.2}
loss: cross_entropy
optimizer: {name: momentum, learning_rate: 0.2, weight_decay: 0.01}
schedule: {name: cosine, warmup: 10%}
train: {duration: 100 steps, seeds: 3}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explain") / "digits.yaml"
    path.write_text(SPEC)
    return path


def built(path: Path, *overrides: str) -> tuple[Any, Experiment]:
    checked = bind(read(path, overrides))
    return checked, build(checked)


def test_the_command(spec: Path, warm: Callable[..., Any], keeps_contract: Any) -> None:
    done = warm("explain", spec.name, "--json", folder=spec.parent)
    assert (done.code, done.err) == (0, "")
    keeps_contract("explain", done.json)
    meaning = done.json
    assert meaning["plan"]["steps"] == 100 and meaning["plan"]["steps_per_epoch"] == 13  # of 1258 examples
    assert meaning["parameters"] == 64 * 30 + 30 + 30 * 10 + 10
    assert meaning["state_bytes"] >= 2 * 4 * meaning["parameters"]  # float32: parameters and a velocity
    assert [row["path"] for row in meaning["layers"]] == [
        "flatten", "hidden_1", "activation_1", "dropout_1", "output",
    ]  # fmt: skip
    assert meaning["knobs"] == [
        "model.dropout", "optimizer.learning_rate", "optimizer.momentum", "optimizer.weight_decay",
    ]  # fmt: skip
    assert [path.name for path in spec.parent.iterdir()] == [spec.name]


def test_operations_are_those_of_the_products(spec: Path) -> None:
    """A dense layer: a product and a sum for each weight, a sum for each bias.

    A 3 × 3 convolution without padding: 9 products and sums for each pair of channels at each place, and the bias.
    """
    layers = "[{name: conv, filters: 5, padding: valid}, relu, flatten]"
    _, experiment = built(spec, f"model={{name: sequential, layers: {layers}}}")
    rows = {"/".join(row.path): row for row in layer_rows(experiment, beginning(experiment))}
    places = 6 * 6
    assert rows["layer_1"].shape == (6, 6, 5) and rows["layer_1"].parameters == 9 * 5 + 5
    assert rows["layer_1"].flops == pytest.approx(places * 5 * (2 * 9 + 1), rel=0.01)
    assert rows["output"].flops == pytest.approx(2 * places * 5 * 10 + 10, rel=0.01)
    assert all(row.seconds > 0 for row in rows.values())


def test_the_course_of_the_learning_rate(spec: Path) -> None:
    """Linear over ten of a hundred steps, then 0.2 (1 + cos(π t / 90)) / 2: its last step is t = 89."""
    checked, experiment = built(spec)
    course = course_of(checked.optimizer, "cosine", experiment)
    assert course is not None and course.peak == pytest.approx(0.2, rel=1e-3)
    assert course.peak_step in (9, 10)
    assert course.end == pytest.approx(0.1 * (1 + math.cos(math.pi * 89 / 90)), rel=1e-3)
    assert course.start < 0.2 / 9 and len(course.shares) == 60 and max(course.shares) == 1
    checked, experiment = built(
        spec, "optimizer=lbfgs", "schedule=constant", "data.batch_size=full", "model.dropout=0"
    )
    assert course_of(checked.optimizer, "constant", experiment) is None


def test_the_equations_are_those_of_the_catalogue_with_the_numbers_of_the_spec(spec: Path) -> None:
    checked, _ = built(spec, "optimizer={name: lookahead, inner: {name: adam, learning_rate: 0.004}}")
    outer, inner = rules_of(checked.optimizer)
    assert (outer.name, inner.name) == ("lookahead", "adam")
    assert [name for name, _, _ in outer.options] == ["every", "alpha"]
    assert inner.options[0][:2] == ("learning_rate", 0.004)
    assert len(inner.equations) == 1 and inner.equations[0].startswith("m ← β₁m + (1 − β₁)g")
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(*rule_lines(*inner), sep="\n")
    text = [line.rstrip() for line in console.export_text().splitlines()]
    assert max(map(len, text)) <= 80
    assert any(line.split() == ["learning_rate", "=", "0.004", "α", "≥", "0"] for line in text)
    equations = " ".join(
        line.strip() for line in text if (line.startswith("    ") and "←" in line) or "m̂ =" in line
    )
    assert "x ← x − α m̂ / (√v̂ + ε)" in equations and "v̂ = v / (1 − β₂ᵗ)" in equations


def test_the_blocks_of_a_deep_net_share_a_row() -> None:
    costs = [LayerCost((f"block_{i}", name), (8, 8, 4), 10, 100.0, 0.5) for i in range(9) for name in "abc"]
    rows = grouped([*costs, LayerCost(("output",), (10,), 7, 50.0, 1.5)])
    assert [row.path for row in rows] == [*((f"block_{i}",) for i in range(9)), ("output",)]
    assert rows[0] == LayerCost(("block_0",), (8, 8, 4), 30, 300.0, 1.5, 3)
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(layer_sheet(costs[:2]))
    lines = console.export_text().splitlines()
    assert lines[1].split() == ["block_0/a", "8", "x", "8", "x", "4", "10", "100", "50%"]
    assert lines[-1].split() == ["all", "20", "200"]


def test_short_numbers_keep_three_digits() -> None:
    assert [short_number(n) for n in (0, 999, 1000, 123456, 2.76e6, 4.1e9, 5e13)] == [
        "0", "999", "1k", "123k", "2.76M", "4.1G", "50T",
    ]  # fmt: skip
