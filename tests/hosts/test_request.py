"""What a command line says of the processes of a run."""

from __future__ import annotations

import pytest

from nnrun.errors import SpecError
from nnrun.hosts.request import HostsRequest, request_of


@pytest.mark.parametrize(
    ("coordinator", "process", "expected"),
    [
        ("10.0.0.1:6000", "0/2", ("10.0.0.1:6000", 0, 2)),
        ("host.domain:1", "1/2", ("host.domain:1", 1, 2)),
        ("[::1]:65535", "4095/4096", ("[::1]:65535", 4095, 4096)),
        ("h:6000", "0/1", ("h:6000", 0, 1)),
        ("h:6000", "01/02", ("h:6000", 1, 2)),
    ],
)
def test_a_place_and_a_number(coordinator: str, process: str, expected: tuple[str, int, int]) -> None:
    assert request_of(coordinator, process, None) == HostsRequest(*expected)


@pytest.mark.parametrize(
    "coordinator",
    ["h", "h:", ":6000", "h:0", "h:65536", "h:-1", "h:6e3", "h:6000 ", "", "h:٦٠٠٠", "h:６０００", "h:²"],
)
def test_a_coordinator_that_is_none(coordinator: str) -> None:
    """Digits of other scripts, which Python's int reads, are no port for a network library."""
    with pytest.raises(SpecError, match=r"--coordinator: got .*; write HOST:PORT of process 0, such as"):
        request_of(coordinator, "0/2", None)


@pytest.mark.parametrize(
    "process",
    [
        "2/2",
        "3/2",
        "0/0",
        "-1/2",
        "0/4097",
        "0",
        "0/",
        "/2",
        "0/2/3",
        "a/b",
        "0 / 2",
        "",
        "٠/٢",
        "000001/2",
        "0/2\n",
    ],
)
def test_a_number_of_a_process_that_is_none(process: str) -> None:
    with pytest.raises(SpecError, match=r"--process: got .*; write I/N"):
        request_of("h:6000", process, None)


def test_what_belongs_together_and_what_does_not() -> None:
    assert request_of(None, None, None) is None
    assert request_of(None, None, "auto") == HostsRequest("", 0, 0)
    with pytest.raises(SpecError, match="--process needs --coordinator HOST:PORT beside it"):
        request_of(None, "0/2", None)
    with pytest.raises(SpecError, match="--coordinator needs --process I/N beside it"):
        request_of("h:6000", None, None)
    for coordinator, process in (("h:6000", None), (None, "0/2"), ("h:6000", "0/2")):
        with pytest.raises(SpecError, match="leave out --coordinator and --process"):
            request_of(coordinator, process, "auto")
    for hosts in ("2", "AUTO", "", "slurm\x1b"):
        with pytest.raises(SpecError, match=r"--hosts: got .*; write auto") as raised:
            request_of(None, None, hosts)
        assert "\x1b" not in str(raised.value)
