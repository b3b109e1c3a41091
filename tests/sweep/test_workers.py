"""Batches in worker processes that the test stands in for: their news, their ends, and when they are tried again."""

from __future__ import annotations

import io
import json
import os
import queue
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnrun import device, signals
from nnrun.commands import sweeping
from nnrun.errors import DataError, Interrupted, MachineError, NnrunError, RunError, SpecError
from nnrun.sweep import worker as worker_module
from nnrun.sweep import workers as workers_module
from nnrun.sweep.batches import Event
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.moment import ChangedError
from nnrun.sweep.workers import Slot, Workers, error_of, places


@pytest.mark.parametrize(
    ("code", "reason", "kind", "message"),
    [
        (2, "model: wrong", SpecError, "model: wrong"),
        (3, "no file", DataError, "no file"),
        (4, "damaged", RunError, "damaged"),
        (6, "disk full", MachineError, "disk full"),
        (8, "net.py: it has changed", ChangedError, "net.py: it has changed"),
        (1, "ZeroDivisionError: x", NnrunError, "ZeroDivisionError: x"),
        (1, "", NnrunError, "its worker ended with exit code 1"),
        (2, "", SpecError, "its worker ended with exit code 2"),
        (-9, "", NnrunError, "its worker was killed by signal 9"),
        (-9, "step 5", NnrunError, "its worker was killed (step 5)"),
        (137, "", NnrunError, "its worker was killed by signal 9"),  # as a shell says it
    ],
)
def test_why_a_worker_ended(code: int, reason: str, kind: type[NnrunError], message: str):
    error = error_of(code, reason)
    assert type(error) is kind
    assert str(error) == message


@pytest.mark.parametrize(
    ("cores", "jobs", "shares"),
    [
        ([0, 1, 2, 3], 2, [(0, 1), (2, 3)]),
        ([0, 1, 2], 2, [(0,), (1, 2)]),
        ([4, 7], 2, [(4,), (7,)]),
        ([4, 7], 5, [(4,), (7,), (4,), (7,), (4,)]),
        ([0, 1, 2, 3], 1, [(0, 1, 2, 3)]),
    ],
)
def test_cores_are_divided_among_workers(
    cores: list[int], jobs: int, shares: list[tuple[int, ...]], monkeypatch
):
    monkeypatch.setattr(workers_module.machine, "cores", lambda: cores)
    assert places(jobs) == [Slot(share, {}) for share in shares]


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ["0", "1", "0"]), ("3,5", ["3", "5", "3"]), ("GPU-a", ["GPU-a"] * 3), ("", ["0", "1", "0"])],
)
def test_workers_take_the_gpus_in_turn(visible: str | None, names: list[str], monkeypatch):
    import jax

    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(id=0), SimpleNamespace(id=1)])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [place.environment["CUDA_VISIBLE_DEVICES"] for place in places(3)] == names
    assert all(place.cores == () for place in places(3))


MEMORY = (
    "XLA_PYTHON_CLIENT_PREALLOCATE", "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION",
    "XLA_PYTHON_CLIENT_ALLOCATOR",
)  # fmt: skip


