"""Downloads, from a server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nnrun.data import _download
from nnrun.data._download import Download, download
from nnrun.errors import DataError, MachineError

CONTENT = bytes(range(256)) * 1000


class Handler(BaseHTTPRequestHandler):
    """/good/ serves CONTENT, /bad/ something else, /long/ ten times as much, the rest 404."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = {"good": CONTENT, "bad": b"<html>", "long": CONTENT * 10}.get(self.path.split("/")[1])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        try:
            self.wfile.write(body or b"")
        except ConnectionError:  # the client gave up, as one test wants
            self.close_connection = True

    def log_message(self, *args: object) -> None:
        del args


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[str]]]:
    """The address, and the list of paths asked for."""
    asked: list[str] = []
    monkeypatch.setattr(Handler, "asked", asked, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", asked
        http.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "nnrun" / "set"


def wanted(*mirrors: str, kind: str = "sha256") -> Download:
    digest = f"{kind}:{hashlib.new(kind, CONTENT).hexdigest()}"
    return Download("set", "file.gz", mirrors, digest, limit=len(CONTENT) + 100_000)


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_once_into_the_cache(server, cache: Path, kind: str):
    url, asked = server
    for _ in range(2):
        path = download(wanted(f"{url}/good/", kind=kind))
        assert path == cache / "file.gz"
        assert path.read_bytes() == CONTENT
    assert asked == ["/good/file.gz"]
    assert [file.name for file in cache.iterdir()] == ["file.gz"]


def test_a_damaged_file_in_the_cache_is_downloaded_again(server, cache: Path):
    cache.mkdir(parents=True)
    (cache / "file.gz").write_bytes(CONTENT[:-1])
    assert download(wanted(f"{server[0]}/good/")).read_bytes() == CONTENT


def test_the_next_mirror_is_asked(server, cache: Path):
    url, asked = server
    download(wanted("http://127.0.0.1:9/", f"{url}/none/", f"{url}/bad/", f"{url}/long/", f"{url}/good/"))
    assert asked == [f"/{kind}/file.gz" for kind in ("none", "bad", "long", "good")]
    assert [file.name for file in cache.iterdir()] == ["file.gz"]


def test_no_mirror_names_the_reasons_and_the_place_for_the_file(server, cache: Path, monkeypatch):
    url = server[0]
    monkeypatch.delenv("NNRUN_DATA_DIR", raising=False)
    with pytest.raises(DataError) as caught:
        download(wanted("http://127.0.0.1:9/", f"{url}/none/", f"{url}/long/"))
    message = str(caught.value)
    for part in (
        "ConnectionError",
        "HTTP 404",
        "sends more than",
        f"put the file into {cache}",
        "NNRUN_DATA_DIR/set",
    ):
        assert part in message
    assert "\n" not in message
    assert list(cache.iterdir()) == []
    monkeypatch.setenv("NNRUN_DATA_DIR", "mine")
    with pytest.raises(DataError, match=r"where there is neither mine/set/file\.gz nor mine/file\.gz"):
        download(wanted(f"{url}/none/"))


def test_an_interruption_leaves_nothing_behind(server, cache: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(self: object, count: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_download._Progress, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download(wanted(f"{server[0]}/good/"))
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_the_machines_fault(server, cache: Path):
    cache.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(
        MachineError, match=r"set: cannot be written: .*; put file\.gz into \$NNRUN_DATA_DIR/set"
    ):
        download(wanted(f"{server[0]}/good/"))


def test_progress_is_shown_on_a_terminal_only(server, cache: Path, monkeypatch, capsys):
    del cache
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    download(wanted(f"{server[0]}/good/"))
    shown = capsys.readouterr().err
    assert shown.endswith("\rfile.gz: 100%\n")
    assert shown.count("\r") > 2
