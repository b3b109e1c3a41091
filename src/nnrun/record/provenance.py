"""What a run was made with, for run.json, and what of it has changed when the run is resumed.

Only what can change the bits of a result is compared: not the time, the host's name or the command line.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import TypedDict

from nnrun import machine
from nnrun.errors import one_line
from nnrun.record import run
from nnrun.record.names import PROVENANCE
from nnrun.record.weights_from import WeightsFrom

__all__ = ["Commit", "JudgedBy", "Provenance", "SpecOrigin", "collect", "cpu", "differences", "read"]

_PACKAGES = ("nnrun", "jax", "jaxlib", "numpy", "optax")
_VARIABLES = ("XLA_FLAGS", "JAX_", "NNRUN_")
_CACHES = ("JAX_COMPILATION_CACHE", "JAX_PERSISTENT_CACHE")  # where programs are kept changes none of them
_IGNORED = ("argv", "git", "hostname", "started", "weights_from", "metrics")
_ABSENT = "absent"
_DIGESTS = {"data_digest": "the data have", "spec_hash": "resolved.yaml has"}


class Commit(TypedDict):
    """The state of a git repository."""

    commit: str
    dirty: bool


class JudgedBy(TypedDict):
    """What is known of the metrics of a run before it ends; its summary says the same."""

    judge: str | None  # the validation metric that picks the best step
    rising: list[str]  # metrics of which more is better
    bounds: dict[str, list[float | None]]  # the least and the most that metrics can be; null: there is none


class SpecOrigin(TypedDict, total=False):
    """What a run's spec says of where it came from."""

    data_digest: str
    spec_hash: str
    spec_folder: str
    code: dict[str, str]  # file of the user -> SHA-256
    devices: int  # that share each batch; absent where it is one
    processes: int  # that train the run; absent where it is one
    convolutions: str  # what computes them on a CPU; absent where there are none
    metrics: JudgedBy


class Provenance(SpecOrigin, total=False):
    """The content of run.json; what another version of nnrun wrote may lack some of it."""

    versions: dict[str, str | None]
    platform: str
    cpu: dict[str, str | int | None]
    device: dict[str, str]
    environment: dict[str, str]
    git: Commit | None
    argv: list[str]
    hostname: str
    started: str
    weights_from: WeightsFrom


def read(folder: Path) -> Provenance:
    """The run.json of a run folder.  Raises RunError if it is missing or damaged."""
    return run.read_json(folder / PROVENANCE)


def collect(device: Mapping[str, str], extra: SpecOrigin) -> Provenance:
    """The content of run.json; it never fails: what cannot be found out is None.

    device  how the accelerator describes itself, as JSON
    extra   further entries: the digest of the data, the hash of the spec; each is compared
    """
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpu": cpu(),
        "device": dict(device),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_VARIABLES) and not name.startswith(_CACHES)
        },
        "git": _git(),
        "argv": list(sys.argv),
        "hostname": platform.node(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        **extra,
    }


def differences(old: Provenance, new: Provenance) -> list[str]:
    """One short line for each difference that may change the bits of a result, sorted by what differs."""
    before, after = dict(_flat(old)), dict(_flat(new))
    return [
        _change(name, before, after)
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name) and _matters(name)
    ]


def _change(name: str, before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """What differs: contents that are known by their digest have changed, other values were and are."""
    if name.startswith("code."):
        return f"{one_line(name.removeprefix('code.'), 120)} has changed"
    if name in _DIGESTS:
        return f"{_DIGESTS[name]} changed"
    return f"{one_line(name, 60)}: was {_shown(before, name)}, is {_shown(after, name)}"


def _matters(name: str) -> bool:
    if name.split(".")[0] in _IGNORED:
        return False
    # Where files lie changes nothing; what they hold is compared by digest.
    return not name.startswith("environment.NNRUN_") and not name.endswith("_DIR")


def _flat(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value is not None:  # unknown is like absent
            yield f"{prefix}{name}", value


def _shown(values: Mapping[str, object], name: str) -> str:
    return one_line(values.get(name, _ABSENT), 60)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu() -> dict[str, str | int | None]:
    """The processor's name, a hash of its feature flags and its cores: results depend on all three."""
    model, flags = platform.processor() or None, None
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                model = value.strip()
            elif name.strip() in ("flags", "Features"):
                sorted_flags = " ".join(sorted(value.split()))
                flags = hashlib.sha256(sorted_flags.encode()).hexdigest()[:16]
            if not name.strip():
                break  # the first processor speaks for all
    return {"model": model, "flags": flags, "cores": len(machine.cores())}


def _git() -> Commit | None:
    """Commit and whether tracked files differ from it, of the repository around the current directory."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=2,
            check=True,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return None
    commit, _, dirty = answer.strip().partition("-")
    return {"commit": commit, "dirty": bool(dirty)}
