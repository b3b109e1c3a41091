"""What needs no arrays imports none of the libraries that are slow to import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SLOW = {"jax", "jaxlib", "optax", "sklearn", "scipy", "matplotlib", "numpy", "pooch", "safetensors"}
SPECS = {
    "not_yaml.yaml": "data: {name: digits\nmodel: [\n",
    "unknown_key.yaml": "data: {name: digits}\nmodel: {name: linear}\noptimiser: {name: sgd}\n",
    "unknown_name.yaml": "data: digits\nmodel: mpl\noptimizer: sgd\ntrain: {duration: 1 epoch}\n",
}
COMMANDS = [
    ["--help"],
    ["--version"],
    ["train", "--help"],
    ["list"],
    ["list", "optimizer", "--json"],
    ["ls"],
    ["init"],
    ["show", "absent"],
    ["trian"],
    ["train", "absent.yaml"],
    *(["train", name] for name in SPECS),
    ["train", "unknown_key.yaml", "train.seed=x", "--device", "abacus"],
]


def imported(report: str) -> set[str]:
    """The top-level packages in what `python -X importtime` writes."""
    names = (
        line.rpartition("|")[2].strip() for line in report.splitlines() if line.startswith("import time:")
    )
    return {name.partition(".")[0] for name in names}


@pytest.mark.quick("--help", "train --help", "ls", "list optimizer --json")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_nothing_slow_is_imported(command: list[str], tmp_path: Path, environment: dict[str, str]) -> None:
    for name, text in SPECS.items():
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnrun", *command],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = imported(done.stderr)
    assert {"nnrun", "typer"} <= found, "the report is not what this test takes it for"
    reads_runs = command[0] == "show"  # which looks at checkpoints and metrics
    assert found & (SLOW - {"numpy", "safetensors"} if reads_runs else SLOW) == set()
    assert done.returncode in (0, 2, 4)
    assert "Traceback" not in done.stderr


def test_a_long_list_of_runs_needs_no_arrays(tmp_path: Path, environment: dict[str, str]) -> None:
    """Nor does it read specs: 101 runs, of which one differs in its status."""
    for i in range(101):
        place = tmp_path / "runs" / f"run-{i:03}"
        place.mkdir(parents=True)
        (place / "state.json").write_text('{"status": "interrupted"}' if i else '{"status": "failed"}')
        (place / "metrics.jsonl").write_text('{"step": 7, "val/loss": 0.25}\n')
    command = [sys.executable, "-X", "importtime", "-m", "nnrun", "ls"]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    assert imported(done.stderr) & SLOW == set()
    head, first, *rest = done.stdout.splitlines()
    assert head.split() == ["run", "status", "step", "val/loss", "changed"]
    assert first.split()[:4] == ["runs/run-000", "failed", "7", "0.25"]
    assert len(rest) == 100 and all(line.split()[1] == "interrupted" for line in rest)


def test_one_entry_is_shown_in_full(warm, tmp_path) -> None:
    """Its options with their types and defaults, and the equations, from the source text."""
    done = warm("list", "optimizer", "adam", folder=tmp_path)
    assert done.code == 0
    assert "  b1: number in [0, 1) = 0.9\n" in done.out
    assert "Kingma & Ba 2015" in done.out
    assert "did you mean adam?" in warm("list", "optimizer", "adm", folder=tmp_path).err


@pytest.mark.slow
def test_programs_are_kept_for_the_user_alone(warm, tmp_path) -> None:
    """In the user's cache folder, and where one of them is damaged, it is compiled anew without a word."""
    (tmp_path / "spec.yaml").write_text(
        "data: iris\nmodel: {name: mlp, hidden: [8, 8]}\noptimizer: adam\ntrain: {duration: 3 steps}\n"
    )
    settings = {"JAX_COMPILATION_CACHE_DIR": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for name in ("first", "second"):
        done = warm("train", "spec.yaml", "-q", "--run-dir", name, folder=tmp_path, **settings)
        assert (done.code, done.err) == (0, "")
        [place] = (tmp_path / "cache" / "nnrun").glob("programs-*")
        assert place.stat().st_mode & 0o077 == 0
        programs = list(place.iterdir())
        assert programs
        for program in programs:
            program.write_bytes(b"damaged")


def test_a_run_imports_only_what_it_computes_with(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "spec.yaml").write_text(
        "data: digits\nmodel: {name: mlp, hidden: [4], dropout: 0.1}\n"
        "optimizer: {name: adam, learning_rate: 1e-3}\ntrain: {duration: 2 steps}\n"
    )
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nnrun", "train", "spec.yaml"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert imported(done.stderr) & SLOW == {"jax", "jaxlib", "optax", "numpy", "safetensors"}
