"""SLURM as far as submitit sees it, on this machine: sbatch, srun, sacct, scancel and scontrol.

`install(folder)` makes the commands in folder/bin; jobs run as soon as they are sent, each in a session of its own.
A job that is put back into the queue begins again at once.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

JOB = 7


def install(folder: Path) -> Path:
    """The folder of the commands."""
    commands = folder / "bin"
    commands.mkdir()
    for name in ("sbatch", "srun", "sacct", "scancel", "scontrol"):
        command = commands / name
        command.write_text(
            f'#!/bin/sh\nexec {sys.executable} {Path(__file__).resolve()} {name} "{folder}" "$@"\n'
        )
        command.chmod(0o755)
    return commands


def sbatch(folder: Path, script: str) -> None:
    """Begins the jobs of an array; what was asked for is in sbatch.txt."""
    text = Path(script).read_text()
    (folder / "sbatch.txt").write_text(text)
    last = re.search(r"^#SBATCH --array=0-(\d+)", text, re.MULTILINE)
    assert last is not None
    for task in range(int(last[1]) + 1):
        subprocess.Popen(
            [sys.executable, __file__, "job", str(folder), script, str(task)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        place(folder, task).write_text(json.dumps({"state": "PENDING"}))
    print(f"Submitted batch job {JOB}")


def job(folder: Path, script: str, task: str) -> None:
    """One job of the array, as often as it is put back into the queue."""
    settings = {
        "SLURM_JOB_ID": f"{JOB + int(task)}", "SLURM_ARRAY_JOB_ID": str(JOB), "SLURM_ARRAY_TASK_ID": task,
        "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0",
        "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "here",
    }  # fmt: skip
    while True:
        process = subprocess.Popen(["bash", script], env={**os.environ, **settings}, start_new_session=True)
        place(folder, int(task)).write_text(json.dumps({"state": "RUNNING", "process": process.pid}))
        code = process.wait()
        again = folder / f"again-{task}"
        if not again.exists():
            break
        again.unlink()
    place(folder, int(task)).write_text(json.dumps({"state": "COMPLETED" if code == 0 else "FAILED"}))


def srun(folder: Path, *arguments: str) -> None:
    """Runs what stands behind its options, two of which have a value."""
    rest = list(arguments)
    while rest[0].startswith("--"):
        del rest[: 2 if rest[0] in ("--output", "--error") else 1]
    os.execvp(rest[0], rest)


def sacct(folder: Path, *arguments: str) -> None:
    print("JobID|State|NodeList")
    for file in sorted(folder.glob("job-*.json")):
        print(f"{JOB}_{file.stem[4:]}|{json.loads(file.read_text())['state']}|here")


def scancel(folder: Path, *arguments: str) -> None:
    for file in folder.glob("job-*.json"):
        if f"{JOB}_{file.stem[4:]}" in arguments and (process := json.loads(file.read_text()).get("process")):
            os.killpg(process, signal.SIGKILL)
            (folder / f"cancelled-{file.stem[4:]}").touch()


def scontrol(folder: Path, what: str, number: str) -> None:
    """Puts a job back into the queue."""
    assert what == "requeue"
    (folder / f"again-{number.rpartition('_')[2]}").touch()
    (folder / f"requeued-{number.rpartition('_')[2]}-{time.time_ns()}").touch()


def place(folder: Path, task: int) -> Path:
    return folder / f"job-{task}.json"


if __name__ == "__main__":
    name, where, *arguments = sys.argv[1:]
    globals()[name](Path(where), *arguments)
