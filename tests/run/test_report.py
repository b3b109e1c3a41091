"""`nnrun report` and `nnrun plot` through the real command line."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix

from nnrun.record import checkpoint

SPEC = """
data: {name: digits, batch_size: 64, examples: 200}
model: {name: lenet, filters: [4, 6], kernel: 3, hidden: [16]}
optimizer: {name: adam, learning_rate: 3e-3}
train: {duration: 4 epochs, seeds: 2}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, warm: Callable[..., Any]) -> Path:
    """A folder with a group of two runs, `runs/group`."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "spec.yaml").write_text(SPEC)
    done = warm("train", "spec.yaml", "--run-dir", "runs/group", "-q", folder=folder)
    assert done.code == 0, done.err
    return folder


def test_what_is_shown_is_what_is_predicted(place: Path, warm: Callable[..., Any]) -> None:
    done = warm("report", "group/seed_1", "--json", folder=place)
    assert (done.code, done.err) == (0, "")
    shown = json.loads(done.out)
    looked = shown["looked"]["seed_1"]
    predicted = warm("predict", "group/seed_1", "--split", "val", "-o", "-", folder=place)
    rows = list(csv.DictReader(io.StringIO(predicted.out)))
    labels, targets = ([row[name] for row in rows] for name in ("label", "target"))
    names = [entry["name"] for entry in looked["per_class"]["classes"]]
    assert looked["per_class"]["confusion"] == confusion_matrix(targets, labels, labels=names).tolist()
    wrong = [float(row[f"p({row['label']})"]) for row in rows if row["label"] != row["target"]]
    assert looked["errors"] == len(wrong) > 0
    assert [entry["confidence"] for entry in looked["wrong"]] == sorted(wrong, reverse=True)[:24]
    # The picture is the digit at that row of the training data, which come before the test data.
    first = looked["wrong"][0]
    digits, labelled = load_digits(return_X_y=True)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(first["picture"]))))
    same = [
        i for i, digit in enumerate(digits) if np.abs(picture / 255 * 16 - digit.reshape(8, 8)).max() < 0.04
    ]
    assert str(first["target"]) in {str(labelled[i]) for i in same}

    state = checkpoint.load_latest(place / "runs/group/seed_1/checkpoints", print)
    assert state is not None and len(looked["filters"]) == 4
    html = (place / "runs/group/seed_1/report.html").read_text()
    assert Path(shown["report"]) == Path("runs/group/seed_1/report.html")
    assert "Most confidently wrong" in html and first["picture"] in html


@pytest.mark.slow
def test_the_commands_of_the_docs_run(place: Path, warm: Callable[..., Any]) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs/reports.md").read_text()
    block = text.partition("```sh\n")[2].partition("```")[0]
    for line in block.splitlines():
        done = warm(*line.replace("RUN", "group").split()[1:], folder=place)
        assert done.code == 0, f"{line}\n{done.err}"
    assert "the last checkpoint" in (place / "test.html").read_text()
    assert b"update/ratio" in (place / "rate.svg").read_bytes()


def test_a_group_has_bands_and_the_examples_of_its_first_run(place: Path, warm: Callable[..., Any]) -> None:
    done = warm("report", "group", "group/seed_1", "-o", "both.html", "--no-examples", folder=place)
    assert done.code == 4 and "named with" in done.err, "a run and the group that it is in are not two runs"
    done = warm("report", "runs/group", "--no-examples", "-o", "group.html", folder=place)
    assert done.code == 0, done.err
    html = (place / "group.html").read_text()
    assert "Means over 2 seeds; the bands are their 95% intervals" in html
    again = warm("report", "runs/group", "--no-examples", "-o", "group.html", folder=place)
    assert (again.code, again.err) == (
        2,
        "nnrun: -o group.html: already exists; write --force to replace it, or another name\n",
    )
    forced = warm("report", "runs/group", "--no-examples", "-o", "group.html", "--force", folder=place)
    assert forced.code == 0 and (place / "group.html").read_text() == html


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            ["plot", "group/seed_0", "--metric", "val/los", "-o", "p.png"],
            2,
            "--metric val/los: was not logged; did you mean val/loss?",
        ),
        (
            ["plot", "group/seed_0", "-o", "curves.gif"],
            2,
            "-o curves.gif: write a name that ends in .png, .svg or .pdf",
        ),
        (["report", "group/seed_0", "-o", "nowhere/a.html"], 2, "no such folder"),
        (["report", "group/seed_7"], 4, "seed_7"),
    ],
)
def test_what_is_refused(
    arguments: list[str], code: int, message: str, place: Path, warm: Callable[..., Any]
) -> None:
    done = warm(*arguments, folder=place)
    assert done.code == code and message in done.err and len(done.err.splitlines()) == 1
    assert not list(place.glob("curves.gif"))
