"""The parts of a run in several processes: what a command line says of them, and how they notice that one is gone."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import jax
import pytest

from nnrun import signals
from nnrun.errors import DataError, MachineError, RunError, SpecError
from nnrun.hosts import HostsRequest, relay, request_of
from nnrun.hosts.party import Party
from nnrun.hosts.relay import Hub, Post
from nnrun.runner.together import differences
from nnrun.training import led
from nnrun.training.mesh import check_devices, devices_used


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((None, None, "all"), "--hosts: got 'all'; write auto, or"),
        (("a:1", None, "auto"), "leave out --coordinator and --process"),
        (("a:1", None, None), "--coordinator needs --process I/N beside it"),
        ((None, "0/2", None), "--process needs --coordinator HOST:PORT beside it"),
        (("host", "0/2", None), "--coordinator: got 'host'; write HOST:PORT"),
        (("host:70000", "0/2", None), "--coordinator: got 'host:70000'"),
        (("host:1", "2/2", None), "--process: got '2/2'; write I/N"),
        (("host:1", "-1/2", None), "--process: got '-1/2'"),
    ],
)
def test_a_command_line_that_names_no_place_is_refused(options: tuple, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        request_of(*options)
    assert message in str(refused.value) and len(refused.value.problems) == 1


def test_a_command_line_names_a_place() -> None:
    assert request_of(None, None, None) is None
    assert request_of("[::1]:6000", "3/4", None) == HostsRequest("[::1]:6000", 3, 4)
    assert request_of(None, None, "auto") == HostsRequest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def echo(address: str) -> socket.socket:
    """In place of jax's service: gives back what it gets."""
    host, port = address.split(":")
    server = socket.create_server((host, int(port)))

    def serve() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            while content := connection.recv(100):
                connection.sendall(content)

    threading.Thread(target=serve, daemon=True).start()
    return server


def test_a_relay_passes_on_and_hides_that_the_far_end_is_gone() -> None:
    """What jax holds stays open when process 0 is gone; we hear of it, and process 0 hears of us."""
    place, lost, gone = ("127.0.0.1", free_port()), threading.Event(), threading.Event()
    hub = Hub(place, 3, lambda index: gone.set() if index == 2 else None)
    with pytest.raises(MachineError, match="process 1, 2 of 3 has not come within 0 seconds"):
        hub.wait(0.0)
    post = Post(place, 1, 3, lost.set, 5.0)
    with pytest.raises(MachineError, match="process 1 of 3 is here already"):
        Post(place, 1, 3, lambda: None, 5.0)
    with pytest.raises(MachineError, match="there are 3 processes, not 2"):
        Post(place, 1, 2, lambda: None, 5.0)
    with pytest.raises(MachineError, match="process 0 cannot listen there"):
        Hub(place, 3, lambda index: None)
    host, port = post.service.split(":")
    with socket.create_connection((host, int(port))) as near:
        near.sendall(b"early")  # before the service is there
        server = echo(hub.service)
        assert near.recv(5) == b"early"
        second = Post(place, 2, 3, lambda: None, 5.0)
        second.close()
        assert gone.wait(5.0) and hub.present == {1}
        hub.close()
        assert lost.wait(5.0)
        near.settimeout(0.2)
        with pytest.raises(TimeoutError):  # silence, not the end
            near.recv(1)
    post.close()
    server.close()


def test_who_stands_still_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is stopped keeps its connections; only its beat is missed."""
    monkeypatch.setattr(relay, "_BEAT", 0.05)
    monkeypatch.setattr(relay, "_SILENCE", 0.4)
    place, lost = ("127.0.0.1", free_port()), []
    hub = Hub(place, 3, lost.append)
    alive = Post(place, 2, 3, lambda: lost.append(0), 5.0)
    with socket.create_connection(place) as stopped:
        stopped.sendall(b"nnrun 2,stay,1,3\n")
        time.sleep(1.0)
        assert lost == [1] and hub.present == {2}
    alive.close()
    hub.close()

    server = socket.create_server(place)  # a process 0 that says welcome and stops

    def welcome() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(b"welcome\n")
            stands_still.wait(5.0)

    stands_still = threading.Event()
    threading.Thread(target=welcome, daemon=True).start()
    post = Post(place, 1, 2, stands_still.set, 5.0)
    assert stands_still.wait(5.0)
    post.close()
    server.close()


ABORTED = """
import ctypes, os, sys, time
from nnrun.hosts.aborting import instead_of_abort
instead_of_abort(lambda: (os.write(2, b"asked"), sys.argv[1] == "loss" and os._exit(6)))
ctypes.CDLL("libstdc++.so.6")._ZSt9terminatev()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another C++ library than GNU's")
def test_an_abort_of_a_library_is_asked_about_first() -> None:
    """gloo throws in a thread where nobody catches it; what is no loss still aborts."""
    for why, code in (("loss", 6), ("bug", -signal.SIGABRT)):
        done = subprocess.run([sys.executable, "-c", ABORTED, why], capture_output=True, text=True)
        assert done.returncode == code and done.stderr.startswith("asked")
    assert "terminate called" in done.stderr


