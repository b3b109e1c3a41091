"""Mistakes on the command line: an exit code of their own, one line that says what to do, nothing on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SPEC = """
data: {name: iris}
model: {name: linear}
optimizer: {name: sgd, learning_rate: 0.1}
train: {duration: 3 steps}
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, and with runs as far as their names matter."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "spec.yaml").write_text(SPEC)
    over = "{over: {optimizer.learning_rate: [0.1, 0.2]}, trials: 2}"
    (folder / "a sweep.yaml").write_text(f"base: spec.yaml\nsweep: {over}\n")
    (folder / "swept").mkdir()
    (folder / "swept" / "sweep.json").write_text("{}")
    for name in ("solo", "stopped", "pair", "pair/seed_0"):
        (folder / "runs" / name).mkdir(parents=True)
        (folder / "runs" / name / "state.json").write_text('{"status": "interrupted", "step": 3}')
        (folder / "runs" / name / "resolved.yaml").write_text(SPEC)
        (folder / "runs" / name / "run.json").write_text("{}")
    return folder


@pytest.fixture
def command(warm: Callable[..., Any], place: Path) -> Callable[..., Any]:
    """command(*arguments): runs nnrun in `place`."""
    return lambda *arguments: warm(*arguments, folder=place)


def state_of_disk(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in folder.rglob("*")}


