"""Which runs `nnrun ls` shows, in which order, and what it says of them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.errors import SpecError
from nnrun.record import tags
from nnrun.report.listed import ListOptions, listed
from nnrun.report.overview import overview_table

Made = Callable[..., Path]
RUNS = {  # optimizer, rate, test/accuracy, test/loss
    "a": ("sgd", 0.1, 0.8, 0.6),
    "b": ("adam", 0.001, 0.9, 0.3),
    "c": ("adam", 0.01, 0.7, 0.912345),
    "d": ("lion", 0.001, None, None),
}


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Four runs, of which d has not finished; d changed last, then c."""
    folders = []
    for i, (name, (optimizer, rate, accuracy, loss)) in enumerate(RUNS.items()):
        folder = tmp_path / name
        folder.mkdir()
        spec = f"data: {{name: digits}}\noptimizer: {{name: {optimizer}, learning_rate: {rate}, b2: 0.9}}\n"
        (folder / "resolved.yaml").write_text(spec)
        (folder / "spec.yaml").write_text(spec.replace(", b2: 0.9", ""))
        (folder / "metrics.jsonl").touch()
        status = "done" if accuracy else "interrupted"
        (folder / "state.json").write_text(json.dumps({"status": status, "step": 10 * i}))
        if accuracy:
            best = {"step": 1, "test/accuracy": accuracy, "test/loss": loss}
            summary = {"status": "done", "metrics": {"best": best}, "rising": ["accuracy"]}
            (folder / "summary.json").write_text(json.dumps(summary))
        os.utime(folder / "state.json", (1e9 + i, 1e9 + i))
        folders.append(folder)
    return folders


def names(runs: list[Path], **wanted: Any) -> str:
    rows, _ = listed(runs, ListOptions(**wanted))
    return "".join(Path(row["run"]).name for row in rows)


@pytest.mark.parametrize(
    ("by", "order"),
    [
        ("accuracy", "bacd"),  # more is better; without a value last, also the other way round
        ("-accuracy", "cabd"),
        ("test/loss", "bacd"),  # less is better
        ("learning_rate", "bdca"),
        ("optimizer", "bcda"),
        ("changed", "dcba"),
        ("step", "abcd"),
        ("-step", "dcba"),
    ],
)
def test_the_order(by: str, order: str, runs: list[Path]) -> None:
    assert names(runs, by=by) == order


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        (["optimizer=adam"], "bc"),
        (["optimizer=adam accuracy>0.8"], "b"),
        (["optimizer=adam", "accuracy<=0.8"], "c"),
        (["learning_rate=1e-3"], "bd"),
        (["status!=done"], "d"),
        (["accuracy!=0.9"], "acd"),
        (["accuracy>=0.8"], "ab"),
        (["run~/d"], "d"),
        (["loss=0.9123"], "c"),  # as it is shown
        (["loss=0.912345"], "c"),
        (["loss=0.912"], ""),
        (["tags=best"], "a"),
        (["data.name=mnist"], ""),
    ],
)
def test_conditions(condition: list[str], kept: str, runs: list[Path]) -> None:
    tags.write(runs[0], ["first", "best"])
    assert names(runs, conditions=condition) == kept


def test_the_limit_is_of_the_order_or_of_the_newest(runs: list[Path]) -> None:
    assert names(runs, by="accuracy", limit=2) == "ba"
    assert names(runs, limit=2) == "cd"
    assert names(runs, limit=9) == "abcd"


def test_what_differs_is_a_column(runs: list[Path]) -> None:
    rows, columns = listed(runs, ListOptions())
    assert columns == []
    assert [row.get("settings") for row in rows] == [
        {"optimizer.name": optimizer, "optimizer.learning_rate": rate}
        for optimizer, rate, *_ in RUNS.values()
    ]
    rows, _ = listed(runs, ListOptions(conditions=["learning_rate=0.001 accuracy>0"]))
    assert [row.get("settings") for row in rows] == [{}]  # alone, it differs from none


def test_settings_that_tell_runs_on_the_same_data_apart_come_first_and_none_is_left_out(
    runs: list[Path],
) -> None:
    for folder, path in zip(runs, ["houses.csv", "churn.csv", "churn.csv", "houses.csv"], strict=True):
        block = ", ".join(f"option_{i}: {path[0]}{i}" for i in range(6))
        for file in ("resolved.yaml", "spec.yaml"):
            text = (folder / file).read_text()
            (folder / file).write_text(
                text.replace("{name: digits}", f"{{name: csv, path: {path}, {block}}}")
            )
    rows, _ = listed(runs, ListOptions())
    settings = rows[1]["settings"]
    assert list(settings)[:2] == ["optimizer.name", "optimizer.learning_rate"] and len(settings) == 9
    [*_, shown] = overview_table(rows).columns
    assert str(shown.cells[1]) == (
        "optimizer=adam  learning_rate=0.001  path=churn.csv  option_0=c0  option_1=c1  option_2=c2  +3 more"
    )


def test_columns_are_those_of_the_user(runs: list[Path]) -> None:
    _, columns = listed(runs, ListOptions(columns="status, accuracy,learning_rate,run"))
    assert columns == ["status", "test/accuracy", "optimizer.learning_rate"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"by": "acuracy"}, "--sort: no run has 'acuracy'; did you mean test/accuracy"),
        ({"conditions": ["optimzer=adam"]}, "--filter: no run has 'optimzer'; did you mean optimizer"),
        ({"conditions": ["accuracy"]}, "--filter: got 'accuracy'; write NAME=VALUE"),
        ({"conditions": ["accuracy>high"]}, "accuracy>high: only numbers can be more or less"),
        ({"columns": ","}, "--columns: got none"),
        ({"by": "name"}, "--sort: name can be data.name or optimizer.name; write the one you mean"),
    ],
)
def test_mistakes(wanted: dict[str, Any], message: str, runs: list[Path]) -> None:
    with pytest.raises(SpecError, match=message.replace("(", r"\(")):
        listed(runs, ListOptions(**wanted))


def test_tags_are_kept_sorted_and_their_file_goes_with_the_last(tmp_path: Path) -> None:
    tags.write(tmp_path, ["b", "a", "b"])
    assert tags.read(tmp_path) == ["a", "b"]
    tags.write(tmp_path, [])
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SpecError, match="cannot be a tag"):
        tags.check("two words")