def test_a_sum_that_failed_is_a_loss_and_another_mistake_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy, asked for an array that was never computed, says ValueError where jax says JaxRuntimeError."""
    monkeypatch.setattr(Party, "_end_soon", lambda self: None)
    party = Party(1, 2)
    party.lost(0)
    with pytest.raises(MachineError, match="process 0 of 2 was lost"), led._blaming(party):
        raise ValueError("UNKNOWN: Gloo all-reduce failed: Connection reset by peer")
    with pytest.raises(ValueError, match="shapes"), led._blaming(party):
        raise ValueError("shapes do not fit")


def test_who_is_not_there_is_named() -> None:
    with pytest.raises(
        MachineError, match=r"--coordinator 127\.0\.0\.1:\d+: process 0 was not there within 0 seconds"
    ):
        Post(("127.0.0.1", free_port()), 1, 2, lambda: None, 0.2)


def test_an_interrupt_that_was_passed_on_is_not_the_first_of_two() -> None:
    with signals.deferred():
        signals.pass_on(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)  # the terminal's own, a moment later: a second one would raise
        assert signals.pending() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signals.forget()
    signals.pass_on(signal.SIGTERM)  # outside, nothing waits to be told
    assert signals.pending() == 0


def test_processes_have_as_many_devices_each(
    monkeypatch: pytest.MonkeyPatch, experiment: Callable[..., Any]
) -> None:
    plan = experiment("mlp").plan._replace(batch_size=60)
    monkeypatch.setattr(jax, "local_devices", lambda: [None] * 4)
    assert devices_used(plan) == 1  # auto, of one process
    monkeypatch.setattr(jax, "process_count", lambda: 3)
    assert devices_used(plan) == 12
    assert devices_used(plan._replace(batch_size=90)) == 9
    assert devices_used(plan._replace(devices=6)) == 6
    with pytest.raises(
        MachineError, match=r"3 processes cannot have equal parts of a batch of 64; start 2 or 4$"
    ):
        check_devices(plan._replace(batch_size=64))
    with pytest.raises(MachineError, match=r"train\.devices: 4, but 3 processes share each batch"):
        check_devices(plan._replace(devices=4))
    monkeypatch.setattr(jax, "process_count", lambda: 1)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert devices_used(plan) == 1
    assert devices_used(plan._replace(devices="all", batch_size=64)) == 4


def test_what_differs_is_named_and_where_files_lie_is_no_difference() -> None:
    about = {
        "versions": {"jax": "1"}, "spec": {"data.path": "/a/t.csv", "train.seed": 0}, "code": {"net.py": "1f"},
        "data": "ab", "devices": [1, "cpu"],
    }  # fmt: skip
    assert list(differences(about, {**about, "spec": {"data.path": "/b/t.csv", "train.seed": 0}})) == []
    far = {
        "versions": {"jax": "2"}, "spec": {"data.path": "/b/u.csv", "train.seed": 0, "train.remark": 1},
        "code": {"net.py": "2f"}, "data": "cd", "devices": [2, "cpu"],
    }  # fmt: skip
    assert [(type(problem), str(problem)) for problem in differences(about, far)] == [
        (RunError, "has jax 2, process 0 has 1; install the same"),
        (SpecError, "has another spec: data.path is /b/u.csv, on process 0 /a/t.csv"),
        (SpecError, "has another spec: train.remark is 1, on process 0 absent"),
        (SpecError, "has other code in net.py than process 0"),
        (DataError, "has other data than process 0 (their digests differ); give all the same files"),
        (MachineError, "has 2 devices (cpu), process 0 has 1 (cpu); give each as many of one kind"),
    ]
