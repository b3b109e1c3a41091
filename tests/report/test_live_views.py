"""The live views of runs and of sweeps: what they print and when, with a clock of the test's own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from nnrun.report import live
from nnrun.report.live import duration, sparkline
from nnrun.report.run_view import RunView, Shown
from nnrun.report.sweep.live import ArmProgress, SweepProgress, SweepView


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (0.4, "0:00"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.4, "59:59"),
        (3600, "1:00:00"),
        (90061, "25:01:01"),
    ],
)
def test_a_duration(seconds: float, text: str):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([1.0], "▁"),
        ([2.0, 2.0, 2.0], "▁▁▁"),
        ([0.0, 7.0], "▁█"),
        ([float(i) for i in range(8)], "▁▂▃▄▅▆▇█"),
        ([7.0, 0.0, float("nan"), float("inf"), 7.0], "█▁█"),
        ([float("nan")], ""),
    ],
)
def test_a_sparkline(values: list[float], bars: str):
    assert sparkline(values) == bars


def test_a_long_sparkline_is_thinned_and_ends_with_the_newest():
    values = [0.0] * 1000 + [1.0]
    bars = sparkline(values, 40)
    assert len(bars) <= 40
    assert bars[-1] == "█" and set(bars[:-1]) == {"▁"}
    for count in range(1, 200):
        assert 1 <= len(sparkline([float(i) for i in range(count)], 40)) <= 40


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def console_of(file: io.StringIO, width: int = 100) -> Console:
    return Console(file=file, width=width, force_terminal=isinstance(file, Terminal), force_interactive=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """clock(seconds): the time that the views see."""
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])

    def put(seconds: float) -> None:
        now[0] = 1000.0 + seconds

    return put


def shown(
    step: int, phase: str = "training", metrics: dict[str, float] | None = None, **changes: Any
) -> Shown:
    values = {"train/loss": 0.5} if metrics is None else metrics
    state = Shown("my-run", phase, step, 100, step / 10, 10.0, "", values, "")
    return state._replace(**changes)


def test_quiet_shows_nothing():
    file = io.StringIO()
    with live.watching(console_of(file), True, RunView()) as watch:
        watch(shown(100))
    with live.watching(console_of(file), True, SweepView()) as watch_sweep:
        watch_sweep(SweepProgress("s", "training", "val/loss", 0.5, []))
    assert file.getvalue() == ""


def test_plain_lines_have_the_metrics_of_data_and_the_time_left(clock):
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        watch(shown(0))
        clock(10.0)
        watch(shown(50, metrics={"train/loss": 0.25, "val/accuracy": 0.9, "grad/norm": 3.0}))
    assert file.getvalue() == "epoch 5/10  step 50/100  train/loss 0.25  val/accuracy 0.9  0:10 left\n"


def test_plain_lines_are_few(clock):
    """One for each twentieth of the run, or after half a minute; the last step always."""
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        for step in range(101):
            clock(step / 100)
            watch(shown(step))
    assert len(file.getvalue().splitlines()) == 20
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        for step in range(5):
            clock(31.0 * step)
            watch(shown(step))
    assert [line.split()[3] for line in file.getvalue().splitlines()] == ["1/100", "2/100", "3/100", "4/100"]


def test_plain_lines_tell_nothing_of_other_phases(clock):
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        for phase in ("compiling", "ready", "testing"):
            clock(100.0)
            watch(shown(100, phase))
    assert file.getvalue() == ""


def test_the_time_of_compiling_is_no_speed(clock):
    """A hundred seconds of compiling, then 50 steps in 5 seconds: 5 seconds are left."""
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        watch(shown(0, "compiling"))
        clock(100.0)
        watch(shown(0))
        clock(105.0)
        watch(shown(50))
    assert file.getvalue().endswith("0:05 left\n")


@pytest.mark.parametrize(("seconds", "words"), [(72.4, "compiling, 1:12 last time"), (None, "compiling")])
def test_who_waits_for_a_program_sees_how_long_it_took_last_time(seconds: float | None, words: str) -> None:
    file = io.StringIO()
    Console(file=file, width=80).print(RunView().drawing(shown(0, "compiling", {}, compiled_in=seconds), 80))
    assert file.getvalue().splitlines()[0].rstrip().endswith(words)


def test_a_resumed_run_counts_its_own_steps_for_the_speed(clock):
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        watch(shown(60, metrics={}))
        clock(10.0)
        watch(shown(80))
    assert file.getvalue().endswith("0:10 left\n")


def test_names_are_no_markup_in_plain_lines(clock):
    file = io.StringIO()
    with live.watching(console_of(file), False, RunView()) as watch:
        watch(shown(100, metrics={"val/[red]x[/red]": 1.0}))
    assert "val/[red]x[/red] 1" in file.getvalue()


def test_the_live_view_shows_all_there_is(clock):
    file = Terminal()
    with live.watching(console_of(file), False, RunView()) as watch:
        watch(shown(0))
        clock(2.0)
        watch(
            shown(
                50,
                metrics={"grad/norm": 3.0, "train/loss": 0.25},
                runs="4 of 5 runs",
                best="val/loss 0.3 at step 40",
            )
        )
    text = file.getvalue()
    for part in (
        "my-run",
        "25 steps/s",
        "0:02 left",
        "epoch 5.0/10",
        "step 50/100",
        "4 of 5 runs",
        "val/loss 0.3 at",
    ):
        assert part in text, part
    assert text.rindex("train/loss") > text.rindex("grad/norm") > text.index("0.25")  # the sparkline is last


def test_the_live_view_is_drawn_twice_a_second(clock):
    drawn: list[int] = []

    class Screen:
        console = console_of(Terminal())

        def update(self, view: Any, refresh: bool) -> None:
            drawn.append(1)

    view = live._Drawings(Screen(), RunView())  # type: ignore[arg-type]
    for tick in range(41):
        clock(tick / 20)
        view.show(shown(tick))
    assert len(drawn) == 5  # at 0, 0.5, 1, 1.5, 2 seconds
    view.show(shown(41, "testing"))  # a new phase at once
    assert len(drawn) == 6


def test_a_live_run_leaves_at_most_twenty_lines(clock):
    file = Terminal()
    with live.watching(console_of(file, 80), False, RunView()) as watch:
        for step in range(1000):
            clock(step * 0.6)
            metrics = {"train/loss": 0.5, "train/accuracy": 0.9, "val/loss": 0.25, "val/rmse(a)": 3.0}
            watch(shown(step, metrics=metrics)._replace(steps=1000))
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    kept = re.findall(r"epoch \S+  step (\d+)/1000  train/loss 0.5  val/loss 0.25 *$", plain, re.MULTILINE)
    assert [int(step) for step in kept] == [*range(50, 1000, 50)]


def test_folds_and_short_runs_leave_none(clock):
    view = RunView()
    view.notice(shown(50, fold="fold 1 of 5"))
    assert view.history(shown(50, fold="fold 1 of 5")) == "" == view.history(shown(90, "testing"))
    assert view.history(shown(4)) == "" and view.history(shown(5)) != ""


# Sweeps


def progress(share: float, phase: str = "searching", **changes: Any) -> SweepProgress:
    rows = [ArmProgress("adam", 3, 20, "97.10% ± 0.2", "1 diverged"), ArmProgress("[sgd]", 0, 20, "", "")]
    return SweepProgress("my-sweep", phase, "val/accuracy", share, rows)._replace(**changes)


def test_plain_lines_of_a_sweep(clock):
    file = io.StringIO()
    with live.watching(console_of(file, 40), False, SweepView()) as watch:
        watch(progress(0.0))
        clock(14.0)
        watch(progress(0.2))
        clock(30.0)
        watch(progress(0.25))
    assert file.getvalue().splitlines() == [
        "searching 0%  adam 3/20 97.10% ± 0.2  [sgd] 0/20",
        "searching 25%  adam 3/20 97.10% ± 0.2  [sgd] 0/20  1:30 left",
    ]


def test_the_time_left_of_a_sweep_is_known_after_two_seconds_of_progress(clock):
    view = SweepView()

    def left(share: float) -> str:
        view.notice(progress(share))
        return view.line(progress(share, rows=[])).partition("%")[2].strip()

    clock(0.0)
    assert left(0.5) == ""
    clock(1.0)
    assert left(0.6) == ""
    clock(10.0)
    assert left(0.5) == ""  # no progress
    assert left(0.75) == "0:10 left"


def test_the_live_table_of_a_sweep(clock):
    file = Terminal()
    with live.watching(console_of(file), False, SweepView()) as watch:
        watch(progress(0.0))
        clock(10.0)
        watch(progress(0.5, "final comparison"))
    text = file.getvalue()
    for part in (
        "my-sweep",
        "final comparison",
        "0:10 left",
        "best val/accuracy",
        "adam",
        "3/20",
        "1 diverged",
        "[sgd]",
    ):
        assert part in text, part


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_number_of_a_sweep_is_cut(width: int) -> None:
    """Nor the time that is left, which stands in a line of its own where there is too little room."""
    rows = [
        ArmProgress("adam with a long name", 12, 64, "0.9712 ± 0.0021", "3 stopped, 1 diverged"),
        ArmProgress("sgd", 3, 64, "", ""),
    ]
    view = SweepView()
    view._left = "12:34:56 left"
    file = io.StringIO()
    news = SweepProgress("sweep_of_the_optimizers", "searching, round 2", "val/accuracy", 0.4, rows)
    Console(file=file, width=width).print(view.drawing(news, width))
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    for words in (
        "12:34:56 left",
        "12/64",
        "3/64",
        "0.9712 ± 0.0021",
        "3 stopped, 1 diverged",
        "val/accuracy",
    ):
        assert any(words in line for line in lines), words
    assert ("lost" in file.getvalue()) and "lost" not in drawn(view, news._replace(rows=rows[1:]), width)


def drawn(view: SweepView, news: SweepProgress, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width).print(view.drawing(news, width))
    return file.getvalue()