@pytest.mark.parametrize("setting", [None, *MEMORY])
@pytest.mark.parametrize("parent_is_ready", [True, False])
def test_workers_leave_each_other_room_on_a_gpu(
    setting: str | None, parent_is_ready: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of four workers on one GPU each is started with the variable, unless the user has settled the memory himself.

    parent_is_ready   whether the command has set it for itself before, which its workers inherit
    """
    import jax

    for name in MEMORY:
        monkeypatch.delenv(name, raising=False)
    if setting:
        monkeypatch.setenv(setting, "0.4")
    before = {name: os.environ[name] for name in MEMORY if name in os.environ}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(id=0)])
    started: list[dict[str, str]] = []

    def begin(command: Any, env: dict[str, str], **rest: Any) -> Any:
        started.append(env)
        return SimpleNamespace(stdout=[], wait=lambda: 0, returncode=0, poll=lambda: 0)

    monkeypatch.setattr(workers_module.subprocess, "Popen", begin)
    with monkeypatch.context() as ready:
        if parent_is_ready:
            ready.setattr(os, "environ", {**os.environ})
            device.take_memory_on_demand()
            wanted = before or {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
            assert {name: os.environ[name] for name in MEMORY if name in os.environ} == wanted
        list(Workers(4, engine_that(pytest.fail)).train(tmp_path, batches(*"abcd")))
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == ["0"] * 4
    for env in started:
        settled = {name: env[name] for name in MEMORY if name in env}
        assert settled == (before or {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"})


def test_workers_on_a_cpu_have_the_environment_as_it_is() -> None:
    assert places(1)[0].environment == {}


@pytest.mark.parametrize(("jobs", "wanted"), [(1, None), (2, "false")])
def test_the_command_settles_its_own_memory_before_jax_starts(
    jobs: int, wanted: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        os, "environ", {name: value for name, value in os.environ.items() if name not in MEMORY}
    )
    (tmp_path / "base.yaml").write_text("name: tiny\n")
    (tmp_path / "sweep.yaml").write_text(
        "base: base.yaml\nsweep: {over: {optimizer.learning_rate: [0.1, 0.2]}}\n"
    )
    at_the_start: list[str | None] = []

    def choose(device: str) -> None:
        at_the_start.append(os.environ.get("XLA_PYTHON_CLIENT_PREALLOCATE"))
        raise MachineError("far enough")

    monkeypatch.setattr(sweeping, "choose_device", choose)
    with pytest.raises(MachineError, match="far enough"):
        sweeping.sweep(tmp_path / "sweep.yaml", jobs=jobs)
    assert at_the_start == [wanted]


def engine_that(warn: Any) -> Any:
    return SimpleNamespace(warn=warn, moment=SimpleNamespace(expected=lambda: {"package": "p1"}))


class World:
    """Worker processes that end as the script of their batch says: a list of (messages, exit code) for each try."""

    def __init__(self, scripts: dict[str, list[tuple[list[Any], int]]]) -> None:
        self.scripts = scripts
        self.started: list[tuple[str, int]] = []
        self.running = 0
        self.most = 0

    def worker(
        self, root: Path, batch: RunBatch, expected: Any, place: Slot, number: int, inbox: queue.Queue
    ) -> Any:
        messages, code = self.scripts[batch.name].pop(0)
        self.started.append((batch.name, number))
        self.running += 1
        self.most = max(self.most, self.running)
        process = SimpleNamespace(
            returncode=code, poll=lambda: code, wait=lambda: code, terminate=lambda: None
        )
        stand_in = SimpleNamespace(batch=batch, number=number, process=process, error="")
        for message in [*messages, None]:
            inbox.put((stand_in, message))
        return stand_in


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def make(scripts: dict[str, list[tuple[list[Any], int]]]) -> World:
        stand_in = World(scripts)

        def listed(worker: Any, tries: Any) -> Event | None:
            stand_in.running -= 1
            return original(worker, tries)

        original = Workers(1, engine_that(pytest.fail))._ended
        monkeypatch.setattr(workers_module, "_Worker", stand_in.worker)
        monkeypatch.setattr(Workers, "_ended", lambda self, worker, tries: listed(worker, tries))
        monkeypatch.setattr(workers_module, "places", lambda jobs: [Slot((), {})] * jobs)
        return stand_in

    return make


def batches(*names: str) -> list[RunBatch]:
    return [RunBatch(name, [name], 1) for name in names]


def run_all(jobs: int, names: str, warn: Any = pytest.fail) -> list[tuple[str, int, str]]:
    events = list(Workers(jobs, engine_that(warn)).train(Path("root"), batches(*names)))
    return [(event.batch.name, event.step, event.phase) for event in events]


def test_news_of_all_batches_as_they_come(world):
    stand_in = world({name: [([{"step": 5, "phase": "training"}], 0)] for name in "abc"})
    events = run_all(2, "abc")
    assert sorted(events) == [
        (name, step, phase) for name in "abc" for step, phase in ((0, "done"), (5, "training"))
    ]
    assert stand_in.most == 2
    assert {number for _, number in stand_in.started} == {0, 1}


def test_no_more_workers_than_batches(world):
    stand_in = world({"a": [([], 0)]})
    assert run_all(8, "a") == [("a", 0, "done")]
    assert stand_in.most == 1


def test_warnings_are_passed_on(world):
    world({"a": [([{"warning": "slow disk"}], 0)]})
    warnings: list[str] = []
    run_all(1, "a", warnings.append)
    assert warnings == ["slow disk"]


@pytest.mark.parametrize("code", [-9, 137, 6])
def test_a_worker_that_was_killed_is_started_again(code: int, world):
    stand_in = world(
        {"a": [([{"step": 3, "phase": "training"}], code), ([{"step": 7, "phase": "training"}], 0)]}
    )
    assert run_all(1, "a") == [("a", 3, "training"), ("a", 7, "training"), ("a", 0, "done")]
    assert len(stand_in.started) == 2


def test_after_three_kills_the_batch_has_failed(world):
    stand_in = world({"a": [([], -9)] * 3, "b": [([], 0)]})
    events = list(Workers(1, engine_that(pytest.fail)).train(Path("root"), batches("a", "b")))
    assert [(event.batch.name, event.phase) for event in events] == [("a", "failed"), ("b", "done")]
    assert str(events[0].error) == "its worker was killed by signal 9"
    assert len(stand_in.started) == 4


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_an_error_of_the_run_is_not_tried_again(code: int, world):
    world({"a": [([{"error": "model: wrong"}], code)]})
    [event] = list(Workers(1, engine_that(pytest.fail)).train(Path("root"), batches("a")))
    assert (event.phase, str(event.error)) == ("failed", "model: wrong")


def test_a_signal_stops_all_workers_and_starts_none(world, monkeypatch):
    stand_in = world({name: [([{"step": 1, "phase": "training"}], 0)] for name in "abc"})
    stopped: list[int] = []
    monkeypatch.setattr(workers_module, "_stop", lambda running: stopped.append(len(running)))
    loop = Workers(2, engine_that(pytest.fail)).train(Path("root"), batches("a", "b", "c"))
    next(loop)
    monkeypatch.setattr(signals, "pending", lambda: 15)
    with pytest.raises(Interrupted):
        list(loop)
    assert [name for name, _ in stand_in.started] == ["a", "b"]
    assert stopped == [2]


def test_a_worker_ends_with_its_parents_wishes():
    ended: list[str] = []

    def worker(name: str, alive: bool) -> Any:
        return SimpleNamespace(
            process=SimpleNamespace(
                poll=lambda: None if alive else 0,
                terminate=lambda: ended.append(f"terminate {name}"),
                wait=lambda: ended.append(f"wait {name}"),
            )
        )

    workers_module._stop([worker("a", True), worker("b", False)])
    assert ended == ["terminate a", "wait a", "wait b"]


def test_what_the_users_code_prints_is_no_news(monkeypatch):
    lines = [b"hello\n", b'{"step": 1, "phase": "ready"}\n', b"{broken\n"]
    process = SimpleNamespace(stdout=iter(lines), wait=lambda: 0, returncode=0)
    monkeypatch.setattr(subprocess, "Popen", lambda *arguments, **options: process)
    inbox: queue.Queue[Any] = queue.Queue()
    stand_in = workers_module._Worker(Path("root"), batches("a")[0], {}, Slot((1,), {"X": "1"}), 0, inbox)
    assert inbox.get(timeout=10) == (stand_in, {"step": 1, "phase": "ready"})
    assert inbox.get(timeout=10) == (stand_in, None)


def test_a_job_says_all_that_a_worker_needs(monkeypatch):
    started: list[Any] = []

    def popen(command: list[str], **options: Any) -> Any:
        started.append((command, options["env"]))
        return SimpleNamespace(stdout=io.BytesIO(), wait=lambda: 0, returncode=0)

    monkeypatch.setattr(subprocess, "Popen", popen)
    batch = RunBatch("a", ["x"], 3, 10, True)
    workers_module._Worker(
        Path("root"), batch, {"package": "p1"}, Slot((1, 2), {"CUDA_VISIBLE_DEVICES": "1"}), 0, queue.Queue()
    )
    [(command, environment)] = started
    assert command[:3] == [sys.executable, "-m", "nnrun.sweep.worker"]
    job = json.loads(command[3])
    assert RunBatch(**job["batch"]) == batch
    assert job["expected"] == {"package": "p1"}
    assert (job["root"], job["cores"], job["parent"]) == ("root", [1, 2], os.getpid())
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"


# The worker itself


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """engine(progress, error): what the engine in the worker does."""
    from nnrun import device
    from nnrun.sweep import engine as engine_module
    from nnrun.sweep import moment

    monkeypatch.setattr(worker_module, "_die_with", lambda parent: None)
    monkeypatch.setattr(os, "sched_setaffinity", lambda process, cores: None, raising=False)
    monkeypatch.setattr(signals, "install", lambda: None)
    monkeypatch.setattr(device, "prepare", lambda name, deterministic: None)
    monkeypatch.setattr(moment, "check_code", lambda expected: None)
    monkeypatch.setattr(moment, "check_specs", lambda folders: None)

    def install(steps: list[int], error: BaseException | None = None) -> None:
        class Engine:
            def __init__(self, warn: Callable[[str], None]) -> None:
                warn("careful")

            def train(self, root: Path, batch: RunBatch, expected: Any) -> Any:
                assert expected == {"package": "p1"}
                for step in steps:
                    yield SimpleNamespace(step=step, phase="training")
                if error is not None:
                    raise error

        monkeypatch.setattr(engine_module, "Engine", Engine)

    return install


def job() -> str:
    batch = RunBatch("a", ["x"], 1)._asdict()
    place = {"root": "r", "batch": batch, "device": "cpu", "cores": [0], "parent": os.getppid()}
    return json.dumps({**place, "expected": {"package": "p1"}})


@pytest.mark.parametrize(
    ("error", "code", "reported"),
    [
        (None, 0, None),
        (SpecError("model: wrong"), 2, "model: wrong"),
        (MachineError("disk full"), 6, "disk full"),
        (ChangedError("net.py: it has changed"), 8, "net.py: it has changed"),
        (KeyError("x"), 1, "KeyError: 'x'"),
        (ValueError("two\nlines"), 1, r"ValueError: two\nlines"),
    ],
)
def test_a_worker_reports_in_lines_of_json(error: Any, code: int, reported: str | None, engine, capsys):
    engine([1, 2], error)
    assert worker_module.main(job()) == code
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = [{"warning": "careful"}, {"step": 1, "phase": "training"}, {"step": 2, "phase": "training"}]
    assert lines == expected + ([{"error": reported}] if reported else [])
