"""`nnrun bench`: what is timed, and what is counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from nnrun.probe import speed
from nnrun.report.speed import speed_lines

SPEC = """
data: {name: digits, batch_size: 50, examples: 200}
model: {name: mlp, hidden: [16]}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 3 epochs, seeds: 2}
"""


@contextmanager
def silent(what: str, total: int | None) -> Iterator[Any]:
    yield lambda: None


def test_operations_are_those_of_the_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps_contract: Callable[..., None]
) -> None:
    """Each of two nets, 50 examples: 64 · 16 and 16 · 10 products and as many sums, three times."""
    monkeypatch.setattr(speed, "_SECONDS", 0.1)
    monkeypatch.setattr(speed, "_SIZE", 128)
    (tmp_path / "spec.yaml").write_text(SPEC)
    before = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    figures = speed.bench(tmp_path / "spec.yaml", [], silent)
    assert jax.config.jax_enable_compilation_cache == before  # type: ignore[attr-defined]
    keeps_contract("bench", json.loads(json.dumps(speed.as_data(figures))))
    assert figures.flops is not None
    products = 3 * 2 * 50 * 2 * (64 * 16 + 16 * 10)
    assert products <= figures.flops <= 1.1 * products  # biases and relus beside them
    assert figures.share == pytest.approx(figures.flops / figures.step_seconds / figures.peak)
    assert figures.spread[0] <= figures.step_seconds <= figures.spread[1] and figures.pieces >= 1
    assert (figures.lanes, figures.batch_size) == (2, 50)


class Clock:
    """Seconds that pass only where a test lets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("steps", "lengths", "limit", "expected"),
    [
        (
            100,
            [1, 4, 10, 10],
            3.0,
            [0.1, 0.1],
        ),  # the first two chunks are left out; it ends after three seconds
        (5, [1, 4], 1.0, [0.1, 0.1, 0.1]),  # a short run begins again, and its last chunk counts
        (1, [1], 0.35, [0.1, 0.1, 0.1, 0.1]),
        (3, [3], 0.0, [0.1]),
    ],
)
def test_pieces_of_training_are_timed_without_what_comes_first(
    steps: int, lengths: list[int], limit: float, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step takes a tenth of a second; the last chunk of a run ends at its last step."""
    clock = Clock()

    def chunks(compiled: object, state: object, step: int, until: int) -> Iterator[Any]:
        for length in [*lengths, *[10] * 99]:
            length = min(length, until - step)
            if not length:
                return
            step += length
            clock.now += 0.1 * length
            yield SimpleNamespace(step=step)

    monkeypatch.setattr(speed, "time", clock)
    monkeypatch.setattr(speed, "chunks", chunks)
    monkeypatch.setattr(speed, "_SECONDS", limit)
    times = list(speed._pieces(None, None, steps))  # type: ignore[arg-type]
    assert times == pytest.approx([0.1] * len(times)) and times[: len(expected)] == pytest.approx(expected)
    assert clock.now <= limit + 1.0


def test_the_peak_is_that_of_the_fastest_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """2 n³ operations; of five the fastest took a hundredth of a second."""
    ends = iter([0.0, 0.5, 1.0, 1.01, 2.0, 2.4, 3.0, 3.3, 4.0, 4.2])
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: next(ends)))
    monkeypatch.setattr(speed, "_SIZE", 8)
    assert speed.peak_flops("float32") == pytest.approx(2 * 8**3 / 0.01)


def test_the_share_of_the_peak_is_of_operations_a_second() -> None:
    figures = speed.Speed("cpu", 2, 1, 8, 1.0, 0.002, (0.001, 0.003), 5, 4e6, 8e9, 1, 1, None)
    assert figures.share == pytest.approx(4e6 / 0.002 / 8e9) and figures._replace(flops=None).share is None


def test_the_words() -> None:
    figures = {
        "device": "cpu", "cores": 2, "lanes": 4, "batch_size": 64, "compile_seconds": 2.5, "step_seconds": 2e-3,
        "spread": (1.9e-3, 2.2e-3), "pieces": 9, "flops": 4e6, "peak": 8e10, "share": 0.025, "state_bytes": 1_200_000,
        "memory": 5_000, "load": 0.1, "versus": None,
    }  # fmt: skip
    assert list(speed_lines(figures)) == [
        "device       cpu, 2 cores",
        "compiling    2.5 s, from nothing",
        "a step       2 ms (1.9 ms to 2.2 ms), 4 nets at once: 500 µs a net",
        "speed        500 steps/s, 128,000 examples/s",
        "operations   4M a step, 2 GFLOP/s: 2.5% of the 80",
        "             that large products of matrices reach here",
        "memory       1.2 MB a state; 5 kB with data, without activations",
    ]
    busy = list(speed_lines({**figures, "load": 2.0, "share": None, "flops": None}))
    assert busy[4].startswith("operations   not known") and busy[-1].startswith(
        "the machine was busy (load 2.0)"
    )


def test_the_words_of_a_comparison() -> None:
    """The headline has the fastest configuration of the other side; of several nets, one counts."""
    configurations = [
        {"threads": 1, "channels_last": False, "step_seconds": 4e-3, "ratio": 2.0},
        {"threads": 2, "channels_last": True, "step_seconds": 3e-3, "ratio": 1.5},
    ]
    figures = {
        "device": "cpu", "cores": 2, "lanes": 3, "batch_size": 64, "compile_seconds": 2.5, "step_seconds": 6e-3,
        "spread": (1.9e-3, 2.2e-3), "pieces": 9, "flops": 4e6, "peak": 8e10, "share": 0.025, "state_bytes": 1_200_000,
        "memory": 5_000, "load": 0.1,
        "versus": {
            "rival": "torch 2.13.0", "parameters": 1650, "batch_size": 64, "optimizer": "adam", "lanes": 3,
            "rounds": 5, "steps": 100, "step_seconds": 2e-3, "load": 0.1, "configurations": configurations,
        },
    }  # fmt: skip
    lines = list(speed_lines(figures))
    assert lines[-6:] == [
        "beside torch 2.13.0, eager: the same net (1,650 parameters) and weights,",
        "batch 64, adam; 5 rounds of 100 steps in turn, without evaluations",
        "  nnrun                             2 ms",
        "  torch, 1 thread                   4 ms   2.00 times as long",
        "  torch, 2 threads, channels last   3 ms   1.50 times as long",
        "nnrun is 1.50 times as fast as torch in its best configuration here. Each of 3 nets counts alone: torch would "
        "train them one after another.",
    ]
