"""What a command line says of the processes of a run."""

from __future__ import annotations

import re
from typing import NamedTuple

from nnrun.errors import SpecError, one_line

__all__ = ["HostsRequest", "request_of"]

_MOST = 4096


class HostsRequest(NamedTuple):
    """Where the processes of a run meet, and which of them this one is.

    coordinator   HOST:PORT of process 0; "": jax finds all of it in the environment
    number        of this process, from 0 on, and how many there are
    """

    coordinator: str = ""
    number: int = 0
    processes: int = 0


def request_of(coordinator: str | None, process: str | None, hosts: str | None) -> HostsRequest | None:
    """The request of the options --coordinator, --process and --hosts; None where the run has one process.

    Raises SpecError.
    """
    if hosts is not None:
        if hosts != "auto":
            raise SpecError(
                f"--hosts: got {one_line(hosts, 40)!r}; write auto, or --coordinator HOST:PORT --process I/N"
            )
        if coordinator is not None or process is not None:
            raise SpecError(
                "--hosts auto finds the other processes by itself; leave out --coordinator and --process"
            )
        return HostsRequest()
    if coordinator is None and process is None:
        return None
    if coordinator is None or process is None:
        present, absent = ("--process", "--coordinator HOST:PORT") if coordinator is None else (
            "--coordinator", "--process I/N"
        )  # fmt: skip
        raise SpecError(
            f"{present} needs {absent} beside it, such as --coordinator 10.0.0.1:6000 --process 0/2"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) < 2**16:
        raise SpecError(
            f"--coordinator: got {one_line(coordinator, 60)!r}; write HOST:PORT of process 0, such as 10.0.0.1:6000"
        )
    return HostsRequest(coordinator, *_place(process))


def _place(process: str) -> tuple[int, int]:
    """I and N of `I/N`."""
    if re.fullmatch(r"[0-9]{1,5}/[0-9]{1,5}", process):
        index, count = map(int, process.split("/"))
        if index < count <= _MOST:
            return index, count
    raise SpecError(
        f"--process: got {one_line(process, 40)!r}; write I/N, the number of this process from 0 on and how many there "
        "are, such as 0/2 and 1/2"
    )
