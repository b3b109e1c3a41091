"""torch's training steps on the device: eager, the whole step captured as a CUDA graph, compiled and captured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from convolutions import conv32_conv64, resnet20
from torch import nn
from torch.func import functional_call, grad_and_value, vmap

HAS_GPU = torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"
NETS: dict[str, Callable[[], nn.Module]] = {"conv32-conv64": conv32_conv64, "resnet20": resnet20}
_STEPS = 512  # for which there are batches; after them come the first again
_TOGETHER = 8  # steps in one graph, where a graph of one step is bound by its launch


if not HAS_GPU:
    torch.set_num_threads(1)  # threads wait for each other where other work shares the cores


def synchronize() -> None:
    """Waits for the device."""
    if HAS_GPU:
        torch.cuda.synchronize()


def small_net() -> nn.Sequential:
    """64-128-10 with dropout."""
    return nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10))


def adam(params: Any) -> torch.optim.Optimizer:
    """Adam in its fastest form."""
    return torch.optim.Adam(params, lr=1e-3, fused=True, capturable=HAS_GPU)


def batches(examples: int, size: int, lanes: int = 1) -> torch.Tensor:
    """(steps, lanes * size): which examples each step trains on, whole batches of permutations."""
    rows = _STEPS * size

    def order() -> torch.Tensor:
        return torch.cat([torch.randperm(examples) for _ in range(-(-rows // examples))])[:rows]

    return torch.cat([order().reshape(_STEPS, size) for _ in range(lanes)], dim=1).to(DEVICE)


class Steps:
    """Steps of training whose data, order of examples and counter are on the device: no step needs the host.

    work      rows -> loss, leaves gradients behind
    together  steps in a captured graph; 0: not captured
    """

    def __init__(
        self,
        orders: torch.Tensor,
        work: Callable[[torch.Tensor], torch.Tensor],
        optimizer: Any,
        together: int,
    ) -> None:
        self.orders, self.work, self.optimizer, self.together = orders, work, optimizer, together
        self.counter = torch.zeros(1, dtype=torch.long, device=DEVICE)
        self.total = torch.zeros((), device=DEVICE)
        began = time.perf_counter()
        self.graph = self._captured() if together else None
        self._run(3)
        synchronize()
        self.compile_seconds = time.perf_counter() - began

    def _step(self) -> None:
        rows = self.orders.index_select(0, self.counter).squeeze(0)
        self.counter.add_(1).remainder_(_STEPS)
        self.total.add_(self.work(rows))
        self.optimizer.step()

    def _captured(self) -> torch.cuda.CUDAGraph:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(4):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            for _ in range(self.together):
                self._step()
        return graph

    def _run(self, steps: int) -> int:
        """Does at least so many steps, and returns how many."""
        if self.graph is None:
            for _ in range(steps):
                self._step()
            return steps
        calls = -(-steps // self.together)
        for _ in range(calls):
            self.graph.replay()
        return calls * self.together

    def time(self, steps: int) -> float:
        """Milliseconds a step."""
        synchronize()
        began = time.perf_counter()
        done = self._run(steps)
        synchronize()
        return (time.perf_counter() - began) / done * 1e3


def mlp(x: np.ndarray, y: np.ndarray, compiled: bool, together: int) -> Steps:
    """One net 64-128-10, batch 64, Adam.  x (n, 64) float32, y (n,)"""
    net = small_net().to(DEVICE)
    inputs, targets = torch.from_numpy(x).to(DEVICE), torch.from_numpy(y.astype(np.int64)).to(DEVICE)

    def loss_of(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(net(inputs), targets)

    optimizer = adam(net.parameters())
    forward = torch.compile(loss_of) if compiled else loss_of
    return Steps(batches(len(x), 64), _backwards(forward, inputs, targets, optimizer), optimizer, together)


def _backwards(
    forward: Callable[..., torch.Tensor], x: torch.Tensor, y: torch.Tensor, optimizer: Any
) -> Callable:
    def work(rows: torch.Tensor) -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x[rows], y[rows])
        loss.backward()
        return loss.detach()

    return work


def mlps(x: np.ndarray, y: np.ndarray, lanes: int, compiled: bool, together: int) -> Steps:
    """So many nets 64-128-10 as torch.func.vmap makes them, each with its own examples, and one Adam for all."""
    nets = [small_net() for _ in range(lanes)]
    names = [name for name, _ in nets[0].named_parameters()]
    params = {
        name: torch.stack([dict(net.named_parameters())[name].detach() for net in nets]).to(DEVICE)
        for name in names
    }
    base = small_net().to(DEVICE)
    inputs, targets = torch.from_numpy(x).to(DEVICE), torch.from_numpy(y.astype(np.int64)).to(DEVICE)

    def loss_of(params: dict[str, torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(functional_call(base, params, (x,)), y)

    gradients: Any = vmap(grad_and_value(loss_of), randomness="different")
    if compiled:
        gradients = torch.compile(gradients)

    def work(rows: torch.Tensor) -> torch.Tensor:
        rows = rows.reshape(lanes, 64)
        slopes, losses = gradients(params, inputs[rows], targets[rows])
        for name in names:
            params[name].grad = slopes[name]
        return losses.mean()

    return Steps(batches(len(x), 64, lanes), work, adam(params.values()), together)


def convolutional(
    name: str, x: np.ndarray, y: np.ndarray, batch: int, half: bool, compiled: bool, together: int
) -> Steps:
    """A net of NETS in channels-last order with momentum.  x (n, h, w, c) float32; half: bfloat16 by autocast."""
    net: nn.Module = NETS[name]().to(DEVICE, memory_format=torch.channels_last)  # type: ignore[call-overload]
    inputs = torch.from_numpy(x).to(DEVICE)  # rows of (n, h, w, c) are channels last as they are
    targets = torch.from_numpy(y.astype(np.int64)).to(DEVICE)

    def loss_of(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        with torch.autocast(DEVICE, torch.bfloat16, enabled=half, cache_enabled=False):
            return nn.functional.cross_entropy(net(images.permute(0, 3, 1, 2)), targets)

    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, fused=True)
    forward = torch.compile(loss_of) if compiled else loss_of
    return Steps(batches(len(x), batch), _backwards(forward, inputs, targets, optimizer), optimizer, together)


def ways(compiles: bool) -> Iterator[tuple[str, bool, int]]:
    """Name, compiled, steps in a graph: how torch can run a step here."""
    yield "eager", False, 0
    if HAS_GPU:
        yield "captured", False, 1
        yield f"captured, {_TOGETHER} steps", False, _TOGETHER
    if compiles:
        yield ("compiled, captured", True, 1) if HAS_GPU else ("compiled", True, 0)
