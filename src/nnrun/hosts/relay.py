"""The connections between process 0 and the others, which notice at once when one of them is gone.

jax ends a process that loses process 0 by an abort with a page of stack trace, because the connection to its
coordination service broke.  So jax does not hold that connection: it talks to a relay in its own process, which keeps
the near end open when the far end is lost, and says so to us.  Beside the connections that are passed on, each process
has one that carries a beat every few seconds: it ends when a process ends, however that happens, and a process that
is stopped, or a host that hangs, is silent there.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from nnrun.errors import MachineError, one_line

__all__ = ["Hub", "Post"]

_GREETING = "nnrun 2"
_LOOK = 0.1  # seconds between two tries
_SERVICE = 60.0  # seconds in which jax begins its service
_IDLE, _APART, _PROBES = 10, 5, 4  # a host that is gone without a word is noticed after half a minute
_BEAT, _SILENCE = 5.0, 45.0  # seconds: lost is who is silent for long; jax aborts all after 80 to 100


class Hub:
    """Process 0's end: takes the connections of the others and passes them on to jax's service.

    address   (host, port) where the others come to
    lost      is called, in a thread, with the number of a process that is gone
    Raises MachineError where nothing can be taken there.
    """

    def __init__(self, address: tuple[str, int], count: int, lost: Callable[[int], None]) -> None:
        self._count, self._lost = count, lost
        self.service = f"127.0.0.1:{_free_port()}"
        self.present: set[int] = set()
        try:
            self._server = _listening(address)
        except OSError as error:
            reason = one_line(error.strerror or error, 80)
            place = f"{address[0]}:{address[1]}"
            raise MachineError(
                f"--coordinator {one_line(place, 80)}: process 0 cannot listen there ({reason}); write an address of "
                "this host and a free port"
            ) from None
        self._open = [self._server]
        _thread(_accept, self._server, self._open, self._take)

    def wait(self, seconds: float) -> None:
        """Returns when all are here.  Raises MachineError naming who is not."""
        end = time.monotonic() + seconds
        while len(self.present) < self._count - 1:
            if time.monotonic() > end:
                missing = ", ".join(str(i) for i in range(1, self._count) if i not in self.present)
                raise MachineError(
                    f"process {missing} of {self._count} has not come within {seconds:.0f} seconds; start it with the "
                    "same --coordinator"
                )
            time.sleep(_LOOK)

    def wait_for_the_end(self, seconds: float) -> None:
        """Returns when all others have ended, or after this many seconds."""
        end = time.monotonic() + seconds
        while self.present and time.monotonic() < end:
            time.sleep(_LOOK / 4)

    def close(self) -> None:
        """Ends all connections with the others."""
        _close(*self._open)

    def _take(self, connection: socket.socket) -> None:
        """One connection, from its greeting on."""
        with contextlib.suppress(OSError, ValueError, MachineError):
            greeting, kind, index, count = _line(connection).split(",")
            if greeting != _GREETING:
                return connection.close()
            if kind == "pass":
                return self._pass_on(connection)
            return self._hold(connection, int(index), int(count))

    def _pass_on(self, connection: socket.socket) -> None:
        """jax's service may begin a moment after the others come."""
        host, port = self.service.split(":")
        target = _reached((host, int(port)), _SERVICE)
        self._open.append(target)
        _both_ways(connection, target)

    def _hold(self, connection: socket.socket, index: int, count: int) -> None:
        problem = ""
        if count != self._count:
            problem = f"there are {self._count} processes, not {count}"
        elif index in self.present or not 0 < index < count:
            problem = f"process {index} of {count} is here already"
        connection.sendall(f"{problem or 'welcome'}\n".encode())
        if problem:
            return connection.close()
        self.present.add(index)
        _thread(_beat, connection)
        _until_gone(connection)
        self.present.discard(index)
        return self._lost(index)


class Post:
    """The end of another process: its connection to process 0, and what jax connects to in its place.

    lost      is called, in a thread, when process 0 is gone
    Raises MachineError where process 0 cannot be reached within this many seconds, or refuses.
    """

    def __init__(
        self, address: tuple[str, int], index: int, count: int, lost: Callable[[], None], seconds: float
    ) -> None:
        self._address, self._lost = address, lost
        connection = _reached(address, seconds)
        try:
            connection.sendall(f"{_GREETING},stay,{index},{count}\n".encode())
            answer = _line(connection)
        except OSError:
            answer = ""
        if answer != "welcome":
            connection.close()
            place = one_line(f"{address[0]}:{address[1]}", 80)
            raise MachineError(f"--coordinator {place}: {one_line(answer, 100) or 'process 0 was lost'}")
        self._server = socket.create_server(("127.0.0.1", 0))
        self.service = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._open = [self._server, connection]
        _thread(_beat, connection)
        _thread(self._watch, connection)
        _thread(_accept, self._server, self._open, self._take)

    def close(self) -> None:
        """Ends the connection with process 0."""
        _close(*self._open)

    def _watch(self, connection: socket.socket) -> None:
        _until_gone(connection)
        self._lost()

    def _take(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            target = socket.create_connection(self._address)
            self._open.append(target)
            target.sendall(f"{_GREETING},pass,0,0\n".encode())
            _both_ways(connection, target)


def _accept(server: socket.socket, kept: list[socket.socket], take: Callable[[socket.socket], None]) -> None:
    """Takes connections, each in a thread of its own, until the server is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            kept.append(connection)
            _thread(take, connection)


def _close(*sockets: socket.socket) -> None:
    for connection in sockets:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # another thread may wait for what comes
        connection.close()


def _listening(address: tuple[str, int]) -> socket.socket:
    """On loopback alone where that is what was asked for, else on all of this host's addresses."""
    host, port = address
    if host in ("localhost", "127.0.0.1"):
        return socket.create_server(("127.0.0.1", port))
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _reached(address: tuple[str, int], seconds: float) -> socket.socket:
    """A connection to process 0, which may begin later than this process."""
    end = time.monotonic() + seconds
    while True:
        try:
            return socket.create_connection(address, timeout=max(1.0, end - time.monotonic()))
        except OSError as error:
            if time.monotonic() > end:
                place = one_line(f"{address[0]}:{address[1]}", 80)
                reason = one_line(error.strerror or error, 80)
                raise MachineError(
                    f"--coordinator {place}: process 0 was not there within {seconds:.0f} seconds ({reason})"
                ) from None
        time.sleep(_LOOK)


def _beat(connection: socket.socket) -> None:
    """Says to the other end that this process is alive, until the connection is closed."""
    with contextlib.suppress(OSError):
        while True:
            connection.sendall(b".")
            time.sleep(_BEAT)


def _until_gone(connection: socket.socket) -> None:
    """Returns when the other end is gone, or has been silent for too long; probes tell of a host that is gone."""
    connection.settimeout(_SILENCE)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _APART), ("TCP_KEEPCNT", _PROBES)):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    with contextlib.suppress(OSError):
        while connection.recv(64):
            pass


def _both_ways(near: socket.socket, far: socket.socket) -> None:
    """What comes from one goes to the other.  Where one ends, the other stays open and hears nothing more."""
    for connection in (near, far):
        connection.settimeout(None)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _thread(_pump, far, near)
    _pump(near, far)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := source.recv(1 << 16):
            target.sendall(content)


def _line(connection: socket.socket) -> str:
    """What stands before the first line end; nothing is read beyond it."""
    text = b""
    while len(text) < 200 and (byte := connection.recv(1)) not in (b"\n", b""):
        text += byte
    return text.decode(errors="replace")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _thread(work: Callable[..., None], *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()