MISTAKES: dict[str, tuple[list[str], int, list[str]]] = {
    "unknown command": (["trian"], 2, ["'trian'", "'train'"]),
    "no command like it": (["xyzzy"], 2, ["'xyzzy'", "`nnrun --help`"]),
    "unknown option": (["train", "spec.yaml", "--quite"], 2, ["train: ", "--quite", "--quiet"]),
    "missing argument": (["train"], 2, ["train: ", "SPEC", "`nnrun train --help`"]),
    "option without value": (["train", "spec.yaml", "--run-dir"], 2, ["--run-dir"]),
    "unknown kind": (["list", "optimzer"], 2, ["'optimzer'", "optimizer"]),
    "a layer for a kind": (
        ["list", "dropout"],
        2,
        ["no kind 'dropout'; it is a layer: nnrun list layer dropout"],
    ),
    "an optimizer for a kind": (["list", "Adam"], 2, ["it is an optimizer: nnrun list optimizer adam"]),
    "a name of two kinds": (
        ["list", "linear"],
        2,
        ["it is a model and a schedule: nnrun list model linear or nnrun list schedule linear"],
    ),
    "a name of another kind": (["list", "layer", "digits"], 2, ["it is a data set: nnrun list data digits"]),
    "a schedule to plot": (
        ["list", "cosine", "--plot"],
        2,
        ["it is a schedule: nnrun list schedule cosine --plot"],
    ),
    "a misspelt entry": (
        ["list", "adamm"],
        2,
        ["did you mean the optimizer adam? nnrun list optimizer adam"],
    ),
    "kinds": (["list", "layers"], 2, ["there is no kind 'layers'; did you mean layer?"]),
    "a minus sign": (
        ["train", "spec.yaml", "optimizer.learning_rate=1e\u22123"],
        2,
        ["(U+2212); write -; write a"],
    ),
    "an en dash": (
        ["train", "spec.yaml", "\u2013run-dir=x"],
        2,
        ["it contains an en dash (U+2013); write -; "],
    ),
    "wide digits": (["train", "spec.yaml", "train.seed=\uff11"], 2, ["the digit \uff11 (U+FF11); write 1"]),
    "curly quotes": (
        ["train", "spec.yaml", "model=\u201clinear\u201d"],
        2,
        ["a curly quote (U+201C)", "did you mean"],
    ),
    "an unseen space": (
        ["train", "spec.yaml", "model=linear\u200b"],
        2,
        ["(U+200B); remove it; did you mean linear?"],
    ),
    "a duration": (["train", "spec.yaml", "train.duration=3\u200bepochs"], 2, ["(U+200B); remove it"]),
    "a layer for a model": (
        ["train", "spec.yaml", "model=dropout"],
        2,
        ['there is no model "dropout", it is a layer; write one of'],
    ),
    "a sweep file to train": (
        ["train", "a sweep.yaml"],
        2,
        ["a sweep.yaml:2:1: sweep: this is a sweep file; `nnrun sweep 'a sweep.yaml'` carries it out"],
    ),
    "a spec to sweep": (
        ["sweep", "spec.yaml"],
        2,
        [
            "the spec of a run, not a sweep file; `nnrun train spec.yaml` trains it; to sweep it write base: SPEC"
        ],
    ),
    "a spec for a run": (
        ["show", "spec.yaml"],
        4,
        ["a spec, not a run; `nnrun train spec.yaml` makes a run"],
    ),
    "a sweep in the folder": (
        ["sweep", "a sweep.yaml", "--run-dir", "swept"],
        4,
        [
            "swept: already exists; it holds a sweep: `nnrun sweep --resume swept` continues it; or choose another"
        ],
    ),
    "unknown device": (["train", "spec.yaml", "--device", "abacus"], 2, ["--device", "'abacus'", "cpu"]),
    "a number of devices": (
        ["train", "spec.yaml", "--device", "4"],
        2,
        ["--device: got '4'; write auto, cpu, gpu or tpu; how many share a batch is train.devices=4"],
    ),
    "no such device": (
        ["train", "spec.yaml", "--device", "tpu"],
        6,
        ["--device tpu: ", "--device auto or cpu"],
    ),
    "unknown run": (["show", "sollo"], 4, ["sollo: no such run", "solo"]),
    "ambiguous run": (["show", "s"], 4, ["s: 2 runs begin so (solo, stopped)"]),
    "a folder that is no run": (["resume", "runs"], 4, ["runs: not a run folder"]),
    "unknown split": (["evaluate", "solo", "--split", "tset"], 2, ["'tset'", "test"]),
    "run folder in use": (
        ["train", "spec.yaml", "--run-dir", "runs/solo"],
        4,
        ["runs/solo: already exists; it holds a run: `nnrun resume runs/solo` continues"],
    ),
    "run folder is a file": (
        ["train", "spec.yaml", "--run-dir", "spec.yaml"],
        4,
        ["spec.yaml: already exists"],
    ),
    "root below a file": (["train", "spec.yaml", "--runs-root", "spec.yaml/runs"], 6, ["spec.yaml/runs: "]),
    "a member alone": (["resume", "pair/seed_0"], 4, ["train together; write nnrun resume runs/pair"]),
    "no checkpoint yet": (
        ["evaluate", "solo"],
        4,
        ["runs/solo: has no checkpoint yet; `nnrun resume runs/solo`"],
    ),
    "no such root": (["ls", "absent"], 4, ["absent: no such folder"]),
    "init elsewhere": (["init", "absent/spec.yaml"], 2, ["absent: no such folder"]),
    "control characters": (["show", "\x1b[31mred"], 4, ["\\x1b[31mred: no such run"]),
}
# Overrides of the spec above, divided by " ; ", and parts of the line that is told.
OPTIMIZING: dict[str, tuple[str, list[str]]] = {
    "a rate below zero": (
        "optimizer.learning_rate=-0.1", ["optimizer.learning_rate: got -0.1; write a value ≥ 0"],
    ),
    "b2 of one": ("optimizer={name: adam, b2: 1}", ["optimizer.b2: got 1; write a value in [0, 1)"]),
    "a schedule longer than the run": (
        "schedule={name: step_decay, every: 5 steps}",
        ["schedule.every: 5 steps is 5 steps, and the run has 3; write a shorter one"],
    ),
    "a decay that does not fit behind the warm-up": (
        "schedule={name: warmup_stable_decay, decay: 2 steps, warmup: 2 steps}",
        ["schedule.decay: 2 steps is 2 steps, and the run has 1 after the warm-up"],
    ),
    "a schedule of 0 steps": (
        "schedule={name: exponential, every: 0}", ["schedule: every: got 0; write at least 1 step"],
    ),
    "an average that begins after the end": (
        "average=[ema, {name: polyak, start: 9 steps}]", ["average.1.start: 9 steps is 9 steps"],
    ),
    "a plateau without validation": (
        "schedule=reduce_on_plateau ; data.validation=0",
        ["schedule: reduce_on_plateau needs a validation part; write data.validation: 0.1"],
    ),
    "a plateau of no metric": (
        "schedule={name: reduce_on_plateau, metric: val/los}",
        ["schedule.metric: there is no metric 'val/los'; did you mean val/loss?"],
    ),
    "L-BFGS with mini-batches": (
        "optimizer=lbfgs ; data.batch_size=16",
        ["optimizer.name: lbfgs ", "batches of 16 of 1", "data.batch_size: full", "allow_noise: true"],
    ),
    "L-BFGS with mini-batches and dropout": (
        "optimizer=lbfgs ; data.batch_size=16 ; model={name: mlp, hidden: [4], dropout: 0.2}",
        ["batches of 16 of 1", "and the noise of mlp", "write data.batch_size: full and switch the noise off, or"],
    ),
    "L-BFGS with dropout": (
        "optimizer=lbfgs ; data.batch_size=full ; model={name: mlp, hidden: [4], dropout: 0.2}",
        ["optimizer.name: lbfgs ", "the noise of mlp", "switch the noise off", "allow_noise: true"],
    ),
    "a Hessian that is too large": (
        "optimizer=newton ; data.batch_size=full ; model={name: mlp, hidden: [4000]}",
        ["optimizer: ", "GiB", "newton_cg"],
    ),
    "a schedule for what has no rate": (
        "optimizer=lbfgs ; data.batch_size=full ; schedule=cosine",
        ["schedule.name: lbfgs has no learning rate that a schedule could change; leave it out"],
    ),
    "clipping a step that is not ours": (
        "optimizer={name: lbfgs, clip_norm: 1} ; data.batch_size=full",
        ["optimizer.clip_norm: lbfgs makes its own steps, which clip_norm cannot change; leave it out"],
    ),
    "clipping around SAM": (
        "optimizer={name: sam, inner: sgd, clip_norm: 1}",
        ["optimizer.clip_norm: sam makes its own steps", "write it inside inner"],
    ),
    "lookahead around L-BFGS": (
        "optimizer={name: lookahead, inner: lbfgs}", ["optimizer.inner.name: lbfgs makes its own steps"],
    ),
    "a wrong option inside": (
        "optimizer={name: sam, inner: {name: momentum, momentun: 0.5}}",
        ["optimizer.inner.momentun: unknown key; did you mean momentum?"],
    ),
    "a pattern that fits nothing": (
        "optimizer.rates={kernle: 0.1}", ["optimizer.rates: no parameter fits 'kernle'", "kernel"],
    ),
    "a pattern of muon that fits nothing": (
        "optimizer={name: muon, adam_only: [zzz]}", ["optimizer.adam_only: no parameter fits 'zzz'"],
    ),
    "patterns without decay": (
        "optimizer.decay_only=['*/kernel']", ["optimizer.decay_only: nothing decays; add weight_decay"],
    ),
    "more parts than examples": (
        "train.accumulate=65", ["train.accumulate: got 65, but a batch has 64 examples; write at most 64"],
    ),
    "no optimizer of optax": (
        "optimizer={name: optax:adamm, learning_rate: 1}", ["optimizer.name: optax has no function adamm", "adam"],
    ),
    "a part of an optimizer": (
        "optimizer={name: optax:scale_by_adam}", ["optax.scale_by_adam has no learning_rate"],
    ),
    "an option that optax does not have": (
        "optimizer={name: optax:adam, learning_rate: 0.1, b3: 0.5}", ["optimizer.b3: unknown key"],
    ),
}  # fmt: skip
MISTAKES |= {
    name: (["train", "spec.yaml", *overrides.split(" ; ")], 2, expected)
    for name, (overrides, expected) in OPTIMIZING.items()
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_in_one_line(case: str, command: Callable[..., Any], place: Path) -> None:
    arguments, code, expected = MISTAKES[case]
    before = state_of_disk(place)
    done = command(*arguments)
    assert done.code == code
    assert done.err.count("\n") == 1
    assert done.err.startswith("nnrun: ")
    assert done.err.rstrip("\n").isprintable()
    for part in expected:
        assert part in done.err
    assert state_of_disk(place) == before


def test_no_gpu_is_one_line(command: Callable[..., Any]) -> None:
    if Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    done = command("train", "spec.yaml", "--device", "gpu", "--run-dir", "gpu")
    assert (done.code, done.err.count("\n")) == (6, 1)
    assert done.err.startswith("nnrun: --device gpu: ")


def test_a_run_without_its_spec_is_a_bad_run(command: Callable[..., Any], place: Path) -> None:
    broken = place / "broken" / "run"
    broken.mkdir(parents=True)
    (broken / "state.json").write_text('{"status": "interrupted", "step": 3}')
    done = command("resume", "broken/run")
    assert (done.code, done.err.count("\n")) == (4, 1)
    assert "broken/run/resolved.yaml: missing" in done.err
    (broken / "state.json").write_text("{")
    listed = json.loads(command("ls", "broken", "--json").out)
    assert [row["status"] for row in listed] == ["damaged"]
