"""What is printed where: plain lines, the live view on a terminal, and streams that take nothing."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nnrun.record import run

SPEC = """
data: {name: digits, batch_size: 64}
model: {name: mlp, hidden: [16]}
optimizer: {name: adam}
train: {duration: 200 epochs}
"""
SHORT = "train.duration=2 epochs"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return path


def test_plain_lines_where_there_is_no_terminal(warm: Callable[..., Any], spec: Path) -> None:
    done = warm("train", spec, "train.duration=100 epochs", folder=spec.parent, FORCE_COLOR="1")
    assert done.code == 0
    assert done.out.startswith("done after 2000 steps: test/accuracy ")
    lines = done.err.splitlines()
    assert 2 <= len(lines) <= 20, "one at each twentieth of the run at most"
    number = r"[0-9.e+-]+"
    pattern = rf"epoch {number}/100  step (\d+)/2000  (?:(?:train|val)/\w+ {number}%?  ){{2,4}}\d+:\d\d left"
    steps = [int(found[1]) for line in lines if (found := re.fullmatch(pattern, line))]
    assert len(steps) == len(lines), done.err
    assert steps == sorted(steps)
    assert steps[-1] == 2000


def test_quiet_prints_only_the_result(warm: Callable[..., Any], spec: Path) -> None:
    done = warm("train", spec, SHORT, "--quiet", "--run-dir", "run", folder=spec.parent)
    assert (done.code, done.err) == (0, "")
    assert len(done.out.splitlines()) == 3


@pytest.fixture
def on_terminal(begun: Callable[..., Any], spec: Path) -> Callable[..., tuple[int, str]]:
    """on_terminal(*command, NAME="value"): exit code and output where all streams are a terminal of 100 columns."""

    def run(*command: str, **settings: str) -> tuple[int, str]:
        terminal, streams = pty.openpty()
        process = begun(*command, folder=spec.parent, terminal=os.ttyname(streams), **settings)
        output = b""
        while process.poll() is None:
            output += taken(terminal)
        os.close(streams)
        output += taken(terminal)
        os.close(terminal)
        return process.returncode, output.decode()

    return run


def taken(terminal: int) -> bytes:
    """What was written to a terminal; waits up to a tenth of a second for something."""
    output = b""
    with contextlib.suppress(OSError):  # EIO: the other side has closed
        while select.select([terminal], [], [], 0.1)[0] and (chunk := os.read(terminal, 65536)):
            output += chunk
    return output


def screen(output: str) -> list[str]:
    """What stands on a terminal in the end.  Knows the sequences that rich writes, and fails at others."""
    lines, row, column = [""], 0, 0
    for token in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", output):
        if token == "\r":
            column = 0
        elif token == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif token.endswith("A") and token.startswith("\x1b"):
            row -= int(token[2:-1] or 1)
            assert row >= 0, "the cursor leaves the screen at the top"
        elif token == "\x1b[2K":
            lines[row] = ""
        elif token.startswith("\x1b"):
            assert token[-1] == "m" or token in ("\x1b[?25l", "\x1b[?25h"), f"unknown {token!r}"
        else:
            lines[row] = lines[row].ljust(column)[:column] + token + lines[row][column + len(token) :]
            column += len(token)
    return [line.rstrip() for line in lines if line.strip()]


def test_the_live_view(on_terminal: Callable[..., tuple[int, str]]) -> None:
    settings = {"TERM": "xterm-256color", "COLUMNS": "140", "LINES": "40"}
    code, output = on_terminal("train", "spec.yaml", "--run-dir", "run", **settings)
    assert code == 0, output
    text = re.sub(r"\x1b\[[0-9;]*m", "", output)
    for part in ("compiling", "━━━", "step 4000/4000", "steps/s", "train/loss", "val/accuracy", "testing"):
        assert part in text
    assert re.search(r"loss [▁▂▃▄▅▆▇█]{5,}", text)
    assert re.search(r"best val/\w+ [\d.]+%? at step \d+", text)
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1, "the cursor is shown again"
    *history, result, place, hint = screen(output)
    assert len(history) <= 20 and all(re.match(r"epoch \S+  step \d+/4000", line) for line in history), (
        history
    )
    left = [result, place, hint]
    assert left[0].startswith("done after 4000 steps: test/accuracy 9")
    assert left[1:] == ["run folder: run", "look at it: nnrun show run"]


def test_the_live_view_is_wiped_when_a_run_fails(on_terminal: Callable[..., tuple[int, str]]) -> None:
    command = ["train", "spec.yaml", "optimizer={name: sgd, learning_rate: 1e30}", "--run-dir", "run"]
    code, output = on_terminal(*command, TERM="xterm-256color", COLUMNS="60")
    assert code == 5
    assert output.count("\x1b[?25l") == output.count("\x1b[?25h") == 1
    (line,) = screen(output)
    assert line.startswith("nnrun: run: the loss became infinite or NaN at step 2; ")


SHELL = {  # redirection: exit code and how stderr begins
    ">&-": (6, "nnrun: stdout is closed; "),
    ">/dev/full": (6, "nnrun: stdout cannot be written: No space left on device; "),
    "2>&- >/dev/null": (0, ""),
    "2>/dev/full >/dev/null": (0, ""),
    ">&- 2>&-": (6, ""),
    "<&- >/dev/null": (0, ""),
}


def shell(command: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and stderr of a shell command in which NNRUN is the program."""
    text = command.replace("NNRUN", f"{sys.executable} -m nnrun")
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", text],
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stderr


