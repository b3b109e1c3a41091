"""Options that are records, as commands see them: two spellings are one run, overrides, JSON, a run of before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: digits, batch_size: 64, examples: 256}
model: {name: mlp, hidden: [8], dropconnect: 0.3}
optimizer: {name: adam, learning_rate: 1e-2}
train: {duration: 2 epochs, precision: float64}
"""
RUNS = {
    "short": [],
    "long": ["model.dropconnect={rate: 0.3}"],
    "other": ["model.dropconnect.mask=example"],
}


@pytest.fixture(scope="module")
def place(warm: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run for each of RUNS."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "spec.yaml").write_text(SPEC)
    for name, overrides in RUNS.items():
        done = warm("train", "spec.yaml", *overrides, "--run-dir", f"runs/{name}", "-q", folder=folder)
        assert (done.code, done.err) == (0, "")
    return folder


def test_two_spellings_are_the_same_run(place: Path) -> None:
    for file in ("resolved.yaml", "metrics.jsonl"):
        short, long, other = ((place / "runs" / name / file).read_text() for name in RUNS)
        assert short == long != other
    assert (
        "  dropconnect:\n    rate: 0.3\n    mask: example\n"
        in (place / "runs/other/resolved.yaml").read_text()
    )


def test_a_comparison_shows_the_field_that_differs(warm: Callable[..., Any], place: Path) -> None:
    compared = warm("compare", "runs/short", "runs/long", "runs/other", "--json", folder=place).json
    settings = [run["settings"] for run in compared["runs"]]
    assert settings == [{"model.dropconnect.mask": mask} for mask in ("batch", "batch", "example")]


def test_a_run_with_a_record_is_evaluated(warm: Callable[..., Any], place: Path) -> None:
    done = warm("evaluate", "runs/other", "--json", folder=place)
    assert (done.code, done.err) == (0, "")


def test_a_run_of_before_ends_in_lines_that_name_the_new_way(warm: Callable[..., Any], place: Path) -> None:
    resolved = place / "runs/other/resolved.yaml"
    text = resolved.read_text()
    record = text[text.index("  dropconnect:") : text.index("  init:")]
    try:
        resolved.write_text(text.replace(record, "  batch_norm: true\n  dropconnect_mask: example\n"))
        done = warm("evaluate", "runs/other", folder=place)
    finally:
        resolved.write_text(text)
    assert done.code == 2
    assert [line.partition("model.")[2] for line in done.err.splitlines()] == [
        "batch_norm: unknown key; did you mean norm: batch?",
        "dropconnect_mask: unknown key; did you mean dropconnect: {rate: ..., mask: example}?",
    ]


def test_an_entry_as_json(warm: Callable[..., Any], place: Path) -> None:
    adam = warm("list", "optimizer", "adam", "--json", folder=place).json
    assert (adam["kind"], adam["name"]) == ("optimizer", "adam")
    assert adam["options"]["b1"]["type"] == "number in [0, 1)"
    assert adam["options"]["b1"]["default"] == 0.9
    assert adam["common"]["clip_norm"] == "scale gradients down to this global norm"
