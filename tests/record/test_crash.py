"""What a crash of the machine may leave.

Every change that a scenario makes to the disk is recorded, each prefix of them is replayed under several
models of what reaches the disk, and each outcome is looked at.  Then each fsync and each rename is taken away
in turn: the same look must find the hole.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from nnrun.errors import RunError
from nnrun.record import checkpoint, metrics, run
from nnrun.storage import disk, fsio
from nnrun.storage.append_file import AppendFile

DESCRIPTION = ("spec.yaml", "run.json")
MODELS = ("all", "torn", "metadata", "zeros", "synced", "mixed 1", "mixed 2", "mixed 3")


def arrays_at(step):
    rng = np.random.default_rng(step)
    return {"params/kernel": rng.standard_normal((5, 4)).astype(np.float32), "key": np.uint32([7, 8])}


def lines_at(step):
    return b"".join(metrics.line({"step": s, "train/loss": 1 / s}) for s in range(1, step + 1))


def save(folder, step, recorder):
    checkpoint.save(folder / "checkpoints", step, arrays_at(step), {"best": step / 7}, len(lines_at(step)))
    recorder.promise("step", step)


def state(folder, recorder, status, **fields):
    recorder.promise("next state", {"status": status, **fields})
    run.write_state(folder, status, **fields)
    recorder.promise("state", {"status": status, **fields})


def go_on(folder, log, steps, recorder):
    for step in steps:
        log.write(metrics.line({"step": step, "train/loss": 1 / step}))
        log.sync()
        save(folder, step, recorder)
        checkpoint.prune(folder / "checkpoints", keep=2, protect={2})


def scenario(root, recorder, killed):
    """A run that is killed and resumed, with everything that writes."""
    folder = run.claim_at(root / "runs" / "a")
    with fsio.one_commit(folder):
        for name in DESCRIPTION:
            fsio.write_file(folder / name, name.encode())
    recorder.promise("described", True)
    state(folder, recorder, "created")
    fsio.make_folder(folder / "checkpoints")
    state(folder, recorder, "running", since=1)
    log = AppendFile(folder / "metrics.jsonl", keep=0)
    go_on(folder, log, range(1, 5), recorder)

    recorder.kill = lambda op: (
        op.name == "fsync" and any("write_folder" in s for s in op.site[1:]) and sealed()
    )
    sealed = (folder / "checkpoints" / "step_00000005").exists
    with pytest.raises(killed):  # after the rename of step 5, before it is durable
        go_on(folder, log, [5], recorder)
    log.write(b'{"step": 6, "tr')
    log.close()

    found = checkpoint.load_latest(folder / "checkpoints", pytest.fail)
    assert found is not None and found.step == 5
    log = AppendFile(folder / "metrics.jsonl", keep=found.metrics_offset)
    save(folder, 5, recorder)
    go_on(folder, log, [6], recorder)
    log.close()

    recorder.promise("step", 5)  # the content of step 6 changes: for a moment it is not there
    checkpoint.save(folder / "checkpoints", 6, arrays_at(6), {"best": 0}, len(lines_at(6)))
    recorder.promise("step", 6)
    fsio.make_folder(folder / "new")
    fsio.rename_folder(folder / "new", folder / "plots")
    recorder.promise("plots", True)
    state(folder, recorder, "done", steps=6)


@pytest.fixture(scope="module")
def recorded(crash, tmp_path_factory):
    root, recorder = tmp_path_factory.mktemp("recorded"), crash.recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(disk, "system", recorder)
        scenario(root, recorder, crash.killed)
    return root, recorder.ops


class Judge:
    """Looks at what is left after a crash; what has been seen once is not looked at again."""

    def __init__(self, place):
        self.place, self.seen = place, {}

    def look(self, files):
        key = frozenset(files.items())
        if key not in self.seen:
            shutil.rmtree(self.place, ignore_errors=True)
            for path, content in files.items():
                if content is None:
                    (self.place / path).mkdir(parents=True)
                else:
                    (self.place / path).write_bytes(content)
            self.seen[key] = self.outcome(self.place / "runs" / "a")
        return self.seen[key]

    def outcome(self, folder):
        """(newest step, state, plots, described), or what is wrong."""
        newest = 0
        try:
            for step in checkpoint.steps(folder / "checkpoints"):
                found = checkpoint.load(folder / "checkpoints" / f"step_{step:08d}")
                assert all(np.array_equal(found.arrays[p], a) for p, a in arrays_at(step).items())
                lines = (folder / "metrics.jsonl").read_bytes()[: found.metrics_offset]
                assert lines == lines_at(step)
                newest = step
            latest = checkpoint.load_latest(folder / "checkpoints", pytest.fail)
            assert newest == (latest.step if latest else 0)
            told = run.read_state(folder) if (folder / "state.json").exists() else None
            AppendFile(folder / "metrics.jsonl").close() if newest else None
        except (AssertionError, RunError, OSError) as error:
            return f"{error!r}"
        described = [name for name in DESCRIPTION if (folder / name).exists()]
        if any((folder / name).read_bytes() != name.encode() for name in described):
            return f"not whole: {described}"
        return newest, told, (folder / "plots").is_dir(), len(described) == len(DESCRIPTION)


def holes(disk_now, ops, judge, models=MODELS, stop=False):
    """The crash states in which a promise is broken: (number of operations, model, what)."""
    promised, found = {"step": 0, "state": None, "plots": False, "described": False}, []
    for count, op in enumerate(ops):
        if op.name == "promise":
            promised[op.args[0]] = op.args[1]
        for model in models:
            if op.name == "write" and model == "torn":
                opened, data = op.args
                before = disk_now.open[opened].data
                disk_now.write(opened, data[: len(data) // 2])
                outcome = judge.look(disk_now.after_crash(model, count))
                disk_now.open[opened].data = before
            else:
                outcome = judge.look(disk_now.after_crash(model, count))
            if broken(outcome, promised):
                found.append((count, model, outcome, dict(promised)))
                if stop:
                    return found
        if op.name != "promise":
            disk_now.apply(op)
    return found


def broken(outcome, promised):
    if isinstance(outcome, str):
        return True
    step, told, plots, described = outcome
    states = [promised["state"], promised.get("next state")]
    return (
        step < promised["step"]
        or told not in states
        or plots < promised["plots"]
        or described < promised["described"]
    )


def test_a_crash_after_any_operation_loses_nothing_that_was_promised(crash, recorded, tmp_path):
    root, ops = recorded
    judge = Judge(tmp_path / "disk")
    assert holes(crash.disk(root), ops, judge) == []
    assert sum(op.name == "promise" for op in ops) > 10
    assert len(judge.seen) > 150  # the models do differ


def fsync_sites(ops):
    return sorted({op.site for op in ops if op.name == "fsync"})


def test_every_fsync_is_needed(crash, recorded, tmp_path):
    root, ops = recorded
    judge, sites = Judge(tmp_path / "disk"), fsync_sites(ops)
    assert len(sites) >= 10
    unnoticed = [
        site
        for site in sites
        if not holes(
            crash.disk(root), [op for op in ops if op.name != "fsync" or op.site != site], judge, stop=True
        )
    ]
    assert unnoticed == []


def write_in_place(path, data):
    disk.write_new(path, data)
    disk.sync_folder(path.parent)


def write_folder_in_place(path, files):
    disk.system.mkdir(path)
    for name, data in files.items():
        disk.write_new(path / name, data)
    disk.sync_folder(path)
    disk.sync_folder(path.parent)


def delete_in_place(path):
    disk.delete(path)


@pytest.mark.parametrize(
    ("name", "careless"),
    [
        ("write_file", write_in_place),
        ("write_folder", write_folder_in_place),
        ("remove_folder", delete_in_place),
    ],
)
def test_every_rename_is_needed(name, careless, crash, tmp_path, monkeypatch):
    recorder, root = crash.recorder(), tmp_path / "recorded"
    root.mkdir()
    monkeypatch.setattr(disk, "system", recorder)
    monkeypatch.setattr(fsio, name, careless)
    if name == "write_folder":  # nothing to be killed at
        folder = run.claim_at(root / "runs" / "a")
        fsio.make_folder(folder / "checkpoints")
        go_on(folder, AppendFile(folder / "metrics.jsonl", keep=0), range(1, 4), recorder)
    else:
        scenario(root, recorder, crash.killed)
    assert holes(crash.disk(root), recorder.ops, Judge(tmp_path / "disk"), stop=True)
