"""The processes of a run as one of them sees them: their messages, and what happens when one is lost."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from nnrun import signals
from nnrun.errors import DataError, Interrupted, MachineError, NnrunError, RunError, SpecError, one_line

__all__ = ["Party"]

_LOOK = 0.25  # seconds between two looks at what the others say
_MILLISECONDS = 200  # that a look waits for an answer
_GRACE = 10.0  # seconds that a process has to end by itself before it is ended
_PATIENCE = 3.0  # seconds in which a failed exchange finds out whom it failed with
_KEPT = 100  # orders that are remembered; the others are hardly ever more than a chunk behind
_KINDS = {kind.exit_code: kind for kind in (SpecError, DataError, RunError, MachineError)}


class Party:
    """The processes of a run.

    index, count   which of them this one is
    client         the key-value store of jax.distributed
    All messages are JSON.
    """

    def __init__(self, index: int, count: int) -> None:
        self.index, self.count = index, count
        self.over = False  # whether the end of the run was announced
        self._client: Any = None
        self._orders = 0
        self._reason: NnrunError | None = None
        self._signalled: set[int] = set()

    @property
    def first(self) -> bool:
        """Whether this process drives."""
        return self.index == 0

    def begin(self, client: Any) -> None:
        """From here on there is a store, and a thread that looks at it."""
        self._client = client
        threading.Thread(target=self._watch, daemon=True).start()

    # What process 0 has the others do.

    def order(self, what: str, *arguments: object) -> None:
        """Has the others do something.  Raises what ended the run where one of them is lost."""
        self.check()
        self._put(f"order/{self._orders}", [what, *arguments])
        if self._orders >= _KEPT:
            self._client.key_value_delete(f"nnrun/order/{self._orders - _KEPT}")
        self._orders += 1

    def orders(self) -> Iterator[list[Any]]:
        """What this process is to do, until the run is over."""
        while True:
            order = self.wait_for(f"order/{self._orders}")
            self._orders += 1
            yield order

    # What all may say.

    def publish(self, name: str, content: object) -> None:
        """Publishes something for the others to read, under this process's number."""
        self._put(f"{name}/{self.index}", content)

    def of(self, name: str, index: int) -> Any:
        """What a process published; waits for it."""
        return self.wait_for(f"{name}/{index}")

    def wait_for(self, name: str) -> Any:
        """The value under a name, once there is one.  Raises what ended the run in the meantime."""
        while True:
            self.check()
            try:
                return json.loads(self._client.blocking_key_value_get(f"nnrun/{name}", _MILLISECONDS))
            except Exception:  # jax's own kind: nothing yet, or the store is gone, because somebody is lost
                time.sleep(0.01)

    def check(self) -> None:
        """Raises what has ended the run in another process."""
        if self._reason is not None:
            raise self._reason

    def failure(self, error: Exception) -> Exception:
        """What to raise for an error of jax: that another process was lost, which it most likely is."""
        return self.loss() or MachineError(f"{self._who(self.index)}: {one_line(error, 200)}")

    def loss(self) -> NnrunError | None:
        """What has ended the run in another process, once that is known; None if nothing has, within seconds."""
        end = time.monotonic() + (_PATIENCE if self.first else _GRACE)
        while self._reason is None and time.monotonic() < end:
            time.sleep(_LOOK / 10)
        return self._reason

    # How it ends.

    def farewell(self, code: int, message: str) -> None:
        """Says how this process ends: the others end likewise, or because of it."""
        self.over = True
        if self._client is not None and not (self._reason is not None and not self.first):
            with contextlib.suppress(Exception):
                self._put(f"ended/{self.index}", [code, message])

    def lost(self, index: int) -> None:
        """Called in a thread when a process is gone, whether or not it announced its end."""
        if self.over or self._reason is not None:  # the first of them is why the others end
            return
        farewell = None
        if self.first:  # the store is its own; process 0 does not go before the others have heard why
            with contextlib.suppress(Exception):
                farewell = json.loads(self._client.key_value_try_get(f"nnrun/ended/{index}"))
        if farewell is None:
            self._reason = MachineError(f"{self._who(index)} was lost; `nnrun resume` continues the run")
            self._have_others_end(self._reason)
        else:
            self._reason = self._why(index, *farewell)
        self._end_soon()

    def _have_others_end(self, reason: NnrunError) -> None:
        """Of process 0: a sum over all processes may wait for those that are left, until their connections break."""
        if self.first:
            with contextlib.suppress(Exception):
                self._put("ended/0", [reason.exit_code, str(reason)])

    def _who(self, index: int) -> str:
        return f"process {index} of {self.count}"

    def _why(self, index: int, code: int, message: str) -> NnrunError:
        if code > 128:
            return Interrupted(code - 128, message)
        lines = message.splitlines() or [f"ended with code {code}"]
        return _KINDS.get(code, NnrunError)(*(f"{self._who(index)}: {line}" for line in lines[:1]))

    def _end_soon(self) -> None:
        """Ends the process if it does not do so by itself: it may wait for what never comes, in a library."""
        time.sleep(_GRACE if self.first else 0.5)
        reason = self._reason or NnrunError("ended")
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if not self.over:
                print(f"nnrun: {reason}", file=sys.stderr, flush=True)
        os._exit(reason.exit_code)

    def _watch(self) -> None:
        """Passes signals on to process 0, which is the one that acts on them; the others hear when it has ended."""
        while not self.over:
            with contextlib.suppress(Exception):
                self._hear_signals() if self.first else self._hear_process_0()
            time.sleep(_LOOK)

    def _hear_signals(self) -> None:
        for name, content in self._client.key_value_dir_get("nnrun/signal/"):
            index = int(name.rpartition("/")[2])
            if index not in self._signalled:
                self._signalled.add(index)
                signals.pass_on(json.loads(content))

    def _hear_process_0(self) -> None:
        signum = signals.pending()
        if signum and signum not in self._signalled:
            self._signalled.add(signum)
            self.publish("signal", signum)
        code, _ = json.loads(self._client.key_value_try_get("nnrun/ended/0"))
        self.over = True
        os._exit(code)  # process 0 has reported why, and nothing here needs to be saved

    def _put(self, name: str, content: object) -> None:
        self._client.key_value_set(f"nnrun/{name}", json.dumps(content), allow_overwrite=True)
