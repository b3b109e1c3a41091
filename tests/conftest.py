"""What all tests share: strict arithmetic, float64, one cache of programs, commands, guessed options."""

from __future__ import annotations

import collections
import functools
import gc
import importlib
import importlib.util
import inspect
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jsonschema
import numpy as np
import pytest
from jax._src.interpreters import mlir
from jax._src.lib import version as jaxlib_version

from nnrun import catalog, options
from nnrun.catalog import bound
from nnrun.commands._contract import schema_of
from nnrun.record import provenance
from nnrun.spec.record import record_of
from nnrun.storage import disk

ROOT = Path(__file__).resolve().parents[1]
TORCH = ROOT / "tests" / "torch.json"  # what torch says, by test
MONTH = 30 * 24 * 3600


def program_settings() -> dict[str, str]:
    """Settings of jax for all workers and commands: one cache of compiled programs, and quick compilation.

    A program is found by its code, its options and the versions of the libraries, so an old one is never
    taken for a new one.  The folder can be deleted at any time.
    Most programs of tests run for less time than it takes to compile them well.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "nnrun" / f"tests-{provenance.cpu()['flags'] or 'any'}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    if jaxlib_version < (0, 11):  # a flag that XLA does not know ends the process
        settings["XLA_FLAGS"] = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    return settings


PROGRAM_SETTINGS = program_settings()
PROGRAMS = Path(PROGRAM_SETTINGS["JAX_COMPILATION_CACHE_DIR"])
os.environ |= PROGRAM_SETTINGS  # for commands, for XLA, and for what chooses the device in this process
jax.config.update("jax_compilation_cache_dir", str(PROGRAMS))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
jax.config.update("jax_disable_most_optimizations", True)
jax.config.update("jax_traceback_in_locations_limit", 0)  # where in Python an operation comes from

# jax makes a new MLIR context for each program, which takes longer than most programs of these tests.
if hasattr(mlir, "make_ir_context"):
    mlir.make_ir_context = functools.cache(mlir.make_ir_context)

# No machine loses its power here, and a sweep waits for the disk a thousand times.  A test that is about
# fsync replaces `disk.system`.
disk.System.fsync = staticmethod(os.fstat)

# Mixed dtypes and silent broadcasts between ranks are mistakes; here they raise.
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# What an option that must be written is given, by its name, by its annotation, or by the block it holds.
BY_NAME: dict[str, Any] = {
    "outputs": 4,
    "total": 40,
    "target_scale": 1.0,
    "q": 0.9,
    "second_moments": lambda kernel: np.eye(3 * kernel**2),
}
BY_ANNOTATION = [
    (options.Count, 3),
    (options.Steps, 10),
    (options.Widths, [6, 5]),
    (options.Rate, 0.1),
    (options.Positive, 0.5),
    (options.Fraction, 0.25),
    (options.Probability, 0.75),
]
BY_KIND = {
    "layer": [("flatten", {}), ("dense", {"units": 3}), ("tanh", {})],
    "optimizer": [("momentum", {"learning_rate": 0.01})],
}

seconds: collections.Counter[str] = collections.Counter()  # of each file, over all workers
session_began = time.monotonic()


def stolen_seconds() -> float:
    """What the host of a virtual machine gave to others while something here wanted to compute, of all cores."""
    stat = Path("/proc/stat")
    fields = stat.read_text().split("\n", 1)[0].split() if stat.is_file() else []
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0


stolen_before = stolen_seconds()


def seconds_here() -> float:
    """How long the session took, without what was stolen from it: the gate's limit is that of an idle machine."""
    return time.monotonic() - session_began - (stolen_seconds() - stolen_before) / (os.cpu_count() or 1)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--within",
        type=float,
        metavar="SECONDS",
        help="fail if the session takes longer; the gate's limit",
    )
    parser.addoption(
        "--record-torch",
        action="store_true",
        help="write what torch says to tests/torch.json; with -n0 and torch installed",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Programs of the month before last are deleted, by the process that starts the workers."""
    if not hasattr(config, "workerinput"):
        for file in PROGRAMS.iterdir():
            if time.time() - file.stat().st_mtime > MONTH:
                file.unlink(missing_ok=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test begins first, so that no worker waits for it in the end; see `quick` in pyproject.toml."""
    items.sort(key=lambda item: item.name != "test_every_command_of_the_readme_runs")
    cases: collections.Counter[str] = collections.Counter()
    for item in items:
        marker = item.get_closest_marker("quick")
        if marker is None or not isinstance(item, pytest.Function):
            continue
        name = item.nodeid.partition("[")[0]
        first = isinstance(marker.args[0], int) and cases[name] < marker.args[0]
        if first or item.callspec.id in marker.args:
            cases[name] += item.get_closest_marker("slow") is None
        else:
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays; jax's traces are many objects and few cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    seconds[report.nodeid.partition("::")[0]] += report.duration


def limit_of(config: pytest.Config) -> float | None:
    """The seconds that the session may take; three times as many where most programs had to be compiled first."""
    limit = config.getoption("--within")
    ages = [time.time() - file.stat().st_mtime for file in PROGRAMS.iterdir()]
    new = sum(age < time.monotonic() - session_began for age in ages)
    return limit and limit * (3 if new > len(ages) / 2 else 1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that took longer than it may is a failed one, if all tests passed."""
    limit, took = limit_of(session.config), seconds_here()
    starts_workers = not hasattr(session.config, "workerinput")
    if limit and took > limit and starts_workers and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The slowest files, and the time of all, which `--within` limits."""
    terminalreporter.section("slowest files")
    for name, duration in seconds.most_common(10):
        terminalreporter.line(f"{duration:7.1f} s  {name}")
    limit, took = limit_of(config), seconds_here()
    stolen = time.monotonic() - session_began - took
    without = f", without {stolen:.0f} s that the machine's host gave to others" if stolen >= 1 else ""
    terminalreporter.line(
        f"{sum(seconds.values()):7.1f} s  all files; the session took {took:.0f} s{without}"
    )
    if limit and took > limit:
        terminalreporter.line(f"ERROR: the session may take {limit:.0f} s (--within)", red=True)


@pytest.fixture
def float64() -> Iterator[None]:
    """Double precision for the length of a test."""
    with jax.enable_x64(True):
        yield


@contextmanager
def compiled_with_optimizations() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", False)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(scope="session")
def optimized() -> Callable[[], AbstractContextManager[None]]:
    """Compilation as in a run of nnrun, as a context, where the bits of optimized programs are what is tested.

    Elsewhere, and in commands, programs are compiled quickly.
    """
    return compiled_with_optimizations


class Finished(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a command: the compile cache of all tests, no settings from outside."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("JAX_", "XLA_")) or key in PROGRAM_SETTINGS
    }
    # Strict, but for a program in the cache that another process writes at this moment.
    entry = "persistent compilation cache entry"
    warnings = f"error,ignore:Error reading {entry},ignore:Error writing {entry}"
    return {**kept, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache")), "PYTHONWARNINGS": warnings}


@pytest.fixture
def nnrun(tmp_path: Path, environment: dict[str, str]) -> Callable[..., Finished]:
    """nnrun(*arguments): runs the command in an empty folder of its own."""

    def run(*arguments: object, folder: Path = tmp_path, seconds: float = 120, **settings: str) -> Finished:
        done = subprocess.run(
            [sys.executable, "-m", "nnrun", *map(str, arguments)],
            cwd=folder,
            env={**environment, **settings},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    return run


class Begun:
    """A command that runs beside the test, in a session of its own."""

    def __init__(
        self, ask: Callable[..., Any], arguments: list[str], folder: Path, settings: dict, streams: list
    ):
        self._ask, self._err, self.returncode = ask, streams[2], None
        self.pid: int = ask("begin", arguments, str(folder), settings, [str(stream) for stream in streams])

    @property
    def err(self) -> str:
        """What it has written to stderr so far."""
        return Path(self._err).read_text()

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._end(wait=False)

    def wait(self) -> int:
        """The exit code, once there is one."""
        code = self._end(wait=True)
        assert code is not None
        return code

    def _end(self, wait: bool) -> int | None:
        if self.returncode is None:
            self.returncode = self._ask("ended", self.pid, wait)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


@pytest.fixture(scope="session")
def imported(environment: dict[str, str]) -> Iterator[Callable[..., Any]]:
    """imported(name, *arguments): a function of run/warm.py, called in the process that has imported nnrun."""
    command = [sys.executable, str(ROOT / "tests" / "run" / "warm.py")]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout
        stdin, stdout = process.stdin, process.stdout

        def ask(*call: object) -> Any:
            stdin.write(json.dumps(call) + "\n")
            stdin.flush()
            return json.loads(stdout.readline())

        yield ask


@pytest.fixture
def begun(
    imported: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Begun]]:
    """begun(*arguments, folder=..., NAME="value"): a command that is not waited for; killed when the test ends.

    terminal   the path of one for all its streams; else stderr is kept
    """
    commands: list[Begun] = []

    def start(*arguments: object, folder: Path, terminal: str = "", **settings: str) -> Begun:
        place = tmp_path_factory.mktemp("begun")
        streams = [terminal] * 3 if terminal else [os.devnull, place / "out", place / "err"]
        commands.append(Begun(imported, list(map(str, arguments)), folder, settings, streams))
        return commands[-1]

    yield start
    for command in commands:
        command.send_signal(signal.SIGKILL)
        command.wait()


@pytest.fixture(scope="session")
def warm(imported: Callable[..., Any]) -> Callable[..., Finished]:
    """warm(*arguments, folder=..., stdin=FILE, NAME="value"): like `nnrun`, without the seconds of imports."""

    def run(*arguments: object, folder: Path, stdin: str | Path = os.devnull, **settings: str) -> Finished:
        with tempfile.TemporaryDirectory() as place:
            files = [str(stdin), f"{place}/out", f"{place}/err"]
            code = Begun(imported, list(map(str, arguments)), folder, settings, files).wait()
            return Finished(code, *(Path(file).read_text() for file in files[1:]))

    return run


def strict(schema: Any) -> Any:
    """The same, but a name that it does not have is a mistake."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: strict(value) for key, value in schema.items()}
    return {**inner, "additionalProperties": False} if "properties" in inner else inner


@pytest.fixture(scope="session")
def mnist_folder() -> Path:
    """The folder with the real MNIST files; the test is skipped where there is none."""
    tops = [Path(top) for top in (os.environ.get("NNRUN_DATA_DIR"), ROOT / "../shared/data") if top]
    for folder in (place for top in tops for place in (top / "mnist", top)):
        if (folder / "train-images-idx3-ubyte.gz").exists():
            return folder.resolve()
    pytest.skip("the MNIST files are not here; set NNRUN_DATA_DIR to the folder that holds mnist/")


@pytest.fixture(scope="session")
def keeps_contract() -> Callable[[str, Any], None]:
    """keeps_contract(name, content): asserts that JSON is what `nnrun schema --of NAME` says, and no more."""

    def check(name: str, content: Any) -> None:
        jsonschema.Draft202012Validator(strict(schema_of(name))).validate(content)

    return check


@pytest.fixture
def torch_says(request: pytest.FixtureRequest) -> Callable[..., None]:
    """torch_says(theirs, found, tolerance): `found`, a tree of arrays, is what `theirs(torch)` returns.

    Where torch is not installed, sums over each array are those that `pytest --record-torch` wrote down.
    """
    calls = itertools.count(1)

    def check(theirs: Callable[[Any], Any], found: Any, tolerance: float = 1e-10) -> None:
        name, table = f"{request.node.name} {next(calls)}", json.loads(TORCH.read_text())
        if importlib.util.find_spec("torch"):
            wanted = theirs(importlib.import_module("torch"))
            if request.config.getoption("--record-torch"):
                table[name] = sums(wanted)
                TORCH.write_text(json.dumps(table, indent=0, sort_keys=True) + "\n")
            jax.tree.map(lambda a, b: nearly_equal(a, b, np.abs(b).max(initial=1), tolerance), found, wanted)
        size = max(np.abs(a).sum(initial=1, dtype=float) for a in map(np.asarray, jax.tree.leaves(found)))
        nearly_equal(sums(found), table[name], size, tolerance)

    return check


def nearly_equal(found: Any, wanted: Any, size: float, tolerance: float) -> None:
    np.testing.assert_equal(np.shape(found), np.shape(wanted))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerance * size)


def sums(tree: Any) -> list[float]:
    """Three for each array, with weights that depend on the place of a number."""
    rows = (np.asarray(leaf, float).reshape(-1) for leaf in jax.tree.leaves(tree))
    return [float(np.cos(k * np.arange(len(row))) @ row) for row in rows for k in range(3)]


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """make(kind, name, **options): what a catalogue function returns, required options guessed."""

    def build(kind: str, name: str, **given: Any) -> Any:
        function = catalog.find(kind, name)
        hints = bound.hints(function)
        options = {option: recorded(hints.get(option), value) for option, value in given.items()}
        return function(**{**guess(kind, name), **options})

    return build


def recorded(hint: Any, value: Any) -> Any:
    """The value of an option as its function gets it: a record may be written as a block or as its first field."""
    record = record_of(hint)
    if record is None or isinstance(value, record):
        return value
    return record(**value) if isinstance(value, dict) else record(value)


def guess(kind: str, name: str) -> dict[str, Any]:
    """A value for each option without a default.  Fails the test, naming the remedy, where none is known."""
    function = catalog.find(kind, name)
    given, hints = {}, bound.hints(function)
    for option in inspect.signature(function).parameters.values():
        if option.default is option.empty:
            given[option.name] = _value(f"{kind} {name}", option.name, hints.get(option.name))
    return given


def _value(where: str, option: str, hint: Any) -> Any:
    if option in BY_NAME:
        return BY_NAME[option]
    for known, value in BY_ANNOTATION:
        if hint == known:
            return value
    inner = bound.entry_kind(hint)
    if inner in BY_KIND:
        made = [catalog.find(inner, name)(**given) for name, given in BY_KIND[inner]]
        return made if bound.holds_list(hint) else made[len(made) // 2]  # of layers, the one that has weights
    raise pytest.fail.Exception(
        f"{where} needs the option {option!r}: {hint}; add a value to BY_NAME or BY_ANNOTATION in {__file__}"
    )
