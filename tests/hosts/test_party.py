"""What the processes of a run say to each other, over a store that is a dictionary."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nnrun import signals
from nnrun.errors import DataError, Interrupted, MachineError, NnrunError, RunError
from nnrun.hosts import party as module
from nnrun.hosts.party import Party


class Store:
    """The calls of jax's key-value store that a party makes; a value that is not there is an error at once."""

    def __init__(self) -> None:
        self.content: dict[str, str] = {}

    def key_value_set(self, name: str, value: str, allow_overwrite: bool) -> None:
        assert allow_overwrite
        self.content[name] = value

    def key_value_delete(self, name: str) -> None:
        del self.content[name]

    def blocking_key_value_get(self, name: str, milliseconds: int) -> str:
        assert 0 < milliseconds <= 1000
        return self.content[name]

    def key_value_try_get(self, name: str) -> str:
        return self.content[name]

    def key_value_dir_get(self, folder: str) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.content.items() if name.startswith(folder)]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    monkeypatch.setattr(module, "_GRACE", 0.0)
    monkeypatch.setattr(Party, "_end_soon", lambda self: None)
    return Store()


def member(store: Store, index: int, count: int = 3) -> Party:
    """A process that has begun, without the thread that looks at the store."""
    party = Party(index, count)
    party._client = store
    return party


def test_the_others_do_what_the_first_says_in_its_order(store: Store) -> None:
    first, second = member(store, 0), member(store, 1)
    assert first.first and not second.first
    first.order("advance", 3, 8)
    first.order("measure")
    orders = second.orders()
    assert [next(orders), next(orders)] == [["advance", 3, 8], ["measure"]]
    first.order("end")
    assert next(orders) == ["end"]


def test_a_hundred_orders_are_remembered(store: Store) -> None:
    first = member(store, 0)
    for number in range(103):
        first.order("advance", number)
    kept = sorted(int(name.rpartition("/")[2]) for name in store.content)
    assert kept == list(range(3, 103))


def test_what_a_process_publishes_has_its_number(store: Store) -> None:
    first, second = member(store, 0), member(store, 2)
    second.publish("about", {"jax": "0.7"})
    first.publish("about", {"jax": "0.8"})
    assert first.of("about", 2) == {"jax": "0.7"} and second.of("about", 0) == {"jax": "0.8"}
    second.publish("about", [1])
    assert first.of("about", 2) == [1]


@pytest.mark.parametrize(
    ("code", "message", "kind", "text"),
    [
        (3, "data.csv: damaged\nsecond line", DataError, "process 2 of 3: data.csv: damaged"),
        (4, "checkpoint", RunError, "process 2 of 3: checkpoint"),
        (6, "disk full", MachineError, "process 2 of 3: disk full"),
        (1, "a bug", NnrunError, "process 2 of 3: a bug"),
        (5, "", NnrunError, "process 2 of 3: ended with code 5"),
        (143, "interrupted", Interrupted, "interrupted"),
    ],
)  # fmt: skip
def test_the_first_hears_why_another_one_has_ended(
    code: int, message: str, kind: type[NnrunError], text: str, store: Store
) -> None:
    first, third = member(store, 0), member(store, 2)
    third.farewell(code, message)
    first.lost(2)
    with pytest.raises(kind) as raised:
        first.check()
    assert type(raised.value) is kind and str(raised.value) == text
    if kind is not NnrunError:
        assert raised.value.exit_code == code


def test_one_that_said_nothing_was_lost(store: Store) -> None:
    first, second = member(store, 0), member(store, 1)
    first.lost(2)
    with pytest.raises(MachineError, match=r"^process 2 of 3 was lost; `nnrun resume` continues the run$"):
        first.order("advance")
    message = "process 2 of 3 was lost; `nnrun resume` continues the run"
    assert json.loads(store.content["nnrun/ended/0"]) == [6, message]  # so that the others end, too
    first.lost(1)  # which it has now, and no news is
    with pytest.raises(MachineError, match="process 2 of 3"):
        first.check()
    member(store, 0).farewell(3, "the data")
    second.lost(0)  # the store goes with process 0, so the others do not ask it
    with pytest.raises(MachineError, match="process 0 of 3 was lost"):
        second.wait_for("order/0")


def test_after_the_end_nobody_is_missed(store: Store) -> None:
    first = member(store, 0)
    first.farewell(0, "")
    first.lost(1)
    first.check()
    assert json.loads(store.content["nnrun/ended/0"]) == [0, ""]


def test_one_that_ends_because_of_another_does_not_say_so_again(store: Store) -> None:
    second = member(store, 1)
    second.lost(0)
    second.farewell(6, "process 0 was lost")
    assert store.content == {} and second.over
    first = member(store, 0)
    first.lost(1)
    first.farewell(6, "process 1 was lost")  # the others want to know
    assert list(store.content) == ["nnrun/ended/0"]
    Party(0, 2).farewell(2, "before there was a store")


def test_an_error_of_jax_is_that_of_the_process_that_was_lost(store: Store) -> None:
    first = member(store, 0)
    alone = first.failure(ValueError("deadline exceeded\nand a page of stack trace" + "." * 300))
    assert isinstance(alone, MachineError) and str(alone).startswith("process 0 of 3: deadline exceeded")
    assert "\n" not in str(alone) and len(str(alone)) < 230
    first.lost(1)
    assert str(first.failure(ValueError("deadline exceeded"))).startswith("process 1 of 3 was lost")


def test_a_signal_is_passed_on_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[Any] = []
    monkeypatch.setattr(signals, "pass_on", passed.append)
    first = member(store, 0)
    first._hear_signals()
    for index, number in ((1, 15), (2, 2)):
        member(store, index).publish("signal", number)
    first._hear_signals()
    first._hear_signals()
    assert passed == [15, 2]


def test_the_others_pass_their_signal_on_and_end_as_the_first_has_ended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr(module.os, "_exit", codes.append)
    second = member(store, 1)
    with pytest.raises(KeyError):
        second._hear_process_0()
    assert store.content == {}  # no signal has come
    monkeypatch.setattr(signals, "pending", lambda: 15)
    with pytest.raises(KeyError):  # process 0 has not ended
        second._hear_process_0()
    assert json.loads(store.content["nnrun/signal/1"]) == 15 and not second.over
    del store.content["nnrun/signal/1"]
    member(store, 0).farewell(143, "interrupted")
    second._hear_process_0()
    assert codes == [143] and second.over and "nnrun/signal/1" not in store.content