@pytest.mark.quick(2)
@pytest.mark.parametrize("redirection", SHELL)
def test_a_stream_that_takes_nothing(redirection: str, tmp_path: Path, environment: dict[str, str]) -> None:
    code, begin = SHELL[redirection]
    found, err = shell(f"NNRUN list {redirection}", tmp_path, environment)
    assert found == code
    assert err.startswith(begin) if begin else err == ""


@pytest.mark.quick("list")
@pytest.mark.parametrize("command", ["--help", "list", "schema"])
def test_a_reader_that_has_seen_enough(command: str, tmp_path: Path, environment: dict[str, str]) -> None:
    assert shell(f"NNRUN {command} | head -1", tmp_path, environment) == (0, "")


@pytest.mark.quick(1)
@pytest.mark.parametrize("redirection", [">&- 2>/dev/full", "2>&1 | head -1", "2>&1 >/dev/null | true"])
def test_no_stream_stops_a_run(redirection: str, spec: Path, environment: dict[str, str]) -> None:
    code, _ = shell(f"NNRUN train spec.yaml {SHORT!r} --run-dir run {redirection}", spec.parent, environment)
    assert run.status(spec.parent / "run") == "done"
    assert code == (6 if redirection.startswith(">&-") else 0)


def test_an_encoding_that_lacks_our_letters(nnrun: Callable[..., Any]) -> None:
    done = nnrun("list", "layer", PYTHONIOENCODING="ascii")
    assert (done.code, done.err) == (0, "")
    assert "Phi(x)" in done.out, "GELU: x Φ(x)"


@pytest.mark.slow
def test_a_bar_counts_what_members_predict(
    warm: Callable[..., Any], spec: Path, on_terminal: Callable[..., tuple[int, str]]
) -> None:
    """Two members, 180 examples for validation and 359 for testing in batches of 256."""
    assert (
        warm("train", spec, SHORT, "train.seeds=2", "--run-dir", "runs/two", "-q", folder=spec.parent).code
        == 0
    )
    code, output = on_terminal("ensemble", "two", TERM="xterm")
    assert code == 0
    assert re.search(r"predicting .*0/6", output)
    assert "gain over the mean member" in output
    assert "predicting" not in "\n".join(screen(output))  # gone in the end
    code, output = on_terminal("ensemble", "two", "--quiet", TERM="xterm")
    assert code == 0 and "predicting" not in output
