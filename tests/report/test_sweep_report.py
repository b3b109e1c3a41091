"""The files and tables that a sweep leaves behind: complete, readable by programs, safe with any name."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from nnrun.report.settings import settings_text
from nnrun.report.sweep.answer import answer, answer_tables, as_json, read_sweep, write_answer
from nnrun.report.sweep.scatter import plain
from nnrun.report.sweep.tables import leaderboard

HOSTILE = 'a<script>alert(1)</script>"$x_1$&'


def shown(found: Any, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(*answer_tables(found), sep="\n")
    return console.file.getvalue()  # type: ignore[attr-defined]


class Outline(HTMLParser):
    """The tags of a page, checked to be closed in order, and what they refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("h1", "h2", "h3"):
            self.headings.append(data)


@pytest.fixture
def written(written_once: Path, tmp_path: Path) -> Path:
    """A finished sweep with its answer, in a folder that a test may change."""
    return Path(shutil.copytree(written_once, tmp_path / written_once.name))


def test_the_leaderboard_for_programs(written: Path) -> None:
    board = json.loads((written / "leaderboard.json").read_text())
    values = [one["metric"] for one in board["trials"] if one["status"] == "done"]
    assert len(board["trials"]) == 24
    assert values == sorted(values, reverse=True)
    assert [one["run"] for one in board["trials"]] == [f"trials/{one['trial']}" for one in board["trials"]]
    assert set(board["trials"][0]) >= {"trial", "run", "alternative", "metric", "status", "settings"}
    assert [one["alternative"] for one in board["alternatives"]] == ["adam", "sgd"]
    assert board["alternatives"][0]["run"] == "final/adam"
    assert board["comparisons"][0]["significant"]
    assert board["answer"][0].startswith("adam is the best: test/accuracy ")
    assert {"run_dir": str(written), **board} == json.loads(json.dumps(as_json(written)))


def test_the_leaderboard_as_csv(written: Path) -> None:
    [adam, sgd] = csv.DictReader((written / "leaderboard.csv").read_text().splitlines())
    assert (adam["alternative"], sgd["alternative"]) == ("adam", "sgd")
    final = json.loads((written / "final.jsonl").read_text().splitlines()[1])
    assert float(adam["mean"]) == pytest.approx(np.mean(final["metrics"]["test/accuracy"]))
    assert float(adam["optimizer.learning_rate"]) == final["settings"]["optimizer.learning_rate"]
    assert float(adam["low"]) < float(adam["mean"]) < float(adam["high"])


def test_the_report_is_one_file_with_all_in_it(written: Path) -> None:
    text = (written / "report.html").read_text()
    page = Outline()
    page.feed(text)
    assert page.open == []
    images = sorted(path.stem for path in (written / "plots").iterdir())
    assert images == [
        "best-of-k",
        "curves",
        "importance",
        "leaderboard",
        "sensitivity-adam",
        "sensitivity-sgd",
    ]
    assert len(page.links) == len(images)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert text.count('<div class="chart">') == 2  # curves and best-of-k, which are pictures without scripts
    assert "http" not in re.sub(r"base64,[^\"]*|<script>.*?</script>", "", text, flags=re.DOTALL)
    assert {"The answer", "Leaderboard", "Pictures", "What varied", "Trials", "How this was computed"} <= set(
        page.headings
    )
    for path in (written / "plots").iterdir():
        with Image.open(path) as image:
            image.load()
            assert image.width >= 600 and np.asarray(image.convert("L")).std() > 5


def test_it_is_written_again_to_the_same_bytes(written: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}
    write_answer(written)
    assert before == {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}


def test_names_cannot_break_out(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=8, final=2, truth={HOSTILE: 0.9, "=cmd()": 0.8}, bases=("x<b>", "y"), name="h")
    write_answer(folder)
    text = (folder / "report.html").read_text()
    body = text.partition("<body>")[2]
    assert body.count("<script") == body.count('<script type="application/json">') > 0, "the data of curves"
    assert "<b>" not in text
    page = Outline()
    page.feed(text)
    assert page.open == []
    assert all("/" not in path.name and "<" not in path.name for path in (folder / "plots").iterdir())
    lines = list(csv.reader((folder / "leaderboard.csv").read_text().splitlines()))
    assert {line[1] for line in lines[1:]} == {HOSTILE, "'=cmd()"}
    assert HOSTILE in shown(answer(read_sweep(folder)), 250)


@pytest.mark.parametrize(("trials", "final"), [(0, 0), (1, 0), (3, 0), (6, 2)])
def test_whatever_is_there_can_be_written_and_shown(
    trials: int, final: int, make_sweep: Callable[..., Path]
) -> None:
    folder = make_sweep(trials=trials, final=final, truth={"sgd": 0.93, "adam": 0.968})
    found = write_answer(folder)
    assert ("Not all is there yet" in (folder / "report.html").read_text()) == (trials < 20)
    assert f"missing: {2 * trials} of 40 trials have ended" in shown(found)


def test_every_trial_diverged(make_sweep: Callable[..., Path]) -> None:
    folder = make_sweep(trials=4, final=0, truth={"sgd": 0.93})
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for one in lines:
        one.update(status="diverged", value=None, values=[None] * 3)
    (folder / "trials.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    text = shown(write_answer(folder))
    assert "4 (4 diverged)" in text
    assert "sgd: 4 of 4 trials diverged" in text


def test_the_terminal(written: Path) -> None:
    text = shown(answer(read_sweep(written)))
    result = answer(read_sweep(written))
    assert [column.head for column in leaderboard(result.bases[0], result.sweep.judge).columns] == [
        "alternative", "test/accuracy", "95% interval", "seeds", "val/accuracy on fresh seeds",
        f"steps to val/accuracy {100 * (result.bases[0].target or 0):.2f}%", "trials", "chosen",
    ]  # fmt: skip
    assert "\nranked by val/accuracy on fresh seeds\n" in text
    assert re.search(r"^adam +96\.\d\d% +\[9\d\.\d\d, 9\d\.\d\d\] +6 ", text, re.MULTILINE)
    assert (
        "adam beats sgd by 3.65 points: at these settings [3.22, 4.06], over other searches [0.35, 8.12]"
        in text
    )


def test_settings_are_short_and_unambiguous() -> None:
    assert settings_text({"optimizer.learning_rate": 0.012345, "model.hidden": [64, 64]}, 3) == (
        "learning_rate=0.0123  hidden=[64, 64]"
    )
    assert settings_text({"a.rate": 1, "b.rate": "x"}) == "a.rate=1  b.rate=x"


def test_text_in_pictures_is_no_formula() -> None:
    assert plain("a$b$\n") == r"a\$b\$?"
    assert plain("x" * 30) == "x" * 23 + "…"
