"""How the processes of a run connect, and how they end."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from typing import Any

from nnrun.errors import MachineError, SpecError, one_line
from nnrun.hosts.aborting import instead_of_abort
from nnrun.hosts.party import Party
from nnrun.hosts.relay import Hub, Post
from nnrun.hosts.request import HostsRequest

__all__ = ["join", "joined", "leave"]

_SECONDS = 300.0  # in which all must have come
_LAST = 20.0  # seconds in which the others end before process 0 does
_ORDERLY = 5.0  # seconds in which a process ends in order when a library of it would abort
_NO_CLUSTER = (
    "--hosts auto: this is no cluster that jax knows (SLURM, Open MPI, Kubernetes, a TPU pod); write --coordinator "
    "HOST:PORT --process I/N"
)

_together: dict[str, Any] = {}  # the party of this process, process 0's hub, the former stdout


def joined() -> Party | None:
    """The processes that this one trains with; None where it is alone."""
    return _together.get("party")


def join(request: HostsRequest) -> None:
    """Meets the other processes; to be called before jax starts a device.

    Raises SpecError where the environment is no cluster, MachineError where one of them does not come.
    """
    device_ids = None
    if not request.coordinator:
        request, device_ids = _detected()
    if request.processes < 2:
        return
    host, _, port = request.coordinator.rpartition(":")
    address = host.strip("[]"), int(port)
    _keep_stdout()
    party = Party(request.number, request.processes)
    if party.first:
        hub = Hub(address, request.processes, party.lost)
        hub.wait(_SECONDS)
        service, _together["hub"] = hub.service, hub
    else:
        service = Post(address, *request[1:], lambda: party.lost(0), _SECONDS).service
    _together["party"] = party
    instead_of_abort(_end_in_order)
    party.begin(_client(service, request, device_ids))


def _keep_stdout() -> None:
    """Leaves stdout to this process's own result: gloo prints there whom it has connected to."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        return
    _together["stdout"] = stdout  # which would be closed if nobody held it
    stdout.flush()
    descriptor = os.dup(stdout.fileno())
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout.fileno())
    os.close(nowhere)
    sys.stdout = os.fdopen(descriptor, "w", encoding=stdout.encoding, errors=stdout.errors)


def _client(service: str, request: HostsRequest, device_ids: list[int] | None) -> Any:
    """jax.distributed's store, after all have met there."""
    import jax
    from jax._src import distributed  # the store has no public name; Orbax takes it from here too

    name = "no_grpc_proxy"  # gRPC reads it in small letters
    os.environ[name] = ",".join(filter(None, [os.environ.get(name), "127.0.0.1"]))
    with contextlib.suppress(AttributeError):
        jax.config.update("jax_check_proxy_envs", False)  # what it warns of is settled
    try:
        jax.distributed.initialize(
            service, request.processes, request.number, local_device_ids=device_ids,
            cluster_detection_method="deactivate", initialization_timeout=int(_SECONDS),
            coordinator_bind_address=service,
        )  # fmt: skip
    except (RuntimeError, ValueError) as error:
        raise MachineError(f"the processes of the run cannot connect: {one_line(error, 200)}") from None
    return distributed.global_state.client


def _detected() -> tuple[HostsRequest, list[int] | None]:
    """What jax finds in the environment of a cluster, and the devices of this process where it names them."""
    from jax._src import clusters  # what jax.distributed.initialize() asks

    detect = clusters.ClusterEnv.auto_detect_unset_distributed_params
    coordinator, count, index, device_ids = detect(None, None, None, None, None, int(_SECONDS))
    if coordinator is None or count is None or index is None:
        raise SpecError(_NO_CLUSTER)
    return HostsRequest(coordinator, index, count), list(device_ids) if device_ids else None


def _end_in_order() -> None:
    """In place of an abort, in a thread of a library: where another process is lost, this one ends because of that.

    Mostly other threads do so while this one waits.  It returns where nobody is lost.
    """
    party: Party = _together["party"]
    time.sleep(_ORDERLY)
    reason = party.loss()
    if reason is None:
        return
    if party.over:
        time.sleep(_LAST)
    print(f"nnrun: {reason}", file=sys.stderr, flush=True)
    leave(reason.exit_code, str(reason))
    os._exit(reason.exit_code)


def leave(code: int, message: str) -> None:
    """Says to the others how this process ends; process 0 waits until they have ended."""
    party = joined()
    if party is None or party.over:
        return
    party.farewell(code, message)
    if party.first:
        _together["hub"].wait_for_the_end(_LAST)
