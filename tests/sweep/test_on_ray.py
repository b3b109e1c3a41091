"""Batches on a Ray cluster that is made by hand: what is sent, what its answers mean, and what is cancelled."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nnrun import signals
from nnrun.errors import DataError, Interrupted, MachineError, SpecError
from nnrun.sweep import on_ray
from nnrun.sweep.engine import RunBatch
from nnrun.sweep.on_ray import OnRay

BATCHES = [RunBatch("r0-00", ["trials/a"], 1), RunBatch("r0-01", ["trials/b", "trials/c"], 2, 50)]


class RayError(Exception):
    """As Ray raises it where a node is gone."""


class Ray:
    """Answers by batch: (exit code, error), or an exception; the last batch that was sent ends first."""

    exceptions = SimpleNamespace(RayError=RayError)

    def __init__(self, answers: dict[str, Any], gpus: int = 0) -> None:
        self.answers, self.gpus = answers, gpus
        self.options: dict[str, Any] = {}
        self.jobs: list[dict[str, Any]] = []
        self.cancelled: list[str] = []
        self.initialized: list[Any] = []
        self.refused: Exception | None = None

    def is_initialized(self) -> bool:
        return False

    def init(self, address: str | None, **options: Any) -> None:
        if self.refused:
            raise self.refused
        self.initialized.append(address)

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 4.0} | ({"GPU": float(self.gpus)} if self.gpus else {})

    def remote(self, **options: Any) -> Callable[..., Any]:
        self.options = options

        def send(job: str) -> str:
            self.jobs.append(json.loads(job))
            return self.jobs[-1]["batch"]["name"]

        return lambda function: SimpleNamespace(remote=send)

    def wait(self, futures: list[str], num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        return futures[-num_returns:], futures[:-num_returns]

    def get(self, future: str) -> Any:
        answer = self.answers[future]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, future: str, force: bool) -> None:
        assert force
        self.cancelled.append(future)


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ray], OnRay]:
    expected = {"package": "digest", "files": {}}
    engine: Any = SimpleNamespace(moment=SimpleNamespace(expected=lambda: expected))

    def make(ray: Ray, address: str | None = None) -> OnRay:
        monkeypatch.setattr(on_ray.importlib, "import_module", lambda name: ray)
        return OnRay(address, engine)

    return make


def test_each_batch_is_a_task_and_has_its_news(trainer: Callable[..., OnRay], tmp_path: Path) -> None:
    ray = Ray({"r0-00": (0, ""), "r0-01": (3, "data.csv: line 7 is short")})
    events = list(trainer(ray, "ray://head:1").train(tmp_path, BATCHES))
    assert ray.initialized == ["ray://head:1"] and ray.options == {
        "num_cpus": 1,
        "num_gpus": 0,
        "max_retries": 3,
    }
    assert [(event.batch.name, event.phase) for event in events] == [
        ("r0-00", "compiling"), ("r0-01", "compiling"), ("r0-01", "failed"), ("r0-00", "done"),
    ]  # fmt: skip
    assert isinstance(events[2].error, DataError) and str(events[2].error) == "data.csv: line 7 is short"
    assert [job["batch"] for job in ray.jobs] == [batch._asdict() for batch in BATCHES]
    assert {(job["device"], job["root"], job["expected"]["package"]) for job in ray.jobs} == {
        ("cpu", str(tmp_path), "digest")
    }
    assert ray.cancelled == []


def test_a_task_takes_a_gpu_where_there_are_any(trainer: Callable[..., OnRay], tmp_path: Path) -> None:
    ray = Ray({"r0-00": (0, "")}, gpus=2)
    list(trainer(ray).train(tmp_path, BATCHES[:1]))
    assert ray.options == {"num_cpus": 0, "num_gpus": 1, "max_retries": 3} and ray.jobs[0]["device"] == "gpu"


def test_a_node_that_is_gone_for_good_fails_its_batch(trainer: Callable[..., OnRay], tmp_path: Path) -> None:
    ray = Ray({"r0-00": RayError("the node died\nand more")})
    event = list(trainer(ray).train(tmp_path, BATCHES[:1]))[-1]
    assert event.phase == "failed" and str(event.error).startswith("its worker was killed (the node died")


def test_a_signal_cancels_what_runs(
    trainer: Callable[..., OnRay], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = Ray({"r0-00": (0, ""), "r0-01": (0, "")})
    news = trainer(ray).train(tmp_path, BATCHES)
    assert [next(news).phase, next(news).phase, next(news).batch.name] == ["compiling", "compiling", "r0-01"]
    monkeypatch.setattr(signals, "pending", lambda: 15)
    with pytest.raises(Interrupted):
        next(news)
    assert ray.cancelled == ["r0-00"]


def test_who_stops_listening_cancels_what_was_sent(trainer: Callable[..., OnRay], tmp_path: Path) -> None:
    ray = Ray({"r0-00": (0, ""), "r0-01": (0, "")})
    news = trainer(ray).train(tmp_path, BATCHES)
    assert next(news).phase == "compiling"
    news.close()  # type: ignore[attr-defined]
    assert ray.cancelled == ["r0-00", "r0-01"]


def test_a_cluster_that_does_not_answer(trainer: Callable[..., OnRay]) -> None:
    ray = Ray({})
    ray.refused = ConnectionError("no route\nto host")
    with pytest.raises(
        MachineError, match=r"--on ray: no cluster answers \(no route.*to host\); check the address"
    ):
        trainer(ray)


def test_without_ray_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(on_ray.importlib, "import_module", missing)
    with pytest.raises(SpecError, match=r'pip install "nnrun\[ray\]", or write --jobs'):
        OnRay(None, None)  # type: ignore[arg-type]
