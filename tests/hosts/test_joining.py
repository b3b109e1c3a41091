"""How the processes of a run meet and part: who listens, who comes, and where jax finds its service."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from nnrun.errors import SpecError
from nnrun.hosts import joining
from nnrun.hosts.request import HostsRequest


@pytest.fixture
def met(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What happened, in order; no socket is opened and no jax begins."""
    events: list[Any] = []

    class Hub:
        service = "127.0.0.1:1"

        def __init__(self, address: Any, count: int, lost: Any) -> None:
            events.append(("hub", address, count))

        def wait(self, seconds: float) -> None:
            events.append("all are here")

        def wait_for_the_end(self, seconds: float) -> None:
            events.append("all have ended")

    def post(address: Any, index: int, count: int, lost: Any, seconds: float) -> Any:
        events.append(("post", address, index, count))
        return SimpleNamespace(service="127.0.0.1:2")

    def client(service: str, request: HostsRequest, device_ids: Any) -> Any:
        events.append(("jax", service, request.number, request.processes, device_ids))
        return SimpleNamespace(
            key_value_set=lambda name, value, allow_overwrite: events.append((name, value))
        )

    monkeypatch.setattr(joining, "_together", {})
    monkeypatch.setattr(joining, "_keep_stdout", lambda: None)
    monkeypatch.setattr(joining, "Hub", Hub)
    monkeypatch.setattr(joining, "Post", post)
    monkeypatch.setattr(joining, "_client", client)
    monkeypatch.setattr(joining.Party, "_watch", lambda self: None)
    return events


def test_the_first_listens_and_waits_until_the_others_have_ended(met: list[Any]) -> None:
    assert joining.joined() is None
    joining.join(HostsRequest("10.0.0.1:6000", 0, 3))
    party = joining.joined()
    assert party is not None and party.first and party.count == 3
    assert met == [("hub", ("10.0.0.1", 6000), 3), "all are here", ("jax", "127.0.0.1:1", 0, 3, None)]
    joining.leave(3, "the data")
    assert met[3:] == [("nnrun/ended/0", '[3, "the data"]'), "all have ended"]
    joining.leave(3, "the data")  # it has left
    assert len(met) == 5


def test_another_one_comes_and_goes(met: list[Any]) -> None:
    joining.join(HostsRequest("[::1]:6000", 2, 3))
    assert met == [("post", ("::1", 6000), 2, 3), ("jax", "127.0.0.1:2", 2, 3, None)]
    joining.leave(0, "")
    assert met[2:] == [("nnrun/ended/2", '[0, ""]')]


def test_one_process_meets_nobody(met: list[Any]) -> None:
    joining.join(HostsRequest("h:6000", 0, 1))
    joining.leave(0, "")
    assert met == [] and joining.joined() is None


def test_a_cluster_says_who_there_is(met: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joining, "_detected", lambda: (HostsRequest("node1:7000", 1, 2), [0, 1]))
    joining.join(HostsRequest())
    assert met == [("post", ("node1", 7000), 1, 2), ("jax", "127.0.0.1:2", 1, 2, [0, 1])]


@pytest.mark.parametrize("found", [(None, 2, 0, None), ("h:1", None, 0, None), ("h:1", 2, None, None)])
def test_where_there_is_no_cluster_the_other_way_is_said(found: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from jax._src import clusters

    monkeypatch.setattr(
        clusters.ClusterEnv, "auto_detect_unset_distributed_params", staticmethod(lambda *arguments: found)
    )
    with pytest.raises(SpecError, match="--hosts auto: this is no cluster that jax knows"):
        joining._detected()


def test_the_devices_of_this_process_are_those_that_the_cluster_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from jax._src import clusters

    for named, expected in (((3, 5), [3, 5]), (None, None), ((), None)):
        answer = ("node1:7000", 2, 1, named)
        monkeypatch.setattr(
            clusters.ClusterEnv, "auto_detect_unset_distributed_params", staticmethod(lambda *_, a=answer: a)
        )
        assert joining._detected() == (HostsRequest("node1:7000", 1, 2), expected)
