"""What check, explain, bench, lr-find, race, evaluate and ensemble print from records, in a terminal emulator."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import RenderableType

from nnrun import catalog
from nnrun.catalog.bound import Bound
from nnrun.commands._explained import content as explained
from nnrun.preprocessing import About
from nnrun.probe.explain import Course, Explanation, rules_of
from nnrun.probe.finding import Finding
from nnrun.probe.layers import LayerRow
from nnrun.race import report as race
from nnrun.race.trajectory import Trajectory
from nnrun.report.ensemble import tables
from nnrun.report.evaluated import evaluation_view
from nnrun.report.explained import folded, rule_lines
from nnrun.report.findings import findings_table, verdict_line
from nnrun.report.lines import Folded
from nnrun.report.per_class import per_class_of, per_class_tables
from nnrun.report.per_label import labels_sheet, per_label_of
from nnrun.report.rates import curve_of_rates, rate_lines
from nnrun.report.speed import LABEL, speed_lines
from nnrun.types import Plan, Surface

FINDINGS = [
    Finding("classes", "warn", "few examples of northern_flicker (3 in train, 0 in val), yellow_bellied_flycatcher "
            "(9 in train, 1 in val); smallest class 3 of 10,321", "collect more, or leave the class out"),
    Finding("categories", "skip", "there are none"),
    Finding("constant features", "warn", "2 of 31: customer_has_ever_been_contacted_by_mail, currency",
            "leave them out: data.exclude: [customer_has_ever_been_contacted_by_mail, currency]"),
    Finding("initial loss", "fail", "1.234e+05, where a model that knows nothing has 2.303 (ln 10)",
            "initial weights are too large, or inputs are; an output layer with smaller ones begins at that value"),
    Finding("gradients", "pass", "relative error at most 3.1e-10 over 62 arrays of parameters "
            "(stage_3/block_2/sum/branch/batch_norm_2/scale)"),
    Finding("learning rate", "fail", "the loss goes from 2.303 to no finite number in 100 steps at the highest rate, "
            "10 (1.987 at 1, 2.212 at 0.1); update / parameters 1.3e+00, where 1e-3 is usual",
            "take a smaller learning rate; nnrun lr-find looks for the best"),
    Finding("time", "pass", "about 3.2 h: 117,300 steps of 97.9 ms, 21.3 s to compile"),
]  # fmt: skip

PLAN = Plan(
    "churn", "mlp", "float32", (0, 1, 2), 117_300, 391, 128, 50, 391, 0, 300.0, 2, "val/balanced_accuracy", 39_100,
    "val/balanced_accuracy", 0.0, ("balanced_accuracy",), {}, None, 4,
)  # fmt: skip
LAYERS = [
    LayerRow(("stage_1", "block_1", "sum", "branch", "convolution_1"), (32, 32, 16), 2_304, 4.7e6, 1.2e-3),
    LayerRow(("stage_1", "block_1", "sum", "branch", "batch_norm_1"), (32, 32, 16), 32, 6.6e4, 3e-4),
    LayerRow(("output",), (10,), 12_345_678, 2.5e7, 8e-4),
]
COLUMNS = [
    About("churned", "target", "category", "no, yes", "2 classes"),
    About("customer_id", "excluded", "identifier", "7,043 different values in 7,043 rows"),
    *(About(f"monthly_charges_{i}", "feature", "number", "", "1 input") for i in range(9)),
    About("contract", "feature", "category", "", "3 inputs", "12 cells are missing"),
]


def optimizer(text: str) -> Bound:
    return catalog.bind_one("optimizer", text, Path.cwd())


def meaning() -> Explanation:
    """Of a spec that has something of each part."""
    course = Course("cosine", 2e-5, 1e-3, 5_864, 1.7e-9, [abs(math.sin(i / 20)) for i in range(60)], True)
    rules = list(rules_of(optimizer("{name: adam, learning_rate: 1e-3, weight_decay: 1e-4}")))
    return Explanation(
        PLAN, {"train": 50_000, "val": 5_000, "test": 10_000}, (32, 32, 3), tuple(COLUMNS),
        ("3 rows are duplicates of others and were left out",), LAYERS, 12_348_014, rules, course,
        ["augment.probability", "model.dropout", "optimizer.learning_rate", "optimizer.weight_decay"], 64,
        148_176_168, 592_704_672, 11_487.3, 0.0979, 21.3, 0, "one device computes each batch",
    )  # fmt: skip


RATES = np.logspace(-5, 1, 50)
LOSSES = np.stack([np.where(RATES < 3, 2.3 / (1 + 100 * RATES), np.nan)] * 3, axis=1) * [0.99, 1, 1.01]
SURFACE = Surface(lambda x: x, (0.0, 0.0), ((0.0, 1.0), (0.0, 1.0)), goal=0.00123456, floor=0.0, noise=0.0)
POINTS = np.zeros((3, 2))
PATHS = [
    Trajectory("adam", 0.0123456, POINTS, np.array([3.0, 2.0, 0.0012345]), 2),
    Trajectory(
        "{name: lookahead, inner: {name: sgd, momentum: 0.9}}", 3.2e-5, POINTS, np.array([3, 2, 1.0]), None
    ),
    Trajectory("my_module_of_optimizers:newton", None, POINTS, np.array([3.0, np.inf, np.nan]), None),
]
SPEED = {
    "device": "AMD EPYC 9V74 80-Core Processor", "cores": 16, "lanes": 10, "batch_size": 128, "compile_seconds": 21.5,
    "step_seconds": 2.345e-2, "spread": (1.987e-2, 2.567e-2), "pieces": 9, "flops": 4.567e11, "peak": 8.9e12,
    "share": 0.25, "state_bytes": 1_234_567_890, "memory": 5_678_901_234, "load": 1.7,
    "versus": {
        "rival": "torch 2.11.0", "lanes": 10, "rounds": 5, "steps": 100, "parameters": 12_345_678, "batch_size": 128,
        "optimizer": "adam", "step_seconds": 2.3e-3,
        "configurations": [
            {"threads": 1, "channels_last": False, "step_seconds": 4.567e-3, "ratio": 1.986},
            {"threads": 16, "channels_last": True, "step_seconds": 3.456e-3, "ratio": 1.503},
        ],
    },
}  # fmt: skip
NAMES = ["northern_flicker", "yellow_bellied_flycatcher", "black_footed_albatross", "chuck_will_widow"]
METRICS = {"test/accuracy": 0.9712, "test/loss": 0.08765, "test/balanced_accuracy": 0.9654, "test/f1": 0.9701}
INTERVALS = {"test/accuracy": [0.9689, 0.9735], "test/loss": [0.0811, 0.0942]}
EVALUATED = {
    "run_dir": "runs/birds-20261129-101112", "checkpoint": "best", "baseline": None,
    "runs": [{"temperature": 1.234}] * 3,
    "mean": METRICS, "ci95": INTERVALS, "input": "data/new_birds_of_2026.csv", "examples": 12_345, "split": "test",
}  # fmt: skip
SPAN = [0.0123, 0.0345]
GAIN = {"value": 0.0234, "examples": SPAN, "members": SPAN, "both": SPAN}
ACCOUNT: Any = {
    "average": "probabilities", "split": "test", "judge": "accuracy", "rising": ["accuracy"],
    "bounds": {"accuracy": [0, 1], "loss": [0, None]},
    "members": [
        {"name": f"wide_net_with_dropout/seed_{i}", "weight": 0.1 * (i + 1),
         "metrics": {"accuracy": 0.9 + i / 100, "loss": 0.3}}
        for i in range(3)
    ],
    "mean": {"accuracy": 0.91, "loss": 0.3},
    "best": {"name": "wide_net_with_dropout/seed_2", "by": "accuracy", "metrics": {"accuracy": 0.92, "loss": 0.3}},
    "ensemble": {"accuracy": 0.9334, "loss": 0.2766}, "examples": 10_000,
    "baseline": {"prediction": "largest class", "metrics": {"test/accuracy": 0.1135}},
    "gain": {"over_mean": {"accuracy": GAIN, "loss": GAIN}, "over_best": {"accuracy": GAIN, "loss": GAIN}},
    "curve": [], "diversity": {"disagreement": 0.1234, "error_correlation": 0.5678},
}  # fmt: skip


def of_check() -> list[RenderableType]:
    return [findings_table(FINDINGS), verdict_line(FINDINGS)]


def of_explain() -> list[RenderableType]:
    return list(explained(meaning()))


def of_bench() -> list[RenderableType]:
    return [Folded(line, LABEL) for line in speed_lines(SPEED)]


def of_lr_find() -> list[RenderableType]:
    command = ["my.yaml"]
    *sentences, last = rate_lines(
        "optimizer.learning_rate", 0.01, RATES, LOSSES, 2.3456, 100, RATES[40], RATES[41], command
    )
    return [curve_of_rates(RATES, LOSSES, 2.3456), *folded(sentences), last, "-o rates.png draws it"]


def of_race() -> list[RenderableType]:
    return [race.table("beale", SURFACE, PATHS), "-o race.gif draws it"]


def of_evaluate() -> list[RenderableType]:
    confusion = [[1_234, 5, 6, 7], [8, 2_345, 9, 10], [11, 12, 3_456, 13], [14, 15, 16, 4_567]]
    counts = [[[9_123, 45], [67, 789]], [[8_123, 145], [167, 1_789]]]
    labels = per_label_of(["comedy", "science_fiction"], [("no", "yes")] * 2, counts)
    view = evaluation_view(EVALUATED)
    return [*view, "", *per_class_tables(per_class_of(NAMES, confusion)), "", labels_sheet(labels)]


def of_ensemble() -> list[RenderableType]:
    return [*tables.view(ACCOUNT), "run folder: runs/together"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "made", [of_check, of_explain, of_bench, of_lr_find, of_race, of_evaluate, of_ensemble]
)
def test_nothing_is_cut(
    made: Callable[[], Sequence[RenderableType]], encoding: str, fits_all_screens: Callable[..., None]
) -> None:
    fits_all_screens(made(), encoding)


@pytest.mark.parametrize("name", catalog.names("optimizer"))
def test_the_equations_of_every_optimizer_fit(name: str, fits_all_screens: Callable[..., None]) -> None:
    needed = catalog.required("optimizer", name)
    given = {"learning_rate": "0.001", "optimizers": "[adam]", "optimizer": "adam", "inner": "adam"}
    text = "{" + ", ".join([f"name: {name}", *(f"{key}: {given[key]}" for key in needed)]) + "}"
    lines = [line for rule in rules_of(optimizer(text)) for line in rule_lines(*rule)]
    fits_all_screens([*lines, "", ""], "ascii")
